//! The messages and changes of which plugins were not told yet: those after a watermark.

use std::sync::Arc;

use plexichat::pipeline::{ChangeKind, Delivery, Told};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension};

use super::Store;
use super::alter::posted;
use super::changes::event;
use super::messages::{COLUMN_COUNT, COLUMNS};
use super::values::{bound, count, word};

impl Store {
    /// The number of the last message or change of which, and of all before it, plugins were told.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn outbox_finished(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            connection.prepare_cached("SELECT finished FROM outbox")?.query_row([], |row| count(row, 0))
        })
        .await
    }

    /// At most so many messages and changes after this number, in the order of their commits.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn outbox_after(&self, number: u64, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |connection| {
            // One snapshot of both tables: what is committed between two would be left out for ever.
            let transaction = connection.unchecked_transaction()?;
            let mut deliveries = messages_after(&transaction, number, limit)?;
            deliveries.extend(changes_after(&transaction, number, limit)?);
            deliveries.sort_unstable_by_key(|delivery| delivery.outbox_id);
            deliveries.truncate(limit as usize);
            Ok(deliveries)
        })
        .await
    }

    /// Plugins were told of everything up to and with this number. It never goes back.
    ///
    /// # Errors
    /// [`StoreError`]: they may be told again.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have moved the watermark.
    pub async fn outbox_finish(&self, number: u64) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection
                .prepare_cached("UPDATE outbox SET finished = ?1 WHERE finished < ?1")?
                .execute([bound(number)])?;
            Ok(Ok(()))
        })
        .await
    }
}

fn messages_after(connection: &Connection, number: u64, limit: u32) -> rusqlite::Result<Vec<Delivery>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, origin, cause_id, cause_depth, messages.number
         FROM messages JOIN rooms ON rooms.number = messages.room
         WHERE messages.number > ?1 ORDER BY messages.number LIMIT ?2"
    ))?;
    let deliveries = statement.query_map((bound(number), limit), |row| {
        Ok(Delivery { outbox_id: count(row, COLUMN_COUNT + 3)?, what: Told::Message(posted(row)?) })
    })?;
    deliveries.collect()
}

fn changes_after(connection: &Connection, number: u64, limit: u32) -> rusqlite::Result<Vec<Delivery>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, kind, event, message FROM changes WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let deliveries = statement.query_map((bound(number), limit), |row| {
        let message: Option<i64> = row.get(3)?;
        let what = match (word(row, 1)?, message) {
            (ChangeKind::Released, Some(message)) => released(connection, message)?,
            _ => event(row, 2)?.map_or(Told::Nothing, |event| Told::Event(Arc::new(event))),
        };
        Ok(Delivery { outbox_id: count(row, 0)?, what })
    })?;
    deliveries.collect()
}

fn released(connection: &Connection, message: i64) -> rusqlite::Result<Told> {
    let posted = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, origin, cause_id, cause_depth
             FROM messages JOIN rooms ON rooms.number = messages.room WHERE messages.number = ?1"
        ))?
        .query_row([message], posted)
        .optional()?;
    Ok(posted.map_or(Told::Nothing, Told::Released))
}
