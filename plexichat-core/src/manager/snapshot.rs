//! What runs now: hooks in their order, commands, subscriptions. Built whole, read by everyone, swapped whole; never
//! changed. Knows no manager.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::descriptor::{FailMode, Hook};
use crate::event::catalog::NAMES;
use crate::event::local::Mailbox;
use crate::guard::PluginHandle;
use crate::id::PluginName;

/// A hook of a running plugin.
#[derive(Debug, Clone)]
pub struct HookEntry {
    /// The plugin.
    pub plugin: Arc<PluginHandle>,
    /// How long a call may take.
    pub timeout: Duration,
    /// What happens to the message where the call fails.
    pub on_error: FailMode,
}

/// A running plugin that handles an event.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) plugin: Arc<PluginHandle>,
    /// Where its events wait; nothing where it is called in place.
    pub(crate) mailbox: Option<Arc<Mailbox>>,
    /// The handlers' indexes in [`Descriptor::events`](crate::Descriptor::events), each with whether it wants the plugin's
    /// own events too.
    pub(crate) handlers: Arc<[(usize, bool)]>,
}

/// A running plugin as a snapshot is built from it.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) plugin: Arc<PluginHandle>,
    pub(crate) mailbox: Option<Arc<Mailbox>>,
    pub(crate) hooks: Vec<(Hook, Duration, FailMode)>,
}

/// What runs now.
#[derive(Debug, Default)]
pub struct Snapshot {
    running: Vec<Running>,
    hooks: HashMap<Hook, Vec<HookEntry>>,
    required_missing: HashMap<Hook, PluginName>,
    commands: HashMap<&'static str, (Arc<PluginHandle>, usize)>,
    subscribers: HashMap<&'static str, Vec<Subscriber>>,
    to_all: Vec<Subscriber>,
}

impl Snapshot {
    /// What these plugins give; `required` has the hooks that must not be missing, with their plugins.
    pub(crate) fn new(running: Vec<Running>, catalog: &Catalog, required: &[(Hook, PluginName)]) -> Self {
        let mut snapshot = Self::default();
        for entry in &running {
            for (index, command) in entry.plugin.descriptor().commands.iter().enumerate() {
                snapshot.commands.insert(command.name, (entry.plugin.clone(), index));
            }
            for (hook, timeout, on_error) in &entry.hooks {
                let plugin = entry.plugin.clone();
                let entry = HookEntry { plugin, timeout: *timeout, on_error: *on_error };
                snapshot.hooks.entry(*hook).or_default().push(entry);
            }
        }
        for (hook, entries) in &mut snapshot.hooks {
            let order = catalog.hook_order(*hook);
            entries.sort_by_key(|entry| order.iter().position(|name| *name == entry.plugin.name().as_str()));
        }
        for (hook, name) in required {
            if !snapshot.hooks(*hook).iter().any(|entry| entry.plugin.name() == name) {
                snapshot.required_missing.entry(*hook).or_insert_with(|| name.clone());
            }
        }
        snapshot.subscribe(&running);
        snapshot.running = running;
        snapshot
    }

    /// The hooks of running plugins, in the bundle's fixed order.
    pub fn hooks(&self, hook: Hook) -> &[HookEntry] {
        self.hooks.get(&hook).map_or(&[], Vec::as_slice)
    }

    /// A plugin whose hook is required and that does not run.
    pub fn required_missing(&self, hook: Hook) -> Option<&PluginName> {
        self.required_missing.get(&hook)
    }

    /// The plugin that answers a command, and the command's index in its descriptor.
    pub fn command(&self, name: &str) -> Option<(Arc<PluginHandle>, usize)> {
        self.commands.get(name).cloned()
    }

    /// A running plugin by name.
    pub fn plugin(&self, name: &PluginName) -> Option<&Arc<PluginHandle>> {
        self.plugins().find(|plugin| plugin.name() == name)
    }

    /// The running plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<PluginHandle>> {
        self.running.iter().map(|running| &running.plugin)
    }

    pub(crate) fn subscribers(&self, event: &str) -> &[Subscriber] {
        self.subscribers.get(event).unwrap_or(&self.to_all)
    }

    /// Every event that anybody names has its own list, which those who want all are in too: one look-up finds it.
    fn subscribe(&mut self, running: &[Running]) {
        let patterns = |entry: &Running| entry.plugin.descriptor().events.iter().flat_map(|spec| spec.patterns.iter());
        let named = running.iter().flat_map(patterns).copied().filter(|pattern| *pattern != "*");
        for name in named.chain(NAMES.iter().copied()).collect::<Vec<_>>() {
            self.subscribers.entry(name).or_insert_with(|| {
                running
                    .iter()
                    .filter_map(|entry| subscriber(entry, |pattern| pattern == "*" || pattern == name))
                    .collect()
            });
        }
        self.to_all = running.iter().filter_map(|entry| subscriber(entry, |pattern| pattern == "*")).collect();
    }
}

fn subscriber(running: &Running, wanted: impl Fn(&str) -> bool) -> Option<Subscriber> {
    let specs = running.plugin.descriptor().events.iter().enumerate();
    let handlers: Arc<[(usize, bool)]> = specs
        .filter(|(_, spec)| spec.patterns.iter().any(|pattern| wanted(pattern)))
        .map(|(index, spec)| (index, spec.own))
        .collect();
    let (plugin, mailbox) = (running.plugin.clone(), running.mailbox.clone());
    (!handlers.is_empty()).then_some(Subscriber { plugin, mailbox, handlers })
}
