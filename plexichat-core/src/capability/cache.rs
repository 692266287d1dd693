//! A bounded map with expiry, one for each instance of a plugin. Nothing in it survives a restart.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How many entries a cache keeps; the oldest goes first.
pub const CACHE_ENTRIES_MAX: usize = 4096;

/// A bounded map with expiry.
///
/// ```
/// use plexichat::capability::cache::Cache;
/// let cache = Cache::default();
/// cache.set("answer", 42.into(), std::time::Duration::from_secs(60));
/// assert_eq!(cache.get("answer"), Some(42.into()));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cache(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    map: HashMap<String, (Value, Instant, u64)>,
    order: VecDeque<(String, u64)>,
    writes: u64,
}

impl Cache {
    /// What was set under the key and has not expired.
    pub fn get(&self, key: &str) -> Option<Value> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.map.get(key) {
            Some((value, until, _)) if *until > Instant::now() => Some(value.clone()),
            Some(_) => {
                entries.map.remove(key);
                None
            }
            None => None,
        }
    }

    /// Sets a key for a while.
    pub fn set(&self, key: impl Into<String>, value: Value, keep: Duration) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key.into();
        entries.writes += 1;
        let write = entries.writes;
        entries.order.push_back((key.clone(), write));
        entries.map.insert(key, (value, Instant::now() + keep, write));
        // An entry of `order` counts only while it names the key's last write; the others are dropped as they come up.
        while entries.map.len() > CACHE_ENTRIES_MAX || entries.order.len() > 2 * CACHE_ENTRIES_MAX {
            let Some((oldest, write)) = entries.order.pop_front() else { break };
            if entries.map.get(&oldest).is_some_and(|(_, _, last)| *last == write) {
                entries.map.remove(&oldest);
            }
        }
    }

    /// Forgets a key.
    pub fn remove(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_expiry_counts() {
        let cache = Cache::default();
        for number in 0..=CACHE_ENTRIES_MAX {
            cache.set(number.to_string(), number.into(), Duration::from_secs(60));
        }
        assert_eq!(cache.get("0"), None);
        assert_eq!(cache.get("1"), Some(1.into()));
        cache.set("gone", 1.into(), Duration::ZERO);
        assert_eq!(cache.get("gone"), None);
    }

    #[test]
    fn rewriting_one_key_for_ever_stays_bounded() {
        let cache = Cache::default();
        for number in 0..10 * CACHE_ENTRIES_MAX {
            cache.set("one", number.into(), Duration::from_secs(60));
        }
        assert!(cache.0.lock().unwrap().order.len() <= 2 * CACHE_ENTRIES_MAX + 1);
    }
}
