//! Looks at the server: its state and its figures, now and a minute ago. Judges nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plexichat::capability::admin::{Admin, Metric, ServerStatus};
use plexichat::message::Time;
use plexichat::prelude::*;

/// How often the task looks.
const EVERY: Duration = Duration::from_secs(10);

/// So many looks are kept: rates are those of the last minute.
const KEPT: usize = 6;

/// How long what was seen will do for whoever may ask as often as they like.
const RECENT_MICROS: i64 = 3_000_000;

/// Looks at the server, and remembers.
pub(crate) struct Watch {
    admin: Admin,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The oldest first.
    samples: VecDeque<Sample>,
    latest: Option<Arc<Seen>>,
}

/// What rates are made of: counters that only grow.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sample {
    at: Option<Time>,
    messages: f64,
    plugins: BTreeMap<String, Calls>,
}

/// Calls of a plugin, and those that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Calls {
    pub(crate) all: f64,
    pub(crate) failed: f64,
}

/// The server at a moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) at: Time,
    pub(crate) status: ServerStatus,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) messages_per_second: f64,
    /// Of each plugin, within the last minute.
    pub(crate) calls: BTreeMap<String, Calls>,
}

impl Seen {
    /// The sum of a figure over all its labels; 0 where the server does not count it yet.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        sum(&self.metrics, name)
    }

    pub(crate) fn uptime(&self) -> Duration {
        let micros = self.at.as_micros() - self.status.started_at.as_micros();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

impl Watch {
    pub(crate) fn new(admin: Admin) -> Self {
        Self { admin, memory: Mutex::default() }
    }

    /// Looks every few seconds, for as long as the plugin runs.
    pub(crate) async fn keep_looking(watch: Arc<Self>, context: Context<crate::StatusPage>) {
        loop {
            context.sleep(EVERY).await;
            // While the server starts there is nothing to see yet: the next look is soon.
            if let Ok(metrics) = watch.admin.metrics().await {
                watch.remember(Sample::of(context.now(), &metrics));
            }
        }
    }

    /// The server now.
    pub(crate) async fn look(&self, now: Time) -> Result<Arc<Seen>> {
        let (status, metrics) = (self.admin.status().await?, self.admin.metrics().await?);
        let sample = Sample::of(now, &metrics);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the second look it is the average since the start.
        let start = Sample { at: Some(status.started_at), ..Sample::default() };
        let before = memory.samples.front().unwrap_or(&start);
        let messages_per_second = sample.messages_per_second(before);
        let calls = sample.calls_since(before);
        let seen = Arc::new(Seen { at: now, status, metrics, messages_per_second, calls });
        memory.latest = Some(seen.clone());
        Ok(seen)
    }

    /// The server now or a few seconds ago.
    pub(crate) async fn recent(&self, now: Time) -> Result<Arc<Seen>> {
        let latest = self.memory.lock().unwrap_or_else(PoisonError::into_inner).latest.clone();
        match latest {
            Some(seen) if now.as_micros() - seen.at.as_micros() < RECENT_MICROS => Ok(seen),
            _ => self.look(now).await,
        }
    }

    fn remember(&self, sample: Sample) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.samples.push_back(sample);
        while memory.samples.len() > KEPT {
            memory.samples.pop_front();
        }
    }
}

impl Sample {
    fn of(at: Time, metrics: &[Metric]) -> Self {
        let mut plugins: BTreeMap<String, Calls> = BTreeMap::new();
        for metric in metrics {
            let Some((_, plugin)) = metric.labels.iter().find(|(name, _)| name == "plugin") else { continue };
            match metric.name.as_str() {
                "plexichat_plugin_calls_total" => plugins.entry(plugin.clone()).or_default().all += metric.value,
                "plexichat_plugin_errors_total"
                | "plexichat_plugin_timeouts_total"
                | "plexichat_plugin_panics_total" => {
                    plugins.entry(plugin.clone()).or_default().failed += metric.value;
                }
                _ => {}
            }
        }
        Self { at: Some(at), messages: sum(metrics, "plexichat_messages_stored_total"), plugins }
    }

    fn messages_per_second(&self, before: &Self) -> f64 {
        let (Some(now), Some(then)) = (self.at, before.at) else { return 0.0 };
        let seconds = (now.as_micros() - then.as_micros()) as f64 / 1_000_000.0;
        // Within less than a second one message would look like a flood.
        ((self.messages - before.messages) / seconds.max(1.0)).max(0.0)
    }

    fn calls_since(&self, before: &Self) -> BTreeMap<String, Calls> {
        let since = |(name, now): (&String, &Calls)| {
            let then = before.plugins.get(name).copied().unwrap_or_default();
            (name.clone(), Calls { all: now.all - then.all, failed: now.failed - then.failed })
        };
        self.plugins.iter().map(since).collect()
    }
}

fn sum(metrics: &[Metric], name: &str) -> f64 {
    metrics.iter().filter(|metric| metric.name == name).map(|metric| metric.value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, plugin: &str, value: f64) -> Metric {
        let labels = vec![("plugin".to_owned(), plugin.to_owned())];
        Metric { name: name.to_owned(), labels, value }
    }

    #[test]
    fn rates_are_what_counters_grew() {
        let at = |seconds: i64| Time::from_micros(seconds * 1_000_000);
        let then = Sample::of(
            at(0),
            &[metric("plexichat_messages_stored_total", "", 10.0), metric("plexichat_plugin_calls_total", "echo", 5.0)],
        );
        let now = Sample::of(
            at(20),
            &[
                metric("plexichat_messages_stored_total", "", 40.0),
                metric("plexichat_messages_stored_total", "other", 10.0),
                metric("plexichat_plugin_calls_total", "echo", 25.0),
                metric("plexichat_plugin_errors_total", "echo", 3.0),
                metric("plexichat_plugin_panics_total", "echo", 1.0),
                metric("plexichat_plugin_calls_total", "new", 2.0),
            ],
        );
        assert_eq!(now.messages_per_second(&then), 2.0);
        let calls = now.calls_since(&then);
        assert_eq!((calls["echo"], calls["new"]), (Calls { all: 20.0, failed: 4.0 }, Calls { all: 2.0, failed: 0.0 }));
        assert_eq!(now.messages_per_second(&now), 0.0, "no time has passed");
    }
}
