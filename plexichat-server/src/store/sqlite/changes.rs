//! What a write is given: the transaction, and the count from which changes take their place in the outbox; and the changes
//! of a room, read again for clients that missed them. Knows no listener.

use std::ops::Deref;
use std::sync::Arc;

use plexichat::event::Event;
use plexichat::id::RoomId;
use plexichat::message::Time;
use plexichat::pipeline::change::changed;
use plexichat::pipeline::{ChangeKind, ChangeRow, Changes, Delivery, Told};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Store;
use super::messages::{Appender, COLUMN_COUNT, COLUMNS, stored_row};
use super::values::{bound, count, word};

/// One piece of work within a group's transaction. Whatever it does is kept or undone together, events included.
pub(super) struct Tx<'a> {
    connection: &'a Connection,
    appender: &'a mut Appender,
    told: Vec<Delivery>,
}

/// Where a change stands.
pub(super) struct NewRow {
    pub(super) number: i64,
    /// The room's number.
    pub(super) room: Option<i64>,
    /// The number of the message that changed.
    pub(super) message: Option<i64>,
    pub(super) at: Time,
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a Connection, appender: &'a mut Appender) -> Self {
        Self { connection, appender, told: Vec::new() }
    }

    /// Has plugins told of an event once the transaction is durable: at least once, in the order of these calls and of
    /// messages.
    pub(super) fn event(&mut self, event: &Event) -> rusqlite::Result<()> {
        let room = match &event.room_id {
            Some(room) => self.room_number(*room)?,
            None => None,
        };
        let number = self.change(room, None, ChangeKind::Event, Some(event))?;
        self.told.push(Delivery { outbox_id: number.cast_unsigned(), what: Told::Event(Arc::new(event.clone())) });
        Ok(())
    }

    /// The room takes no message any more.
    pub(super) fn forget_room(&mut self, room: RoomId) {
        self.appender.forget_room(room);
    }

    /// Adds a row to the changes, of which the outbox is told by the caller: its number.
    pub(super) fn change(
        &mut self,
        room: Option<i64>,
        message: Option<i64>,
        kind: ChangeKind,
        event: Option<&Event>,
    ) -> rusqlite::Result<i64> {
        let number = self.appender.next(self.connection)?;
        insert_change(self.connection, &NewRow { number, room, message, at: self.now() }, kind, event)?;
        self.appender.took(number);
        Ok(number)
    }

    /// The number that the next change takes.
    pub(super) fn next_number(&self) -> rusqlite::Result<i64> {
        self.appender.next(self.connection)
    }

    /// The time of everything in this transaction. It never goes back.
    pub(super) fn now(&self) -> Time {
        self.appender.now()
    }

    /// What the outbox is to be told if the work is kept.
    pub(super) fn into_told(self) -> Vec<Delivery> {
        self.told
    }

    fn room_number(&self, room: RoomId) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT number FROM rooms WHERE id = ?1")?
            .query_row([room.as_bytes()], |row| row.get(0))
            .optional()
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

pub(super) fn insert_change(
    connection: &Connection,
    new: &NewRow,
    kind: ChangeKind,
    event: Option<&Event>,
) -> rusqlite::Result<()> {
    let event = event.map(serde_json::to_string).transpose();
    let event = event.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO changes (number, room, kind, message, event, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((new.number, new.room, kind.as_str(), new.message, event, new.at.as_micros()))
        .map(|_| ())
}

/// The event in a column. One that cannot be read is told nobody: it would keep all behind it waiting for ever.
pub(super) fn event(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Event>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| match serde_json::from_str(&text) {
        Ok(event) => Some(event),
        Err(error) => {
            tracing::error!(%error, "a stored event cannot be read and is left out");
            None
        }
    }))
}

pub(super) fn changes_after(
    connection: &Connection,
    room: RoomId,
    after: u64,
    limit: u32,
) -> rusqlite::Result<Changes> {
    // One snapshot, so that what is gone is gone for both.
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT {COLUMNS}, changes.number, changes.kind, changes.event
         FROM changes JOIN messages ON messages.number = changes.message JOIN rooms ON rooms.number = messages.room
         WHERE changes.room = (SELECT number FROM rooms WHERE id = ?1) AND changes.kind <> 'event' AND changes.number > ?2
         ORDER BY changes.number LIMIT ?3"
    ))?;
    let rows = statement.query_map((room.as_bytes(), bound(after), i64::from(limit) + 1), |row| {
        let number = count(row, COLUMN_COUNT)?;
        let kind: ChangeKind = word(row, COLUMN_COUNT + 1)?;
        let event = event(row, COLUMN_COUNT + 2)?;
        let what = changed(kind, &stored_row(row)?, event.as_ref());
        Ok((number, what.map(|what| ChangeRow { number, room_id: room, what })))
    })?;
    let mut rows: Vec<(u64, Option<ChangeRow>)> = rows.collect::<rusqlite::Result<_>>()?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let upto = rows.last().map_or(after, |(number, _)| *number);
    let gone = transaction.query_row("SELECT changes_gone FROM outbox", [], |row| count(row, 0))? > after;
    Ok(Changes { rows: rows.into_iter().filter_map(|(_, row)| row).collect(), upto, more, gone })
}

pub(super) fn last_change(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT max(number) FROM changes), 0), (SELECT changes_gone FROM outbox))",
        )?
        .query_row([], |row| count(row, 0))
}

impl Store {
    /// Forgets the oldest changes from before this time, at most so many, and none of which plugins were not told yet: how
    /// many went.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed them.
    pub async fn prune_changes(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let last: Option<i64> = tx
                .prepare_cached(
                    "SELECT max(number) FROM (
                         SELECT number FROM changes
                         WHERE created_at < ?1 AND number <= (SELECT finished FROM outbox) ORDER BY number LIMIT ?2)",
                )?
                .query_row((before.as_micros(), limit), |row| row.get(0))?;
            let Some(last) = last else { return Ok(Ok(0)) };
            tx.prepare_cached("UPDATE outbox SET changes_gone = ?1 WHERE changes_gone < ?1")?.execute([last])?;
            let gone = tx.prepare_cached("DELETE FROM changes WHERE number <= ?1")?.execute([last])?;
            Ok(Ok(gone as u64))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
