//! What of the settings counts before a route is reached: read at each request and connection, swapped whole when the settings
//! change. Knows no file and no route.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use plexichat::settings::{EdgeLimits, Network, ServerSettings};

use super::rates::Rates;

/// What counts at the rim now.
#[derive(Debug, Clone, Default)]
pub(crate) struct EdgeSettings {
    /// How many connections and requests there may be.
    pub(crate) limits: EdgeLimits,
    /// Whose forwarding headers say where a request comes from.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Whether people reach the server over https, by itself or by a proxy.
    pub(crate) https: bool,
}

impl EdgeSettings {
    /// What the settings say of the rim.
    pub(crate) fn of(server: &ServerSettings) -> Self {
        let public = server.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        Self {
            limits: server.edge,
            trusted_proxies: server.trusted_proxies.clone(),
            https: public || server.tls.is_some(),
        }
    }

    /// Whether forwarding headers from there count.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// The rim's settings as they are now.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    settings: ArcSwap<EdgeSettings>,
    /// Who asked how much until now.
    pub(crate) rates: Rates,
}

impl Edge {
    /// With these to begin with.
    pub(crate) fn new(settings: EdgeSettings) -> Self {
        Self { settings: ArcSwap::from_pointee(settings), rates: Rates::default() }
    }

    /// What counts now.
    pub(crate) fn now(&self) -> Guard<Arc<EdgeSettings>> {
        self.settings.load()
    }

    /// From now on these count.
    pub(crate) fn set(&self, settings: EdgeSettings) {
        self.settings.store(Arc::new(settings));
    }
}
