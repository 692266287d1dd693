//! Which triggers wait for which events and commands: in memory, so that what nobody waits for costs one look-up. Knows no store.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::KeptTrigger;
use crate::id::PluginName;
use crate::trigger::On;

/// The events of runs themselves. `*` does not mean them: workflows that wait for everything would start each other.
pub(super) const OF_RUNS: &[&str] =
    &["trigger_fired", "workflow_started", "workflow_waiting", "workflow_completed", "workflow_failed"];

type Key = (PluginName, String);

/// The triggers that wait for events and commands.
#[derive(Default)]
pub(super) struct Book {
    triggers: Mutex<BTreeMap<Key, Arc<KeptTrigger>>>,
    /// Nothing before they were loaded.
    index: ArcSwapOption<Index>,
}

#[derive(Default)]
struct Index {
    named: HashMap<String, Vec<Arc<KeptTrigger>>>,
    to_all: Vec<Arc<KeptTrigger>>,
    commands: HashMap<String, Arc<KeptTrigger>>,
}

impl Book {
    fn triggers(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<KeptTrigger>>> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.triggers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are all there are.
    pub(super) fn load(&self, all: Vec<KeptTrigger>) {
        let mut triggers = self.triggers();
        triggers.clear();
        for trigger in all.into_iter().filter(waits) {
            triggers.insert(key(&trigger), Arc::new(trigger));
        }
        self.index.store(Some(Arc::new(Index::of(&triggers))));
    }

    /// There is this one now.
    pub(super) fn put(&self, trigger: &KeptTrigger) {
        let mut triggers = self.triggers();
        let (key, waits) = (key(trigger), waits(trigger));
        if !waits && !triggers.contains_key(&key) {
            return;
        }
        if waits {
            triggers.insert(key, Arc::new(trigger.clone()));
        } else {
            triggers.remove(&key);
        }
        self.index.store(Some(Arc::new(Index::of(&triggers))));
    }

    /// This one is gone.
    pub(super) fn remove(&self, plugin: &PluginName, id: &str) {
        let mut triggers = self.triggers();
        if triggers.remove(&(plugin.clone(), id.to_owned())).is_some() {
            self.index.store(Some(Arc::new(Index::of(&triggers))));
        }
    }

    /// Everything of this plugin is gone.
    pub(super) fn forget(&self, plugin: &PluginName) {
        let mut triggers = self.triggers();
        triggers.retain(|(of, _), trigger| of != plugin || trigger.fixed);
        self.index.store(Some(Arc::new(Index::of(&triggers))));
    }

    /// Whether one may wait for events of this name: as long as they are not loaded, for all.
    pub(super) fn waits_for(&self, event: &str) -> bool {
        self.index.load().as_ref().is_none_or(|index| {
            index.named.contains_key(event) || !index.to_all.is_empty() && !OF_RUNS.contains(&event)
        })
    }

    /// Those that wait for events of this name.
    pub(super) fn hearing(&self, event: &str) -> Vec<Arc<KeptTrigger>> {
        let index = self.index.load();
        let Some(index) = index.as_ref() else { return Vec::new() };
        let to_all = if OF_RUNS.contains(&event) { &[] } else { index.to_all.as_slice() };
        index.named.get(event).into_iter().flatten().chain(to_all).cloned().collect()
    }

    /// The one whose command this is.
    pub(super) fn command(&self, name: &str) -> Option<Arc<KeptTrigger>> {
        self.index.load().as_ref()?.commands.get(name).cloned()
    }
}

fn key(trigger: &KeptTrigger) -> Key {
    (trigger.plugin.clone(), trigger.spec.id.clone())
}

fn waits(trigger: &KeptTrigger) -> bool {
    matches!(trigger.spec.on, On::Event { .. } | On::Command { .. })
}

impl Index {
    fn of(triggers: &BTreeMap<Key, Arc<KeptTrigger>>) -> Self {
        let mut index = Self::default();
        for trigger in triggers.values() {
            match &trigger.spec.on {
                On::Event { names, .. } if names.iter().any(|name| name == "*") => index.to_all.push(trigger.clone()),
                On::Event { names, .. } => {
                    let mut names = names.clone();
                    names.sort();
                    names.dedup();
                    for name in names {
                        index.named.entry(name).or_default().push(trigger.clone());
                    }
                }
                On::Command { name, .. } => {
                    index.commands.entry(name.clone()).or_insert_with(|| trigger.clone());
                }
                _ => {}
            }
        }
        index
    }
}
