//! What goes wrong with plugins: counted and kept for the operator, told to the log and to whoever listens. Decides
//! nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::id::PluginName;
use crate::message::Time;

/// How many incidents wait for the manager; more are counted and left out.
const INCIDENTS_MAX: usize = 1024;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// A call returned an error that blames the plugin.
    Error,
    /// A call took longer than it may.
    Timeout,
    /// A call, a task or a destructor panicked.
    Panic,
    /// It holds its thread and lets nothing else run there.
    Blocked,
    /// It failed so often that it is not asked for a while.
    BreakerOpened,
    /// That happened so often that it is not asked until an operator releases it.
    Quarantined,
    /// It held its thread so long that the host gave the thread up.
    Abandoned,
    /// It continued a chain of events that is too long.
    CauseTooDeep,
    /// It did not start.
    Start,
}

/// One thing that went wrong.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Whose.
    pub plugin: PluginName,
    /// Which instance: the number of its guard.
    pub guard: u32,
    /// In which call.
    pub what: &'static str,
    /// What kind.
    pub fault: Fault,
    /// In words, for the operator only.
    pub message: String,
    /// How long the call had taken, to a hundredth of a second.
    pub milliseconds: u64,
}

/// Where incidents go.
#[derive(Debug, Clone)]
pub(crate) struct Incidents(Option<mpsc::Sender<Incident>>);

impl Incidents {
    /// A way for incidents and its other end.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Incident>) {
        let (send, receive) = mpsc::channel(INCIDENTS_MAX);
        (Self(Some(send)), receive)
    }

    /// A way that leads nowhere: what goes wrong is logged and counted only.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self(None)
    }

    /// A plugin did not start: nothing of it was called, since its configuration is not valid.
    pub(crate) fn tell_start_failed(&self, plugin: &PluginName) {
        self.tell(Incident {
            plugin: plugin.clone(),
            guard: 0,
            what: "initialize",
            fault: Fault::Start,
            message: String::new(),
            milliseconds: 0,
        });
    }

    pub(crate) fn tell(&self, incident: Incident) {
        let Some(send) = &self.0 else { return };
        if let Err(mpsc::error::TrySendError::Full(incident)) = send.try_send(incident) {
            tracing::warn!(plugin = %incident.plugin, "too many incidents at once: one is not told as an event");
        }
    }
}

/// What is counted of a plugin. It outlives the plugin's instances.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    pub(crate) calls: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) events: AtomicU64,
    last_error: Mutex<Option<LastError>>,
}

/// What a plugin has been asked and how that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Counters {
    /// Calls that ended, however.
    pub calls: u64,
    /// Calls that run now.
    pub in_flight: u64,
    /// Calls that returned an error that blames the plugin.
    pub errors: u64,
    /// Calls that took too long.
    pub timeouts: u64,
    /// Calls and tasks that panicked.
    pub panics: u64,
    /// Calls that were not made: the breaker was open, or too many ran already.
    pub refused: u64,
    /// Events that its handlers were given.
    pub events: u64,
    /// Events that wait for it.
    pub waiting_events: u64,
    /// Events that it missed because too many waited; only such as are not stored.
    pub shed: u64,
    /// Tasks that it started and that run now.
    pub tasks: u64,
}

/// The last thing that went wrong with a plugin. For the operator only: the message is the plugin's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastError {
    /// When.
    pub at: Time,
    /// In which call.
    pub what: String,
    /// What kind.
    pub fault: Fault,
    /// In words.
    pub message: String,
}

impl Vitals {
    pub(crate) fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_last_error(&self, what: &str, fault: Fault, message: &str) {
        let error = LastError { at: Time::now(), what: what.to_owned(), fault, message: message.to_owned() };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn counters(&self) -> Counters {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            calls: count(&self.calls),
            errors: count(&self.errors),
            timeouts: count(&self.timeouts),
            panics: count(&self.panics),
            refused: count(&self.refused),
            events: count(&self.events),
            shed: count(&self.shed),
            ..Counters::default()
        }
    }

    pub(crate) fn count(&self, fault: Fault) {
        match fault {
            Fault::Error | Fault::Start => add(&self.errors),
            Fault::Timeout => add(&self.timeouts),
            Fault::Panic => add(&self.panics),
            Fault::Blocked | Fault::BreakerOpened | Fault::Quarantined | Fault::Abandoned | Fault::CauseTooDeep => {}
        }
    }
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
