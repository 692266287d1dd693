//! Does what [`lifecycle`](crate::lifecycle) decided: starts, stops, keeps, tells. One command at a time; the caller holds
//! the lock. Decides nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

use super::instance::{DRAIN, Live, fail_mode};
use super::snapshot::{MissingHook, Snapshot};
use super::{Board, ManagerError, PluginManager, facts, granted};
use crate::descriptor::{FailMode, Hook};
use crate::event::catalog::{PluginDisabled, PluginEnabled};
use crate::event::{Event, Payload};
use crate::id::PluginName;
use crate::incident::Fault;
use crate::lifecycle::{Command, Effect, Facts, Lifecycle, State, step};
use crate::message::{Actor, Time};
use crate::pipeline::Announcer;
use crate::problem::Problem;
use crate::store::{PluginData, PluginRecord, StoreError};

/// How long readers of what ran before may go on with it, when something is swapped.
const READERS: Duration = Duration::from_secs(1);

impl PluginManager {
    /// Starts every plugin that is to run: those that the store says were enabled, and those that the bundle enables and
    /// nobody has decided about. What does not start is `failed`, and the rest goes on.
    ///
    /// # Errors
    /// Where the store does not say what was decided, or does not keep what is decided now.
    ///
    /// # Cancel safety
    /// Call it once, to its end.
    pub async fn start_all(&self) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let mut records = self.parts.store.plugins().await?;
        for name in self.linked.keys() {
            let settings = &self.settings();
            let known = records.iter().position(|record| record.name == *name);
            let uninstalled = known.is_some_and(|known| !records[known].installed);
            // What an operator uninstalled stays so, unless the operator's own file says otherwise since.
            let pinned = settings.pinned(&format!("/plugins/{name}/enabled")).is_some();
            if settings.plugin(name).enabled == Some(true) && (known.is_none() || uninstalled && pinned) {
                let record = self.first_record(name);
                self.parts.store.save_plugin(record.clone()).await?;
                known.map(|known| records.swap_remove(known));
                records.push(record);
            }
        }
        records.retain(|record| record.installed);
        {
            let mut board = self.board();
            for record in records {
                self.add(&mut board.lifecycle, &record);
                board.records.insert(record.name.clone(), record);
            }
        }
        let booted = self.perform(Command::Boot, &Actor::system()).await;
        self.started.notify_one();
        for (name, state) in self.board().lifecycle.states() {
            if let State::Blocked { cause } = state {
                tracing::warn!(plugin = %name, "the plugin is to run and cannot yet: {cause}");
            }
        }
        match booted {
            Err(ManagerError::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Stops every plugin, those that others require last. Takes no longer than each plugin may take.
    ///
    /// # Cancel safety
    /// What was not stopped runs on.
    pub async fn stop_all(&self) {
        let _changing = self.changing.lock().await;
        let groups = self.board().lifecycle.stop_order();
        for group in groups {
            let stopping: Vec<Arc<Live>> = {
                let mut board = self.board();
                group.iter().filter_map(|name| board.live.remove(name)).collect()
            };
            let old = self.swap();
            stopping.iter().for_each(|live| live.close_mailbox());
            unread(old, READERS).await;
            join_all(stopping.iter().map(|live| live.stop(DRAIN))).await;
        }
    }

    /// What is kept of a plugin that the bundle or the operator's settings install, at its first start.
    fn first_record(&self, name: &PluginName) -> PluginRecord {
        let version = self.linked.get(name).map_or("", |plugin| plugin.package.version);
        PluginRecord { enabled: true, ..PluginRecord::new(name.clone(), version) }
    }

    /// Removes what is kept of a plugin. Where the bundle would install it again at the next start, that it was uninstalled
    /// is kept.
    async fn remove(&self, name: &PluginName, data: PluginData) -> Result<(), StoreError> {
        self.parts.store.remove_plugin(name.clone(), data).await?;
        if data == PluginData::Remove {
            self.parts.triggers.forget(name);
        }
        if self.settings().plugin(name).enabled == Some(true) {
            let gone = PluginRecord { installed: false, enabled: false, ..self.first_record(name) };
            self.parts.store.save_plugin(gone).await?;
        }
        Ok(())
    }

    fn add(&self, lifecycle: &mut Lifecycle, record: &PluginRecord) {
        let name = &record.name;
        let facts = match self.linked.get(name) {
            Some(plugin) => facts(plugin, &self.linked, granted(plugin, &self.settings(), Some(record))),
            None => Facts::default(),
        };
        let pinned = self.settings().pinned(&format!("/plugins/{name}/enabled"));
        let wanted = match pinned {
            Some(_) => self.settings().plugin(name).enabled.unwrap_or(record.enabled),
            None => record.enabled,
        };
        let state = match &record.quarantined {
            Some((since, cause)) if wanted => {
                State::Quarantined { since: Time::from_micros(since.as_microsecond()), cause: cause.clone() }
            }
            _ if facts.linked => State::Disabled,
            _ => State::Blocked { cause: crate::lifecycle::Blocker::NotLinked },
        };
        lifecycle.add(name.clone(), state, wanted, facts);
    }

    pub(super) async fn perform(&self, command: Command, by: &Actor) -> Result<(), ManagerError> {
        self.perform_with(command, by, PluginData::Keep).await
    }

    /// Carries out a command. Where it cannot be kept, nothing is changed: what is to be kept comes first.
    pub(super) async fn perform_with(
        &self,
        command: Command,
        by: &Actor,
        data: PluginData,
    ) -> Result<(), ManagerError> {
        let (before, effects) = {
            let mut board = self.board();
            let before = board.lifecycle.clone();
            let (next, effects) = step(before.clone(), command);
            board.lifecycle = next;
            (before, effects?)
        };
        let mut todo = VecDeque::from(effects);
        let mut starting = FuturesUnordered::new();
        let mut begun = false;
        let mut failed = None;
        loop {
            match todo.pop_front() {
                Some(Effect::Save(name)) => {
                    if let Err(error) = self.save(&name).await {
                        if !begun {
                            self.board().lifecycle = before;
                            return Err(error.into());
                        }
                        tracing::error!(plugin = %name, %error, "the plugin's state could not be stored");
                        failed = Some(error);
                    }
                }
                Some(Effect::Remove(name)) => {
                    if let Err(error) = self.remove(&name, data).await {
                        self.board().lifecycle = before;
                        return Err(error.into());
                    }
                    self.board().records.remove(&name);
                }
                Some(Effect::Stop(name)) => {
                    begun = true;
                    self.stop(&name, by).await;
                }
                Some(Effect::Start(name)) => {
                    begun = true;
                    starting.push(self.start(name));
                }
                // What was just started may let others start.
                None => match starting.next().await {
                    Some((name, outcome)) => todo.extend(self.started_or_not(&name, outcome, by).await),
                    None => break,
                },
            }
        }
        // A required hook may be missing, or no longer, though nothing was started or stopped.
        drop(self.swap());
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn start(&self, name: PluginName) -> (PluginName, Result<Live, String>) {
        let outcome = match self.linked.get(&name) {
            Some(descriptor) => {
                let stored = self.board().records.get(&name).map(|record| record.config.clone());
                let config = self.settings().plugin_config(descriptor, stored.as_ref());
                if config.problems.is_empty() {
                    self.start_instance(descriptor, config.value, None).await
                } else {
                    let problems: Vec<String> = config.problems.iter().map(Problem::to_string).collect();
                    let cause = format!("its configuration is not valid: {}", problems.join("; "));
                    tracing::warn!(plugin = %name, "the plugin did not start: {cause}");
                    self.board().vitals(&name).set_last_error("initialize", Fault::Start, &cause);
                    self.incidents.tell_start_failed(&name);
                    Err(cause)
                }
            }
            None => Err("it is not linked into this binary".to_owned()),
        };
        (name, outcome)
    }

    async fn started_or_not(&self, name: &PluginName, outcome: Result<Live, String>, by: &Actor) -> Vec<Effect> {
        let command = match outcome {
            Ok(live) => {
                let live = Arc::new(live);
                live.open(None);
                self.board().live.insert(name.clone(), live);
                Command::Started(name.clone())
            }
            Err(cause) => Command::StartFailed(name.clone(), cause),
        };
        let is_started = matches!(command, Command::Started(_));
        let effects = {
            let mut board = self.board();
            let (next, effects) = step(std::mem::take(&mut board.lifecycle), command);
            board.lifecycle = next;
            effects
        };
        if is_started {
            drop(self.swap());
            tracing::info!(plugin = %name, "the plugin runs");
            self.announce(by, PluginEnabled::new(name.clone(), self.version(name), by.clone()));
        }
        effects.unwrap_or_default()
    }

    async fn stop(&self, name: &PluginName, by: &Actor) {
        let Some(live) = self.board().live.remove(name) else { return };
        let old = self.swap();
        live.close_mailbox();
        unread(old, READERS).await;
        // What its handlers have may be answered: the longest that a handler may take.
        live.stop(live.plugin.timeouts().event).await;
        tracing::info!(plugin = %name, "the plugin was stopped");
        self.announce(by, PluginDisabled::new(name.clone(), self.version(name), by.clone()));
    }

    /// Shows what runs now to everyone. What ran before, for who waits until nobody reads it any more.
    pub(super) fn swap(&self) -> Arc<Snapshot> {
        let snapshot = {
            let board = self.board();
            let running = board.live.values().map(|live| live.running()).collect();
            let expected = self.expected(&board);
            let is_wanted = |name: &PluginName| {
                board.live.contains_key(name) || expected.iter().any(|(_, missing)| missing.plugin == *name)
            };
            self.standing.keep(is_wanted);
            Snapshot::new(running, &self.parts.catalog, expected, self.standing.clone())
        };
        self.parts.plugins.swap(Arc::new(snapshot))
    }

    /// The hooks that messages are not to pass without: those of plugins that are wanted, whatever keeps these from
    /// running, and the required ones of every installed plugin.
    fn expected(&self, board: &Board) -> Vec<(Hook, MissingHook)> {
        let installed = self.linked.iter().filter(|(name, _)| board.records.contains_key(*name));
        let expected = installed.flat_map(|(name, plugin)| {
            let (wanted, settings) = (board.lifecycle.wanted(name), self.settings().plugin(name));
            plugin.hooks.iter().filter(move |spec| wanted || spec.policy.required).map(move |spec| {
                let said = settings.hooks.get(&spec.hook).and_then(|said| said.on_error);
                let on_error = match spec.policy.required {
                    true => FailMode::Closed,
                    false => fail_mode(spec.policy.on_error, said),
                };
                (spec.hook, MissingHook { plugin: name.clone(), on_error })
            })
        });
        expected.collect()
    }

    /// Keeps what was decided about a plugin.
    async fn save(&self, name: &PluginName) -> Result<(), StoreError> {
        let (before, record) = {
            let mut board = self.board();
            let Board { lifecycle, records, .. } = &mut *board;
            let Some(record) = records.get_mut(name) else { return Ok(()) };
            let before = record.clone();
            record.enabled = lifecycle.wanted(name);
            record.quarantined = match lifecycle.state(name) {
                Some(State::Quarantined { since, cause }) => Some((since.0, cause.clone())),
                _ => None,
            };
            if let Some(plugin) = self.linked.get(name) {
                record.version = plugin.package.version.to_owned();
            }
            (before, record.clone())
        };
        let saved = self.parts.store.save_plugin(record).await;
        if saved.is_err() {
            self.board().records.insert(name.clone(), before);
        }
        saved
    }

    pub(super) fn announce<P: Payload>(&self, by: &Actor, payload: P) {
        let mut event = Event::new(payload);
        event.actor = by.clone();
        self.parts.bus.announce(event);
    }

    fn version(&self, name: &PluginName) -> String {
        self.linked.get(name).map_or_else(String::new, |plugin| plugin.package.version.to_owned())
    }
}

impl Board {
    pub(super) fn vitals(&mut self, name: &PluginName) -> Arc<crate::incident::Vitals> {
        self.vitals.entry(name.clone()).or_default().clone()
    }
}

/// Waits until nobody reads what ran before: whoever began with it may end with it. No longer than this.
pub(super) async fn unread(old: Arc<Snapshot>, limit: Duration) {
    let deadline = Instant::now() + limit;
    while Arc::strong_count(&old) > 1 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
