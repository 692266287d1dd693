//! The messages of which plugins were not told yet: those after a watermark.

use std::sync::Arc;

use plexichat::id::EventId;
use plexichat::pipeline::Delivery;
use plexichat::store::StoreError;

use super::Store;
use super::messages::{COLUMNS, stored_row};
use super::values::{bound, count, word};

impl Store {
    /// The number of the last message of which, and of all before it, plugins were told.
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

    /// At most so many messages after this number, in the order of their commits.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn outbox_after(&self, number: u64, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, messages.number, origin, cause_id, cause_depth
                 FROM messages JOIN rooms ON rooms.number = messages.room
                 WHERE messages.number > ?1 ORDER BY messages.number LIMIT ?2"
            ))?;
            let deliveries = statement.query_map((bound(number), limit), |row| {
                Ok(Delivery {
                    row: Arc::new(stored_row(row)?),
                    outbox_id: count(row, 11)?,
                    origin: word(row, 12)?,
                    cause_id: row.get::<_, Option<[u8; 16]>>(13)?.map(EventId::from_bytes),
                    cause_depth: row.get(14)?,
                })
            })?;
            deliveries.collect()
        })
        .await
    }

    /// Plugins were told of every message up to and with this number. It never goes back.
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
