//! Runs of workflows: what a plugin is given for one, and what it says of it. Knows no host and no store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ErrorKind, PluginError, Result};
use crate::id::{EventId, RoomId, RunId};
use crate::message::{Actor, Time};
use crate::plugin::interface::Caller;

/// One attempt at a run of a workflow.
///
/// A run is stored before its first attempt and attempted at least once: what it does to the outside should carry
/// [`key`](Self::key), so that an attempt after a crash does not do it again. What a run posts without a key of its own is numbered in
/// its order, anew after each `Wait`: that does where an attempt repeats all that the one before did. A workflow that leaves out what
/// it has done, because [`save`](Self::save) says so, gives each post a key by its step.
#[derive(Clone)]
#[non_exhaustive]
pub struct WorkflowRun {
    /// The run: the same at every attempt.
    pub id: RunId,
    /// The workflow, as the trigger names it.
    pub workflow: String,
    /// The trigger that started it.
    pub trigger: String,
    /// Which attempt this is, from 1. One that goes on after a `Wait` is no new one, and counts as the first.
    pub attempt: u32,
    /// When it should have run: the tick of a cron expression, the time of an event.
    pub scheduled_at: Time,
    /// Who or what started it.
    pub cause: RunCause,
    /// For whom it acts: whoever started it, as the host knows; nobody for a time.
    pub caller: Caller,
    /// What the trigger gave. Of an event its envelope under `event`; of a command `command` and `arguments`; of a webhook
    /// `body`, `headers` and `query`; of an administrator whatever was sent; and the trigger's own `input`, under `input`.
    pub input: Value,
    /// What the run last kept by [`save`](Self::save) or `Outcome::Wait`.
    pub state: Option<Value>,
    /// What woke it before its time, where something did: given to `wake`.
    pub signal: Option<Value>,
    /// Whether it should do nothing to the outside, and say what it would have done.
    pub dry_run: bool,
    /// When the attempt's time is up.
    pub deadline: Time,
    port: Arc<dyn RunPort>,
}

/// Who or what started a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RunCause {
    /// Whose event, command or request it was; nothing for a time.
    pub actor: Option<Actor>,
    /// The room that it happened in, where it was one.
    pub room_id: Option<RoomId>,
    /// The event.
    pub event_id: Option<EventId>,
    /// How long the chain of events was that led to this one.
    pub depth: u8,
}

impl RunCause {
    /// Nobody and nothing: a time.
    pub const TIME: Self = Self { actor: None, room_id: None, event_id: None, depth: 0 };

    /// Somebody did it, in a room where one is named.
    pub fn by(actor: Actor, room_id: Option<RoomId>) -> Self {
        Self { actor: Some(actor), room_id, ..Self::TIME }
    }

    /// An event at this depth of its chain.
    pub fn event(id: EventId, depth: u8, actor: Actor, room_id: Option<RoomId>) -> Self {
        Self { actor: Some(actor), room_id, event_id: Some(id), depth }
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done: the output is kept with it.
    Done(Value),
    /// It goes on later with this state: at the time, or when it is woken before. Meanwhile no task waits for it.
    Wait {
        /// When; nothing: not before it is woken.
        until: Option<Time>,
        /// What the next call is given as [`WorkflowRun::state`].
        state: Value,
    },
    /// There was nothing to do, and why.
    Skip(String),
}

impl Outcome {
    /// Done, with nothing to tell.
    pub const fn done() -> Self {
        Self::Done(Value::Null)
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// It may work later: tried again by the trigger's policy, or after this time at the earliest.
    #[error("{message}")]
    Retry {
        /// What failed, for the operator.
        message: String,
        /// Not before.
        after: Option<Duration>,
    },
    /// It will never work: the run becomes a dead letter at once.
    #[error("{0}")]
    Permanent(String),
}

impl WorkflowError {
    /// It may work later.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry { message: message.into(), after: None }
    }

    /// It will never work.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent(message.into())
    }
}

/// What may pass is tried again; bad input, missing leave and what is not there is not.
impl From<PluginError> for WorkflowError {
    fn from(error: PluginError) -> Self {
        match error.kind() {
            ErrorKind::Upstream { retry_after } => Self::Retry { message: error.to_string(), after: retry_after },
            ErrorKind::Transient | ErrorKind::Internal => Self::retry(error.to_string()),
            _ => Self::Permanent(error.to_string()),
        }
    }
}

/// A step of a run, for whoever looks at it later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RunStep {
    /// Which: the plugin's own name for it.
    pub name: String,
    /// What became of it: `started`, `done`, `failed`, `waiting`, or a word of the plugin's.
    pub status: String,
    /// What it gave or why it failed, in short; at most 16 KiB are kept.
    pub detail: Value,
    /// When.
    pub at: Time,
}

impl RunStep {
    /// A step; hosts and their stores make these.
    pub fn new(name: String, status: String, detail: Value, at: Time) -> Self {
        Self { name, status, detail, at }
    }
}

/// What the host does for a run.
#[async_trait]
pub trait RunPort: Send + Sync + 'static {
    /// Keeps the run's state. Refused where another attempt has taken the run over.
    async fn save(&self, state: Value) -> Result<()>;
    /// Adds a step to what is shown of the run.
    async fn record(&self, name: String, status: String, detail: Value) -> Result<()>;
}

impl WorkflowRun {
    /// A run; hosts and tests make these.
    pub fn new(id: RunId, workflow: &str, trigger: &str, input: Value, port: Arc<dyn RunPort>) -> Self {
        let now = Time::now();
        Self {
            id,
            workflow: workflow.to_owned(),
            trigger: trigger.to_owned(),
            attempt: 1,
            scheduled_at: now,
            cause: RunCause::TIME,
            caller: Caller::nobody(),
            input,
            state: None,
            signal: None,
            dry_run: false,
            deadline: Time::from_micros(now.as_micros() + 60_000_000),
            port,
        }
    }

    /// The key of one thing that the run does: the same at every attempt and after every restart, different for every run and
    /// every `step`. For [`Post::key`](crate::capability::chat::Post::key) and `Idempotency-Key` headers.
    pub fn key(&self, step: &str) -> String {
        format!("run/{}/{step}", self.id)
    }

    /// Its input as a type.
    ///
    /// # Errors
    /// `Input` with the place where it does not fit.
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<T> {
        read("input", &self.input)
    }

    /// What it kept, as a type; nothing at the first attempt.
    ///
    /// # Errors
    /// `Input` with the place where it does not fit.
    pub fn state_as<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.state.as_ref().map(|state| read("state", state)).transpose()
    }

    /// Keeps a state: once this returns, a later attempt is given it. At most 1 MiB as JSON.
    ///
    /// # Errors
    /// `Permission` where this attempt no longer counts, because its time was up and another one began: stop. `Transient` where
    /// the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have kept it.
    pub async fn save(&self, state: &impl Serialize) -> Result<()> {
        self.port.save(serde_json::to_value(state)?).await
    }

    /// Tells whoever looks at the run later what it did.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    ///
    /// # Cancel safety
    /// A dropped call may or may not have told.
    pub async fn record(&self, name: &str, status: &str, detail: impl Into<Value> + Send) -> Result<()> {
        self.port.record(name.to_owned(), status.to_owned(), detail.into()).await
    }
}

fn read<T: DeserializeOwned>(what: &str, value: &Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        PluginError::input(format!("the run's {what} does not fit at `{}`: {}", error.path(), error.inner()))
    })
}

impl fmt::Debug for WorkflowRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, workflow, trigger, attempt, dry_run, .. } = self;
        let mut shown = formatter.debug_struct("WorkflowRun");
        shown.field("id", id).field("workflow", workflow).field("trigger", trigger);
        shown.field("attempt", attempt).field("dry_run", dry_run).finish_non_exhaustive()
    }
}
