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
use crate::standing::{HookMeter, Standing};

/// A hook of a running plugin.
#[derive(Debug, Clone)]
pub struct HookEntry {
    /// The plugin.
    pub plugin: Arc<PluginHandle>,
    /// How long a call may take; for files, beside [`Hook::extra_time`].
    pub timeout: Duration,
    /// The largest file that the plugin is asked about.
    pub max_bytes: u64,
    /// What happens to the message where the call fails.
    pub on_error: FailMode,
    /// What is counted of it.
    pub meter: Arc<HookMeter>,
}

/// A hook of a plugin that the operator wants to run, or must, and that does not: it failed to start, was quarantined, gave
/// up its thread, or lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingHook {
    /// The plugin.
    pub plugin: PluginName,
    /// What happens to messages meanwhile: what would happen if the call failed.
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
    pub(crate) hooks: Vec<RunningHook>,
}

/// A hook of a running plugin, as its descriptor and the operator settle it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunningHook {
    pub(crate) hook: Hook,
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) on_error: FailMode,
}

/// What runs now.
#[derive(Debug, Default)]
pub struct Snapshot {
    running: Vec<Running>,
    hooks: HashMap<Hook, Vec<HookEntry>>,
    missing: HashMap<Hook, Vec<MissingHook>>,
    commands: HashMap<&'static str, (Arc<PluginHandle>, usize)>,
    subscribers: HashMap<&'static str, Vec<Subscriber>>,
    to_all: Vec<Subscriber>,
    standing: Arc<Standing>,
}

impl Snapshot {
    /// What these plugins give; `expected` has the hooks that messages are not to pass without, whether they run or not.
    pub(crate) fn new(
        running: Vec<Running>,
        catalog: &Catalog,
        expected: Vec<(Hook, MissingHook)>,
        standing: Arc<Standing>,
    ) -> Self {
        let mut snapshot = Self { standing, ..Self::default() };
        for entry in &running {
            for (index, command) in entry.plugin.descriptor().commands.iter().enumerate() {
                snapshot.commands.insert(command.name, (entry.plugin.clone(), index));
            }
            for RunningHook { hook, timeout, max_bytes, on_error } in entry.hooks.iter().copied() {
                let plugin = entry.plugin.clone();
                let meter = snapshot.standing.meter(plugin.name(), hook);
                let entry = HookEntry { plugin, timeout, max_bytes, on_error, meter };
                snapshot.hooks.entry(hook).or_default().push(entry);
            }
        }
        for (hook, entries) in &mut snapshot.hooks {
            let order = catalog.hook_order(*hook);
            entries.sort_by_key(|entry| order.iter().position(|name| *name == entry.plugin.name().as_str()));
        }
        for (hook, expected) in expected {
            if !snapshot.hooks(hook).iter().any(|entry| *entry.plugin.name() == expected.plugin) {
                snapshot.missing.entry(hook).or_default().push(expected);
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

    /// The hooks that should have their say and cannot, since their plugins do not run.
    pub fn missing(&self, hook: Hook) -> &[MissingHook] {
        self.missing.get(&hook).map_or(&[], Vec::as_slice)
    }

    /// A plugin without whose hook no message passes, and that does not run or has gone blind.
    pub fn closed_by(&self, hook: Hook) -> Option<&PluginName> {
        let missing = self.missing(hook).iter().find(|missing| missing.on_error == FailMode::Closed);
        let is_blind = |entry: &&HookEntry| entry.on_error == FailMode::Closed && entry.plugin.is_blind(hook);
        let blind = || self.hooks(hook).iter().find(is_blind).map(|entry| entry.plugin.name());
        missing.map(|missing| &missing.plugin).or_else(blind)
    }

    /// How the scanners stand, and what is counted of them.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
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
