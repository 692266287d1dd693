//! Runs come to be, are taken for an attempt, and what the attempt says on its way counts while its fence does.

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

/// The next trigger, by plugin and identifier, of which something is due: however many runs wait behind a trigger's first, they are
/// not looked at.
pub(super) const NEXT_TRIGGER: &str = "SELECT plugin, trigger FROM runs WHERE (plugin, trigger) > (?1, ?2)
                                       AND due_at <= ?3 ORDER BY plugin, trigger LIMIT 1";

/// What is due of one trigger, the longest first.
pub(super) const DUE: &str = "SELECT due_at, number FROM runs WHERE plugin = ?1 AND trigger = ?2 AND due_at <= ?3
                              AND (node IS NULL OR node = ?4) ORDER BY due_at, number LIMIT ?5";

/// The first run of a trigger that has not ended, where it is due.
pub(super) const FIRST_DUE: &str = "SELECT due_at, number FROM runs WHERE number = ?1 AND due_at <= ?2
                                    AND (node IS NULL OR node = ?3)";

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

pub(super) fn claim(tx: &Tx<'_>, claim: &Claim) -> rusqlite::Result<Vec<Claimed>> {
    let mut chosen: Vec<(i64, i64)> = Vec::new();
    let mut of = (String::new(), String::new());
    let mut next = tx.prepare_cached(NEXT_TRIGGER)?;
    let now = claim.now.as_micros();
    while let Some(found) = next.query_row((&of.0, &of.1, now), |row| Ok((row.get(0)?, row.get(1)?))).optional()? {
        of = found;
        if claim.plugins.contains(of.0.as_str()) {
            chosen.extend(due(tx, &of, claim)?);
        }
    }
    chosen.sort_unstable();
    chosen.truncate(claim.limit as usize);
    let taken: Vec<Claimed> =
        chosen.into_iter().map(|(_, number)| take(tx, number, claim)).collect::<rusqlite::Result<_>>()?;
    for claimed in &taken {
        let labels = [("plugin", claimed.run.plugin.to_string())];
        metrics::counter!("plexichat_workflow_attempts_total", &labels).increment(1);
    }
    Ok(taken)
}

/// The runs of a trigger that may be taken, by the policy of the one that is the longest due: when each is due, and its number.
fn due(tx: &Connection, (plugin, trigger): &(String, String), claim: &Claim) -> rusqlite::Result<Vec<(i64, i64)>> {
    let (now, node) = (claim.now.as_micros(), claim.node.as_str());
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let mut of_trigger = tx.prepare_cached(DUE)?;
    let mut found = |limit: u32| {
        of_trigger.query_map((plugin, trigger, now, node, limit), row)?.collect::<rusqlite::Result<Vec<(i64, i64)>>>()
    };
    let Some((_, number)) = found(1)?.first().copied() else { return Ok(Vec::new()) };
    let (concurrency, in_order): (u32, bool) = tx
        .prepare_cached(
            "SELECT spec ->> '$.policy.concurrency', spec ->> '$.policy.in_order' FROM runs WHERE number = ?1",
        )?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let held: u32 = tx.prepare_cached(HELD)?.query_row((plugin, trigger, now), |row| row.get(0))?;
    if in_order {
        // A replay puts one before another that is held.
        if held > 0 {
            return Ok(Vec::new());
        }
        let first: Option<i64> = tx.prepare_cached(FIRST)?.query_row((plugin, trigger), |row| row.get(0))?;
        return tx.prepare_cached(FIRST_DUE)?.query_map((first, now, node), row)?.collect();
    }
    match concurrency.saturating_sub(held) {
        0 => Ok(Vec::new()),
        places => found(places.min(claim.limit)),
    }
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
