//! The server as administrators see it in tests: it is ready, and counts nothing but itself.

use std::sync::Arc;

use async_trait::async_trait;

use super::clock::TestClock;
use crate::capability::admin::{AdminPort, Metric, ServerStatus};
use crate::capability::clock::Clock;
use crate::error::Result;

/// A server that has just been started, in which no plugin is told of.
pub(super) struct TestServer(pub(super) Arc<TestClock>);

#[async_trait]
impl AdminPort for TestServer {
    async fn status(&self) -> Result<ServerStatus> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(ServerStatus { version, started_at: self.0.now(), ready: true, plugins: Vec::new() })
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        Ok(vec![Metric { name: "up".to_owned(), labels: Vec::new(), value: 1.0 }])
    }
}
