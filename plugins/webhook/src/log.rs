//! The last deliveries of each outgoing webhook: to be looked at, and to be sent again. Knows no network.

use plexichat::capability::storage::{STORAGE_VALUE_MAX, Storage};
use plexichat::error::{PluginError, Result};
use serde_json::Value;

use crate::asked::Delivery;
use crate::outgoing::is_id;

/// The deliveries that are kept.
pub(crate) struct Log {
    pub(crate) storage: Storage,
    /// So many of each hook.
    pub(crate) kept: usize,
}

impl Log {
    /// Keeps what is known of a delivery now, and forgets the oldest of the hook.
    pub(crate) async fn add(&self, hook: &str, told: &Delivery, event: &Value) -> Result<()> {
        // One that is too large is not kept, and cannot be sent again.
        if event.to_string().len() <= STORAGE_VALUE_MAX {
            self.storage.set(&event_key(hook, &told.id), event).await?;
        }
        self.storage.set(&key(hook, &told.id), told).await?;
        if told.attempts <= 1 {
            // Identifiers of runs grow with the time.
            let start = prefix(hook);
            let keys = self.storage.keys(&start).await?;
            for old in &keys[..keys.len().saturating_sub(self.kept)] {
                let delivery = old.strip_prefix(&start).unwrap_or_default();
                self.storage.remove(&event_key(hook, delivery)).await?;
                self.storage.remove(old).await?;
            }
        }
        Ok(())
    }

    /// The last deliveries of a hook, at most so many, the last one first.
    pub(crate) async fn list(&self, hook: &str, most: usize) -> Result<Vec<Delivery>> {
        let mut found = Vec::new();
        for key in self.storage.keys(&prefix(hook)).await?.iter().rev().take(most) {
            found.extend(self.storage.get::<Delivery>(key).await?.map(|told| told.value));
        }
        Ok(found)
    }

    /// The event of a delivery.
    pub(crate) async fn event(&self, hook: &str, delivery: &str) -> Result<Value> {
        let unknown = || {
            PluginError::not_found(
                "there is no such delivery; GET /api/v1/plugins/webhook/outgoing/{id}/deliveries lists those that are kept",
            )
        };
        if !is_id(delivery) {
            return Err(unknown());
        }
        if let Some(event) = self.storage.get::<Value>(&event_key(hook, delivery)).await? {
            return Ok(event.value);
        }
        match self.storage.get::<Delivery>(&key(hook, delivery)).await? {
            Some(_) => Err(PluginError::input("the event of this delivery was too large to be kept")),
            None => Err(unknown()),
        }
    }
}

/// Forgets all deliveries of a hook.
pub(crate) async fn forget(storage: &Storage, hook: &str) -> Result<()> {
    for start in [prefix(hook), event_key(hook, "")] {
        for key in storage.keys(&start).await? {
            storage.remove(&key).await?;
        }
    }
    Ok(())
}

fn prefix(hook: &str) -> String {
    format!("log/{hook}/")
}

fn key(hook: &str, delivery: &str) -> String {
    format!("log/{hook}/{delivery}")
}

/// Events stand by themselves: whoever looks at a list of deliveries reads none of them.
fn event_key(hook: &str, delivery: &str) -> String {
    format!("event/{hook}/{delivery}")
}
