//! Connections that reach nobody: a test's script is the other side. Knows no network.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::capability::sockets::{SocketAddress, SocketLink, SocketPort};
use crate::error::{ErrorKind, PluginError, Result};
use crate::id::PluginName;

type Script = dyn Fn(&SocketAddress) -> Result<Box<dyn SocketLink>> + Send + Sync;

/// Records where a plugin connects to, and lets the test's script be the other side.
#[derive(Default)]
pub struct RecordingSockets {
    script: Option<Box<Script>>,
    connected: Mutex<Vec<SocketAddress>>,
}

impl RecordingSockets {
    /// Sockets behind which the script stands.
    pub fn scripted(
        script: impl Fn(&SocketAddress) -> Result<Box<dyn SocketLink>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { script: Some(Box::new(script)), connected: Mutex::default() })
    }

    /// Where the plugin connected to, in order.
    pub fn connected(&self) -> Vec<SocketAddress> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl SocketPort for RecordingSockets {
    async fn connect(&self, _: &PluginName, address: &SocketAddress, _: Duration) -> Result<Box<dyn SocketLink>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).push(address.clone());
        match &self.script {
            Some(script) => script(address),
            None => Err(PluginError::new(
                ErrorKind::Upstream { retry_after: None },
                format!("nobody is at {address}: let the test be, with `TestHost::sockets(|address| ..)`"),
            )),
        }
    }
}
