//! The rows of posts for later. Knows no clock: it is told what time it is.

use std::sync::Arc;

use plexichat::id::{FileId, MessageId, RoomId, UserId};
use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use rusqlite::{OptionalExtension, Row};
use tokio::sync::Notify;

use super::values::{identifier, json, time, word};
use super::{Store, files};
use crate::store::id::ScheduledId;
use crate::store::scheduled::{
    Due, FAILED_MAX, NewScheduled, ScheduleError, Scheduled, ScheduledError, ScheduledState, WAITING_MAX,
};

const COLUMNS: &str = "scheduled.id, rooms.id, scheduled.text, scheduled.reply_to, scheduled.attachments,
                       scheduled.due_at, scheduled.created_at, scheduled.state, scheduled.error";

impl Store {
    /// Keeps a post until it is due.
    ///
    /// # Errors
    /// [`ScheduleError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have kept it.
    pub async fn schedule(&self, new: NewScheduled) -> Result<Scheduled, ScheduleError> {
        let wake = self.inner.scheduled.clone();
        let kept = self.write(move |tx| {
            let waiting: u32 = tx
                .prepare_cached("SELECT count(*) FROM scheduled WHERE user_id = ?1 AND state = 'waiting'")?
                .query_row([new.author.as_bytes()], |row| row.get(0))?;
            if waiting >= WAITING_MAX {
                return Ok(Err(ScheduleError::TooMany));
            }
            let (id, now) = (ScheduledId::new(), Time::now());
            let attachments = (!new.attachments.is_empty()).then(|| serde_json::json!(new.attachments).to_string());
            let inserted = tx
                .prepare_cached(
                    "INSERT INTO scheduled (id, room, user_id, text, reply_to, attachments, due_at, created_at, state)
                     SELECT ?1, number, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting' FROM rooms
                     WHERE id = ?2 AND deleted_at IS NULL",
                )?
                .execute((
                    id.as_bytes(),
                    new.room_id.as_bytes(),
                    new.author.as_bytes(),
                    &new.text,
                    new.reply_to.as_ref().map(MessageId::as_bytes),
                    attachments,
                    new.due_at.as_micros(),
                    now.as_micros(),
                ))?;
            if inserted == 0 {
                return Ok(Err(ScheduleError::NoRoom));
            }
            files::hold_until(tx, &new.attachments, new.due_at)?;
            let NewScheduled { room_id, text, reply_to, attachments, due_at, .. } = new;
            let state = ScheduledState::Waiting;
            Ok(Ok(Scheduled { id, room_id, text, reply_to, attachments, due_at, created_at: now, state, error: None }))
        });
        let kept = kept.await?;
        wake.notify_one();
        Ok(kept)
    }

    /// What wakes whoever waits for the next post that is due.
    pub(crate) fn scheduled(&self) -> Arc<Notify> {
        self.inner.scheduled.clone()
    }

    /// A person's posts for later by the time at which they are due, and those that failed behind them.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn scheduled_by(&self, author: UserId) -> Result<Vec<Scheduled>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM scheduled JOIN rooms ON rooms.number = scheduled.room
                 WHERE scheduled.user_id = ?1 ORDER BY scheduled.state = 'failed', scheduled.due_at, scheduled.id
                 LIMIT ?2"
            ))?;
            let posts = statement.query_map((author.as_bytes(), WAITING_MAX + FAILED_MAX), post)?;
            posts.collect()
        })
        .await
    }

    /// Removes a post, if it is this person's where one is named; whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed it.
    pub async fn unschedule(&self, id: ScheduledId, of: Option<UserId>) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let removed = tx
                .prepare_cached("DELETE FROM scheduled WHERE id = ?1 AND (?2 IS NULL OR user_id = ?2)")?
                .execute((id.as_bytes(), of.map(|of| *of.as_bytes())))?;
            Ok(Ok(removed == 1))
        })
        .await
    }

    /// At most so many of the posts that are due at a time, in the order in which they are, after the given one.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn due(&self, now: Time, after: Option<(Time, ScheduledId)>, limit: u32) -> Result<Vec<Due>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, scheduled.user_id, users.name
                 FROM scheduled JOIN rooms ON rooms.number = scheduled.room
                 LEFT JOIN users ON users.id = scheduled.user_id
                 WHERE scheduled.state = 'waiting' AND scheduled.due_at <= ?1
                   AND (?2 IS NULL OR (scheduled.due_at, scheduled.id) > (?2, ?3))
                 ORDER BY scheduled.due_at, scheduled.id LIMIT ?4"
            ))?;
            let (time, id) = (after.map(|(time, _)| time.as_micros()), after.map(|(_, id)| *id.as_bytes()));
            let due = statement.query_map((now.as_micros(), time, id, limit), |row| {
                let user = identifier(row, 9, UserId::from_bytes)?.to_string();
                let name: Option<String> = row.get(10)?;
                Ok(Due { post: post(row)?, author: Actor::user(&user, &name.unwrap_or_default()) })
            })?;
            due.collect()
        })
        .await
    }

    /// When the next post is due; nothing where none waits.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next_scheduled(&self) -> Result<Option<Time>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT due_at FROM scheduled WHERE state = 'waiting' ORDER BY due_at LIMIT 1")?
                .query_row([], |row| time(row, 0))
                .optional()
        })
        .await
    }

    /// A post was refused for good: its author finds out why in the list.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have noted it.
    pub async fn scheduled_failed(&self, id: ScheduledId, error: ScheduledError) -> Result<(), StoreError> {
        self.write(move |tx| {
            let error = serde_json::json!(error).to_string();
            tx.prepare_cached("UPDATE scheduled SET state = 'failed', error = ?2 WHERE id = ?1")?
                .execute((id.as_bytes(), error))?;
            // Those that nobody removes must not pile up.
            tx.prepare_cached(
                "DELETE FROM scheduled WHERE state = 'failed' AND user_id = (SELECT user_id FROM scheduled WHERE id = ?1)
                   AND id NOT IN (SELECT id FROM scheduled AS kept WHERE kept.user_id = scheduled.user_id
                                  AND kept.state = 'failed' ORDER BY kept.due_at DESC, kept.id DESC LIMIT ?2)",
            )?
            .execute((id.as_bytes(), FAILED_MAX))?;
            Ok(Ok(()))
        })
        .await
    }
}

fn post(row: &Row<'_>) -> rusqlite::Result<Scheduled> {
    let optional = |column: usize| row.get_ref(column).map(|value| value != rusqlite::types::ValueRef::Null);
    Ok(Scheduled {
        id: identifier(row, 0, ScheduledId::from_bytes)?,
        room_id: identifier(row, 1, RoomId::from_bytes)?,
        text: row.get(2)?,
        reply_to: row.get::<_, Option<[u8; 16]>>(3)?.map(MessageId::from_bytes),
        attachments: if optional(4)? { json::<Vec<FileId>>(row, 4)? } else { Vec::new() },
        due_at: time(row, 5)?,
        created_at: time(row, 6)?,
        state: word(row, 7)?,
        error: if optional(8)? { Some(json(row, 8)?) } else { None },
    })
}
