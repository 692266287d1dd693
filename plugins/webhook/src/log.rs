//! The last deliveries of each outgoing webhook: to be looked at, and to be sent again. Knows no network.

use plexichat::capability::storage::{STORAGE_VALUE_MAX, Storage};
use plexichat::error::{PluginError, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::asked::Delivery;
use crate::outgoing::is_id;

/// A delivery, and what was to be delivered.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) told: Delivery,
    /// The event's envelope; nothing for one that was too large to be kept.
    pub(crate) event: Value,
}

/// The deliveries that are kept.
pub(crate) struct Log {
    pub(crate) storage: Storage,
    /// So many of each hook.
    pub(crate) kept: usize,
}

impl Log {
    /// Keeps what is known of a delivery now, and forgets the oldest of the hook.
    pub(crate) async fn add(&self, hook: &str, mut entry: Entry) -> Result<()> {
        // Some room for what stands around it.
        if entry.event.to_string().len() > STORAGE_VALUE_MAX - 16 * 1024 {
            entry.event = Value::Null;
        }
        self.storage.set(&key(hook, &entry.told.id), &entry).await?;
        if entry.told.attempts <= 1 {
            // Identifiers of runs grow with the time.
            let keys = self.storage.keys(&prefix(hook)).await?;
            for old in &keys[..keys.len().saturating_sub(self.kept)] {
                self.storage.remove(old).await?;
            }
        }
        Ok(())
    }

    /// The deliveries of a hook, the last one first.
    pub(crate) async fn list(&self, hook: &str) -> Result<Vec<Delivery>> {
        let mut found = Vec::new();
        for key in self.storage.keys(&prefix(hook)).await?.iter().rev() {
            found.extend(self.storage.get::<Entry>(key).await?.map(|entry| entry.value.told));
        }
        Ok(found)
    }

    /// The event of a delivery.
    pub(crate) async fn event(&self, hook: &str, delivery: &str) -> Result<Value> {
        let found = if is_id(delivery) { self.storage.get::<Entry>(&key(hook, delivery)).await? } else { None };
        match found.map(|entry| entry.value.event) {
            Some(Value::Null) => Err(PluginError::input("the event of this delivery was too large to be kept")),
            Some(event) => Ok(event),
            None => Err(PluginError::not_found(
                "there is no such delivery; GET /api/v1/plugins/webhook/outgoing/{id}/deliveries lists those that are kept",
            )),
        }
    }
}

fn prefix(hook: &str) -> String {
    format!("log/{hook}/")
}

fn key(hook: &str, delivery: &str) -> String {
    format!("log/{hook}/{delivery}")
}
