//! What becomes of runs: an attempt ends, somebody wakes, ends or replays one, and old ones go.

use plexichat::automation::{RunState, SIGNALS_MAX, Settlement};
use plexichat::id::{PluginName, RunId};
use plexichat::message::{ActorKind, Time};
use plexichat::store::StoreError;
use rusqlite::{OptionalExtension, Row};
use serde_json::{Value, json};

use super::super::values::{bound, optional_json, word};
use super::super::{Store, Tx};
use super::text;
use crate::store::Act;

/// What was replayed of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many were queued again.
    pub replayed: u64,
    /// Whether there are more.
    pub more: bool,
}

impl Store {
    /// Ends a run that has not ended; how it stood before, and how it stands then. Nothing where there is no such run.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have ended it.
    pub async fn cancel_run(&self, run: RunId, act: Act) -> Result<Option<(RunState, RunState)>, StoreError> {
        self.write(move |tx| cancel(tx, run, &act, Time::now()).map(Ok)).await.map(|(before, now)| before.zip(now))
    }

    /// Queues a run that failed or was cancelled again; how it stood. Nothing where there is no such run.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have queued it.
    pub async fn replay_run(&self, run: RunId, act: Act) -> Result<Option<RunState>, StoreError> {
        self.write(move |tx| replay(tx, run, &act, Time::now()).map(Ok)).await
    }

    /// Queues the oldest dead letters of a plugin again, at most so many, with one row of the audit log.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have queued them.
    pub async fn replay_dead_letters(
        &self,
        plugin: PluginName,
        workflow: Option<String>,
        limit: u32,
        act: Act,
    ) -> Result<Replayed, StoreError> {
        self.write(move |tx| {
            let of: Vec<i64> = tx
                .prepare_cached(
                    "SELECT number FROM runs WHERE state = 'failed' AND plugin = ?1 AND (?2 IS NULL OR workflow = ?2)
                     ORDER BY id LIMIT ?3",
                )?
                .query_map((plugin.as_str(), &workflow, i64::from(limit) + 1), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let more = of.len() > limit as usize;
            let mut replayed = 0;
            for number in of.iter().take(limit as usize) {
                queue_again(tx, *number, Time::now())?;
                replayed += 1;
            }
            if replayed > 0 {
                let detail = json!({ "workflow": workflow, "runs": replayed });
                tx.audit(&act.audit("run.replay_all", &plugin, detail))?;
            }
            Ok(Ok(Replayed { replayed, more }))
        })
        .await
    }

    /// Makes runs due whose attempts ended with the process that made them, and would be waited for until their leases end. Only
    /// for who knows that nobody else uses the database; how many.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn release_runs(&self, now: Time) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let released = tx
                .prepare_cached("UPDATE runs SET due_at = ?1 WHERE state = 'running' AND due_at > ?1")?
                .execute([now.as_micros()])?;
            Ok(Ok(released as u64))
        })
        .await
    }

    /// Removes the oldest runs that ended before this time, at most so many: dead letters or all others. How many went.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed them.
    pub async fn remove_runs(&self, before: Time, dead_letters: bool, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let gone = tx
                .prepare_cached(
                    "DELETE FROM runs WHERE number IN
                     (SELECT number FROM runs WHERE ended_at < ?1 AND (state = 'failed') = ?2 ORDER BY ended_at LIMIT ?3)",
                )?
                .execute((before.as_micros(), dead_letters, limit))?;
            Ok(Ok(gone as u64))
        })
        .await
    }
}

/// A run as far as its end is concerned.
struct Standing {
    number: i64,
    plugin: PluginName,
    trigger: String,
    state: RunState,
    signals: Vec<Value>,
    is_taken: bool,
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        number: row.get(0)?,
        plugin: word(row, 1)?,
        trigger: row.get(2)?,
        state: word(row, 3)?,
        signals: optional_json(row, 4)?.unwrap_or_default(),
        is_taken: row.get(5)?,
    })
}

fn find(tx: &Tx<'_>, run: RunId) -> rusqlite::Result<Option<Standing>> {
    tx.prepare_cached("SELECT number, plugin, trigger, state, signals, signal_taken FROM runs WHERE id = ?1")?
        .query_row([run.as_bytes()], standing)
        .optional()
}

pub(super) fn settle(
    tx: &Tx<'_>,
    run: RunId,
    fence: u64,
    settlement: Settlement,
    now: Time,
    took_ms: u64,
) -> rusqlite::Result<bool> {
    let holds: bool = tx
        .prepare_cached("SELECT count(*) FROM runs WHERE id = ?1 AND fence = ?2 AND state = 'running'")?
        .query_row((run.as_bytes(), bound(fence)), |row| row.get(0))?;
    let Some(Standing { number, mut signals, is_taken, .. }) = find(tx, run)?.filter(|_| holds) else {
        return Ok(false);
    };
    // An attempt that is made again, by a replay too, is given the signal again: the one before may not have come to it.
    match settlement {
        Settlement::Done(_) | Settlement::Skipped(_) => signals.clear(),
        Settlement::Waiting { .. } if is_taken && !signals.is_empty() => {
            signals.remove(0);
        }
        _ => {}
    }
    let (mut kept, mut output, mut why, mut goes_on) = (None, None, None, false);
    let (state, due_at) = match settlement {
        Settlement::Done(value) => {
            output = Some(text(&value)?);
            (RunState::Done, None)
        }
        Settlement::Skipped(reason) => {
            why = Some(reason);
            (RunState::Skipped, None)
        }
        Settlement::Failed(error) => {
            why = Some(error);
            (RunState::Failed, None)
        }
        Settlement::Retry { at, error } => {
            why = Some(error);
            (RunState::Queued, Some(at))
        }
        Settlement::Waiting { until, state } => {
            kept = Some(text(&state)?);
            goes_on = true;
            (RunState::Waiting, if signals.is_empty() { until } else { Some(now) })
        }
        Settlement::GivenBack => {
            goes_on = true;
            (RunState::Queued, Some(now))
        }
    };
    tx.prepare_cached(
        "UPDATE runs SET state = ?2, due_at = ?3, kept = coalesce(?4, kept), output = coalesce(?5, output), error = ?6,
                         goes_on = ?7, signals = ?8, signal_taken = 0, ended_at = ?9, busy_ms = busy_ms + ?10,
                         waits = waits + (?2 = 'waiting'), attempts = iif(?2 = 'waiting', min(attempts, 1), attempts)
         WHERE number = ?1",
    )?
    .execute((
        number,
        state.as_str(),
        due_at.map(Time::as_micros),
        kept,
        output,
        why,
        goes_on,
        kept_signals(&signals)?,
        state.has_ended().then_some(now.as_micros()),
        bound(took_ms),
    ))?;
    Ok(true)
}

pub(super) fn wake(tx: &Tx<'_>, plugin: &PluginName, run: RunId, signal: Value, now: Time) -> rusqlite::Result<bool> {
    let found = find(tx, run)?.filter(|found| found.plugin == *plugin && !found.state.has_ended());
    let Some(Standing { number, mut signals, .. }) = found else { return Ok(false) };
    signals.truncate(SIGNALS_MAX - 1);
    signals.push(signal);
    tx.prepare_cached(
        "UPDATE runs SET signals = ?2, due_at = iif(state = 'waiting', min(coalesce(due_at, ?3), ?3), due_at)
         WHERE number = ?1",
    )?
    .execute((number, kept_signals(&signals)?, now.as_micros()))?;
    Ok(true)
}

/// How it stood, and how it stands.
pub(super) fn cancel(
    tx: &Tx<'_>,
    run: RunId,
    act: &Act,
    now: Time,
) -> rusqlite::Result<(Option<RunState>, Option<RunState>)> {
    let Some(found) = find(tx, run)? else { return Ok((None, None)) };
    if found.state.has_ended() {
        return Ok((Some(found.state), Some(found.state)));
    }
    tx.prepare_cached(
        "UPDATE runs SET state = 'cancelled', due_at = NULL, ended_at = ?2, fence = fence + 1, signals = NULL,
                         signal_taken = 0
         WHERE number = ?1",
    )?
    .execute((found.number, now.as_micros()))?;
    audit(tx, act, "run.cancel", run, &found)?;
    Ok((Some(found.state), Some(RunState::Cancelled)))
}

pub(super) fn replay(tx: &Tx<'_>, run: RunId, act: &Act, now: Time) -> rusqlite::Result<Option<RunState>> {
    let Some(found) = find(tx, run)? else { return Ok(None) };
    if matches!(found.state, RunState::Failed | RunState::Cancelled) {
        queue_again(tx, found.number, now)?;
        audit(tx, act, "run.replay", run, &found)?;
    }
    Ok(Some(found.state))
}

fn queue_again(tx: &Tx<'_>, number: i64, now: Time) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE runs SET state = 'queued', attempts = 0, due_at = ?2, ended_at = NULL, goes_on = 0 WHERE number = ?1",
    )?
    .execute((number, now.as_micros()))?;
    Ok(())
}

/// A plugin that ends its own runs goes about its business; everybody else's act is noted.
fn audit(tx: &Tx<'_>, act: &Act, action: &'static str, run: RunId, found: &Standing) -> rusqlite::Result<()> {
    if act.by().kind == ActorKind::Plugin {
        return Ok(());
    }
    let detail = json!({ "plugin": found.plugin, "trigger": found.trigger, "was": found.state });
    tx.audit(&act.audit(action, run, detail))
}

fn kept_signals(signals: &[Value]) -> rusqlite::Result<Option<String>> {
    (!signals.is_empty()).then(|| text(&signals)).transpose()
}
