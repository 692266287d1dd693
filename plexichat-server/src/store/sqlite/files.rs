//! The files' rows: kept, found, judged again, removed. Knows no bytes: those are the vault's.

use plexichat::event::catalog::{FileDeleted, FileUploaded};
use plexichat::file::FileMeta;
use plexichat::id::{FileId, MessageId, RoomId, UserId};
use plexichat::message::{Actor, Attachment, Finding, Time};
use plexichat::pipeline::Attachable;
use plexichat::pipeline::files::{Cleared, File, FileState, KeepError};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::Store;
use super::changes::Tx;
use super::messages::list_text;
use super::values::{bound, count, identifier, json, time, word};
use crate::store::Act;

/// How long a file may hang on no message.
pub(crate) const UNATTACHED: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// How long a file waits for a moderator: nobody looked at it by then, and it counts against its uploader's quota.
const HELD: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);

/// A file as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRow {
    /// What is known of it.
    pub meta: FileMeta,
    /// How far it got.
    pub state: FileState,
    /// What scanners found.
    pub findings: Vec<(plexichat::id::PluginName, Finding)>,
    /// How long scanners looked at it, in milliseconds, where any had a word to say.
    pub scan_time_ms: Option<u64>,
    /// When it was stored.
    pub created_at: Time,
    /// When it is removed, where it hangs on nothing.
    pub expires_at: Option<Time>,
    /// The message that it hangs on, and whether those who may read the room are shown it.
    pub message: Option<(MessageId, bool)>,
}

/// What [`file_row`] reads.
const COLUMNS: &str =
    "files.id, rooms.id, files.user_id, coalesce(users.name, 'deleted'), files.name, size, mime_sniffed,
                       mime_declared, sha256, files.state, files.findings, files.created_at, expires_at, messages.id,
                       messages.state, files.scan_ms";
const TABLES: &str = "files JOIN rooms ON rooms.number = files.room LEFT JOIN users ON users.id = files.user_id
                      LEFT JOIN messages ON messages.number = files.message";

impl Store {
    /// Stores a file that was judged, with its events. Its bytes are in their place already.
    ///
    /// # Errors
    /// [`KeepError`]: nothing was stored.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have stored it.
    pub async fn add_file(&self, file: &File<Cleared>, act: &Act, quota: u64) -> Result<(), KeepError> {
        let (meta, state, act) = (file.meta().clone(), file.state(), act.clone());
        let (findings, events) = (file.findings().to_vec(), file.events().to_vec());
        let scan_ms = file.scan_time_ms().map(bound);
        self.write(move |tx| {
            let Ok(user) = meta.uploader.id.parse::<UserId>() else {
                return Ok(Err(StoreError::Failed("only people upload files".to_owned()).into()));
            };
            if usage(tx, user)?.1.saturating_add(meta.size) > quota {
                return Ok(Err(KeepError::Quota(quota)));
            }
            let now = Time::now();
            let inserted = tx
                .prepare_cached(
                    "INSERT INTO files (id, room, user_id, name, size, mime_declared, mime_sniffed, sha256, state,
                                        findings, created_at, expires_at, scan_ms)
                     SELECT ?1, number, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 FROM rooms WHERE id = ?2",
                )?
                .execute(rusqlite::params![
                    meta.id.as_bytes(),
                    meta.room_id.as_bytes(),
                    user.as_bytes(),
                    meta.name,
                    bound(meta.size),
                    meta.mime_declared.as_deref().unwrap_or_default(),
                    meta.mime,
                    meta.sha256,
                    state.as_str(),
                    list_text(&findings)?,
                    now.as_micros(),
                    expiry(state, now),
                    scan_ms,
                ])?;
            if inserted == 0 {
                return Ok(Err(StoreError::Failed(format!("there is no room {}", meta.room_id)).into()));
            }
            for event in &events {
                tx.event(event)?;
            }
            let detail = json!({ "room": meta.room_id, "size": meta.size, "state": state });
            tx.audit(&act.audit("file.upload", meta.id, detail))?;
            Ok(Ok(()))
        })
        .await
    }

    /// Writes down what came of judging a file again. That it is not pending any more changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn settle_file(&self, file: &File<Cleared>) -> Result<(), StoreError> {
        let (id, room, state) = (file.meta().id, file.meta().room_id, file.state());
        let (findings, events) = (file.findings().to_vec(), file.events().to_vec());
        let scan_ms = file.scan_time_ms().map(bound);
        if state == FileState::Pending {
            return Ok(());
        }
        self.write(move |tx| {
            let settled = tx
                .prepare_cached(
                    "UPDATE files SET state = ?2, findings = ?3, expires_at = ?4, scan_ms = ?5
                     WHERE id = ?1 AND state = 'pending'",
                )?
                .execute((id.as_bytes(), state.as_str(), list_text(&findings)?, expiry(state, Time::now()), scan_ms))?;
            if settled == 1 {
                for event in &events {
                    tx.event(event)?;
                }
                let detail = json!({ "room": room, "state": state });
                tx.audit(&Act::system().audit("file.rescan", id, detail))?;
            }
            Ok(Ok(()))
        })
        .await
    }

    /// A file, unless it is being removed.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn file(&self, id: FileId) -> Result<Option<FileRow>, StoreError> {
        let now = Time::now().as_micros();
        self.read(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM {TABLES} WHERE files.id = ?1 AND files.state <> 'deleted'
                     AND (expires_at IS NULL OR expires_at > ?2)"
                ))?
                .query_row((id.as_bytes(), now), file_row)
                .optional()
        })
        .await
    }

    /// At most so many files of a person, from the first after the given one, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn files_of(&self, user: UserId, after: Option<FileId>, limit: u32) -> Result<Vec<FileRow>, StoreError> {
        let (after, now) = (after.map_or([0; 16], |after| *after.as_bytes()), Time::now().as_micros());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM {TABLES} WHERE files.user_id = ?1 AND files.id > ?2 AND files.state <> 'deleted'
                 AND (expires_at IS NULL OR expires_at > ?3) ORDER BY files.id LIMIT ?4"
            ))?;
            let rows = statement.query_map((user.as_bytes(), after, now, limit), file_row)?;
            rows.collect()
        })
        .await
    }

    /// At most so many files in this state, from the first after the given one, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn files_in(
        &self,
        state: FileState,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<FileRow>, StoreError> {
        let after = after.map_or([0; 16], |after| *after.as_bytes());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM {TABLES} WHERE files.state = ?1 AND files.id > ?2 ORDER BY files.id LIMIT ?3"
            ))?;
            let rows = statement.query_map((state.as_str(), after, limit), file_row)?;
            rows.collect()
        })
        .await
    }

    /// What is known of these files, in their order, for whoever wants to attach them.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn attachable(&self, ids: Vec<FileId>) -> Result<Vec<Option<Attachable>>, StoreError> {
        let now = Time::now();
        self.read(move |connection| {
            let found = ids.into_iter().map(|id| {
                let row = by_id(connection, id)?.filter(|row| row.expires_at.is_none_or(|expiry| expiry > now));
                Ok(row.map(|row| {
                    let FileMeta { uploader, room_id, name, size, mime, .. } = row.meta;
                    let attachment = Attachment { id, name, size, mime };
                    Attachable { uploader, room_id, attachment, state: row.state, attached: row.message.is_some() }
                }))
            });
            found.collect()
        })
        .await
    }

    /// How many files a person has, and how many bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn file_usage(&self, user: UserId) -> Result<(u64, u64), StoreError> {
        self.read(move |connection| usage(connection, user)).await
    }

    /// How many bytes all files have.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn file_bytes(&self) -> Result<u64, StoreError> {
        let sum = "SELECT coalesce(sum(size), 0) FROM files";
        self.read(move |connection| connection.query_row(sum, [], |row| count(row, 0))).await
    }

    /// A moderator lets a file out of the quarantine. Its row, where it was held back.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn release_file(&self, id: FileId, act: &Act) -> Result<Option<FileRow>, StoreError> {
        let act = act.clone();
        self.write(move |tx| {
            let released = tx
                .prepare_cached(
                    "UPDATE files SET state = 'clean', expires_at = ?2 WHERE id = ?1 AND state = 'quarantined'",
                )?
                .execute((id.as_bytes(), expiry(FileState::Clean, Time::now())))?;
            if released == 0 {
                return Ok(Ok(None));
            }
            let row = by_id(tx, id)?;
            if let Some(FileRow { meta, state, .. }) = &row {
                let sha256 = meta.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
                let declared = meta.mime_declared.clone().unwrap_or_default();
                let (name, mime, state) = (meta.name.clone(), meta.mime.clone(), state.as_str().to_owned());
                let payload = FileUploaded::new(id.to_string(), name, meta.size, declared, mime, sha256, state);
                tx.event(&act.event(Some(meta.room_id), payload))?;
                tx.audit(&act.audit("file.release", id, json!({ "room": meta.room_id })))?;
            }
            Ok(Ok(row))
        })
        .await
    }

    /// Marks a file that hangs on no message as deleted, so that nobody gets it from now on; upkeep removes it. Whether
    /// there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn delete_file(
        &self,
        id: FileId,
        act: &Act,
        action: &'static str,
        why: &'static str,
    ) -> Result<bool, StoreError> {
        let act = act.clone();
        self.write(move |tx| {
            let Some(row) = by_id(tx, id)?.filter(|row| row.message.is_none() && row.state != FileState::Deleted)
            else {
                return Ok(Ok(false));
            };
            mark_deleted(tx, id)?;
            let payload = FileDeleted::new(id.to_string(), act.by().clone(), why.to_owned());
            tx.event(&act.event(Some(row.meta.room_id), payload))?;
            tx.audit(&act.audit(action, id, json!({ "room": row.meta.room_id, "size": row.meta.size })))?;
            Ok(Ok(true))
        })
        .await
    }

    /// Marks at most so many files as deleted whose time is over. How many.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn expire_files(&self, now: Time, limit: u32) -> Result<usize, StoreError> {
        self.write(move |tx| {
            let expired: Vec<(FileId, RoomId)> = tx
                .prepare_cached(
                    "SELECT files.id, rooms.id FROM files JOIN rooms ON rooms.number = files.room
                     WHERE expires_at <= ?1 AND state <> 'deleted' LIMIT ?2",
                )?
                .query_map((now.as_micros(), limit), file_and_room)?
                .collect::<rusqlite::Result<_>>()?;
            for (id, room) in &expired {
                mark_deleted(tx, *id)?;
                let payload = FileDeleted::new(id.to_string(), Actor::system(), "unattached".to_owned());
                tx.event(&Act::system().event(Some(*room), payload))?;
            }
            Ok(Ok(expired.len()))
        })
        .await
    }

    /// Forgets files whose bytes are gone. How many bytes those were.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn forget_files(&self, ids: Vec<FileId>) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let mut bytes = 0;
            for id in ids {
                let size: Option<i64> = tx
                    .prepare_cached("DELETE FROM files WHERE id = ?1 AND state = 'deleted' RETURNING size")?
                    .query_row([id.as_bytes()], |row| row.get(0))
                    .optional()?;
                bytes += size.unwrap_or(0).max(0) as u64;
            }
            Ok(Ok(bytes))
        })
        .await
    }

    /// At most so many identifiers, from the first after the given one; those that are being removed left out.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn file_ids(&self, after: Option<FileId>, limit: u32) -> Result<Vec<FileId>, StoreError> {
        let after = after.map_or([0; 16], |after| *after.as_bytes());
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT id FROM files WHERE id > ?1 AND state <> 'deleted' ORDER BY id LIMIT ?2")?
                .query_map((after, limit), |row| identifier(row, 0, FileId::from_bytes))?
                .collect()
        })
        .await
    }

    /// Which of these have no row.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn unknown_files(&self, ids: Vec<FileId>) -> Result<Vec<FileId>, StoreError> {
        self.read(move |connection| {
            let mut known = connection.prepare_cached("SELECT 1 FROM files WHERE id = ?1")?;
            let mut unknown = Vec::new();
            for id in ids {
                if !known.exists([id.as_bytes()])? {
                    unknown.push(id);
                }
            }
            Ok(unknown)
        })
        .await
    }
}

/// Hangs files on the message with this number. Whether each of them was there to be hung: the room's, judged, and on no
/// other message.
pub(super) fn attach(
    connection: &Connection,
    room: i64,
    message: i64,
    attachments: &[Attachment],
) -> rusqlite::Result<bool> {
    let mut hang = connection.prepare_cached(
        "UPDATE files SET message = ?1, expires_at = NULL
         WHERE id = ?2 AND room = ?3 AND message IS NULL AND state IN ('clean', 'unscanned')",
    )?;
    for attachment in attachments {
        if hang.execute((message, attachment.id.as_bytes(), room))? != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes back what [`attach`] did for a message that is not stored after all.
pub(super) fn detach(connection: &Connection, message: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE files SET message = NULL, expires_at = ?2 WHERE message = ?1")?
        .execute((message, expiry(FileState::Clean, Time::now())))
        .map(|_| ())
}

/// Lets the files of a message go with it: nobody gets them from now on, and upkeep removes them. For the transaction in which
/// the message is deleted.
pub(super) fn drop_of_message(tx: &mut Tx<'_>, message: i64, by: &Actor) -> rusqlite::Result<()> {
    let files: Vec<(FileId, RoomId)> = tx
        .prepare_cached(
            "SELECT files.id, rooms.id FROM files JOIN rooms ON rooms.number = files.room WHERE message = ?1",
        )?
        .query_map([message], file_and_room)?
        .collect::<rusqlite::Result<_>>()?;
    for (id, room) in files {
        mark_deleted(tx, id)?;
        let payload = FileDeleted::new(id.to_string(), by.clone(), "message_deleted".to_owned());
        tx.event(&Act::new(by.clone(), None, None).event(Some(room), payload))?;
    }
    Ok(())
}

fn file_and_room(row: &Row<'_>) -> rusqlite::Result<(FileId, RoomId)> {
    Ok((identifier(row, 0, FileId::from_bytes)?, identifier(row, 1, RoomId::from_bytes)?))
}

/// Keeps files that hang on nothing until then: a post that is to be sent later has them.
pub(super) fn hold_until(connection: &Connection, ids: &[FileId], until: Time) -> rusqlite::Result<()> {
    let until = until.as_micros().saturating_add(micros(UNATTACHED));
    let mut hold = connection
        .prepare_cached("UPDATE files SET expires_at = max(expires_at, ?2) WHERE id = ?1 AND message IS NULL")?;
    ids.iter().try_for_each(|id| hold.execute((id.as_bytes(), until)).map(|_| ()))
}

fn mark_deleted(connection: &Connection, id: FileId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE files SET state = 'deleted', message = NULL, expires_at = NULL WHERE id = ?1")?
        .execute([id.as_bytes()])
        .map(|_| ())
}

/// When a file in this state that hangs on nothing is removed. What waits for a scanner is not.
fn expiry(state: FileState, now: Time) -> Option<i64> {
    let kept = match state {
        FileState::Clean | FileState::Unscanned => UNATTACHED,
        FileState::Quarantined => HELD,
        _ => return None,
    };
    Some(now.as_micros().saturating_add(micros(kept)))
}

fn micros(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn usage(connection: &Connection, user: UserId) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached("SELECT count(*), coalesce(sum(size), 0) FROM files WHERE user_id = ?1")?
        .query_row([user.as_bytes()], |row| Ok((count(row, 0)?, count(row, 1)?)))
}

pub(super) fn by_id(connection: &Connection, id: FileId) -> rusqlite::Result<Option<FileRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE files.id = ?1"))?
        .query_row([id.as_bytes()], file_row)
        .optional()
}

fn file_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    let user = identifier(row, 2, UserId::from_bytes)?;
    let declared: String = row.get(7)?;
    let message: Option<[u8; 16]> = row.get(13)?;
    let message = match message {
        Some(id) => {
            let state: plexichat::message::MessageState = word(row, 14)?;
            Some((MessageId::from_bytes(id), state.is_shown()))
        }
        None => None,
    };
    Ok(FileRow {
        meta: FileMeta {
            id: identifier(row, 0, FileId::from_bytes)?,
            room_id: identifier(row, 1, RoomId::from_bytes)?,
            uploader: Actor::user(&user.to_string(), row.get_ref(3)?.as_str()?),
            name: row.get(4)?,
            size: count(row, 5)?,
            mime: row.get(6)?,
            mime_declared: Some(declared).filter(|declared| !declared.is_empty()),
            sha256: row.get(8)?,
        },
        state: word(row, 9)?,
        findings: match row.get_ref(10)? {
            rusqlite::types::ValueRef::Null => Vec::new(),
            _ => json(row, 10)?,
        },
        scan_time_ms: row.get::<_, Option<i64>>(15)?.map(|time| time.max(0) as u64),
        created_at: time(row, 11)?,
        expires_at: row.get::<_, Option<i64>>(12)?.map(Time::from_micros),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_waits_for_a_scanner_stays_by_itself() {
        let now = Time::from_micros(0);
        for (state, days) in [
            (FileState::Clean, Some(1)),
            (FileState::Unscanned, Some(1)),
            (FileState::Quarantined, Some(30)),
            (FileState::Pending, None),
            (FileState::Deleted, None),
        ] {
            assert_eq!(expiry(state, now), days.map(|days: i64| days * 86_400_000_000), "{state:?}");
        }
    }
}
