//! Durable runs of workflows: what is due is fired, what is queued is attempted, what happens starts what waits for it. Over the
//! store's port; knows no engine and no HTTP.

mod arm;
mod book;
mod calendar;
mod check;
mod cron;
mod port;
mod run;
mod running;
mod schedule;
mod tap;

pub use self::arm::{HookCall, HookError, Start};
pub(crate) use self::check::{check, check_linked};
pub use self::port::{
    Added, AutomationStore, Claim, Claimed, KeptTrigger, NewRun, RunFilter, RunRecord, RunState, SIGNALS_MAX,
    Settlement,
};
pub use self::run::{DETAIL_MAX, STATE_MAX};
pub use self::schedule::{ATTEMPTS_MAX, GRACE};
pub(crate) use self::tap::Tap;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::{Notify, OnceCell, watch};

use self::book::Book;
use self::calendar::Calendar;
use self::running::Running;
use self::schedule::later;
use crate::capability::clock::Clock;
use crate::descriptor::Descriptor;
use crate::event::{Event, Payload};
use crate::id::{EventId, PluginName, RunId};
use crate::manager::snapshot::Snapshot;
use crate::message::{Actor, Time};
use crate::pipeline::Announcer;
use crate::store::StoreError;
use crate::trigger::{On, Scope, TriggerSpec};
use crate::workflow::RunCause;

/// What workflows run on.
pub(crate) struct Parts {
    pub(crate) plugins: Arc<ArcSwap<Snapshot>>,
    /// The plugins of this binary, whether they run or not.
    pub(crate) linked: Vec<&'static Descriptor>,
    pub(crate) store: Arc<dyn AutomationStore>,
    pub(crate) announcer: Arc<dyn Announcer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node: String,
}

/// Fires triggers and attempts runs.
pub struct Automations {
    parts: Parts,
    book: Book,
    /// Told when something may be due earlier than before.
    changed: Notify,
    /// Filled when the triggers of linked plugins are stored and all are known.
    known: OnceCell<()>,
    running: Arc<Running>,
    /// Plugins that took no call, and until when they are left alone.
    resting: Mutex<HashMap<PluginName, Time>>,
    /// One trigger is made at a time, so that two cannot take the same command.
    making: tokio::sync::Mutex<()>,
    /// Held during a round: when the last one was.
    rounds: tokio::sync::Mutex<Option<Time>>,
    phase: watch::Sender<Phase>,
}

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing is fired or begun any more.
    Closing,
}

/// A run that a trigger is to start.
struct Wanted<'a> {
    trigger: &'a KeptTrigger,
    at: Time,
    cause: RunCause,
    /// What the trigger saw.
    saw: Value,
    key: String,
    dry_run: bool,
}

impl<'a> Wanted<'a> {
    fn of(trigger: &'a KeptTrigger, cause: RunCause, saw: Value) -> Self {
        Self { trigger, at: Time::from_micros(0), cause, saw, key: String::new(), dry_run: false }
    }
}

impl Automations {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            book: Book::default(),
            changed: Notify::new(),
            known: OnceCell::new(),
            running: Arc::default(),
            resting: Mutex::default(),
            making: tokio::sync::Mutex::default(),
            rounds: tokio::sync::Mutex::default(),
            phase: watch::Sender::new(Phase::Open),
        }
    }

    /// Where triggers and runs are kept.
    pub fn store(&self) -> &Arc<dyn AutomationStore> {
        &self.parts.store
    }

    /// Begins no more attempts, gives those that have begun this long, and gives the rest back: other attempts go on with their runs
    /// at the next start, or on another host.
    ///
    /// # Cancel safety
    /// A dropped call gives nothing back.
    pub async fn stop(&self, grace: Duration) {
        self.phase.send_replace(Phase::Closing);
        if tokio::time::timeout(grace, self.running.idle()).await.is_err() {
            let left = self.running.count();
            tracing::info!(left, "attempts at runs of workflows are given back: they are made again at the next start");
            self.running.give_back(|_| true);
            // Who has seen that it is given back has only to store that.
            let _ = tokio::time::timeout(grace.max(Duration::from_secs(1)), self.running.idle()).await;
        }
    }

    /// Ends every attempt at once.
    #[cfg(feature = "testing")]
    pub(crate) fn cut_off(&self) {
        self.phase.send_replace(Phase::Closing);
        self.running.give_back(|_| true);
    }

    /// Stores the triggers of linked plugins, once, and reads which there are.
    async fn prepare(&self) -> Result<(), StoreError> {
        let prepare = async || {
            let now = self.now();
            for plugin in &self.parts.linked {
                let name = plugin.plugin_name();
                let specs = (plugin.entry.triggers)();
                let triggers = specs.into_iter().map(|spec| Self::kept(&name, spec, true, now)).collect();
                self.parts.store.set_fixed(name, triggers).await?;
            }
            let mut triggers = self.parts.store.triggers(None).await?;
            // What a plugin left that is not in this bundle any more takes no command of others.
            triggers.retain(|trigger| self.parts.linked.iter().any(|plugin| plugin.name == trigger.plugin.as_str()));
            self.book.load(triggers);
            Ok(())
        };
        self.known.get_or_try_init(prepare).await.copied()
    }

    /// A trigger that is new now.
    fn kept(plugin: &PluginName, spec: TriggerSpec, fixed: bool, now: Time) -> KeptTrigger {
        // What is not understood was refused before, or the bundle would not have started.
        let next_at = Calendar::of(&spec.on, now).ok().flatten().and_then(|calendar| calendar.first(now));
        let secret = matches!(spec.on, On::Webhook).then(arm::new_secret);
        KeptTrigger { plugin: plugin.clone(), spec, fixed, since: now, next_at, secret }
    }

    fn new_run(&self, wanted: Wanted<'_>) -> NewRun {
        let Wanted { trigger, at, cause, saw, key, dry_run } = wanted;
        let KeptTrigger { plugin, spec, .. } = trigger;
        let input = with_input(saw, &spec.input);
        let value = spec.policy.deduplicate.as_ref().and_then(|pointer| input.pointer(pointer));
        let duplicate_of = value.filter(|value| !value.is_null()).map(Value::to_string);
        let node = (spec.scope == Scope::Node).then(|| self.parts.node.clone());
        let key = node.as_ref().map_or_else(|| key.clone(), |node| format!("{key}@{node}"));
        NewRun {
            id: RunId::new(),
            plugin: plugin.clone(),
            trigger: spec.clone(),
            scheduled_at: at,
            cause,
            duplicate_of,
            input,
            key,
            node,
            dry_run,
            created_at: self.now(),
        }
    }

    /// The plugins that run and take calls.
    fn ready_plugins(&self) -> BTreeSet<PluginName> {
        let now = self.now();
        let mut resting = self.resting();
        resting.retain(|_, until| *until > now);
        let plugins = self.parts.plugins.load();
        let running =
            plugins.plugins().filter(|plugin| !plugin.guard().is_closed()).map(|plugin| plugin.name().clone());
        running.filter(|name| !resting.contains_key(name)).collect()
    }

    /// Gives back the attempts of plugins that do not run any more.
    fn give_back_stopped(&self) {
        let plugins = self.parts.plugins.load();
        self.running.give_back(|name| plugins.plugin(name).is_none());
    }

    /// Leaves a plugin alone for a while.
    fn rest(&self, plugin: &PluginName, time: Duration) {
        self.resting().insert(plugin.clone(), later(self.now(), time));
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<PluginName, Time>> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of something that a plugin's run did or underwent.
    fn announce(&self, plugin: &PluginName, depth: u8, cause: Option<EventId>, payload: impl Payload) {
        let mut event = Event::new(payload);
        event.time = self.now();
        event.actor = Actor::plugin(plugin.as_str());
        event.cause_id = cause;
        event.cause_depth = depth.saturating_add(1);
        self.parts.announcer.announce(event);
    }

    fn now(&self) -> Time {
        self.parts.clock.now()
    }
}

/// What a run is given: what its trigger saw, and the trigger's own input.
fn with_input(saw: Value, input: &Value) -> Value {
    match saw {
        Value::Object(mut fields) if !input.is_null() => {
            fields.entry("input").or_insert_with(|| input.clone());
            Value::Object(fields)
        }
        Value::Null if input.is_null() => json!({}),
        Value::Null => json!({ "input": input }),
        saw if input.is_null() || saw.is_object() => saw,
        saw => json!({ "value": saw, "input": input }),
    }
}

/// The address at which a webhook trigger is called.
pub fn hook_path(plugin: &PluginName, id: &str) -> String {
    format!("{}{plugin}/-/hooks/{id}", crate::routes::PREFIX)
}
