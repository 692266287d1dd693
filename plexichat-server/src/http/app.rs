//! What handlers work with: the running parts of one server.

use std::sync::Arc;

use axum::body::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use plexichat::event::{Event, Payload};
use plexichat::host::Host;
use plexichat::id::RoomId;
use plexichat::message::{Actor, Origin};
use plexichat::pipeline::Announcer;
use plexichat::settings::Settings;
use tokio::sync::watch;

use super::assets::Shelf;
use super::bundle::BundleInfo;
use super::cookie::SessionCookie;
use super::edge::Edge;
use super::hooks::HookRates;
use super::places::CallerPlaces;
use super::rates::RouteRates;
use crate::auth::{Authenticator, SignIn};
use crate::files::Files;
use crate::live::hub::Hub;
use crate::store::Store;

/// The running parts of one server.
pub(crate) struct App {
    /// Pipeline, plugins, bus.
    pub(crate) host: Host,
    /// What is kept.
    pub(crate) store: Store,
    /// Files: their bytes, and how many of them.
    pub(crate) files: Files,
    /// Who is it.
    pub(crate) authenticator: Authenticator,
    /// Passwords, and how often they may be tried.
    pub(crate) sign_in: SignIn,
    /// Who listens.
    pub(crate) hub: Hub,
    /// What is in the binary.
    pub(crate) bundle: BundleInfo,
    /// The address that people use.
    pub(crate) public_url: Option<String>,
    /// What counts before a route is reached.
    pub(crate) edge: Arc<Edge>,
    /// How often webhooks' triggers are called.
    pub(crate) hooks: HookRates,
    /// The settings as they are now: a reload brings others.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    /// How often plugins' routes are called.
    pub(crate) route_rates: RouteRates,
    /// What callers keep open of plugins.
    pub(crate) route_places: CallerPlaces,
    /// The counters.
    pub(crate) metrics: PrometheusHandle,
    /// Turns true when the server begins to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    /// What was computed of the files that plugins embed.
    pub(crate) shelf: Shelf,
    /// The OpenAPI document, written once.
    pub(crate) document: Bytes,
}

impl App {
    /// The cookie by which browsers come in.
    pub(crate) fn session_cookie(&self) -> SessionCookie {
        SessionCookie::of(&self.edge.now())
    }

    /// Tells plugins what somebody did by a request.
    pub(crate) fn announce<P: Payload>(&self, by: &Actor, room_id: Option<RoomId>, payload: P) {
        self.host.bus.announce(event(by, room_id, payload));
    }
}

fn event<P: Payload>(by: &Actor, room_id: Option<RoomId>, payload: P) -> Event {
    let mut event = Event::new(payload);
    event.actor = by.clone();
    event.origin = Origin::Rest;
    event.room_id = room_id;
    event
}
