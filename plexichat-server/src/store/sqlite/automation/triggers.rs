//! The rows of triggers, and the secrets of those that are called from outside.

use std::collections::BTreeSet;

use plexichat::automation::KeptTrigger;
use plexichat::id::PluginName;
use plexichat::message::Time;
use plexichat::secret::Secret;
use plexichat::store::StoreError;
use plexichat::trigger::On;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::super::values::{json, optional_time, time, word};
use super::super::{Store, Tx};
use super::text;
use crate::store::Act;

const COLUMNS: &str = "plugin, spec, fixed, since, next_at, secret";

/// Those that are due, the longest first.
pub(super) const DUE: &str = "SELECT plugin, spec, fixed, since, next_at, secret FROM triggers
                              WHERE next_at <= ?1 ORDER BY next_at, plugin";

/// When one is due, and whose.
pub(super) const NEXT: &str = "SELECT next_at, plugin FROM triggers WHERE next_at IS NOT NULL ORDER BY next_at, plugin";

impl Store {
    /// Gives a webhook's trigger this secret, so that the one before counts no more; whether there is such a trigger.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have set it.
    pub async fn set_trigger_secret(
        &self,
        plugin: PluginName,
        id: String,
        secret: Secret,
        act: Act,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let found = one(tx, &plugin, &id)?;
            if !found.is_some_and(|trigger| trigger.spec.on == On::Webhook) {
                return Ok(Ok(false));
            }
            tx.prepare_cached("UPDATE triggers SET secret = ?3 WHERE plugin = ?1 AND id = ?2")?.execute((
                plugin.as_str(),
                &id,
                secret.expose(),
            ))?;
            tx.audit(&act.audit("trigger.secret", format!("{plugin}/{id}"), json!({})))?;
            Ok(Ok(true))
        })
        .await
    }
}

fn trigger(row: &Row<'_>) -> rusqlite::Result<KeptTrigger> {
    Ok(KeptTrigger {
        plugin: word(row, 0)?,
        spec: json(row, 1)?,
        fixed: row.get(2)?,
        since: time(row, 3)?,
        next_at: optional_time(row, 4)?,
        secret: row.get(5)?,
    })
}

pub(super) fn one(connection: &Connection, plugin: &PluginName, id: &str) -> rusqlite::Result<Option<KeptTrigger>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM triggers WHERE plugin = ?1 AND id = ?2"))?
        .query_row((plugin.as_str(), id), trigger)
        .optional()
}

pub(super) fn all(connection: &Connection, plugin: Option<&PluginName>) -> rusqlite::Result<Vec<KeptTrigger>> {
    let of = if plugin.is_some() { "WHERE plugin = ?1" } else { "WHERE ?1 IS NULL" };
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM triggers {of} ORDER BY plugin, id"))?
        .query_map([plugin.map(PluginName::as_str)], trigger)?
        .collect()
}

pub(super) fn due(
    connection: &Connection,
    now: Time,
    plugins: &BTreeSet<PluginName>,
    limit: u32,
) -> rusqlite::Result<Vec<KeptTrigger>> {
    let mut statement = connection.prepare_cached(DUE)?;
    let mut rows = statement.query([now.as_micros()])?;
    let mut due = Vec::new();
    while due.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        // Those of plugins that do not run stay due, and are passed over without being read.
        if plugins.contains(row.get_ref(0)?.as_str()?) {
            due.push(trigger(row)?);
        }
    }
    Ok(due)
}

pub(super) fn set_fixed(tx: &Tx<'_>, plugin: &PluginName, triggers: Vec<KeptTrigger>) -> rusqlite::Result<()> {
    let names: BTreeSet<String> = triggers.iter().map(|trigger| trigger.spec.id.clone()).collect();
    for trigger in triggers {
        write(tx, trigger)?;
    }
    for gone in all(tx, Some(plugin))?.into_iter().filter(|kept| kept.fixed && !names.contains(&kept.spec.id)) {
        delete(tx, plugin, &gone.spec.id)?;
    }
    Ok(())
}

pub(super) fn put(tx: &Tx<'_>, trigger: KeptTrigger) -> rusqlite::Result<Option<KeptTrigger>> {
    if one(tx, &trigger.plugin, &trigger.spec.id)?.is_some_and(|before| before.fixed) {
        return Ok(None);
    }
    write(tx, trigger).map(Some)
}

pub(super) fn remove(tx: &Tx<'_>, plugin: &PluginName, id: &str) -> rusqlite::Result<bool> {
    let is_there = one(tx, plugin, id)?.is_some_and(|trigger| !trigger.fixed);
    if is_there {
        delete(tx, plugin, id)?;
    }
    Ok(is_there)
}

/// Where it is still due at `seen`: makes it due at `next`. Whether it was.
pub(super) fn take_tick(
    tx: &Tx<'_>,
    plugin: &PluginName,
    id: &str,
    seen: Time,
    next: Option<Time>,
) -> rusqlite::Result<bool> {
    let taken = tx
        .prepare_cached("UPDATE triggers SET next_at = ?4 WHERE plugin = ?1 AND id = ?2 AND next_at = ?3")?
        .execute((plugin.as_str(), id, seen.as_micros(), next.map(Time::as_micros)))?;
    Ok(taken == 1)
}

/// What was due stays due where the trigger waits for the same.
fn write(tx: &Tx<'_>, mut trigger: KeptTrigger) -> rusqlite::Result<KeptTrigger> {
    let before = one(tx, &trigger.plugin, &trigger.spec.id)?;
    if let Some(before) = before.filter(|before| before.spec.on == trigger.spec.on) {
        trigger.since = before.since;
        trigger.next_at = before.next_at;
        trigger.secret = before.secret.or(trigger.secret);
    }
    tx.prepare_cached(
        "INSERT INTO triggers (plugin, id, spec, fixed, since, next_at, secret) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (plugin, id) DO UPDATE SET spec = excluded.spec, fixed = excluded.fixed, since = excluded.since,
                                                next_at = excluded.next_at, secret = excluded.secret",
    )?
    .execute((
        trigger.plugin.as_str(),
        &trigger.spec.id,
        text(&trigger.spec)?,
        trigger.fixed,
        trigger.since.as_micros(),
        trigger.next_at.map(Time::as_micros),
        &trigger.secret,
    ))?;
    Ok(trigger)
}

fn delete(tx: &Tx<'_>, plugin: &PluginName, id: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM triggers WHERE plugin = ?1 AND id = ?2")?.execute((plugin.as_str(), id))?;
    Ok(())
}
