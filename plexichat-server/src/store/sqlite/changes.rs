//! What a write is given: the transaction, and the count from which events take their place in the outbox. Knows no
//! listener.

use std::ops::Deref;

use plexichat::event::Event;
use plexichat::id::RoomId;
use plexichat::message::Time;
use rusqlite::Connection;

use super::messages::Appender;

/// One piece of work within a group's transaction. Whatever it does is kept or undone together, events included.
pub(super) struct Tx<'a> {
    connection: &'a Connection,
    appender: &'a mut Appender,
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a Connection, appender: &'a mut Appender) -> Self {
        Self { connection, appender }
    }

    /// Has plugins told of an event once the transaction is durable: at least once, in the order of these calls and of
    /// messages.
    pub(super) fn event(&mut self, event: &Event) -> rusqlite::Result<()> {
        let text =
            serde_json::to_string(event).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let number = self.appender.next(self.connection)?;
        self.connection
            .prepare_cached(
                "INSERT INTO changes (number, room, event, created_at)
                 VALUES (?1, (SELECT number FROM rooms WHERE id = ?2), ?3, ?4)",
            )?
            .execute((number, event.room_id.as_ref().map(RoomId::as_bytes), text, Time::now().as_micros()))?;
        self.appender.took(number);
        Ok(())
    }

    /// The room takes no message any more.
    pub(super) fn forget_room(&mut self, room: RoomId) {
        self.appender.forget_room(room);
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}
