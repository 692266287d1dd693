//! The server as administrators see it in tests: it is ready and counts nothing but itself, until a test says otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::clock::TestClock;
use crate::capability::admin::{AdminPort, Metric, PluginStatus, ServerStatus};
use crate::capability::clock::Clock;
use crate::error::Result;

/// A server that has just been started, in which no plugin is told of: what `ctx.admin()` sees.
///
/// ```
/// # use plexichat::testing::{RunningPlugin, TestResult};
/// # fn example<P: plexichat::descriptor::Registered>(plugin: &RunningPlugin<P>) {
/// plugin.server().set_ready(false);
/// plugin.server().set_plugin("echo", "failed", "");
/// plugin.server().set_metric("plexichat_messages_stored_total", &[("origin", "rest")], 7.0);
/// # }
/// ```
pub struct TestServer(Mutex<(ServerStatus, Vec<Metric>)>);

impl TestServer {
    pub(super) fn new(clock: &TestClock) -> Arc<Self> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let status = ServerStatus { version, started_at: clock.now(), ready: true, plugins: Vec::new() };
        let up = Metric { name: "up".to_owned(), labels: Vec::new(), value: 1.0 };
        Arc::new(Self(Mutex::new((status, vec![up]))))
    }

    /// Whether it takes requests.
    pub fn set_ready(&self, ready: bool) {
        self.change(|status, _| status.ready = ready);
    }

    /// How a plugin is.
    pub fn set_plugin(&self, name: &str, state: &str, health: &str) {
        self.change(|status, _| {
            status.plugins.retain(|plugin| plugin.name != name);
            let (name, state, health) = (name.to_owned(), state.to_owned(), health.to_owned());
            status.plugins.push(PluginStatus { name, state, health });
        });
    }

    /// What a figure is.
    pub fn set_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<_> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.change(|_, metrics| {
            metrics.retain(|metric| metric.name != name || metric.labels != labels);
            metrics.push(Metric { name: name.to_owned(), labels: labels.clone(), value });
        });
    }

    fn change(&self, change: impl FnOnce(&mut ServerStatus, &mut Vec<Metric>)) {
        let mut server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, metrics) = &mut *server;
        change(status, metrics);
    }
}

#[async_trait]
impl AdminPort for TestServer {
    async fn status(&self) -> Result<ServerStatus> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone())
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone())
    }
}
