//! What is kept of triggers and runs: the port. Engines are the server's; the one in memory is in `store/memory`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{PluginName, RunId};
use crate::message::{Actor, Time};
use crate::store::StoreError;
use crate::trigger::TriggerSpec;
use crate::workflow::{RunCause, RunStep};

/// How many signals of one run wait to be taken up.
pub const SIGNALS_MAX: usize = 100;

/// A trigger as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptTrigger {
    /// Whose it is.
    pub plugin: PluginName,
    /// What it is.
    pub spec: TriggerSpec,
    /// Whether the plugin's code registers it.
    pub fixed: bool,
    /// Since when there is one like it: what `Every` counts from.
    pub since: Time,
    /// When it is next due; nothing for what waits for no time, or has had its one time.
    pub next_at: Option<Time>,
    /// What a caller of a webhook shows; nothing for other triggers. Kept as it is: it is also what signatures are made with.
    pub secret: Option<String>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits for its first attempt, or for another one.
    Queued,
    /// An attempt is being made.
    Running,
    /// The workflow parked it.
    Waiting,
    /// It is done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// It failed for good: a dead letter.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl RunState {
    /// Every state there is.
    pub const ALL: &'static [Self] =
        &[Self::Queued, Self::Running, Self::Waiting, Self::Done, Self::Skipped, Self::Failed, Self::Cancelled];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to it by itself.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::Failed | Self::Cancelled)
    }
}

/// A run that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its identifier.
    pub id: RunId,
    /// Whose.
    pub plugin: PluginName,
    /// The trigger, as it is now: a later change of it does not change the run.
    pub trigger: TriggerSpec,
    /// When it should run; it does not before.
    pub scheduled_at: Time,
    /// Who or what started it.
    pub cause: RunCause,
    /// What the trigger saw.
    pub input: Value,
    /// A second run with the same key is not made: which tick of which trigger, which event. Kept as long as the run.
    pub key: String,
    /// While a run of the same trigger with the same one has not ended, another is not made.
    pub duplicate_of: Option<String>,
    /// The node that it is for, where its trigger fires on every node.
    pub node: Option<String>,
    /// Whether it does nothing to the outside.
    pub dry_run: bool,
    /// When it is made.
    pub created_at: Time,
}

/// Whether a run was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was.
    New(RunId),
    /// There is this one with the same key, or this one that it would duplicate.
    Known(RunId),
}

/// A run as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// Its identifier.
    pub id: RunId,
    /// Whose.
    pub plugin: PluginName,
    /// The trigger as it was when the run was made.
    pub trigger: TriggerSpec,
    /// How it stands.
    pub state: RunState,
    /// How many attempts were begun since it was last parked: parking is progress, and they are counted anew.
    pub attempts: u32,
    /// How often it was parked.
    pub waits: u32,
    /// When it should have run.
    pub scheduled_at: Time,
    /// When it goes on, where it is queued or waits for a time.
    pub due_at: Option<Time>,
    /// Who or what started it.
    pub cause: RunCause,
    /// What the trigger saw.
    pub input: Value,
    /// What the workflow kept.
    pub kept: Option<Value>,
    /// What woke it, where nothing took that up yet: the first of what waits. A run that was claimed is given it with its attempt.
    pub signal: Option<Value>,
    /// What it came to.
    pub output: Option<Value>,
    /// Why the last attempt failed, or why it was skipped.
    pub error: Option<String>,
    /// Whether it does nothing to the outside.
    pub dry_run: bool,
    /// The node that it is for.
    pub node: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When its first attempt began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// How long its attempts took together, in milliseconds.
    pub busy_ms: u64,
}

/// A run that was taken for an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The run: `attempts` counts this one already where it is a new one.
    pub run: RunRecord,
    /// Goes up with every claim: whoever settles a run shows it, and one that was overtaken is refused.
    pub fence: u64,
}

/// Who takes runs, and which.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The node that asks.
    pub node: String,
    /// Now.
    pub now: Time,
    /// Until when nobody else takes them.
    pub lease_until: Time,
    /// The plugins that run here: runs of others wait.
    pub plugins: BTreeSet<PluginName>,
    /// How many at most.
    pub limit: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// It is done, with this output.
    Done(Value),
    /// There was nothing to do.
    Skipped(String),
    /// It goes on with this state, at the time or when it is woken. The signal that the attempt was given counts as taken up.
    /// Where another one waits, it is due at once.
    Waiting {
        /// When.
        until: Option<Time>,
        /// What it keeps.
        state: Value,
    },
    /// It is tried again.
    Retry {
        /// When.
        at: Time,
        /// Why.
        error: String,
    },
    /// It failed for good.
    Failed(String),
    /// The attempt does not count: the server stops, or the plugin. It is queued again, for now.
    GivenBack,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFilter {
    /// Of this plugin.
    pub plugin: Option<PluginName>,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// Of this trigger.
    pub trigger: Option<String>,
    /// In one of these states; in any where none is named.
    pub states: Vec<RunState>,
    /// Made before this one: the page after it.
    pub before: Option<RunId>,
    /// How many at most.
    pub limit: u32,
}

/// Keeps triggers and runs. An operation that returned is durable; each is one transaction.
///
/// Two hosts on one store never make a tick's run twice and never attempt a run at once: [`fire`](Self::fire) compares what it
/// replaces, and [`claim`](Self::claim) gives a lease with a fence.
#[async_trait]
pub trait AutomationStore: Send + Sync + 'static {
    /// Makes these the fixed triggers of a plugin. One that is there with the same `on` keeps `since`, `next_at` and `secret`;
    /// those that are not among them go, and so does one that was made at run time under the same identifier.
    async fn set_fixed(&self, plugin: PluginName, triggers: Vec<KeptTrigger>) -> Result<(), StoreError>;

    /// Makes or replaces a trigger, on the same terms. The trigger as it is kept now; nothing, and nothing changes, where a fixed
    /// one has the identifier.
    async fn put_trigger(&self, trigger: KeptTrigger) -> Result<Option<KeptTrigger>, StoreError>;

    /// Ends a trigger that is not fixed; whether it was there.
    async fn remove_trigger(&self, plugin: PluginName, id: String) -> Result<bool, StoreError>;

    /// One trigger.
    async fn trigger(&self, plugin: PluginName, id: String) -> Result<Option<KeptTrigger>, StoreError>;

    /// All triggers of a plugin, or of all, by plugin and identifier.
    async fn triggers(&self, plugin: Option<PluginName>) -> Result<Vec<KeptTrigger>, StoreError>;

    /// Triggers of these plugins that are due, the longest first.
    async fn due_triggers(
        &self,
        now: Time,
        plugins: BTreeSet<PluginName>,
        limit: u32,
    ) -> Result<Vec<KeptTrigger>, StoreError>;

    /// Where the trigger is still there and due at `seen`: makes it due at `next` and makes these runs, as
    /// [`add_runs`](Self::add_runs) does. Nothing, and nothing changes, where that was not so.
    async fn fire(
        &self,
        plugin: PluginName,
        id: String,
        seen: Time,
        next: Option<Time>,
        runs: Vec<NewRun>,
    ) -> Result<Option<Vec<Added>>, StoreError>;

    /// Makes runs, each in its turn: what became of each.
    async fn add_runs(&self, runs: Vec<NewRun>) -> Result<Vec<Added>, StoreError>;

    /// Takes runs for an attempt: those that are queued and due, that wait and are due or woken, and whose lease ran out; the
    /// longest due first. Of each trigger no more than its policy's `concurrency` are running, and of one with `in_order` only
    /// the first that has not ended is taken. The attempt counts in `attempts` unless the run goes on after `Waiting` or
    /// `GivenBack`. It is given the first signal that waits, which stays until an attempt that had it settles as `Waiting` or as an
    /// end: whatever becomes of this attempt otherwise, the next one is given it again.
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Keeps the lease of a run until then; whether the fence still counts.
    async fn renew(&self, run: RunId, fence: u64, until: Time) -> Result<bool, StoreError>;

    /// Keeps the state of a run; whether the fence still counts.
    async fn keep(&self, run: RunId, fence: u64, state: Value) -> Result<bool, StoreError>;

    /// Adds a step to a run; whether the fence still counts. The last 1,000 of a run are kept.
    async fn record(&self, run: RunId, fence: u64, step: RunStep) -> Result<bool, StoreError>;

    /// Says what became of an attempt that took so long; whether the fence still counts.
    async fn settle(
        &self,
        run: RunId,
        fence: u64,
        settlement: Settlement,
        now: Time,
        took_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Wakes a run of this plugin that has not ended; whether there is one. Where it waits, it is due now. Signals of one run are
    /// kept in their order, and each claim is given the first: one that comes while an attempt is made is for the next. At most
    /// [`SIGNALS_MAX`] wait; more replace the last.
    async fn wake(&self, plugin: PluginName, run: RunId, signal: Value, now: Time) -> Result<bool, StoreError>;

    /// Ends a run that has not ended, for this actor, with a row of the audit log where there is one. Its attempt loses its
    /// fence. How it stands then; nothing where there is no such run.
    async fn cancel(&self, run: RunId, by: Actor, now: Time) -> Result<Option<RunState>, StoreError>;

    /// Queues a run that failed or was cancelled again, its attempts counted anew, for this actor. How it stood; nothing where
    /// there is no such run.
    async fn replay(&self, run: RunId, by: Actor, now: Time) -> Result<Option<RunState>, StoreError>;

    /// A run with its steps, the oldest first.
    async fn run(&self, run: RunId) -> Result<Option<(RunRecord, Vec<RunStep>)>, StoreError>;

    /// Runs, the newest first.
    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRecord>, StoreError>;

    /// How many runs are in each state that has some, by plugin.
    async fn run_counts(&self) -> Result<Vec<(PluginName, RunState, u64)>, StoreError>;

    /// When the next trigger, run or lease of these plugins is due; nothing where none is.
    async fn next_due(&self, plugins: BTreeSet<PluginName>) -> Result<Option<Time>, StoreError>;
}
