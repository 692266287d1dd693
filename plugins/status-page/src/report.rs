//! What programs and the page are told, as JSON. Judges nothing.

use plexichat::capability::admin::Metric;
use plexichat::message::Time;
use plexichat::plugin::interface::{IntoAnswer, RouteShape};
use plexichat::prelude::*;

use crate::health::{Judged, Level};
use crate::watch::Seen;

/// Whether all works, for anybody.
#[plexichat::model]
pub struct Report {
    /// What the page is called.
    pub title: String,
    /// How all of it is.
    pub status: Level,
    /// The same in words, in the caller's language.
    pub label: String,
    /// Each part.
    pub components: Vec<ComponentReport>,
}

/// How a part is.
#[plexichat::model]
pub struct ComponentReport {
    /// `server`, `delivery`, or a plugin's name.
    pub name: String,
    /// What people call it, in the caller's language.
    pub title: String,
    /// How it is.
    pub status: Level,
    /// The same in words.
    pub label: String,
}

/// All that is to be seen, for administrators.
#[plexichat::model]
pub struct Figures {
    /// What anybody is told.
    pub report: Report,
    /// The bundle's version.
    pub version: String,
    /// Since when the server runs.
    pub started_at: Time,
    /// For how many seconds that is.
    pub uptime_secs: u64,
    /// Whether it takes requests.
    pub ready: bool,
    /// How many messages were stored since then.
    pub messages_stored: u64,
    /// How many in each second, of the last minute.
    pub messages_per_second: f64,
    /// How long the oldest message waits that plugins were not told of.
    pub delivery_delay_secs: f64,
    /// How many clients listen.
    pub listeners: u64,
    /// The plugins.
    pub plugins: Vec<PluginFigures>,
    /// Every figure of `/metrics`.
    pub figures: Vec<Metric>,
}

/// A plugin.
#[plexichat::model]
pub struct PluginFigures {
    /// Its name.
    pub name: String,
    /// `enabled`, `disabled`, `failed` and so on.
    pub state: String,
    /// `healthy`, `degraded` or `unhealthy`, where it runs.
    pub health: String,
    /// How often it was called within the last minute.
    pub calls: u64,
    /// How many of these calls failed.
    pub failed: u64,
}

impl Report {
    pub(crate) fn of(title: &str, judged: &Judged, say: impl Fn(&Text) -> String) -> Self {
        let component = |part: &crate::health::Component| ComponentReport {
            name: part.name.clone(),
            title: say(&part.label()),
            status: part.level,
            label: say(&part.level.text()),
        };
        Self {
            title: title.to_owned(),
            status: judged.level,
            label: say(&judged.level.summary()),
            components: judged.components.iter().map(component).collect(),
        }
    }
}

impl Figures {
    pub(crate) fn of(report: Report, seen: &Seen) -> Self {
        let plugin = |plugin: &plexichat::capability::admin::PluginStatus| {
            let calls = seen.calls.get(&plugin.name).copied().unwrap_or_default();
            PluginFigures {
                name: plugin.name.clone(),
                state: plugin.state.clone(),
                health: plugin.health.clone(),
                calls: calls.all as u64,
                failed: calls.failed as u64,
            }
        };
        Self {
            report,
            version: seen.status.version.clone(),
            started_at: seen.status.started_at,
            uptime_secs: seen.uptime().as_secs(),
            ready: seen.status.ready,
            messages_stored: seen.sum("plexichat_messages_stored_total") as u64,
            messages_per_second: seen.messages_per_second,
            delivery_delay_secs: seen.sum("plexichat_outbox_oldest_seconds"),
            listeners: listeners(seen),
            plugins: seen.status.plugins.iter().map(plugin).collect(),
            figures: seen.metrics.clone(),
        }
    }
}

/// How many clients listen, whichever way.
pub(crate) fn listeners(seen: &Seen) -> u64 {
    (seen.sum("plexichat_websocket_connections") + seen.sum("plexichat_event_streams")) as u64
}

/// JSON that may be kept for a few seconds by whoever asked and whoever stands between. An answer of one's own is this
/// little: [`IntoAnswer`] for a type around another answer.
#[derive(Debug, Clone)]
pub struct Cached<T>(pub T);

impl<T> IntoAnswer for Cached<T>
where
    Json<T>: IntoAnswer,
    T: Send + 'static,
{
    fn into_answer(self) -> Result<RouteAnswer> {
        let answer = Json(self.0).into_answer()?;
        Ok(answer.header("cache-control", "public, max-age=5").header("vary", "accept-language"))
    }

    fn describe(shape: &mut RouteShape) {
        <Json<T> as IntoAnswer>::describe(shape);
    }
}
