//! Messages: the insert that everything waits for, and their history.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use plexichat::id::{EventId, FileId, MessageId, RoomId};
use plexichat::message::{Actor, ActorKind, StoredRow, Time};
use plexichat::pipeline::{
    Access, Alter, Attachable, ChangeKind, Changes, Commit, Committed, MessageStore, RoomPolicy,
};
use plexichat::store::StoreError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use super::alter::Altering;
use super::changes::{NewRow, changes_after, insert_change, last_change};
use super::completion::Appended;
use super::files;
use super::values::{bound, count, identifier, json, kind_word, origin_word, state_word, time, word};

/// What [`stored_row`] reads.
pub(super) const COLUMNS: &str = "messages.id, rooms.id, messages.seq, messages.text, messages.author_kind, messages.author_id, \
                                  messages.author_name, messages.reply_to, messages.state, messages.revision, \
                                  messages.created_at, messages.edited_at, messages.attachments, messages.reactions";

/// How many columns those are: what a query adds begins here.
pub(super) const COLUMN_COUNT: usize = 14;

/// Numbers messages and inserts them. It remembers where each room stands, so that an insert looks nothing up.
pub(super) struct Appender {
    /// The number of the last message of all rooms; nothing where it must be looked up again.
    last: Option<i64>,
    rooms: HashMap<RoomId, Standing>,
    now: Time,
}

#[derive(Clone, Copy)]
struct Standing {
    room: i64,
    seq: i64,
}

impl Appender {
    pub(super) fn new(connection: &Connection) -> rusqlite::Result<Self> {
        // The clock may have been set back while no server ran.
        let latest = connection
            .query_row("SELECT created_at FROM messages ORDER BY number DESC LIMIT 1", [], |row| time(row, 0))
            .optional()?;
        let now = Time::now();
        let now = latest.map_or(now, |latest| now.max(latest));
        Ok(Self { last: Some(last_number(connection)?), rooms: HashMap::new(), now })
    }

    /// The insert, prepared once for a group. A key that is known inserts nothing.
    pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<rusqlite::CachedStatement<'_>> {
        connection.prepare_cached(
            "INSERT INTO messages (number, room, seq, id, text, author_kind, author_id, author_name, origin, state,
                                   revision, created_at, reply_to, cause_id, cause_depth, key, findings, attachments)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (key, room, author_kind, author_id) WHERE key IS NOT NULL DO NOTHING",
        )
    }

    /// The time of the group under way.
    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// A group begins: its messages have one time.
    pub(super) fn begin(&mut self) {
        // The machine's clock may be set back; a room's messages go forwards.
        self.now = self.now.max(Time::now());
    }

    /// The transaction is undone: what was remembered of it is wrong.
    pub(super) fn forget(&mut self) {
        self.last = None;
        self.rooms.clear();
    }

    /// The room is gone, or may be: it is looked up again.
    pub(super) fn forget_room(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// The number that the next message or change gets; taken once [`took`](Self::took) is told.
    pub(super) fn next(&self, connection: &Connection) -> rusqlite::Result<i64> {
        let last = match self.last {
            Some(last) => last,
            None => last_number(connection)?,
        };
        Ok(last + 1)
    }

    pub(super) fn took(&mut self, number: i64) {
        self.last = Some(number);
    }

    /// Where the count stands before a work that may be undone.
    pub(super) fn mark(&self) -> Option<i64> {
        self.last
    }

    pub(super) fn back_to(&mut self, mark: Option<i64>) {
        self.last = mark;
    }

    pub(super) fn append(
        &mut self,
        connection: &Connection,
        insert: &mut Statement<'_>,
        commit: &Commit,
    ) -> rusqlite::Result<Appended> {
        let message = commit.message();
        let room_id = message.room_id();
        let Some(standing) = self.standing(connection, room_id)? else {
            return Ok(Appended::NoRoom(StoreError::Failed(format!("there is no room {room_id}"))));
        };
        let number = self.next(connection)?;
        let seq = standing.seq + 1;
        let author = message.author();
        let attached = message.attached();
        if !attached.is_empty() {
            // A message that was sent before has its files: it is not to be told that they are taken.
            let known = message.key().map(|key| by_key(connection, author, room_id, key)).transpose()?.flatten();
            if let Some(row) = known {
                return Ok(Appended::Known(Box::new(row)));
            }
            if !files::attach(connection, standing.room, number, attached)? {
                files::detach(connection, number)?;
                let error = StoreError::Unavailable("a file was attached elsewhere or deleted meanwhile".into());
                return Ok(Appended::NoRoom(error));
            }
        }
        let created_at = self.now;
        let findings = list_text(message.findings())?;
        let inserted = insert.execute(rusqlite::params![
            number,
            standing.room,
            seq,
            message.id().as_bytes(),
            message.text(),
            kind_word(author.kind),
            &*author.id,
            &*author.name,
            origin_word(message.origin()),
            state_word(message.state()),
            created_at.as_micros(),
            message.reply_to().as_ref().map(MessageId::as_bytes),
            message.cause_id().as_ref().map(EventId::as_bytes),
            message.cause_depth(),
            message.key(),
            findings,
            list_text(attached)?,
        ])?;
        if inserted == 0 {
            let key = message.key().unwrap_or_default();
            let row = by_key(connection, author, room_id, key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            return Ok(Appended::Known(Box::new(row)));
        }
        let mut last = number;
        for event in commit.events() {
            last += 1;
            let change = NewRow { number: last, room: Some(standing.room), message: Some(number), at: created_at };
            insert_change(connection, &change, ChangeKind::Event, Some(event))?;
        }
        self.last = Some(last);
        self.rooms.insert(room_id, Standing { seq, ..standing });
        Ok(Appended::New(Committed { seq: seq as u64, outbox_id: number as u64, created_at }))
    }

    fn standing(&self, connection: &Connection, room_id: RoomId) -> rusqlite::Result<Option<Standing>> {
        if let Some(standing) = self.rooms.get(&room_id) {
            return Ok(Some(*standing));
        }
        connection
            .prepare_cached(
                "SELECT number, (SELECT coalesce(max(seq), 0) FROM messages WHERE room = rooms.number)
                 FROM rooms WHERE id = ?1 AND deleted_at IS NULL",
            )?
            .query_row([room_id.as_bytes()], |row| Ok(Standing { room: row.get(0)?, seq: row.get(1)? }))
            .optional()
    }
}

#[async_trait]
impl MessageStore for Store {
    async fn access(&self, actor: &Actor, room: RoomId) -> Result<Access, StoreError> {
        self.access_of(actor, room).await
    }

    async fn judges(&self, actor: &Actor) -> Result<bool, StoreError> {
        self.is_judge(actor).await
    }

    async fn room_named(&self, name: &str) -> Result<Option<RoomId>, StoreError> {
        self.named_room(name).await
    }

    async fn policy(&self, room: RoomId) -> Result<Arc<RoomPolicy>, StoreError> {
        self.policy_of(room).await
    }

    async fn by_key(&self, author: &Actor, room: RoomId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        let (author, key) = (author.clone(), key.to_owned());
        self.read(move |connection| by_key(connection, &author, room, &key)).await
    }

    async fn by_ai_key(&self, room: RoomId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        let key = key.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM messages JOIN rooms ON rooms.number = messages.room
                     WHERE key = ?1 AND rooms.id = ?2 AND author_kind = ?3"
                ))?
                .query_row((key, room.as_bytes(), kind_word(ActorKind::Ai)), stored_row)
                .optional()
        })
        .await
    }

    async fn is_direct(&self, room: RoomId) -> Result<bool, StoreError> {
        self.is_direct_room(room).await
    }

    async fn message(&self, message: MessageId) -> Result<Option<StoredRow>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM messages JOIN rooms ON rooms.number = messages.room WHERE messages.id = ?1"
                ))?
                .query_row([message.as_bytes()], stored_row)
                .optional()
        })
        .await
    }

    async fn has_message(&self, room: RoomId, message: MessageId) -> Result<bool, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM messages JOIN rooms ON rooms.number = messages.room
                     WHERE messages.id = ?1 AND rooms.id = ?2 AND state IN ('stored', 'unscanned')",
                )?
                .exists((message.as_bytes(), room.as_bytes()))
        })
        .await
    }

    async fn files(&self, ids: &[FileId]) -> Result<Vec<Option<Attachable>>, StoreError> {
        self.attachable(ids.to_vec()).await
    }

    fn append(&self, commit: Commit) {
        self.inner.writer.append(commit);
    }

    fn alter(&self, alter: Alter) {
        self.inner.writer.put(Box::new(Altering::new(alter)));
    }

    async fn changes(&self, room: RoomId, after: u64, limit: u32) -> Result<Changes, StoreError> {
        self.read(move |connection| changes_after(connection, room, after, limit)).await
    }

    async fn last_change(&self) -> Result<u64, StoreError> {
        self.read(last_change).await
    }

    async fn history(
        &self,
        room: RoomId,
        after: Option<u64>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let order = if after.is_some() { "ASC" } else { "DESC" };
        let (lower, upper) = (bound(after.unwrap_or(0)), before.map_or(i64::MAX, bound));
        let mut rows: Vec<StoredRow> = self
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM messages JOIN rooms ON rooms.number = messages.room
                     WHERE rooms.id = ?1 AND seq > ?2 AND seq < ?3 AND state IN ('stored', 'unscanned')
                     ORDER BY seq {order} LIMIT ?4"
                ))?;
                let rows = statement.query_map((room.as_bytes(), lower, upper, limit), stored_row)?;
                rows.collect()
            })
            .await?;
        if after.is_none() {
            rows.reverse();
        }
        Ok(rows)
    }
}

pub(super) fn stored_row(row: &Row<'_>) -> rusqlite::Result<StoredRow> {
    Ok(StoredRow {
        id: identifier(row, 0, MessageId::from_bytes)?,
        room_id: identifier(row, 1, RoomId::from_bytes)?,
        seq: count(row, 2)?,
        text: row.get(3)?,
        author: Actor { kind: word(row, 4)?, id: row.get(5)?, name: row.get(6)? },
        reply_to: row.get::<_, Option<[u8; 16]>>(7)?.map(MessageId::from_bytes),
        state: word(row, 8)?,
        revision: row.get(9)?,
        created_at: time(row, 10)?,
        edited_at: row.get::<_, Option<i64>>(11)?.map(Time::from_micros),
        attachments: list(row, 12)?,
        reactions: list(row, 13)?,
    })
}

/// A list as JSON; an empty one is NULL.
pub(super) fn list<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<T>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(Vec::new()),
        _ => json(row, column),
    }
}

/// A list as it is stored; nothing where it is empty.
pub(super) fn list_text<T: Serialize>(list: &[T]) -> rusqlite::Result<Option<String>> {
    if list.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(list);
    text.map(Some).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn by_key(connection: &Connection, author: &Actor, room: RoomId, key: &str) -> rusqlite::Result<Option<StoredRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages JOIN rooms ON rooms.number = messages.room
             WHERE key = ?1 AND rooms.id = ?2 AND author_kind = ?3 AND author_id = ?4"
        ))?
        .query_row((key, room.as_bytes(), kind_word(author.kind), &*author.id), stored_row)
        .optional()
}

/// The highest number given so far. A message that is gone keeps its number if plugins were told of it.
fn last_number(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT max((SELECT coalesce(max(number), 0) FROM messages), (SELECT coalesce(max(number), 0) FROM changes),
                    (SELECT finished FROM outbox))",
        [],
        |row| row.get(0),
    )
}
