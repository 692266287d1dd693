//! Runs come to be, are taken for an attempt, and what the attempt says on its way counts while its fence does.

use std::collections::HashMap;

use plexichat::automation::{Added, Claim, Claimed, NewRun};
use plexichat::id::{PluginName, RunId};
use plexichat::message::Time;
use plexichat::workflow::RunStep;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::super::Tx;
use super::super::values::{bound, identifier};
use super::look::{self, COLUMNS};
use super::text;

/// How many steps of a run are kept.
const STEPS_MAX: u32 = 1_000;

/// What is due, the longest first: read from the index alone, so that those that are passed over cost little.
pub(super) const DUE: &str =
    "SELECT number, plugin, trigger, node FROM runs WHERE due_at <= ?1 ORDER BY due_at, number";

/// How many runs of a trigger are held by somebody.
pub(super) const HELD: &str =
    "SELECT count(*) FROM runs WHERE state = 'running' AND plugin = ?1 AND trigger = ?2 AND due_at > ?3";

/// The first run of a trigger that has not ended.
pub(super) const FIRST: &str = "SELECT min(number) FROM runs WHERE ended_at IS NULL AND plugin = ?1 AND trigger = ?2";

/// The run that another would duplicate.
pub(super) const DUPLICATE: &str = "SELECT id FROM runs WHERE plugin = ?1 AND trigger = ?2 AND duplicate_of = ?3
                                    AND duplicate_of IS NOT NULL AND ended_at IS NULL";

pub(super) fn add_all(tx: &Tx<'_>, runs: &[NewRun]) -> rusqlite::Result<Vec<Added>> {
    runs.iter().map(|run| add(tx, run)).collect()
}

fn add(tx: &Tx<'_>, run: &NewRun) -> rusqlite::Result<Added> {
    let known = tx
        .prepare_cached("SELECT id FROM runs WHERE plugin = ?1 AND key = ?2")?
        .query_row((run.plugin.as_str(), &run.key), |row| identifier(row, 0, RunId::from_bytes))
        .optional()?;
    let known = match (known, &run.duplicate_of) {
        (None, Some(duplicate_of)) => tx
            .prepare_cached(DUPLICATE)?
            .query_row((run.plugin.as_str(), &run.trigger.id, duplicate_of), |row| {
                identifier(row, 0, RunId::from_bytes)
            })
            .optional()?,
        (known, _) => known,
    };
    if let Some(known) = known {
        return Ok(Added::Known(known));
    }
    tx.prepare_cached(
        "INSERT INTO runs (id, plugin, trigger, workflow, spec, state, scheduled_at, due_at, cause, input, key,
                           duplicate_of, node, dry_run, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute((
        run.id.as_bytes(),
        run.plugin.as_str(),
        &run.trigger.id,
        &run.trigger.workflow,
        text(&run.trigger)?,
        run.scheduled_at.as_micros(),
        text(&run.cause)?,
        text(&run.input)?,
        &run.key,
        &run.duplicate_of,
        &run.node,
        run.dry_run,
        run.created_at.as_micros(),
    ))?;
    Ok(Added::New(run.id))
}

/// What may be taken of a trigger's runs in this claim.
struct Room {
    /// How many more.
    places: u32,
    /// The only one, where they go in order.
    first: Option<i64>,
}

pub(super) fn claim(tx: &Tx<'_>, claim: &Claim) -> rusqlite::Result<Vec<Claimed>> {
    let mut rooms: HashMap<(String, String), Room> = HashMap::new();
    let mut chosen = Vec::new();
    let mut statement = tx.prepare_cached(DUE)?;
    let mut rows = statement.query([claim.now.as_micros()])?;
    while chosen.len() < claim.limit as usize
        && let Some(row) = rows.next()?
    {
        let node = row.get_ref(3)?.as_str_or_null()?;
        if !claim.plugins.contains(row.get_ref(1)?.as_str()?) || node.is_some_and(|node| node != claim.node) {
            continue;
        }
        let number: i64 = row.get(0)?;
        let (plugin, trigger) = (row.get::<_, String>(1)?, row.get::<_, String>(2)?);
        let of = (plugin, trigger);
        let room = match rooms.get_mut(&of) {
            Some(room) => room,
            None => {
                let room = room(tx, &of, number, claim.now)?;
                rooms.entry(of).or_insert(room)
            }
        };
        if room.places > 0 && room.first.is_none_or(|first| first == number) {
            room.places -= 1;
            chosen.push(number);
        }
    }
    drop(rows);
    let taken: Vec<Claimed> =
        chosen.into_iter().map(|number| take(tx, number, claim)).collect::<rusqlite::Result<_>>()?;
    for claimed in &taken {
        let labels = [("plugin", claimed.run.plugin.to_string())];
        metrics::counter!("plexichat_workflow_attempts_total", &labels).increment(1);
    }
    Ok(taken)
}

/// By the policy of the run that is the longest due.
fn room(tx: &Connection, (plugin, trigger): &(String, String), number: i64, now: Time) -> rusqlite::Result<Room> {
    let (concurrency, in_order): (u32, bool) = tx
        .prepare_cached(
            "SELECT spec ->> '$.policy.concurrency', spec ->> '$.policy.in_order' FROM runs WHERE number = ?1",
        )?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let held: u32 = tx.prepare_cached(HELD)?.query_row((plugin, trigger, now.as_micros()), |row| row.get(0))?;
    let first = if in_order { tx.prepare_cached(FIRST)?.query_row((plugin, trigger), |row| row.get(0))? } else { None };
    // A replay puts one before another that is held.
    let places = if in_order { 1 } else { concurrency };
    Ok(Room { places: places.saturating_sub(held), first })
}

fn take(tx: &Tx<'_>, number: i64, claim: &Claim) -> rusqlite::Result<Claimed> {
    tx.prepare_cached(&format!(
        "UPDATE runs SET state = 'running', due_at = ?2, fence = fence + 1, attempts = attempts + (goes_on = 0),
                         goes_on = 0, signal_taken = signals IS NOT NULL, started_at = coalesce(started_at, ?3)
         WHERE number = ?1 RETURNING {COLUMNS}, fence"
    ))?
    .query_row((number, claim.lease_until.as_micros(), claim.now.as_micros()), |row| {
        Ok(Claimed { run: look::record(row)?, fence: super::super::values::count(row, look::COLUMN_COUNT)? })
    })
}

pub(super) fn renew(tx: &Tx<'_>, run: RunId, fence: u64, until: Time) -> rusqlite::Result<bool> {
    let renewed = tx
        .prepare_cached("UPDATE runs SET due_at = ?3 WHERE id = ?1 AND fence = ?2 AND state = 'running'")?
        .execute((run.as_bytes(), bound(fence), until.as_micros()))?;
    Ok(renewed == 1)
}

pub(super) fn keep(tx: &Tx<'_>, run: RunId, fence: u64, state: &Value) -> rusqlite::Result<bool> {
    let kept = tx
        .prepare_cached("UPDATE runs SET kept = ?3 WHERE id = ?1 AND fence = ?2 AND state = 'running'")?
        .execute((run.as_bytes(), bound(fence), text(state)?))?;
    Ok(kept == 1)
}

pub(super) fn record(tx: &Tx<'_>, run: RunId, fence: u64, step: &RunStep) -> rusqlite::Result<bool> {
    let number: Option<i64> = tx
        .prepare_cached("SELECT number FROM runs WHERE id = ?1 AND fence = ?2 AND state = 'running'")?
        .query_row((run.as_bytes(), bound(fence)), |row| row.get(0))
        .optional()?;
    let Some(number) = number else { return Ok(false) };
    tx.prepare_cached("INSERT INTO run_steps (run, at, name, status, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((number, step.at.as_micros(), &step.name, &step.status, text(&step.detail)?))?;
    tx.prepare_cached(
        "DELETE FROM run_steps WHERE run = ?1 AND number <=
         (SELECT number FROM run_steps WHERE run = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute((number, STEPS_MAX))?;
    Ok(true)
}

/// Removes a plugin's runs, and the triggers that it made while it ran. Those of its code go with its code.
pub(in super::super) fn remove_plugin(tx: &Tx<'_>, plugin: &PluginName) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM triggers WHERE plugin = ?1 AND NOT fixed")?.execute([plugin.as_str()])?;
    tx.prepare_cached("DELETE FROM runs WHERE plugin = ?1")?.execute([plugin.as_str()])?;
    Ok(())
}
