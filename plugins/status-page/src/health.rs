//! Judges what was seen: which part works, which does not, and what that makes of the whole. Knows no words of a language.

use std::collections::BTreeMap;

use plexichat::capability::admin::PluginStatus;
use plexichat::prelude::*;
use plexichat::t;

use crate::config::{Config, Thresholds};
use crate::watch::{Calls, Seen};

/// The part that is the server itself.
pub(crate) const SERVER: &str = "server";

/// The part that tells plugins of messages.
pub(crate) const DELIVERY: &str = "delivery";

/// Fewer calls than these say nothing about how many fail.
const CALLS_MIN: f64 = 10.0;

/// How well something works; what is worse is greater.
#[plexichat::model]
#[derive(Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should.
    Operational,
    /// Not as it should, and it works.
    Degraded,
    /// It does not work.
    Down,
}

impl Level {
    /// The words for one part.
    pub(crate) fn text(self) -> Text {
        match self {
            Self::Operational => t!("operational"),
            Self::Degraded => t!("degraded"),
            Self::Down => t!("down"),
        }
    }

    /// The words for all of it.
    pub(crate) fn summary(self) -> Text {
        match self {
            Self::Operational => t!("all-operational"),
            Self::Degraded => t!("all-degraded"),
            Self::Down => t!("all-down"),
        }
    }
}

/// What all of it comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub(crate) level: Level,
    pub(crate) components: Vec<Component>,
}

/// A part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) level: Level,
}

impl Component {
    /// What people call it.
    pub(crate) fn label(&self) -> Text {
        match self.name.as_str() {
            SERVER => t!("component-server"),
            DELIVERY => t!("component-delivery"),
            plugin => Text::from(plugin.to_owned()),
        }
    }
}

/// Judges what was seen. The server and the delivery bring all of it down; a plugin makes it degraded at most.
pub(crate) fn judge(seen: &Seen, config: &Config) -> Judged {
    let components = parts(seen, config);
    let weight = |component: &Component| match component.name.as_str() {
        SERVER | DELIVERY => component.level,
        _ => component.level.min(Level::Degraded),
    };
    let level = components.iter().map(weight).max().unwrap_or(Level::Operational);
    Judged { level, components }
}

fn parts(seen: &Seen, config: &Config) -> Vec<Component> {
    let component = |name: &str, level| Component { name: name.to_owned(), level };
    let server = if seen.status.ready { Level::Operational } else { Level::Down };
    let delivery = delivery(seen.sum("plexichat_outbox_oldest_seconds"), config.thresholds);
    let mut all = vec![component(SERVER, server), component(DELIVERY, delivery)];
    let plugins = seen.status.plugins.iter();
    all.extend(
        plugins.filter_map(|plugin| Some(component(&plugin.name, level_of(plugin, &seen.calls, config.thresholds)?))),
    );
    if config.components.is_empty() {
        return all;
    }
    // In the order in which they were asked for. What is asked for and not there does not work.
    let chosen = config.components.iter();
    let found = |name: &String| all.iter().find(|component| component.name == *name).cloned();
    chosen.map(|name| found(name).unwrap_or_else(|| component(name, Level::Down))).collect()
}

fn delivery(oldest: f64, thresholds: Thresholds) -> Level {
    match oldest {
        oldest if oldest >= f64::from(thresholds.delivery_down_secs) => Level::Down,
        oldest if oldest >= f64::from(thresholds.delivery_degraded_secs) => Level::Degraded,
        _ => Level::Operational,
    }
}

/// Nothing of a plugin that somebody switched off.
fn level_of(plugin: &PluginStatus, calls: &BTreeMap<String, Calls>, thresholds: Thresholds) -> Option<Level> {
    let health = match (plugin.state.as_str(), plugin.health.as_str()) {
        ("installed" | "disabled", _) => return None,
        ("enabled", "healthy" | "") => Level::Operational,
        ("enabled", "degraded") => Level::Degraded,
        _ => Level::Down,
    };
    let failing = calls.get(&plugin.name).is_some_and(|calls| {
        calls.all >= CALLS_MIN && calls.failed * 100.0 >= calls.all * f64::from(thresholds.plugin_failures_percent)
    });
    Some(if failing { health.max(Level::Degraded) } else { health })
}

#[cfg(test)]
mod tests {
    use plexichat::capability::admin::{Metric, ServerStatus};
    use plexichat::message::Time;

    use super::*;

    fn seen(ready: bool, oldest: f64, plugins: &[(&str, &str, &str, f64, f64)]) -> Seen {
        let status = |(name, state, health, ..): &(&str, &str, &str, f64, f64)| PluginStatus {
            name: (*name).to_owned(),
            state: (*state).to_owned(),
            health: (*health).to_owned(),
        };
        let calls =
            plugins.iter().map(|(name, .., all, failed)| ((*name).to_owned(), Calls { all: *all, failed: *failed }));
        Seen {
            at: Time::from_micros(0),
            status: ServerStatus {
                version: "1".to_owned(),
                started_at: Time::from_micros(0),
                ready,
                plugins: plugins.iter().map(status).collect(),
            },
            metrics: vec![Metric {
                name: "plexichat_outbox_oldest_seconds".to_owned(),
                labels: Vec::new(),
                value: oldest,
            }],
            messages_per_second: 0.0,
            calls: calls.collect(),
        }
    }

    fn config(components: &[&str]) -> Config {
        Config {
            title: "Status".to_owned(),
            public: true,
            components: components.iter().map(|name| (*name).to_owned()).collect(),
            thresholds: Thresholds::default(),
        }
    }

    #[track_caller]
    fn check(seen: &Seen, components: &[&str], expected: &str) {
        let judged = judge(seen, &config(components));
        let parts = judged.components.iter().map(|part| format!(" {}={:?}", part.name, part.level)).collect::<String>();
        assert_eq!(format!("{:?}:{parts}", judged.level), expected);
    }

    #[test]
    fn each_part_counts_as_it_matters() {
        let well = &[("echo", "enabled", "healthy", 100.0, 9.0)];
        check(&seen(true, 0.0, well), &[], "Operational: server=Operational delivery=Operational echo=Operational");
        check(&seen(false, 0.0, &[]), &[], "Down: server=Down delivery=Operational");
        check(&seen(true, 5.0, &[]), &[], "Degraded: server=Operational delivery=Degraded");
        check(&seen(true, 60.0, &[]), &[], "Down: server=Operational delivery=Down");
        for (state, health, level) in [
            ("enabled", "degraded", "Degraded"),
            ("enabled", "unhealthy", "Down"),
            ("failed", "", "Down"),
            ("blocked", "", "Down"),
            ("quarantined", "", "Down"),
        ] {
            let expected = format!("Degraded: server=Operational delivery=Operational echo={level}");
            check(&seen(true, 0.0, &[("echo", state, health, 0.0, 0.0)]), &[], &expected);
        }
    }

    #[test]
    fn a_plugin_whose_calls_fail_is_degraded() {
        let failing = |all, failed| seen(true, 0.0, &[("echo", "enabled", "healthy", all, failed)]);
        check(&failing(100.0, 10.0), &["echo"], "Degraded: echo=Degraded");
        check(&failing(9.0, 9.0), &["echo"], "Operational: echo=Operational");
    }

    #[test]
    fn what_was_switched_off_is_shown_to_whoever_asks_for_it() {
        let off = seen(true, 0.0, &[("echo", "disabled", "", 0.0, 0.0), ("new", "installed", "", 0.0, 0.0)]);
        check(&off, &[], "Operational: server=Operational delivery=Operational");
        check(&off, &["echo", "delivery", "typo"], "Degraded: echo=Down delivery=Operational typo=Down");
    }
}
