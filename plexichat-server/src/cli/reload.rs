//! SIGHUP: the settings are read again, and what a running server can change counts at once. Knows what to tell of each part,
//! not how the part does it.

use std::sync::Arc;

use plexichat::broker::Quotas;
use plexichat::host::Host;
use plexichat::message::Actor;
use plexichat::pipeline::Limits;
use plexichat::settings::Settings;
use tokio::sync::watch;

use super::settings::{SettingsArgs, load};
use crate::Bundle;
use crate::http::edge::{Edge, EdgeSettings};
use crate::http::places::Places;
use crate::http::tls::Tls;
use crate::telemetry;

/// The parts that are told of other settings.
pub(super) struct Reloading<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) arguments: &'a SettingsArgs,
    /// Whether an argument or `RUST_LOG` says what is logged.
    pub(super) log_level_is_given: bool,
    /// For whoever follows the settings by itself.
    pub(super) settings: watch::Sender<Arc<Settings>>,
    pub(super) host: Host,
    pub(super) edge: Arc<Edge>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) places: Arc<Places>,
}

impl Reloading<'_> {
    /// Reads the settings again. Where anything is wrong with them, nothing changes.
    ///
    /// # Cancel safety
    /// A dropped call may have told some parts and not others.
    pub(super) async fn reload(&self) {
        let new = match load(self.bundle, self.arguments) {
            Ok((_, settings)) => settings,
            Err(problems) => return keep_old(&problems),
        };
        let running = self.settings.borrow().clone();
        let (new, kept) = new.reloaded(&running);
        let problems = self.host.manager.problems_with(&new);
        if !problems.is_empty() {
            return keep_old(&problems);
        }
        if let (Some(tls), Some(files)) = (&self.tls, &new.server.tls)
            && let Err(error) = tls.reload(files)
        {
            return keep_old(&[super::serve::of_tls(&error)]);
        }
        if !self.log_level_is_given
            && let Err(error) = telemetry::set_level(new.server.log_level.as_deref())
        {
            return keep_old(&[format!("server.log_level cannot be read: {error}")]);
        }
        self.host.pipeline.set_limits(Limits::from(new.server.limits));
        self.host.broker.set_quotas(Quotas::from(&new.server.ai));
        self.host.assistants.set_default(Some(new.server.ai.assistant.clone()));
        self.edge.set(EdgeSettings::of(&new.server));
        self.places.look_again();
        for (plugin, outcome) in self.host.manager.reload(new.clone(), &Actor::system()).await {
            if let Err(error) = outcome {
                tracing::warn!(%plugin, %error, "the plugin goes on as it was: it cannot take the new settings");
            }
        }
        self.settings.send_replace(Arc::new(new));
        if kept.is_empty() {
            tracing::info!("the settings were read again");
        } else {
            let names = kept.join(", ");
            tracing::warn!(names, "the settings were read again; what is named needs a restart and stays as it was");
        }
    }
}

fn keep_old(problems: &[impl ToString]) {
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let problems = found.join("; ");
    tracing::warn!(problems, "the settings were read again and are wrong: the old ones go on");
}
