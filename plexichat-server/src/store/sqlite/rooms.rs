//! The rooms' rows: made, shown, changed, deleted. Knows neither what is said in them nor who asks over which road.

use plexichat::event::catalog::{RoomCreated, RoomDeleted, RoomMemberAdded, RoomUpdated};
use plexichat::id::{RoomId, UserId};
use plexichat::message::Time;
use plexichat::pipeline::Access;
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::access::look;
use super::members::{insert_member, rank};
use super::read_markers::unread;
use super::values::{count, identifier, json as json_value, optional_word, time, word};
use super::{Store, Tx};
use crate::store::rooms::{
    AccessChange, DIRECT_MAX, INVITED_MAX, MayDo, MemberRole, NewRoom, Person, Room, RoomChange, RoomError, RoomFilter,
    RoomKind, RoomPage, Standing, access, clean_room_name, clean_topic,
};
use crate::store::{Act, CreateError};

/// What [`room`] reads; `?1` is whoever looks.
const COLUMNS: &str = "
    rooms.id, rooms.kind, rooms.name, rooms.topic, rooms.policy, rooms.revision, rooms.created_at, rooms.created_by,
    members.role, (SELECT role FROM users WHERE id = ?1 AND disabled_at IS NULL),
    (SELECT coalesce(max(seq), 0) FROM messages WHERE room = rooms.number),
    (SELECT max((SELECT coalesce(max(number), 0) FROM messages), (SELECT coalesce(max(number), 0) FROM changes),
                (SELECT finished FROM outbox)))";

const FROM: &str = "FROM rooms LEFT JOIN members ON members.room = rooms.number AND members.user_id = ?1
                    WHERE rooms.deleted_at IS NULL";

/// What the name of a direct room begins with: no name that somebody chose has a control character, and one column is thereby
/// enough to have one room for each set of people.
const DIRECT: char = '\u{1}';
/// The same of a room that was deleted, whose name is free again.
const DELETED: char = '\u{2}';

impl Store {
    /// Makes a room, its maker the owner. A direct room that these people have already is given instead; whether it is so.
    ///
    /// # Errors
    /// [`RoomError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made it.
    pub async fn create_room(&self, new: NewRoom, by: UserId, act: &Act) -> Result<(Room, bool), RoomError> {
        let new = cleaned(new, by)?;
        let act = act.clone();
        self.write(move |tx| {
            let known = match &new.name {
                Some(name) if new.kind == RoomKind::Direct => id_of(tx, name)?,
                _ => None,
            };
            let id = match known {
                Some(id) => id,
                None => match insert(tx, &new, by, &act)? {
                    Ok(id) => id,
                    Err(error) => return Ok(Err(error)),
                },
            };
            let room = room(tx, id, by)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok(Ok((room, known.is_some())))
        })
        .await
    }

    /// The room that people call so: no direct one.
    pub(super) async fn named_room(&self, name: &str) -> Result<Option<RoomId>, StoreError> {
        // Names of direct rooms begin with a character that no name has.
        let name = name.trim().to_owned();
        if name.chars().any(char::is_control) {
            return Ok(None);
        }
        self.read(move |connection| id_of(connection, &name)).await
    }

    /// At most so many of the rooms that somebody sees: those with a name by name, then the direct ones. A page begins after
    /// a name, or what the page before gave as `next`.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn rooms(
        &self,
        viewer: UserId,
        filter: RoomFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<RoomPage, StoreError> {
        self.read(move |connection| {
            let after = after.unwrap_or_default();
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} {FROM} AND (rooms.kind = 'direct', rooms.name) > (?2, ?3)
                   AND (members.role IS NOT NULL OR NOT ?4) AND (?5 IS NULL OR rooms.kind = ?5)
                   AND (?7 IS NULL OR rooms.kind <> 'direct' AND rooms.name = ?7)
                   AND (rooms.kind = 'public' OR members.role IS NOT NULL OR rooms.kind = 'private'
                        AND EXISTS (SELECT 1 FROM users WHERE id = ?1 AND role = 'admin'))
                 ORDER BY rooms.kind = 'direct', rooms.name LIMIT ?6"
            ))?;
            let kind = filter.kind.map(RoomKind::as_str);
            let bounds =
                (viewer.as_bytes(), after.starts_with(DIRECT), &after, filter.joined, kind, limit + 1, filter.name);
            let found: Vec<(Room, String)> =
                statement.query_map(bounds, |row| Ok((shown(row)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
            let more = found.len() > limit as usize;
            let mut page = RoomPage { rooms: Vec::new(), more, next: None };
            for (mut room, name) in found.into_iter().take(limit as usize) {
                complete(connection, &mut room, viewer)?;
                page.rooms.push(room);
                page.next = more.then_some(name);
            }
            Ok(page)
        })
        .await
    }

    /// A room as somebody sees it; nothing where they may not know of it.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn room(&self, id: RoomId, viewer: UserId) -> Result<Option<Room>, StoreError> {
        self.read(move |connection| room(connection, id, viewer)).await
    }

    /// Changes a room.
    ///
    /// # Errors
    /// [`RoomError`].
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn update_room(
        &self,
        id: RoomId,
        change: RoomChange,
        expected: Option<u64>,
        by: UserId,
        act: &Act,
    ) -> Result<Room, RoomError> {
        let act = act.clone();
        self.change_access(AccessChange { room: Some(id), user: None }, move |tx| {
            Ok(match update(tx, id, change, expected, by, &act)? {
                Ok(()) => room(tx, id, by)?.ok_or(RoomError::NoRoom),
                Err(error) => Err(error),
            })
        })
        .await
    }

    /// Deletes a room: nobody sees it any more, and its name is free. What was said in it stays in the database until
    /// retention takes it.
    ///
    /// # Errors
    /// [`RoomError`].
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn delete_room(&self, id: RoomId, by: UserId, act: &Act) -> Result<(), RoomError> {
        let act = act.clone();
        self.change_access(AccessChange { room: Some(id), user: None }, move |tx| delete(tx, id, by, &act)).await
    }
}

/// What is to be made, with everything in it checked that needs no look-up.
fn cleaned(new: NewRoom, by: UserId) -> Result<NewRoom, RoomError> {
    let invalid = |pointer, message: String| Err(RoomError::Invalid { pointer, message });
    let mut members: Vec<UserId> = new.members.into_iter().filter(|member| *member != by).collect();
    members.sort_unstable();
    members.dedup();
    if members.len() > INVITED_MAX {
        return invalid("/members", format!("at most {INVITED_MAX} people are invited at once"));
    }
    if new.kind != RoomKind::Direct {
        let name = Some(clean_room_name(new.name.as_deref())?);
        return Ok(NewRoom { name, topic: clean_topic(&new.topic)?, members, ..new });
    }
    if new.name.is_some() || !new.topic.is_empty() || new.policy != Default::default() {
        return invalid("/kind", "a direct room has people only: no name, topic or policy".to_owned());
    }
    if !(1..DIRECT_MAX).contains(&members.len()) {
        return invalid("/members", format!("a direct room has 1 to {} people beside oneself", DIRECT_MAX - 1));
    }
    let mut all: Vec<UserId> = members.iter().copied().chain([by]).collect();
    all.sort_unstable();
    let name = all.iter().fold(String::from(DIRECT), |name, user| format!("{name}{user};"));
    Ok(NewRoom { name: Some(name), members, ..new })
}

fn insert(tx: &mut Tx<'_>, new: &NewRoom, by: UserId, act: &Act) -> rusqlite::Result<Result<RoomId, RoomError>> {
    let name = new.name.as_deref().unwrap_or_default();
    let (id, now) = (RoomId::new(), Time::now());
    let policy = policy_text(new)?;
    let inserted = tx
        .prepare_cached(
            "INSERT INTO rooms (id, name, created_at, created_by, kind, topic, policy) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (name) DO NOTHING",
        )?
        .execute((id.as_bytes(), name, now.as_micros(), by.as_bytes(), new.kind.as_str(), &new.topic, policy))?;
    if inserted == 0 {
        return Ok(Err(CreateError::Conflict { what: "room", name: name.to_owned() }.into()));
    }
    let number = tx.last_insert_rowid();
    let shown_name = if new.kind == RoomKind::Direct { "" } else { name };
    tx.event(
        &act.event(
            Some(id),
            RoomCreated::new(id, new.kind.as_str().to_owned(), shown_name.to_owned(), act.by().clone()),
        ),
    )?;
    tx.audit(&act.audit("room.create", id, json!({ "kind": new.kind, "name": shown_name })))?;
    let owner = if new.kind == RoomKind::Direct { MemberRole::Member } else { MemberRole::Owner };
    let invited = new.members.iter().map(|member| (*member, MemberRole::Member, "invited"));
    for (member, role, why) in std::iter::once((by, owner, "created")).chain(invited) {
        if !insert_member(tx, number, member, role, now)? {
            return Ok(Err(RoomError::NoUser(member)));
        }
        tx.event(&act.event(Some(id), RoomMemberAdded::new(id, member, act.by().clone(), why.to_owned())))?;
    }
    Ok(Ok(id))
}

fn policy_text(new: &NewRoom) -> rusqlite::Result<String> {
    serde_json::to_string(&new.policy).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn update(
    tx: &mut Tx<'_>,
    id: RoomId,
    change: RoomChange,
    expected: Option<u64>,
    by: UserId,
    act: &Act,
) -> rusqlite::Result<Result<(), RoomError>> {
    let Some(seen) = look(tx, id, Some(by))?.filter(|seen| seen.access() != Access::None) else {
        return Ok(Err(RoomError::NoRoom));
    };
    let forbidden = |words| Ok(Err(RoomError::Forbidden(words)));
    if seen.kind == RoomKind::Direct {
        return forbidden("a direct room has nothing to change: no name, topic or policy");
    }
    if seen.access() < Access::Moderate {
        return forbidden("changing a room is for its moderators and owners");
    }
    if let Some(expected) = expected.filter(|expected| *expected != seen.revision) {
        return Ok(Err(RoomError::Revision { expected, found: seen.revision }));
    }
    let kind = change.kind.unwrap_or(seen.kind);
    if kind == RoomKind::Direct {
        let message = "a room cannot become a direct one".to_owned();
        return Ok(Err(RoomError::Invalid { pointer: "/kind", message }));
    }
    if kind != seen.kind && rank(&seen) < Some(MemberRole::Owner) {
        return forbidden("who sees a room is for its owners and for administrators to change");
    }
    let (old_name, old_topic): (String, String) = tx
        .prepare_cached("SELECT name, topic FROM rooms WHERE number = ?1")?
        .query_row([seen.number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let new = NewRoom {
        kind,
        name: Some(change.name.unwrap_or_else(|| old_name.clone())),
        topic: change.topic.unwrap_or_else(|| old_topic.clone()),
        policy: change.policy.unwrap_or_else(|| seen.policy.clone()),
        members: Vec::new(),
    };
    let new = match cleaned(new, by) {
        Ok(new) => new,
        Err(error) => return Ok(Err(error)),
    };
    let name = new.name.clone().unwrap_or_default();
    let parts = [
        ("name", name != old_name),
        ("kind", kind != seen.kind),
        ("topic", new.topic != old_topic),
        ("policy", new.policy != seen.policy),
    ];
    let changed: Vec<String> = parts.iter().filter(|(_, differs)| *differs).map(|(part, _)| (*part).into()).collect();
    if changed.is_empty() {
        return Ok(Ok(()));
    }
    let taken =
        tx.prepare_cached("SELECT 1 FROM rooms WHERE name = ?1 AND number <> ?2")?.exists((&name, seen.number))?;
    if taken {
        return Ok(Err(CreateError::Conflict { what: "room", name }.into()));
    }
    tx.prepare_cached(
        "UPDATE rooms SET name = ?2, kind = ?3, topic = ?4, policy = ?5, revision = revision + 1 WHERE number = ?1",
    )?
    .execute((seen.number, &name, kind.as_str(), &new.topic, policy_text(&new)?))?;
    if changed.iter().any(|part| part == "policy") {
        tx.audit(&act.audit("room.policy", id, json!({ "old": seen.policy, "new": new.policy })))?;
    }
    tx.audit(&act.audit("room.update", id, json!({ "changed": changed })))?;
    tx.event(&act.event(Some(id), RoomUpdated::new(id, changed, act.by().clone())))?;
    Ok(Ok(()))
}

fn delete(tx: &mut Tx<'_>, id: RoomId, by: UserId, act: &Act) -> rusqlite::Result<Result<(), RoomError>> {
    let Some(seen) = look(tx, id, Some(by))?.filter(|seen| seen.access() != Access::None) else {
        return Ok(Err(RoomError::NoRoom));
    };
    if seen.kind == RoomKind::Direct {
        return Ok(Err(RoomError::Forbidden("a direct room stays as long as the people in it")));
    }
    if rank(&seen) < Some(MemberRole::Owner) {
        return Ok(Err(RoomError::Forbidden("deleting a room is for its owners and for administrators")));
    }
    let free = format!("{DELETED}{id}");
    tx.prepare_cached("UPDATE rooms SET deleted_at = ?2, name = ?3, revision = revision + 1 WHERE number = ?1")?
        .execute((seen.number, Time::now().as_micros(), free))?;
    tx.prepare_cached("DELETE FROM members WHERE room = ?1")?.execute([seen.number])?;
    tx.prepare_cached("DELETE FROM read_markers WHERE room = ?1")?.execute([seen.number])?;
    tx.forget_room(id);
    tx.event(&act.event(Some(id), RoomDeleted::new(id, act.by().clone())))?;
    tx.audit(&act.audit("room.delete", id, json!({})))?;
    Ok(Ok(()))
}

fn id_of(connection: &Connection, name: &str) -> rusqlite::Result<Option<RoomId>> {
    connection
        .prepare_cached("SELECT id FROM rooms WHERE name = ?1")?
        .query_row([name], |row| identifier(row, 0, RoomId::from_bytes))
        .optional()
}

fn room(connection: &Connection, id: RoomId, viewer: UserId) -> rusqlite::Result<Option<Room>> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} {FROM} AND rooms.id = ?2"))?
        .query_row((viewer.as_bytes(), id.as_bytes()), |row| Ok((visible(row)?, shown(row)?)))
        .optional()?;
    match found {
        Some((true, mut room)) => {
            complete(connection, &mut room, viewer)?;
            Ok(Some(room))
        }
        _ => Ok(None),
    }
}

fn may(row: &Row<'_>) -> rusqlite::Result<Access> {
    let policy: plexichat::pipeline::RoomPolicy = json_value(row, 4)?;
    let standing = Standing { member: optional_word(row, 8)?, role: optional_word(row, 9)? };
    Ok(access(word(row, 1)?, policy.posting, standing))
}

fn visible(row: &Row<'_>) -> rusqlite::Result<bool> {
    Ok(may(row)? != Access::None)
}

fn shown(row: &Row<'_>) -> rusqlite::Result<Room> {
    let kind = word(row, 1)?;
    Ok(Room {
        id: identifier(row, 0, RoomId::from_bytes)?,
        kind,
        name: if kind == RoomKind::Direct { None } else { row.get(2)? },
        topic: row.get(3)?,
        policy: json_value(row, 4)?,
        revision: count(row, 5)?,
        created_at: time(row, 6)?,
        created_by: identifier(row, 7, UserId::from_bytes)?,
        people: Vec::new(),
        access: match may(row)? {
            Access::None | Access::Read => MayDo::Read,
            Access::Write => MayDo::Write,
            Access::Moderate => MayDo::Moderate,
        },
        role: optional_word(row, 8)?,
        reading: None,
        last_seq: count(row, 10)?,
        change: count(row, 11)?,
    })
}

/// What takes further look-ups.
fn complete(connection: &Connection, room: &mut Room, viewer: UserId) -> rusqlite::Result<()> {
    room.people = people(connection, room)?;
    if room.role.is_some() {
        let number = connection
            .prepare_cached("SELECT number FROM rooms WHERE id = ?1")?
            .query_row([room.id.as_bytes()], |row| row.get(0))?;
        room.reading = Some(unread(connection, number, viewer)?);
    }
    Ok(())
}

/// Who talks in a direct room; nobody for the others, which may have many members.
fn people(connection: &Connection, room: &Room) -> rusqlite::Result<Vec<Person>> {
    if room.kind != RoomKind::Direct {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT members.user_id, coalesce(users.name, '') FROM members JOIN rooms ON rooms.number = members.room
         LEFT JOIN users ON users.id = members.user_id WHERE rooms.id = ?1 ORDER BY users.name IS NULL, users.name",
    )?;
    let people = statement.query_map([room.id.as_bytes()], |row| {
        Ok(Person { id: identifier(row, 0, UserId::from_bytes)?, name: row.get(1)? })
    })?;
    people.collect()
}

#[cfg(test)]
mod tests;
