//! One attempt at a run: the plugin's call, and what becomes of it. Knows no trigger and no calendar.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::running::{Begun, Stop};
use super::schedule::later;
use super::{AutomationStore, Automations, Claimed, RunRecord, Settlement};
use crate::capability::clock::Clock;
use crate::cause::Cause;
use crate::error::{PluginError, Result};
use crate::event::catalog::{WorkflowCompleted, WorkflowFailed, WorkflowStarted, WorkflowWaiting};
use crate::guard::{CallError, PluginHandle};
use crate::id::{EventId, RunId};
use crate::plugin::interface::Caller;
use crate::workflow::{Outcome, RunPort, RunStep, WorkflowError, WorkflowRun};

/// The longest state or output, in bytes of JSON.
pub const STATE_MAX: usize = 1 << 20;

/// The longest detail of a step, in bytes of JSON.
pub const DETAIL_MAX: usize = 16 << 10;

/// The longest name or status of a step, in characters.
const WORD_MAX: usize = 200;

/// How many attempts beyond its policy's may end with the server before a run is given up: it may be what ends the server.
const CRASHES_MAX: u32 = 10;

/// How long a plugin is left alone that took no call.
const REST: Duration = Duration::from_secs(1);
const REST_OPEN: Duration = Duration::from_secs(5);

/// The waits before what became of an attempt is stored again.
const SETTLE_FIRST: Duration = Duration::from_millis(100);
const SETTLE_LAST: Duration = Duration::from_secs(5);

impl Automations {
    /// Makes an attempt.
    pub(super) async fn attempt(self: Arc<Self>, claimed: Claimed, begun: Begun) {
        let began = Instant::now();
        let Claimed { run, fence } = claimed;
        let settlement = tokio::select! {
            biased;
            why = begun.stopped() => match why {
                Stop::Overtaken => None,
                Stop::GivenBack => Some(Settlement::GivenBack),
            },
            settlement = self.execute(&run, fence) => Some(settlement),
        };
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(settlement) = settlement {
            self.settle(&run, fence, settlement, took, &begun).await;
        }
        drop(begun);
        self.changed.notify_one();
    }

    async fn execute(&self, run: &RunRecord, fence: u64) -> Settlement {
        let policy = &run.trigger.policy;
        let most = policy.attempts.saturating_add(CRASHES_MAX);
        if run.attempts > most {
            return Settlement::Failed(format!("the server ended during each of {most} attempts: it is given up"));
        }
        let Some(plugin) = self.parts.plugins.load().plugin(&run.plugin).cloned() else {
            return Settlement::GivenBack;
        };
        let (workflow, trigger) = (run.trigger.workflow.clone(), run.trigger.id.clone());
        let started = WorkflowStarted::new(run.id.to_string(), workflow, trigger, run.attempts);
        self.announce_of(run, started);
        let result = self.call(&plugin, run, fence).await;
        let error = match result {
            Ok(Ok(outcome)) => return settled(outcome),
            Ok(Err(WorkflowError::Permanent(message))) => return Settlement::Failed(message),
            Ok(Err(error)) => error,
            Err(CallError::Timeout) => {
                let seconds = policy.timeout().as_secs();
                WorkflowError::retry(format!("the attempt took longer than {seconds} s (`policy.timeout_seconds`)"))
            }
            Err(CallError::Panicked(message)) => WorkflowError::retry(format!("the workflow panicked: {message}")),
            Err(error) => {
                self.rest(&run.plugin, if error == CallError::Open { REST_OPEN } else { REST });
                return Settlement::GivenBack;
            }
        };
        let message = error.to_string();
        if run.attempts >= policy.attempts {
            return Settlement::Failed(message);
        }
        let after =
            if let WorkflowError::Retry { after, .. } = error { after.unwrap_or_default() } else { Duration::ZERO };
        Settlement::Retry { at: later(self.now(), varied(policy.backoff(run.attempts)).max(after)), error: message }
    }

    async fn call(
        &self,
        plugin: &Arc<PluginHandle>,
        run: &RunRecord,
        fence: u64,
    ) -> Result<Result<Outcome, WorkflowError>, CallError> {
        let timeout = run.trigger.policy.timeout();
        let port = Port { store: self.parts.store.clone(), clock: self.parts.clock.clone(), run: run.id, fence };
        let mut given =
            WorkflowRun::new(run.id, &run.trigger.workflow, &run.trigger.id, run.input.clone(), Arc::new(port));
        given.attempt = run.attempts;
        given.scheduled_at = run.scheduled_at;
        given.cause = run.cause.clone();
        given.caller = run.cause.actor.clone().map_or_else(Caller::nobody, Caller::known);
        given.state = run.kept.clone();
        given.signal = run.signal.clone();
        given.dry_run = run.dry_run;
        given.deadline = later(self.now(), timeout);
        let cause = Cause::new(EventId::of_run(run.id), run.cause.depth, plugin.descriptor().name, "workflow");
        let work = plugin.call_for(Some(cause.gone_on(run.waits)), "execute_workflow", timeout, move |instance| {
            Box::pin(async move { instance.workflow(given).await })
        });
        work.await
    }

    /// Stores what became of an attempt, however often that takes, and tells of it.
    async fn settle(&self, run: &RunRecord, fence: u64, settlement: Settlement, took: u64, begun: &Begun) {
        let mut wait = SETTLE_FIRST;
        let counts = loop {
            let now = self.now();
            match self.parts.store.settle(run.id, fence, settlement.clone(), now, took).await {
                Ok(counts) => break counts,
                Err(error) => tracing::debug!(run = %run.id, %error, "what became of a run could not be stored yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // With the store away at the server's end, the lease runs out and another attempt is made.
                Stop::Overtaken = begun.stopped() => return,
            }
            wait = (wait * 2).min(SETTLE_LAST);
        };
        if counts {
            self.tell(run, settlement, took);
        } else {
            tracing::info!(run = %run.id, plugin = %run.plugin, "an attempt was overtaken or cancelled: it does not count");
        }
    }

    fn tell(&self, run: &RunRecord, settlement: Settlement, took: u64) {
        let (id, workflow, trigger) = (run.id.to_string(), run.trigger.workflow.clone(), run.trigger.id.clone());
        let attempt = run.attempts;
        match settlement {
            Settlement::Done(_) | Settlement::Skipped(_) => {
                self.announce_of(run, WorkflowCompleted::new(id, workflow, trigger, attempt, took));
            }
            Settlement::Waiting { until, .. } => {
                self.announce_of(run, WorkflowWaiting::new(id, workflow, trigger, attempt, took, until));
            }
            Settlement::Failed(error) => {
                let plugin = &run.plugin;
                tracing::warn!(%plugin, workflow, trigger, run = id, attempt, error, "a run failed for good: it is a dead letter");
                self.announce_of(run, WorkflowFailed::new(id, workflow, trigger, attempt, took, error));
            }
            Settlement::Retry { error, .. } => {
                let plugin = &run.plugin;
                tracing::info!(%plugin, workflow, trigger, run = id, attempt, error, "an attempt failed: it is made again");
            }
            Settlement::GivenBack => {}
        }
    }

    fn announce_of(&self, run: &RunRecord, payload: impl crate::event::Payload) {
        self.announce(&run.plugin, run.cause.depth, Some(EventId::of_run(run.id)), payload);
    }
}

fn settled(outcome: Outcome) -> Settlement {
    match outcome {
        Outcome::Done(output) => match too_long(&output, STATE_MAX) {
            None => Settlement::Done(output),
            Some(bytes) => {
                Settlement::Done(json!({ "omitted": format!("{bytes} bytes; at most {STATE_MAX} are kept") }))
            }
        },
        Outcome::Wait { until, state } => match too_long(&state, STATE_MAX) {
            None => Settlement::Waiting { until, state },
            Some(bytes) => {
                Settlement::Failed(format!("it waits with a state of {bytes} bytes; at most {STATE_MAX} are kept"))
            }
        },
        Outcome::Skip(why) => Settlement::Skipped(why),
    }
}

/// How long a value is as JSON, where it is longer than this.
fn too_long(value: &Value, most: usize) -> Option<usize> {
    let bytes = value.to_string().len();
    (bytes > most).then_some(bytes)
}

/// A wait that chance makes up to a quarter longer or shorter.
fn varied(wait: Duration) -> Duration {
    // The last bytes of a new identifier are random.
    let [.., high, low] = *RunId::new().as_bytes();
    let chance = f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX);
    wait.mul_f64(0.75 + chance / 2.0)
}

/// What the host does for a run.
struct Port {
    store: Arc<dyn AutomationStore>,
    clock: Arc<dyn Clock>,
    run: RunId,
    fence: u64,
}

fn counts(counts: bool) -> Result<()> {
    if counts {
        return Ok(());
    }
    Err(PluginError::permission(
        "this attempt no longer counts: its run was cancelled, or another attempt took it over; stop",
    ))
}

#[async_trait]
impl RunPort for Port {
    async fn save(&self, state: Value) -> Result<()> {
        if let Some(bytes) = too_long(&state, STATE_MAX) {
            let message = format!("the run's state is {bytes} bytes long; at most {STATE_MAX} are kept");
            return Err(PluginError::input(message));
        }
        counts(self.store.keep(self.run, self.fence, state).await?)
    }

    async fn record(&self, name: String, status: String, detail: Value) -> Result<()> {
        let short = |text: String| text.chars().take(WORD_MAX).collect();
        let step =
            RunStep { name: short(name), status: short(status), detail: shortened(detail), at: self.clock.now() };
        counts(self.store.record(self.run, self.fence, step).await?)
    }
}

/// As much of a detail as is kept.
fn shortened(detail: Value) -> Value {
    if too_long(&detail, DETAIL_MAX).is_none() {
        return detail;
    }
    let text = if let Value::String(text) = detail { text } else { detail.to_string() };
    // Each character may take several bytes, and be escaped.
    let mut end = text.len().min(DETAIL_MAX / 2);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Value::String(format!("{} …", &text[..end]))
}
