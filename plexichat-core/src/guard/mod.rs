//! The guard around every call into a plugin: its timeout, its panics, how many run at once, its breaker. The only caller of
//! [`Instance`]. Knows no manager, event or message.

mod calls;
mod connection;
mod gui;
mod handle;
mod route;
mod stream;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::ai::AiError;
use crate::breaker::{Admission, Breaker, Trip};
use crate::cause::Cause;
use crate::context::Services;
#[cfg(doc)]
use crate::descriptor::Instance;
use crate::descriptor::StartError;
use crate::error::PluginError;
use crate::id::PluginName;
use crate::incident::{Counters, Fault, Incident, Incidents, Vitals, add};
use crate::isolation::Contained;
use crate::isolation::inline::{self, Lost};
use crate::isolation::runtime::{self, PluginRuntime};
use crate::isolation::tasks::PluginTasks;
use crate::message::ScanError;
use crate::settings::IsolationLevel;
use crate::watchdog::{self, Held, Patience};

use self::calls::{Calls, Slot};
pub use self::connection::{OpenSocket, SocketEnd, SocketInbox, SocketOut, SocketOutbox};
pub use self::handle::PluginHandle;
pub use self::route::{GuardedAnswer, GuardedBody};
pub use self::stream::GuardedStream;

/// How many calls a plugin may have running.
pub const CALLS_MAX: usize = 64;

/// How many WebSockets and event streams a plugin may have open: they hold none of the places of its calls.
pub const CONNECTIONS_MAX: usize = 256;

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It took longer than it may.
    #[error("it took too long")]
    Timeout,
    /// It panicked. The message is for the operator only.
    #[error("it panicked: {0}")]
    Panicked(String),
    /// It was not made: the plugin failed too often of late.
    #[error("the plugin failed too often of late and is not asked for a while")]
    Open,
    /// It was not made: too many run already, and none ended in time.
    #[error("too many calls of the plugin run already")]
    Busy,
    /// It was not made, or came to no end: the plugin was stopped.
    #[error("the plugin was stopped")]
    Stopped,
}

/// What a call returns, as far as it says that the plugin failed.
pub trait Blame {
    /// Why the plugin is to blame, if it is.
    fn blame(&self) -> Option<String>;
}

impl Blame for () {
    fn blame(&self) -> Option<String> {
        None
    }
}

impl Blame for crate::reply::ReplyMode {
    fn blame(&self) -> Option<String> {
        None
    }
}

impl Blame for crate::plugin::Health {
    fn blame(&self) -> Option<String> {
        None
    }
}

impl<T> Blame for Result<T, PluginError> {
    fn blame(&self) -> Option<String> {
        self.as_ref().err().filter(|error| error.kind().blames_plugin()).map(ToString::to_string)
    }
}

impl<T> Blame for Result<T, ScanError> {
    fn blame(&self) -> Option<String> {
        self.as_ref()
            .err()
            .filter(|error| !matches!(error, ScanError::TooLarge | ScanError::Unreadable(_)))
            .map(ToString::to_string)
    }
}

impl<T> Blame for Result<T, AiError> {
    fn blame(&self) -> Option<String> {
        self.as_ref().err().filter(|error| error.kind().blames_plugin()).map(ToString::to_string)
    }
}

/// A run that fails is tried again, and becomes a dead letter: workflows of users do not count against the plugin that runs
/// them.
impl<T> Blame for Result<T, crate::workflow::WorkflowError> {
    fn blame(&self) -> Option<String> {
        None
    }
}

/// Whoever starts a plugin tells why it did not start.
impl<T> Blame for Result<T, StartError> {
    fn blame(&self) -> Option<String> {
        None
    }
}

/// What a call is.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) what: &'static str,
    pub(crate) timeout: Duration,
    pub(crate) cause: Option<Cause>,
}

/// How a guard is made.
pub(crate) struct GuardOptions {
    pub(crate) plugin: PluginName,
    pub(crate) isolation: IsolationLevel,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) incidents: Incidents,
    pub(crate) patience: Patience,
}

/// The guard of one instance of a plugin.
pub(crate) struct Guard {
    id: u32,
    plugin: PluginName,
    place: Place,
    host: Handle,
    gate: AtomicU8,
    breaker: Mutex<Breaker>,
    calls: Calls,
    /// The places of what stays open.
    connections: Arc<Semaphore>,
    /// Turns true once no call goes through any more: what stays open ends then.
    closing: watch::Sender<bool>,
    tasks: PluginTasks,
    vitals: Arc<Vitals>,
    incidents: Incidents,
    patience: Patience,
    abandoned: AtomicBool,
}

enum Place {
    Inline,
    Runtime(PluginRuntime),
}

/// What must be looked at before a call. Written with the breaker locked, read without.
mod gate {
    /// The breaker is closed and clean: a call goes through, a success changes nothing.
    pub(super) const CLEAN: u8 = 0;
    /// The breaker has to be asked and told.
    pub(super) const ASK: u8 = 1;
    /// No call goes through any more.
    pub(super) const STOPPED: u8 = 2;
}

impl Guard {
    /// A guard. Must be called on the host's runtime.
    pub(crate) fn new(options: GuardOptions) -> Arc<Self> {
        let GuardOptions { plugin, isolation, vitals, incidents, patience } = options;
        let place = match isolation {
            IsolationLevel::Inline => Place::Inline,
            _ => Place::Runtime(PluginRuntime::new(plugin.clone())),
        };
        let guard = Arc::new(Self {
            id: watchdog::next_id(),
            plugin,
            place,
            host: Handle::current(),
            gate: AtomicU8::new(gate::CLEAN),
            breaker: Mutex::default(),
            calls: Calls::default(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            closing: watch::Sender::new(false),
            tasks: PluginTasks::default(),
            vitals,
            incidents,
            patience,
            abandoned: AtomicBool::new(false),
        });
        watchdog::watch(&guard);
        guard
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn plugin(&self) -> &PluginName {
        &self.plugin
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    pub(crate) fn isolation(&self) -> IsolationLevel {
        match self.place {
            Place::Inline => IsolationLevel::Inline,
            Place::Runtime(_) => IsolationLevel::Runtime,
        }
    }

    pub(crate) fn tasks(&self) -> &PluginTasks {
        &self.tasks
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Where the plugin's code runs.
    pub(crate) fn handle(&self) -> Result<&Handle, CallError> {
        match &self.place {
            Place::Inline => Ok(&self.host),
            Place::Runtime(runtime) => runtime.handle().map_err(|_| CallError::Stopped),
        }
    }

    /// Makes a call, within the limits and if the breaker lets it.
    pub(crate) async fn call<R, F>(self: &Arc<Self>, call: Call, work: F) -> Result<R, CallError>
    where
        R: Blame + Send + 'static,
        F: FnOnce() -> BoxFuture<'static, R> + Send + 'static,
    {
        let admitted = self.admit(call.timeout).await?;
        let (what, began) = (call.what, watchdog::now());
        let contained = Contained::new(self.id, what, call.cause, work);
        let result = match &self.place {
            Place::Inline => {
                let _slot = Slot::new(&**self);
                inline::run(contained, call.timeout).await
            }
            Place::Runtime(runtime) => {
                let slot = Slot::new(self.clone());
                match runtime.handle() {
                    Ok(handle) => runtime::run(handle, contained, slot, call.timeout).await,
                    Err(lost) => Err(lost),
                }
            }
        };
        self.settle(admitted, what, began, result)
    }

    /// Makes a call that borrows what it needs, on the caller's task.
    pub(crate) async fn call_here<'a, R, F>(&'a self, call: Call, work: F) -> Result<R, CallError>
    where
        R: Blame,
        F: FnOnce() -> BoxFuture<'a, R>,
    {
        let admitted = self.admit(call.timeout).await?;
        let _slot = Slot::new(self);
        let (what, began) = (call.what, watchdog::now());
        let result = inline::run(Contained::new(self.id, what, call.cause, work), call.timeout).await;
        self.settle(admitted, what, began, result)
    }

    /// Makes a call of the plugin's life, whatever the breaker says and however many run.
    pub(crate) async fn call_anyway<R, F>(self: &Arc<Self>, call: Call, work: F) -> Result<R, CallError>
    where
        R: Blame + Send + 'static,
        F: FnOnce() -> BoxFuture<'static, R> + Send + 'static,
    {
        let (what, began) = (call.what, watchdog::now());
        let contained = Contained::new(self.id, what, call.cause, work);
        let result = match &self.place {
            Place::Inline => inline::run(contained, call.timeout).await,
            Place::Runtime(runtime) => match runtime.handle() {
                Ok(handle) => runtime::run(handle, contained, (), call.timeout).await,
                Err(lost) => Err(lost),
            },
        };
        let result = result.map_err(CallError::from);
        if let Some((fault, message)) = failure(&result) {
            self.report(fault, what, &message, watchdog::milliseconds_since(began));
        }
        result
    }

    /// What a call began has failed since: as if a call had.
    fn failed_later(&self, fault: Fault, what: &'static str, message: &str) {
        if let Some(trip) = self.with_breaker(|breaker| breaker.failure(false, Instant::now())) {
            self.tell_trip(trip, what, 0);
        }
        self.report(fault, what, message, 0);
    }

    /// Starts an instance within this guard.
    pub(crate) async fn start(
        self: &Arc<Self>,
        start: crate::descriptor::StartFn,
        services: Services,
        config: serde_json::Value,
        timeout: Duration,
    ) -> Result<Result<Arc<dyn crate::descriptor::Instance>, StartError>, CallError> {
        let call = Call { what: "initialize", timeout, cause: None };
        self.call_anyway(call, move || start(services, config)).await
    }

    /// From now on no call goes through.
    pub(crate) fn close(&self) {
        let _breaker = self.breaker();
        self.gate.store(gate::STOPPED, Ordering::Release);
        self.closing.send_replace(true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.load(Ordering::Acquire) == gate::STOPPED
    }

    /// Waits until no call runs, but no longer than this. Whether that was so.
    pub(crate) async fn drained(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.calls.idle()).await.is_ok()
    }

    /// Ends everything that the plugin runs. Does not wait.
    pub(crate) fn stop(&self) {
        self.close();
        self.tasks.stop();
        if let Place::Runtime(runtime) = &self.place {
            runtime.stop();
        }
    }

    /// Waits until the plugin's threads have ended, but no longer than this. Whether that was so.
    pub(crate) async fn ended(&self, limit: Duration) -> bool {
        let Place::Runtime(runtime) = &self.place else { return true };
        let deadline = Instant::now() + limit;
        while runtime.threads() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    /// An event was not handed to the plugin, because too many wait.
    pub(crate) fn count_shed(&self) {
        add(&self.vitals.shed);
    }

    /// A handler was given an event.
    pub(crate) fn count_event(&self) {
        add(&self.vitals.events);
    }

    /// Whether calls are refused because it failed too often of late.
    pub(crate) fn is_open(&self) -> bool {
        self.gate.load(Ordering::Acquire) != gate::CLEAN && self.breaker().is_open()
    }

    /// Whether its thread was given up.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(crate) fn counters(&self) -> Counters {
        let counters = self.vitals.counters();
        Counters {
            calls: counters.calls + self.calls.ended(),
            in_flight: self.calls.running() as u64,
            tasks: self.tasks.count() as u64,
            ..counters
        }
    }

    /// Tells of something that went wrong: one line in the log, one event, and what the operator sees.
    pub(crate) fn report(&self, fault: Fault, what: &'static str, message: &str, milliseconds: u64) {
        tracing::warn!(plugin = %self.plugin, hook = what, milliseconds, ?fault, "{message}");
        self.keep(fault, what, message, milliseconds);
    }

    /// The same without the line, which is written already.
    fn keep(&self, fault: Fault, what: &'static str, message: &str, milliseconds: u64) {
        self.vitals.count(fault);
        self.vitals.set_last_error(what, fault, message);
        self.incidents.tell(Incident {
            plugin: self.plugin.clone(),
            guard: self.id,
            what,
            fault,
            message: message.to_owned(),
            milliseconds,
        });
    }

    /// It has held a thread for so long.
    pub(crate) fn holds_thread(&self, held: Held) {
        let milliseconds = u64::try_from(held.time.as_millis()).unwrap_or(u64::MAX);
        match held.step {
            1 => self.report(Fault::Blocked, "poll", "it blocks its thread: nothing else of it runs", milliseconds),
            2 => {
                let trip = self.with_breaker(|breaker| breaker.trip(Instant::now()));
                self.tell_trip(trip, "poll", milliseconds);
            }
            _ => {
                self.abandoned.store(true, Ordering::Release);
                self.stop();
                let message = "it blocked its thread for too long: the thread was given up";
                self.report(Fault::Abandoned, "poll", message, milliseconds);
            }
        }
    }

    async fn admit(&self, timeout: Duration) -> Result<Admitted<'_>, CallError> {
        let probe = match self.gate.load(Ordering::Acquire) {
            gate::CLEAN => None,
            gate::STOPPED => return Err(CallError::Stopped),
            _ => match self.with_breaker(|breaker| breaker.admit(Instant::now())) {
                Admission::Go => None,
                Admission::Probe => Some(Probe(self)),
                Admission::Refused => {
                    add(&self.vitals.refused);
                    return Err(CallError::Open);
                }
            },
        };
        if !self.calls.try_begin() && tokio::time::timeout(timeout, self.calls.begin()).await.is_err() {
            add(&self.vitals.refused);
            return Err(CallError::Busy);
        }
        // Asked again now that the call is counted: whoever closes the gate waits for those that are.
        if self.is_closed() {
            self.calls.end();
            return Err(CallError::Stopped);
        }
        Ok(Admitted { probe })
    }

    fn settle<R: Blame>(
        &self,
        admitted: Admitted<'_>,
        what: &'static str,
        began: u64,
        result: Result<R, Lost>,
    ) -> Result<R, CallError> {
        let result = result.map_err(CallError::from);
        let is_probe = admitted.settle();
        match failure(&result) {
            None => {
                if is_probe || self.gate.load(Ordering::Relaxed) == gate::ASK {
                    self.with_breaker(|breaker| breaker.success(is_probe));
                }
            }
            Some((fault, message)) => {
                let milliseconds = watchdog::milliseconds_since(began);
                match self.with_breaker(|breaker| breaker.failure(is_probe, Instant::now())) {
                    None => self.report(fault, what, &message, milliseconds),
                    // One line for one call: whoever looks for why a message was refused finds it once.
                    Some(trip) => {
                        tracing::warn!(plugin = %self.plugin, hook = what, milliseconds, ?fault, "{message}; {}", words(trip));
                        self.keep(fault, what, &message, milliseconds);
                        self.keep_trip(trip, what, milliseconds);
                    }
                }
            }
        }
        result
    }

    fn tell_trip(&self, trip: Trip, what: &'static str, milliseconds: u64) {
        tracing::warn!(plugin = %self.plugin, hook = what, milliseconds, "{}", words(trip));
        self.keep_trip(trip, what, milliseconds);
    }

    fn keep_trip(&self, trip: Trip, what: &'static str, milliseconds: u64) {
        let last = self.vitals.last_error().map(|error| format!("; the last failure: {}", error.message));
        let message = format!("{}{}", words(trip), last.unwrap_or_default());
        let fault = match trip {
            Trip::Opened => Fault::BreakerOpened,
            Trip::Quarantine => Fault::Quarantined,
        };
        self.keep(fault, what, &message, milliseconds);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_breaker<R>(&self, work: impl FnOnce(&mut Breaker) -> R) -> R {
        let mut breaker = self.breaker();
        let result = work(&mut breaker);
        if self.gate.load(Ordering::Relaxed) != gate::STOPPED {
            self.gate.store(if breaker.is_clean() { gate::CLEAN } else { gate::ASK }, Ordering::Release);
        }
        result
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.vitals.calls.fetch_add(self.calls.ended(), Ordering::Relaxed);
        watchdog::forget(self.id);
    }
}

/// A call that was let through and holds one of the plugin's places until it ends.
struct Admitted<'a> {
    probe: Option<Probe<'a>>,
}

impl Admitted<'_> {
    /// What came of it is told next. Whether it was the call that tries.
    fn settle(self) -> bool {
        match self.probe {
            Some(probe) => {
                std::mem::forget(probe);
                true
            }
            None => false,
        }
    }
}

/// The one call that tries whether the plugin works again. Where it is dropped before its end, another may try.
struct Probe<'a>(&'a Guard);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.with_breaker(|breaker| breaker.probe_dropped(Instant::now()));
    }
}

impl From<Lost> for CallError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Panicked(message) => Self::Panicked(message),
            Lost::TimedOut => Self::Timeout,
            Lost::Stopped => Self::Stopped,
        }
    }
}

/// What a trip means, for the operator.
fn words(trip: Trip) -> &'static str {
    match trip {
        Trip::Opened => "it failed too often: it is not asked for 30 s",
        Trip::Quarantine => "it failed too often again and again: it waits for an operator",
    }
}

/// What the plugin is to blame for.
fn failure<R: Blame>(result: &Result<R, CallError>) -> Option<(Fault, String)> {
    match result {
        Ok(returned) => returned.blame().map(|message| (Fault::Error, message)),
        Err(CallError::Panicked(message)) => Some((Fault::Panic, format!("it panicked: {message}"))),
        Err(CallError::Timeout) => Some((Fault::Timeout, "it took too long".to_owned())),
        Err(CallError::Open | CallError::Busy | CallError::Stopped) => None,
    }
}

#[cfg(test)]
mod tests;
