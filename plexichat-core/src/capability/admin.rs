//! What administrators may see of the server, behind `AdminAccess`.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Scope;
use crate::error::Result;
use crate::message::Time;
use crate::permission::Permission;

/// Looks at the server.
#[derive(Clone)]
pub struct Admin {
    scope: Arc<Scope>,
    port: Arc<dyn AdminPort>,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerStatus {
    /// The bundle's version.
    pub version: String,
    /// Since when it runs.
    pub started_at: Time,
    /// Whether it takes requests: as `/readyz` says.
    pub ready: bool,
    /// The plugins that should run.
    pub plugins: Vec<PluginStatus>,
}

/// How a plugin is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// `enabled`, `blocked`, `failed`, `quarantined` and so on.
    pub state: String,
    /// `healthy`, `degraded` or `unhealthy`, where it runs.
    pub health: String,
}

/// A figure of the server: a line of `/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Its name, such as `plexichat_messages_stored_total`.
    pub name: String,
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// The figure.
    pub value: f64,
}

/// What the host does for [`Admin`].
#[async_trait]
pub trait AdminPort: Send + Sync + 'static {
    /// How the server is.
    async fn status(&self) -> Result<ServerStatus>;
    /// Its figures, as `/metrics` tells them.
    async fn metrics(&self) -> Result<Vec<Metric>>;
}

impl Admin {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn AdminPort>) -> Self {
        Self { scope, port }
    }

    /// How the server is.
    ///
    /// # Errors
    /// `Permission` without the grant.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn status(&self) -> Result<ServerStatus> {
        self.scope.check(Permission::AdminAccess, "status")?;
        self.port.status().await
    }

    /// The server's figures, as `/metrics` tells them.
    ///
    /// # Errors
    /// `Permission` without the grant.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn metrics(&self) -> Result<Vec<Metric>> {
        self.scope.check(Permission::AdminAccess, "metrics")?;
        self.port.metrics().await
    }
}
