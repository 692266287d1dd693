//! What a test does with a plugin's workflows: starts and wakes them, lets time pass, looks at runs. Knows no plugin.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::TestResult;
use super::running::{PATIENCE, RunningPlugin};
use crate::automation::{AutomationStore, HookCall, RunFilter, RunRecord, Start};
use crate::capability::clock::Clock;
use crate::capability::triggers::{Armed, TriggerPort};
use crate::descriptor::Registered;
use crate::id::RunId;
use crate::message::{Actor, Time};
use crate::workflow::RunStep;

/// The most runs that a test looks at.
const RUNS_MAX: u32 = 10_000;

impl<P: Registered> RunningPlugin<P> {
    /// The plugin's runs, the oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn runs(&self) -> TestResult<Vec<RunRecord>> {
        let filter = RunFilter { plugin: Some(self.name().clone()), limit: RUNS_MAX, ..RunFilter::default() };
        let mut runs = self.store().runs(filter).await?;
        runs.reverse();
        Ok(runs)
    }

    /// A run with its steps.
    ///
    /// # Errors
    /// Where there is none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn run(&self, run: RunId) -> TestResult<(RunRecord, Vec<RunStep>)> {
        Ok(self.store().run(run).await?.ok_or_else(|| format!("there is no run {run}"))?)
    }

    /// Waits for a run of this workflow that has ended; gives the first one, also where it ended before.
    ///
    /// # Errors
    /// Where none ends in time: with how they stand.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn run_finished(&self, workflow: &str) -> TestResult<RunRecord> {
        let began = Instant::now();
        loop {
            let runs: Vec<RunRecord> =
                self.runs().await?.into_iter().filter(|run| run.trigger.workflow == workflow).collect();
            if let Some(run) = runs.iter().find(|run| run.state.has_ended()) {
                return Ok(run.clone());
            }
            if began.elapsed() > PATIENCE {
                let states: Vec<String> =
                    runs.iter().map(|run| format!("{}: {:?} ({:?})", run.id, run.state, run.error)).collect();
                return Err(format!("no run of `{workflow}` ended; there are: {}", states.join(", ")).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The plugin's triggers.
    ///
    /// # Errors
    /// Where the store fails.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn triggers(&self) -> TestResult<Vec<Armed>> {
        Ok(self.host().automations.list(self.name(), "").await?)
    }

    /// Starts the workflow of a trigger, as an administrator would.
    ///
    /// # Errors
    /// Where there is no such trigger.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have started it.
    pub async fn start_trigger(&self, id: &str, input: Value) -> TestResult<RunId> {
        let start = Start { input, ..Start::default() };
        Ok(self.host().automations.start_by(Actor::system(), self.name(), id, start).await?)
    }

    /// Calls a webhook trigger with its secret and this body.
    ///
    /// # Errors
    /// Where there is no such trigger, or the plugin does not run.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have started it.
    pub async fn call_hook(&self, id: &str, body: Value) -> TestResult<RunId> {
        let call =
            HookCall { body, headers: Value::Object(<_>::default()), query: Value::Object(<_>::default()), key: None };
        Ok(self.host().automations.hook(self.name(), id, |_| true, call).await?)
    }

    /// Wakes a run; whether there is one that has not ended.
    ///
    /// # Errors
    /// Where the store fails.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have woken it.
    pub async fn wake(&self, run: RunId, signal: Value) -> TestResult<bool> {
        Ok(self.host().automations.wake(self.name(), run, signal).await?)
    }

    /// Lets time pass: at each moment at which something is due, it is done before the clock moves on. A jump of the clock is
    /// [`clock`](Self::clock)'s `advance`, and [`look`](crate::automation::Automations::look) after it.
    ///
    /// # Errors
    /// Where what is due takes too long.
    ///
    /// # Cancel safety
    /// A dropped call may have moved the clock some of the way.
    pub async fn advance(&self, by: Duration) -> TestResult {
        let micros = |time: Time| time.as_micros();
        // The clock may have been moved, or the plugin enabled, since anybody looked.
        self.host().automations.look();
        self.idle().await?;
        let end = micros(self.clock().now()) + i64::try_from(by.as_micros())?;
        loop {
            let now = micros(self.clock().now());
            let plugins = [self.name().clone()].into();
            let next = self.store().next_due(plugins).await?.map_or(end, micros).clamp(now, end);
            self.clock().advance(Duration::from_micros(u64::try_from(next - now)?));
            self.host().automations.look();
            self.idle().await?;
            if next == end {
                return Ok(());
            }
            if next == now {
                return Err("something is due and does not get done".into());
            }
        }
    }
}
