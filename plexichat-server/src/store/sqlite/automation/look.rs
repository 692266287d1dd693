//! Runs as they are read: one with its steps, pages of them, counts, and when the next is due.

use std::collections::BTreeSet;

use plexichat::automation::{RunFilter, RunRecord, RunState};
use plexichat::id::{PluginName, RunId};
use plexichat::message::Time;
use plexichat::store::StoreError;
use plexichat::workflow::RunStep;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde_json::Value;

use super::super::Store;
use super::super::values::{count, identifier, json, optional_json, optional_time, time, word};
use super::triggers;

pub(super) const COLUMNS: &str = "id, plugin, spec, state, attempts, scheduled_at, due_at, cause, input, kept, signals,
                                  output, error, dry_run, node, created_at, started_at, ended_at, busy_ms, waits";
/// How many these are.
pub(super) const COLUMN_COUNT: usize = 20;

/// When one is due, and whose.
pub(super) const NEXT: &str = "SELECT due_at, plugin FROM runs WHERE due_at IS NOT NULL ORDER BY due_at, number";

/// How many runs of each plugin are how.
pub(super) const COUNTS: &str =
    "SELECT plugin, state, count(*) FROM runs GROUP BY plugin, state ORDER BY plugin, state";

/// The same for each trigger.
pub(super) const TRIGGER_COUNTS: &str =
    "SELECT plugin, trigger, state, count(*) FROM runs GROUP BY plugin, trigger, state";

/// How many runs of a trigger are how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerCount {
    /// Whose.
    pub plugin: PluginName,
    /// The trigger.
    pub trigger: String,
    /// How they stand.
    pub state: RunState,
    /// How many.
    pub count: u64,
}

impl Store {
    /// How many runs of each trigger are in each state that has some.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn trigger_counts(&self) -> Result<Vec<TriggerCount>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(TRIGGER_COUNTS)?
                .query_map([], |row| {
                    Ok(TriggerCount {
                        plugin: word(row, 0)?,
                        trigger: row.get(1)?,
                        state: word(row, 2)?,
                        count: count(row, 3)?,
                    })
                })?
                .collect()
        })
        .await
    }
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let state: RunState = word(row, 3)?;
    let signals: Vec<Value> = optional_json(row, 10)?.unwrap_or_default();
    Ok(RunRecord {
        id: identifier(row, 0, RunId::from_bytes)?,
        plugin: word(row, 1)?,
        trigger: json(row, 2)?,
        state,
        attempts: row.get(4)?,
        scheduled_at: time(row, 5)?,
        // Of one that runs it is the end of its lease.
        due_at: optional_time(row, 6)?.filter(|_| state != RunState::Running),
        cause: json(row, 7)?,
        input: json(row, 8)?,
        kept: optional_json(row, 9)?,
        signal: signals.into_iter().next(),
        output: optional_json(row, 11)?,
        error: row.get(12)?,
        dry_run: row.get(13)?,
        node: row.get(14)?,
        created_at: time(row, 15)?,
        started_at: optional_time(row, 16)?,
        ended_at: optional_time(row, 17)?,
        busy_ms: count(row, 18)?,
        waits: row.get(19)?,
    })
}

pub(super) fn run(connection: &Connection, run: RunId) -> rusqlite::Result<Option<(RunRecord, Vec<RunStep>)>> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS}, number FROM runs WHERE id = ?1"))?
        .query_row([run.as_bytes()], |row| Ok((record(row)?, row.get::<_, i64>(COLUMN_COUNT)?)))
        .optional()?;
    let Some((found, number)) = found else { return Ok(None) };
    let steps = connection
        .prepare_cached("SELECT name, status, detail, at FROM run_steps WHERE run = ?1 ORDER BY number")?
        .query_map([number], |row| {
            Ok(RunStep::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?, json(row, 2)?, time(row, 3)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some((found, steps)))
}

/// The statement for a page of runs, and what is bound in it.
pub(super) fn page(filter: &RunFilter) -> (String, Vec<rusqlite::types::Value>) {
    let (mut conditions, mut bound) = (Vec::new(), Vec::new());
    let texts = [
        ("plugin", filter.plugin.as_ref().map(ToString::to_string)),
        ("workflow", filter.workflow.clone()),
        ("trigger", filter.trigger.clone()),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            bound.push(text.into());
            conditions.push(format!("{column} = ?{}", bound.len()));
        }
    }
    if let Some(before) = filter.before {
        bound.push(before.as_bytes().to_vec().into());
        conditions.push(format!("id < ?{}", bound.len()));
    }
    if !filter.states.is_empty() {
        let words: Vec<String> = filter.states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        conditions.push(format!("state IN ({})", words.join(", ")));
    }
    let wanted = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    bound.push(i64::from(filter.limit).into());
    (format!("SELECT {COLUMNS} FROM runs {wanted} ORDER BY id DESC LIMIT ?{}", bound.len()), bound)
}

pub(super) fn runs(connection: &Connection, filter: &RunFilter) -> rusqlite::Result<Vec<RunRecord>> {
    let (statement, bound) = page(filter);
    connection.prepare(&statement)?.query_map(params_from_iter(bound), record)?.collect()
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Vec<(PluginName, RunState, u64)>> {
    let mut statement = connection.prepare_cached(COUNTS)?;
    let mut counts = statement
        .query_map([], |row| Ok((word(row, 0)?, word(row, 1)?, count(row, 2)?)))?
        .collect::<rusqlite::Result<Vec<(PluginName, RunState, u64)>>>()?;
    // The states in their own order, not in that of their words.
    counts.sort();
    Ok(counts)
}

pub(super) fn next_due(connection: &Connection, plugins: &BTreeSet<PluginName>) -> rusqlite::Result<Option<Time>> {
    let first = |statement: &str| -> rusqlite::Result<Option<Time>> {
        let mut statement = connection.prepare_cached(statement)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if plugins.contains(row.get_ref(1)?.as_str()?) {
                return time(row, 0).map(Some);
            }
        }
        Ok(None)
    };
    Ok([first(triggers::NEXT)?, first(NEXT)?].into_iter().flatten().min())
}
