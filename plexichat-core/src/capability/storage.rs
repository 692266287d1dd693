//! A plugin's own keys and values: durable, its own namespace, with compare-and-set.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Scope;
use crate::error::{PluginError, Result};
use crate::id::PluginName;

/// The longest key, in bytes.
pub const STORAGE_KEY_MAX: usize = 256;

/// The largest value, in bytes of JSON.
pub const STORAGE_VALUE_MAX: usize = 1024 * 1024;

/// Durable keys and values of one plugin.
#[derive(Clone)]
pub struct Storage {
    scope: Arc<Scope>,
    port: Arc<dyn StoragePort>,
}

/// A stored value and its version: 1 when first set, one more at each change.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// How many times it was set.
    pub version: u64,
}

/// What the host does for [`Storage`].
#[async_trait]
pub trait StoragePort: Send + Sync + 'static {
    /// The value under a key.
    async fn get(&self, plugin: &PluginName, key: &str) -> Result<Option<Versioned<Value>>>;
    /// Sets a key if it has the expected version (0: it is not there); any version where nothing is expected. Returns
    /// the new version, or nothing where another was found.
    async fn set(&self, plugin: &PluginName, key: &str, value: Value, expected: Option<u64>) -> Result<Option<u64>>;
    /// Removes a key; whether it was there.
    async fn remove(&self, plugin: &PluginName, key: &str) -> Result<bool>;
    /// The keys that begin with a prefix, sorted.
    async fn keys(&self, plugin: &PluginName, prefix: &str) -> Result<Vec<String>>;
}

impl Storage {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn StoragePort>) -> Self {
        Self { scope, port }
    }

    /// The value under a key, with its version.
    ///
    /// # Errors
    /// `Internal` where it does not fit the type, `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Versioned<T>>> {
        self.scope.check_alive()?;
        let Some(found) = self.port.get(self.scope.plugin(), key).await? else { return Ok(None) };
        Ok(Some(Versioned { value: serde_json::from_value(found.value)?, version: found.version }))
    }

    /// Sets a key, whatever stood there.
    ///
    /// # Errors
    /// `Input` for a key or value over its limit, `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have set the key.
    pub async fn set(&self, key: &str, value: &impl Serialize) -> Result<()> {
        self.put(key, value, None).await.map(|_| ())
    }

    /// Sets a key if nobody changed it since it was read: `expected` is the version that was read, 0 where nothing was
    /// there. Returns the new version, or nothing where somebody was faster.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn compare_and_set(&self, key: &str, value: &impl Serialize, expected: u64) -> Result<Option<u64>> {
        self.put(key, value, Some(expected)).await
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed it.
    pub async fn remove(&self, key: &str) -> Result<bool> {
        self.scope.check_alive()?;
        self.port.remove(self.scope.plugin(), key).await
    }

    /// The keys that begin with a prefix, sorted.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.scope.check_alive()?;
        self.port.keys(self.scope.plugin(), prefix).await
    }

    async fn put(&self, key: &str, value: &impl Serialize, expected: Option<u64>) -> Result<Option<u64>> {
        self.scope.check_alive()?;
        if key.is_empty() || key.len() > STORAGE_KEY_MAX {
            return Err(PluginError::input(format!("a key has 1 to {STORAGE_KEY_MAX} bytes, this one {}", key.len())));
        }
        let value = serde_json::to_value(value)?;
        let size = serde_json::to_string(&value)?.len();
        if size > STORAGE_VALUE_MAX {
            return Err(PluginError::input(format!(
                "the value of `{key}` has {size} bytes as JSON, at most {STORAGE_VALUE_MAX} are stored"
            )));
        }
        self.port.set(self.scope.plugin(), key, value, expected).await
    }
}
