//! Decides what happens to plugins next: what is asked, what is refused, what has to be started and stopped, in which
//! order. Knows no clock, disk, socket or task.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::PluginName;
use crate::message::Time;
use crate::permission::Permission;

/// How far a plugin is, with the cause where it stopped halfway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// It is in the binary and was not installed.
    Linked,
    /// It was installed and never enabled.
    Installed,
    /// It is being started.
    Starting,
    /// It runs.
    Enabled,
    /// It was disabled.
    Disabled,
    /// It is to run and cannot yet.
    Blocked {
        /// What is missing.
        cause: Blocker,
    },
    /// It is to run and did not start, or its thread was given up.
    Failed {
        /// Why.
        cause: String,
    },
    /// It failed too often: an operator has to release it.
    Quarantined {
        /// Since when.
        since: Time,
        /// Why.
        cause: String,
    },
}

/// What keeps a plugin from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Blocker {
    /// It is not in this binary.
    NotLinked,
    /// It was not granted what it asks for.
    Permissions {
        /// What is missing.
        missing: Vec<Permission>,
    },
    /// A plugin that it requires does not run.
    Dependency {
        /// Which.
        name: PluginName,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Blocker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinked => formatter.write_str("it is not linked into this binary"),
            Self::Permissions { missing } => {
                let names: Vec<&str> = missing.iter().map(|permission| permission.as_str()).collect();
                write!(formatter, "it was not granted {}", names.join(", "))
            }
            Self::Dependency { name, why } => write!(formatter, "it requires `{name}`, which {why}"),
        }
    }
}

impl State {
    /// The state's name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Installed => "installed",
            Self::Starting => "starting",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Blocked { .. } => "blocked",
            Self::Failed { .. } => "failed",
            Self::Quarantined { .. } => "quarantined",
        }
    }

    /// Why it stopped halfway, in words.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Blocked { cause } => Some(cause.to_string()),
            Self::Failed { cause } | Self::Quarantined { cause, .. } => Some(cause.clone()),
            _ => None,
        }
    }

    /// Whether an instance exists or is being made.
    pub const fn runs(&self) -> bool {
        matches!(self, Self::Starting | Self::Enabled)
    }

    fn is_installed(&self) -> bool {
        *self != Self::Linked
    }
}

/// A requirement of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The plugin that must run.
    pub name: PluginName,
    /// Why the one that is linked will not do, where that is so.
    pub unfit: Option<String>,
}

/// What is known of a plugin apart from its state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Whether it is in this binary.
    pub linked: bool,
    /// What it requires.
    pub needs: Vec<Need>,
    /// What it asks for and was not granted.
    pub missing: Vec<Permission>,
    /// Whether messages are refused while it does not run, so that it cannot be disabled.
    pub required: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plugin {
    state: State,
    /// Whether the operator wants it to run.
    wanted: bool,
    facts: Facts,
}

/// All plugins and how far each is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifecycle {
    plugins: BTreeMap<PluginName, Plugin>,
}

/// What is asked for, or what came of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Starts every plugin that is wanted, as far as it can.
    Boot,
    /// A linked plugin becomes known as installed. What it was granted may have changed.
    Install(PluginName, Facts),
    /// It is to be gone.
    Uninstall(PluginName),
    /// It is to run.
    Enable(PluginName),
    /// It is not to run.
    Disable(PluginName),
    /// It was started.
    Started(PluginName),
    /// It was not.
    StartFailed(PluginName, String),
    /// It runs no more: its thread was given up.
    Lost(PluginName, String),
    /// It fails too often.
    Quarantine(PluginName, Time, String),
    /// It may try again.
    Release(PluginName),
}

/// What has to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start it, and say what came of it.
    Start(PluginName),
    /// Stop it.
    Stop(PluginName),
    /// Its state is to be kept.
    Save(PluginName),
    /// What is kept of it is to be removed.
    Remove(PluginName),
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not in this binary.
    #[error("no plugin named `{0}` is linked into this binary")]
    NotLinked(PluginName),
    /// It was not installed.
    #[error("plugin `{0}` is not installed")]
    NotInstalled(PluginName),
    /// It was installed before.
    #[error("plugin `{0}` is installed already")]
    AlreadyInstalled(PluginName),
    /// Others need it.
    #[error("plugin `{name}` is required by {}", list(by))]
    NeededBy {
        /// The plugin.
        name: PluginName,
        /// The running plugins that require it.
        by: Vec<PluginName>,
    },
    /// Messages would be refused without it.
    #[error("plugin `{0}` has a required hook: without it every message would be refused")]
    Required(PluginName),
    /// It has to be released first.
    #[error("plugin `{0}` is quarantined")]
    Quarantined(PluginName),
    /// It is not quarantined.
    #[error("plugin `{0}` is not quarantined")]
    NotQuarantined(PluginName),
}

fn list(names: &[PluginName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What comes next: the plugins after the command, and what has to be done. Where it is refused nothing has changed.
pub fn step(plugins: Lifecycle, command: Command) -> (Lifecycle, Result<Vec<Effect>, Refusal>) {
    let mut next = plugins.clone();
    let mut effects = Vec::new();
    match next.apply(command, &mut effects) {
        Ok(()) => (next, Ok(effects)),
        Err(refusal) => (plugins, Err(refusal)),
    }
}

impl Lifecycle {
    /// Adds a plugin as it is found at start: nothing runs yet.
    pub fn add(&mut self, name: PluginName, state: State, wanted: bool, facts: Facts) {
        self.plugins.insert(name, Plugin { state, wanted, facts });
    }

    /// How far a plugin is.
    pub fn state(&self, name: &PluginName) -> Option<&State> {
        self.plugins.get(name).map(|plugin| &plugin.state)
    }

    /// Whether the operator wants it to run.
    pub fn wanted(&self, name: &PluginName) -> bool {
        self.plugins.get(name).is_some_and(|plugin| plugin.wanted)
    }

    /// All plugins and their states, by name.
    pub fn states(&self) -> impl Iterator<Item = (&PluginName, &State)> {
        self.plugins.iter().map(|(name, plugin)| (name, &plugin.state))
    }

    /// The running plugins in groups: what is in one group may be stopped at once, what others require comes later.
    pub fn stop_order(&self) -> Vec<Vec<PluginName>> {
        let mut left: BTreeSet<PluginName> = self.plugins.keys().filter(|name| self.runs(name)).cloned().collect();
        let mut groups = Vec::new();
        while !left.is_empty() {
            let free = |name: &&PluginName| !self.dependants(name).iter().any(|dependant| left.contains(dependant));
            let group: Vec<PluginName> = left.iter().filter(free).cloned().collect();
            // Plugins that require each other never run, so that something is always free.
            let group = if group.is_empty() { left.iter().cloned().collect() } else { group };
            left.retain(|name| !group.contains(name));
            groups.push(group);
        }
        groups
    }

    fn apply(&mut self, command: Command, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        match command {
            Command::Boot => {
                let wanted: Vec<PluginName> =
                    self.plugins.iter().filter(|(_, plugin)| plugin.wanted).map(|(name, _)| name.clone()).collect();
                for name in wanted {
                    if !matches!(self.state(&name), Some(State::Quarantined { .. })) {
                        self.start(&name, effects);
                    }
                }
            }
            Command::Install(name, facts) => self.install(name, facts, effects)?,
            Command::Uninstall(name) => {
                self.check_may_stop(&name)?;
                self.set(&name, State::Linked, false);
                effects.extend([Effect::Stop(name.clone()), Effect::Remove(name.clone())]);
                if !self.plugin(&name)?.facts.linked {
                    self.plugins.remove(&name);
                }
                self.look_again(&name, &mut BTreeSet::new(), effects);
            }
            Command::Enable(name) => match self.installed(&name)? {
                State::Quarantined { .. } => return Err(Refusal::Quarantined(name)),
                State::Starting | State::Enabled => {}
                _ => {
                    self.plugin_mut(&name)?.wanted = true;
                    effects.push(Effect::Save(name.clone()));
                    self.start(&name, effects);
                }
            },
            Command::Disable(name) => {
                if *self.installed(&name)? == State::Disabled {
                    return Ok(());
                }
                self.check_may_stop(&name)?;
                self.set(&name, State::Disabled, false);
                effects.extend([Effect::Save(name.clone()), Effect::Stop(name.clone())]);
                self.look_again(&name, &mut BTreeSet::new(), effects);
            }
            Command::Started(name) => {
                if self.state(&name) == Some(&State::Starting) {
                    self.set(&name, State::Enabled, true);
                    self.look_again(&name, &mut BTreeSet::new(), effects);
                }
            }
            Command::StartFailed(name, cause) => {
                if self.state(&name) == Some(&State::Starting) {
                    self.set(&name, State::Failed { cause }, true);
                    self.look_again(&name, &mut BTreeSet::new(), effects);
                }
            }
            Command::Lost(name, cause) => {
                if self.runs(&name) {
                    self.stop_dependants(&name, effects);
                    self.set(&name, State::Failed { cause }, true);
                    effects.push(Effect::Stop(name.clone()));
                    self.look_again(&name, &mut BTreeSet::new(), effects);
                }
            }
            Command::Quarantine(name, since, cause) => {
                if self.runs(&name) {
                    self.stop_dependants(&name, effects);
                    self.set(&name, State::Quarantined { since, cause }, true);
                    effects.extend([Effect::Stop(name.clone()), Effect::Save(name.clone())]);
                    self.look_again(&name, &mut BTreeSet::new(), effects);
                }
            }
            Command::Release(name) => {
                let State::Quarantined { .. } = self.installed(&name)? else {
                    return Err(Refusal::NotQuarantined(name));
                };
                self.set(&name, State::Disabled, true);
                effects.push(Effect::Save(name.clone()));
                self.start(&name, effects);
            }
        }
        Ok(())
    }

    fn install(&mut self, name: PluginName, facts: Facts, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        match self.plugins.get_mut(&name) {
            Some(plugin) if plugin.facts.linked && !plugin.state.is_installed() => {
                plugin.state = State::Installed;
                plugin.facts = facts;
                effects.push(Effect::Save(name.clone()));
                self.look_again(&name, &mut BTreeSet::new(), effects);
                Ok(())
            }
            Some(plugin) if plugin.facts.linked => Err(Refusal::AlreadyInstalled(name)),
            _ => Err(Refusal::NotLinked(name)),
        }
    }

    /// Starts a plugin, or says what keeps it from running.
    fn start(&mut self, name: &PluginName, effects: &mut Vec<Effect>) {
        match self.blocker(name) {
            Some(cause) => self.set(name, State::Blocked { cause }, true),
            None => {
                self.set(name, State::Starting, true);
                effects.push(Effect::Start(name.clone()));
            }
        }
    }

    fn blocker(&self, name: &PluginName) -> Option<Blocker> {
        let facts = &self.plugins.get(name)?.facts;
        if !facts.linked {
            return Some(Blocker::NotLinked);
        }
        if !facts.missing.is_empty() {
            return Some(Blocker::Permissions { missing: facts.missing.clone() });
        }
        facts.needs.iter().find_map(|need| {
            let why = match (self.plugins.get(&need.name), &need.unfit) {
                (None, _) => "is not linked into this binary".to_owned(),
                (Some(_), Some(unfit)) => unfit.clone(),
                (Some(Plugin { state: State::Enabled, .. }), None) => return None,
                (Some(plugin), None) => format!("is {}", plugin.state.as_str()),
            };
            Some(Blocker::Dependency { name: need.name.clone(), why })
        })
    }

    fn check_may_stop(&self, name: &PluginName) -> Result<(), Refusal> {
        self.installed(name)?;
        if self.plugin(name)?.facts.required && self.wanted(name) {
            return Err(Refusal::Required(name.clone()));
        }
        let by = self.running_dependants(name);
        if by.is_empty() { Ok(()) } else { Err(Refusal::NeededBy { name: name.clone(), by }) }
    }

    /// Stops what requires the plugin, what is required by none first; all of it is to run again when the plugin does.
    fn stop_dependants(&mut self, name: &PluginName, effects: &mut Vec<Effect>) {
        for dependant in self.running_dependants(name) {
            self.stop_dependants(&dependant, effects);
            if self.runs(&dependant) {
                // What exactly is missing is said once the plugin itself has its new state.
                let cause = Blocker::Dependency { name: name.clone(), why: String::new() };
                self.set(&dependant, State::Blocked { cause }, true);
                effects.push(Effect::Stop(dependant));
            }
        }
    }

    /// Looks again at everything that waits for the plugin: it is started, or what it waits for is said anew.
    fn look_again(&mut self, name: &PluginName, seen: &mut BTreeSet<PluginName>, effects: &mut Vec<Effect>) {
        for dependant in self.dependants(name) {
            let waits = matches!(self.state(&dependant), Some(State::Blocked { .. }));
            if waits && seen.insert(dependant.clone()) {
                self.start(&dependant, effects);
                self.look_again(&dependant, seen, effects);
            }
        }
    }

    fn dependants(&self, name: &PluginName) -> Vec<PluginName> {
        let needs = |plugin: &Plugin| plugin.facts.needs.iter().any(|need| need.name == *name);
        self.plugins.iter().filter(|(_, plugin)| needs(plugin)).map(|(name, _)| name.clone()).collect()
    }

    fn running_dependants(&self, name: &PluginName) -> Vec<PluginName> {
        self.dependants(name).into_iter().filter(|dependant| self.runs(dependant)).collect()
    }

    fn runs(&self, name: &PluginName) -> bool {
        self.state(name).is_some_and(State::runs)
    }

    fn plugin(&self, name: &PluginName) -> Result<&Plugin, Refusal> {
        self.plugins.get(name).ok_or_else(|| Refusal::NotLinked(name.clone()))
    }

    fn plugin_mut(&mut self, name: &PluginName) -> Result<&mut Plugin, Refusal> {
        self.plugins.get_mut(name).ok_or_else(|| Refusal::NotLinked(name.clone()))
    }

    fn installed(&self, name: &PluginName) -> Result<&State, Refusal> {
        match &self.plugin(name)?.state {
            State::Linked => Err(Refusal::NotInstalled(name.clone())),
            state => Ok(state),
        }
    }

    fn set(&mut self, name: &PluginName, state: State, wanted: bool) {
        if let Some(plugin) = self.plugins.get_mut(name) {
            plugin.state = state;
            plugin.wanted = wanted;
        }
    }
}

#[cfg(test)]
mod tests;
