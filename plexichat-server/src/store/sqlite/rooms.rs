//! The rooms' rows. Knows neither who may enter nor what is said in them.

use plexichat::id::{RoomId, UserId};
use plexichat::message::Time;
use plexichat::store::StoreError;
use rusqlite::{OptionalExtension, Row};

use super::Store;
use super::values::{identifier, time};
use crate::store::rows::{CreateError, Room, clean_name};

impl Store {
    /// Makes a room.
    ///
    /// # Errors
    /// [`CreateError`]: the name is taken, or cannot be one.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made it.
    pub async fn create_room(&self, name: &str, created_by: UserId) -> Result<Room, CreateError> {
        let name = clean_name("room", name)?;
        self.write(move |connection| {
            let room = Room { id: RoomId::new(), name, created_at: Time::now(), created_by };
            let inserted = connection
                .prepare_cached(
                    "INSERT INTO rooms (id, name, created_at, created_by) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO NOTHING",
                )?
                .execute((room.id.as_bytes(), &room.name, room.created_at.as_micros(), created_by.as_bytes()))?;
            Ok(if inserted == 1 { Ok(room) } else { Err(CreateError::Conflict { what: "room", name: room.name }) })
        })
        .await
    }

    /// At most so many rooms by name, from the first after the given name.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn rooms(&self, after: Option<String>, limit: u32) -> Result<Vec<Room>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, created_at, created_by FROM rooms WHERE name > ?1 ORDER BY name LIMIT ?2",
            )?;
            let rooms = statement.query_map((after.unwrap_or_default(), limit), room)?;
            rooms.collect()
        })
        .await
    }

    /// A room.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn room(&self, id: RoomId) -> Result<Option<Room>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT id, name, created_at, created_by FROM rooms WHERE id = ?1")?
                .query_row([id.as_bytes()], room)
                .optional()
        })
        .await
    }
}

fn room(row: &Row<'_>) -> rusqlite::Result<Room> {
    Ok(Room {
        id: identifier(row, 0, RoomId::from_bytes)?,
        name: row.get(1)?,
        created_at: time(row, 2)?,
        created_by: identifier(row, 3, UserId::from_bytes)?,
    })
}
