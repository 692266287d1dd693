//! Triggers and runs in memory: the shortest correct answer to what the port asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_trait::async_trait;
use serde_json::Value;

use super::{MemoryStore, StoreError};
use crate::automation::{
    Added, AutomationStore, Claim, Claimed, KeptTrigger, NewRun, RunFilter, RunRecord, RunState, SIGNALS_MAX,
    Settlement,
};
use crate::id::{PluginName, RunId};
use crate::message::{Actor, Time};
use crate::workflow::RunStep;

type Result<T> = std::result::Result<T, StoreError>;

/// How many steps of a run are kept.
const STEPS_MAX: usize = 1_000;

/// Triggers by plugin and identifier, and runs in the order in which they were made.
#[derive(Default)]
pub(super) struct Kept {
    triggers: BTreeMap<(PluginName, String), KeptTrigger>,
    runs: Vec<Run>,
}

struct Run {
    record: RunRecord,
    key: String,
    duplicate_of: Option<String>,
    steps: Vec<RunStep>,
    fence: u64,
    lease_until: Option<Time>,
    /// Whether the next claim goes on with an attempt instead of beginning one.
    goes_on: bool,
    /// What woke it, in order.
    signals: VecDeque<Value>,
    /// Whether the attempt was given the first of them.
    has_signal: bool,
}

impl Run {
    fn is_of(&self, other: &Run) -> bool {
        self.record.plugin == other.record.plugin && self.record.trigger.id == other.record.trigger.id
    }

    /// Since when an attempt is due, where one is.
    fn due(&self, now: Time) -> Option<Time> {
        let due = match self.record.state {
            RunState::Queued | RunState::Waiting => self.record.due_at,
            RunState::Running => self.lease_until,
            _ => None,
        };
        due.filter(|due| *due <= now)
    }

    /// The run as whoever asks is shown it.
    fn seen(&self) -> RunRecord {
        RunRecord { signal: self.signals.front().cloned(), ..self.record.clone() }
    }

    fn holds(&self, fence: u64) -> bool {
        self.fence == fence && self.record.state == RunState::Running
    }
}

impl Kept {
    fn run(&mut self, id: RunId) -> Option<&mut Run> {
        self.runs.iter_mut().find(|run| run.record.id == id)
    }

    fn add(&mut self, new: NewRun) -> Added {
        let known = self.runs.iter().find(|run| {
            run.record.plugin == new.plugin
                && (run.key == new.key
                    || new.duplicate_of.is_some()
                        && run.duplicate_of == new.duplicate_of
                        && run.record.trigger.id == new.trigger.id
                        && !run.record.state.has_ended())
        });
        if let Some(known) = known {
            return Added::Known(known.record.id);
        }
        let NewRun { id, plugin, trigger, scheduled_at, cause, input, key, duplicate_of, node, dry_run, created_at } =
            new;
        let record = RunRecord {
            id,
            plugin,
            trigger,
            state: RunState::Queued,
            attempts: 0,
            waits: 0,
            scheduled_at,
            due_at: Some(scheduled_at),
            cause,
            input,
            kept: None,
            signal: None,
            output: None,
            error: None,
            dry_run,
            node,
            created_at,
            started_at: None,
            ended_at: None,
            busy_ms: 0,
        };
        self.runs.push(Run {
            record,
            key,
            duplicate_of,
            steps: Vec::new(),
            fence: 0,
            lease_until: None,
            goes_on: false,
            signals: VecDeque::new(),
            has_signal: false,
        });
        Added::New(id)
    }

    /// Keeps of a trigger that is replaced what goes on where it waits for the same.
    fn carried_on(&self, mut trigger: KeptTrigger) -> KeptTrigger {
        let before = self.triggers.get(&(trigger.plugin.clone(), trigger.spec.id.clone()));
        if let Some(before) = before.filter(|before| before.spec.on == trigger.spec.on) {
            trigger.since = before.since;
            trigger.next_at = before.next_at;
            trigger.secret = before.secret.clone();
        }
        trigger
    }
}

#[async_trait]
impl AutomationStore for MemoryStore {
    async fn set_fixed(&self, plugin: PluginName, triggers: Vec<KeptTrigger>) -> Result<()> {
        let mut data = self.data();
        data.writable()?;
        let kept = &mut data.automation;
        let triggers: Vec<KeptTrigger> = triggers.into_iter().map(|trigger| kept.carried_on(trigger)).collect();
        kept.triggers.retain(|(of, _), trigger| *of != plugin || !trigger.fixed);
        for trigger in triggers {
            kept.triggers.insert((plugin.clone(), trigger.spec.id.clone()), trigger);
        }
        Ok(())
    }

    async fn put_trigger(&self, trigger: KeptTrigger) -> Result<Option<KeptTrigger>> {
        let mut data = self.data();
        data.writable()?;
        let kept = &mut data.automation;
        let key = (trigger.plugin.clone(), trigger.spec.id.clone());
        if kept.triggers.get(&key).is_some_and(|before| before.fixed) {
            return Ok(None);
        }
        let trigger = kept.carried_on(trigger);
        kept.triggers.insert(key, trigger.clone());
        Ok(Some(trigger))
    }

    async fn remove_trigger(&self, plugin: PluginName, id: String) -> Result<bool> {
        let mut data = self.data();
        data.writable()?;
        let key = (plugin, id);
        let is_there = data.automation.triggers.get(&key).is_some_and(|trigger| !trigger.fixed);
        if is_there {
            data.automation.triggers.remove(&key);
        }
        Ok(is_there)
    }

    async fn trigger(&self, plugin: PluginName, id: String) -> Result<Option<KeptTrigger>> {
        Ok(self.data().automation.triggers.get(&(plugin, id)).cloned())
    }

    async fn triggers(&self, plugin: Option<PluginName>) -> Result<Vec<KeptTrigger>> {
        let data = self.data();
        let wanted = |trigger: &&KeptTrigger| plugin.as_ref().is_none_or(|plugin| trigger.plugin == *plugin);
        Ok(data.automation.triggers.values().filter(wanted).cloned().collect())
    }

    async fn due_triggers(&self, now: Time, plugins: BTreeSet<PluginName>, limit: u32) -> Result<Vec<KeptTrigger>> {
        let data = self.data();
        let is_due =
            |trigger: &&KeptTrigger| trigger.next_at.is_some_and(|at| at <= now) && plugins.contains(&trigger.plugin);
        let mut due: Vec<KeptTrigger> = data.automation.triggers.values().filter(is_due).cloned().collect();
        due.sort_by_key(|trigger| trigger.next_at);
        due.truncate(limit as usize);
        Ok(due)
    }

    async fn fire(
        &self,
        plugin: PluginName,
        id: String,
        seen: Time,
        next: Option<Time>,
        runs: Vec<NewRun>,
    ) -> Result<Option<Vec<Added>>> {
        let mut data = self.data();
        data.writable()?;
        let kept = &mut data.automation;
        match kept.triggers.get_mut(&(plugin, id)) {
            Some(trigger) if trigger.next_at == Some(seen) => trigger.next_at = next,
            _ => return Ok(None),
        }
        Ok(Some(runs.into_iter().map(|run| kept.add(run)).collect()))
    }

    async fn add_runs(&self, runs: Vec<NewRun>) -> Result<Vec<Added>> {
        let mut data = self.data();
        data.writable()?;
        Ok(runs.into_iter().map(|run| data.automation.add(run)).collect())
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>> {
        let mut data = self.data();
        data.writable()?;
        let runs = &mut data.automation.runs;
        let mut due: Vec<(Time, usize)> = runs
            .iter()
            .enumerate()
            .filter(|(_, run)| claim.plugins.contains(&run.record.plugin))
            .filter(|(_, run)| run.record.node.as_ref().is_none_or(|node| *node == claim.node))
            .filter_map(|(index, run)| Some((run.due(claim.now)?, index)))
            .collect();
        due.sort();
        let mut claimed = Vec::new();
        for (_, index) in due {
            if claimed.len() >= claim.limit as usize {
                break;
            }
            let (run, policy) = (&runs[index], &runs[index].record.trigger.policy);
            let is_held = |other: &&Run| {
                other.record.state == RunState::Running && other.lease_until.is_some_and(|until| until > claim.now)
            };
            let held = runs.iter().filter(|other| other.is_of(run)).filter(is_held).count();
            let is_behind = policy.in_order
                && runs[..index].iter().any(|other| other.is_of(run) && !other.record.state.has_ended());
            // A replay puts one before another that is held.
            let places = if policy.in_order { 1 } else { policy.concurrency };
            if held >= places as usize || is_behind {
                continue;
            }
            let run = &mut runs[index];
            run.fence += 1;
            run.lease_until = Some(claim.lease_until);
            run.record.attempts += u32::from(!std::mem::take(&mut run.goes_on));
            run.record.state = RunState::Running;
            run.record.due_at = None;
            run.record.started_at.get_or_insert(claim.now);
            run.has_signal = !run.signals.is_empty();
            claimed.push(Claimed { run: run.seen(), fence: run.fence });
        }
        Ok(claimed)
    }

    async fn renew(&self, run: RunId, fence: u64, until: Time) -> Result<bool> {
        let mut data = self.data();
        data.writable()?;
        let Some(run) = data.automation.run(run).filter(|run| run.holds(fence)) else { return Ok(false) };
        run.lease_until = Some(until);
        Ok(true)
    }

    async fn keep(&self, run: RunId, fence: u64, state: Value) -> Result<bool> {
        let mut data = self.data();
        data.writable()?;
        let Some(run) = data.automation.run(run).filter(|run| run.holds(fence)) else { return Ok(false) };
        run.record.kept = Some(state);
        Ok(true)
    }

    async fn record(&self, run: RunId, fence: u64, step: RunStep) -> Result<bool> {
        let mut data = self.data();
        data.writable()?;
        let Some(run) = data.automation.run(run).filter(|run| run.holds(fence)) else { return Ok(false) };
        run.steps.push(step);
        let over = run.steps.len().saturating_sub(STEPS_MAX);
        run.steps.drain(..over);
        Ok(true)
    }

    async fn settle(&self, run: RunId, fence: u64, settlement: Settlement, now: Time, took_ms: u64) -> Result<bool> {
        let mut data = self.data();
        data.writable()?;
        let Some(run) = data.automation.run(run).filter(|run| run.holds(fence)) else { return Ok(false) };
        run.lease_until = None;
        run.record.busy_ms += took_ms;
        run.record.error = None;
        let (state, due_at) = match settlement {
            Settlement::Done(output) => {
                run.record.output = Some(output);
                (RunState::Done, None)
            }
            Settlement::Skipped(why) => {
                run.record.error = Some(why);
                (RunState::Skipped, None)
            }
            Settlement::Failed(error) => {
                run.record.error = Some(error);
                (RunState::Failed, None)
            }
            Settlement::Retry { at, error } => {
                run.record.error = Some(error);
                (RunState::Queued, Some(at))
            }
            Settlement::Waiting { until, state } => {
                run.record.kept = Some(state);
                run.record.waits += 1;
                run.record.attempts = run.record.attempts.min(1);
                run.goes_on = true;
                if std::mem::take(&mut run.has_signal) {
                    run.signals.pop_front();
                }
                let due = if run.signals.is_empty() { until } else { Some(now) };
                (RunState::Waiting, due)
            }
            Settlement::GivenBack => {
                run.goes_on = true;
                (RunState::Queued, Some(now))
            }
        };
        run.record.state = state;
        run.record.due_at = due_at;
        run.record.ended_at = state.has_ended().then_some(now);
        if matches!(state, RunState::Done | RunState::Skipped) {
            run.signals.clear();
        }
        Ok(true)
    }

    async fn wake(&self, plugin: PluginName, run: RunId, signal: Value, now: Time) -> Result<bool> {
        let mut data = self.data();
        data.writable()?;
        let run = data.automation.run(run);
        let Some(run) = run.filter(|run| run.record.plugin == plugin && !run.record.state.has_ended()) else {
            return Ok(false);
        };
        run.signals.truncate(SIGNALS_MAX - 1);
        run.signals.push_back(signal);
        if run.record.state == RunState::Waiting {
            run.record.due_at = Some(now);
        }
        Ok(true)
    }

    async fn cancel(&self, run: RunId, _by: Actor, now: Time) -> Result<Option<RunState>> {
        let mut data = self.data();
        data.writable()?;
        let Some(run) = data.automation.run(run) else { return Ok(None) };
        if !run.record.state.has_ended() {
            run.record.state = RunState::Cancelled;
            (run.record.due_at, run.lease_until) = (None, None);
            run.record.ended_at = Some(now);
            run.fence += 1;
        }
        Ok(Some(run.record.state))
    }

    async fn replay(&self, run: RunId, _by: Actor, now: Time) -> Result<Option<RunState>> {
        let mut data = self.data();
        data.writable()?;
        let Some(run) = data.automation.run(run) else { return Ok(None) };
        let before = run.record.state;
        if matches!(before, RunState::Failed | RunState::Cancelled) {
            run.record.state = RunState::Queued;
            run.record.attempts = 0;
            run.record.due_at = Some(now);
            run.record.ended_at = None;
            run.goes_on = false;
        }
        Ok(Some(before))
    }

    async fn run(&self, run: RunId) -> Result<Option<(RunRecord, Vec<RunStep>)>> {
        let mut data = self.data();
        Ok(data.automation.run(run).map(|run| (run.seen(), run.steps.clone())))
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRecord>> {
        let data = self.data();
        let wanted = |run: &&Run| {
            let record = &run.record;
            filter.plugin.as_ref().is_none_or(|plugin| record.plugin == *plugin)
                && filter.workflow.as_ref().is_none_or(|workflow| record.trigger.workflow == *workflow)
                && filter.trigger.as_ref().is_none_or(|trigger| record.trigger.id == *trigger)
                && (filter.states.is_empty() || filter.states.contains(&record.state))
                && filter.before.is_none_or(|before| record.id < before)
        };
        let mut found: Vec<RunRecord> = data.automation.runs.iter().filter(wanted).map(Run::seen).collect();
        found.sort_by_key(|run| std::cmp::Reverse(run.id));
        found.truncate(filter.limit as usize);
        Ok(found)
    }

    async fn run_counts(&self) -> Result<Vec<(PluginName, RunState, u64)>> {
        let mut counts: BTreeMap<(PluginName, RunState), u64> = BTreeMap::new();
        for run in &self.data().automation.runs {
            *counts.entry((run.record.plugin.clone(), run.record.state)).or_default() += 1;
        }
        Ok(counts.into_iter().map(|((plugin, state), count)| (plugin, state, count)).collect())
    }

    async fn next_due(&self, plugins: BTreeSet<PluginName>) -> Result<Option<Time>> {
        let data = self.data();
        let Kept { triggers, runs } = &data.automation;
        let triggers =
            triggers.values().filter(|trigger| plugins.contains(&trigger.plugin)).filter_map(|trigger| trigger.next_at);
        // One that stands behind another cannot be taken, whatever the time.
        let is_behind = |index: usize, run: &Run| {
            run.record.trigger.policy.in_order
                && runs[..index].iter().any(|other| other.is_of(run) && !other.record.state.has_ended())
        };
        let runs = runs
            .iter()
            .enumerate()
            .filter(|(index, run)| plugins.contains(&run.record.plugin) && !is_behind(*index, run))
            .filter_map(|(_, run)| run.record.due_at.or(run.lease_until));
        Ok(triggers.chain(runs).min())
    }
}
