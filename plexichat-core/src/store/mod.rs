//! What the host keeps of plugins: the port, and why a store refuses. Engines are the server's; the one in memory is here.

pub mod memory;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::PluginName;
use crate::permission::Permission;

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space is left: nothing was stored, reading goes on.
    #[error("the disk is full")]
    Full,
    /// The store is stopping or too busy: nothing was stored.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl From<StoreError> for crate::error::PluginError {
    fn from(error: StoreError) -> Self {
        Self::transient(error.to_string())
    }
}

/// What is stored of one installed plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// Its name.
    pub name: PluginName,
    /// The version that was installed.
    pub version: String,
    /// Whether it is installed; `false` keeps in mind that an operator uninstalled what the bundle would install again.
    #[serde(default = "yes")]
    pub installed: bool,
    /// Whether the operator wants it to run.
    pub enabled: bool,
    /// The permissions it was granted at install; nothing where the bundle's grant holds.
    pub granted: Option<Vec<Permission>>,
    /// What was set over the API; layers below and above it come from elsewhere.
    pub config: Value,
    /// How many times the configuration was set: the `ETag`.
    pub config_revision: u64,
    /// Since when it is quarantined, and why.
    pub quarantined: Option<(Timestamp, String)>,
}

fn yes() -> bool {
    true
}

impl PluginRecord {
    /// What is stored of a plugin that was just installed: it does not run, and nothing of it is set.
    pub fn new(name: PluginName, version: impl Into<String>) -> Self {
        Self {
            name,
            version: version.into(),
            installed: true,
            enabled: false,
            granted: None,
            config: Value::Object(serde_json::Map::new()),
            config_revision: 0,
            quarantined: None,
        }
    }
}

/// What the plugin manager keeps. An operation that returned is durable.
#[async_trait]
pub trait PluginStore: Send + Sync + 'static {
    /// All installed plugins.
    async fn plugins(&self) -> Result<Vec<PluginRecord>, StoreError>;
    /// Inserts or replaces one.
    async fn save_plugin(&self, record: PluginRecord) -> Result<(), StoreError>;
    /// Removes one; with its keys and values where its data is to go too.
    async fn remove_plugin(&self, name: PluginName, data: PluginData) -> Result<(), StoreError>;
}

/// What happens to a plugin's stored keys and values when it is uninstalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginData {
    /// They stay for a later install.
    Keep,
    /// They go.
    Remove,
}
