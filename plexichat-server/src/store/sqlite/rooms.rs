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
mod tests {
    use plexichat::pipeline::{MessageStore, Posting, Refusal, RoomPolicy};

    use super::*;
    use crate::store::testing::{Bench, Place};
    use crate::store::{Role, User};

    struct Fixture {
        bench: Bench,
        bob: User,
        eve: User,
        act: Act,
        _place: Place,
    }

    impl Fixture {
        async fn new() -> Self {
            let place = Place::new();
            let bench = Bench::open(&place).await;
            let bob = bench.store.create_user("bob", Role::User).await.unwrap();
            let eve = bench.store.create_user("eve", Role::Admin).await.unwrap();
            Self { bench, bob, eve, act: Act::system(), _place: place }
        }

        async fn make(&self, new: NewRoom) -> Result<(Room, bool), RoomError> {
            self.bench.store.create_room(new, self.bench.user.id, &self.act).await
        }

        async fn change(&self, room: RoomId, change: RoomChange, by: &User) -> Result<Room, RoomError> {
            self.bench.store.update_room(room, change, None, by.id, &self.act).await
        }

        async fn names(&self, viewer: &User, filter: RoomFilter) -> Vec<String> {
            let page = self.bench.store.rooms(viewer.id, filter, None, 100).await.unwrap();
            page.rooms.into_iter().map(|room| room.name.unwrap_or_else(|| "direct".into())).collect()
        }
    }

    fn private(name: &str, members: &[UserId]) -> NewRoom {
        NewRoom { kind: RoomKind::Private, members: members.to_vec(), ..NewRoom::named(name) }
    }

    fn direct(members: &[UserId]) -> NewRoom {
        NewRoom { kind: RoomKind::Direct, members: members.to_vec(), ..NewRoom::default() }
    }

    #[tokio::test]
    async fn each_sees_what_is_theirs_to_see() {
        let fixture = Fixture::new().await;
        let Fixture { bench, bob, eve, .. } = &fixture;
        fixture.make(NewRoom::named("general")).await.unwrap();
        let (secret, _) = fixture.make(private("secret", &[])).await.unwrap();
        fixture.make(direct(&[bob.id])).await.unwrap();
        let all = RoomFilter::default;
        assert_eq!(fixture.names(&bench.user, all()).await, ["general", "secret", "direct"]);
        assert_eq!(fixture.names(bob, all()).await, ["general", "direct"]);
        assert_eq!(fixture.names(eve, all()).await, ["general", "secret"], "an administrator manages private rooms");
        let joined = || RoomFilter { joined: true, ..all() };
        assert_eq!(fixture.names(eve, joined()).await, [""; 0]);
        assert_eq!(fixture.names(bob, joined()).await, ["direct"]);
        let kind = RoomFilter { kind: Some(RoomKind::Private), ..all() };
        assert_eq!(fixture.names(&bench.user, kind).await, ["secret"]);
        let named = |name: &str| RoomFilter { name: Some(name.into()), ..all() };
        assert_eq!(fixture.names(&bench.user, named("secret")).await, ["secret"]);
        assert_eq!(fixture.names(bob, named("secret")).await, [""; 0]);
        assert_eq!(bench.store.room(secret.id, bob.id).await, Ok(None));
        let seen = bench.store.room(secret.id, eve.id).await.unwrap().unwrap();
        assert_eq!((seen.access, seen.role), (MayDo::Moderate, None));
        let own = bench.store.room(secret.id, bench.user.id).await.unwrap().unwrap();
        assert_eq!((own.access, own.role), (MayDo::Moderate, Some(MemberRole::Owner)));
    }

    #[tokio::test]
    async fn pages_go_on_where_the_one_before_ended() {
        let fixture = Fixture::new().await;
        let Fixture { bench, bob, eve, .. } = &fixture;
        fixture.make(NewRoom::named("b")).await.unwrap();
        fixture.make(NewRoom::named("a")).await.unwrap();
        fixture.make(direct(&[bob.id])).await.unwrap();
        fixture.make(direct(&[eve.id])).await.unwrap();
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..4 {
            let page = bench.store.rooms(bench.user.id, RoomFilter::default(), after, 1).await.unwrap();
            assert_eq!(page.more, page.next.is_some());
            found.extend(page.rooms.into_iter().map(|room| room.id));
            after = page.next;
        }
        assert_eq!(after, None);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 4);
    }

    #[tokio::test]
    async fn one_set_of_people_has_one_direct_room() {
        let fixture = Fixture::new().await;
        let Fixture { bench, bob, eve, act, .. } = &fixture;
        let (first, known) = fixture.make(direct(&[bob.id, bob.id])).await.unwrap();
        assert!(!known);
        let people: Vec<&str> = first.people.iter().map(|person| person.name.as_str()).collect();
        assert_eq!((people.as_slice(), &first.name), (&["ann", "bob"][..], &None));
        let again = bench.store.create_room(direct(&[bench.user.id]), bob.id, act).await.unwrap();
        assert_eq!((again.0.id, again.1), (first.id, true), "it is the same from the other side");
        assert_ne!(fixture.make(direct(&[bob.id, eve.id])).await.unwrap().0.id, first.id);
        assert_eq!(bench.store.access(&eve.actor(), first.id).await, Ok(Access::None), "not even an administrator");
        for wrong in [direct(&[]), direct(&[bench.user.id]), NewRoom { name: Some("x".into()), ..direct(&[bob.id]) }] {
            assert!(matches!(fixture.make(wrong).await, Err(RoomError::Invalid { .. })));
        }
        let nobody = UserId::new();
        assert_eq!(fixture.make(direct(&[nobody])).await, Err(RoomError::NoUser(nobody)));
        let topic = RoomChange { topic: Some("us".into()), ..RoomChange::default() };
        assert!(matches!(fixture.change(first.id, topic, bob).await, Err(RoomError::Forbidden(_))));
        let left = bench.store.remove_member(first.id, bob.id, bob.id, act).await;
        assert!(matches!(left, Err(RoomError::Conflict { code: "direct_room", .. })), "{left:?}");
    }

    #[tokio::test]
    async fn a_change_needs_the_revision_and_the_right() {
        let fixture = Fixture::new().await;
        let Fixture { bench, bob, act, .. } = &fixture;
        let (room, _) = fixture.make(NewRoom::named("general")).await.unwrap();
        fixture.make(NewRoom::named("other")).await.unwrap();
        let named = |name: &str| RoomChange { name: Some(name.into()), ..RoomChange::default() };
        assert!(matches!(fixture.change(room.id, named("x"), bob).await, Err(RoomError::Forbidden(_))));
        let taken = fixture.change(room.id, named(" other "), &bench.user).await;
        assert!(matches!(taken, Err(RoomError::Create(CreateError::Conflict { .. }))), "{taken:?}");
        let changed = fixture.change(room.id, named("lobby"), &bench.user).await.unwrap();
        assert_eq!((changed.name.as_deref(), changed.revision), (Some("lobby"), 2));
        let same = fixture.change(room.id, named("lobby"), &bench.user).await.unwrap();
        assert_eq!(same.revision, 2, "what changes nothing is no change");
        let late = bench.store.update_room(room.id, named("late"), Some(1), bench.user.id, act).await;
        assert_eq!(late, Err(RoomError::Revision { expected: 1, found: 2 }));
        let direct = RoomChange { kind: Some(RoomKind::Direct), ..RoomChange::default() };
        assert!(matches!(fixture.change(room.id, direct, &bench.user).await, Err(RoomError::Invalid { .. })));
        let unknown = fixture.change(RoomId::new(), named("x"), &bench.user).await;
        assert_eq!(unknown, Err(RoomError::NoRoom));
    }

    #[tokio::test]
    async fn a_room_that_is_deleted_is_gone_and_its_name_free() {
        let fixture = Fixture::new().await;
        let Fixture { bench, bob, eve, act, .. } = &fixture;
        let (room, _) = fixture.make(NewRoom::named("general")).await.unwrap();
        bench.post(room.id, "hello").await;
        let refused = bench.store.delete_room(room.id, bob.id, act).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))), "{refused:?}");
        bench.store.delete_room(room.id, eve.id, act).await.unwrap();
        assert_eq!(bench.store.delete_room(room.id, eve.id, act).await, Err(RoomError::NoRoom));
        assert_eq!(bench.store.room(room.id, bench.user.id).await, Ok(None));
        let late = bench.send(bench.incoming(room.id, "too late")).await;
        assert_eq!(late.err(), Some(Refusal::NoRoom));
        let (next, _) = fixture.make(NewRoom::named("general")).await.unwrap();
        assert_eq!(bench.post(next.id, "first").await.row.seq, 1);
    }

    #[tokio::test]
    async fn plugins_and_the_audit_log_are_told_of_every_act() {
        let fixture = Fixture::new().await;
        let Fixture { bench, bob, act, .. } = &fixture;
        let (before_audit, before_events) = (told(bench, AUDIT).await.len(), told(bench, EVENTS).await.len());
        let (room, _) = fixture.make(private("secret", &[bob.id])).await.unwrap();
        let policy = RoomPolicy { posting: Posting::Members, ..RoomPolicy::default() };
        fixture
            .change(room.id, RoomChange { policy: Some(policy), ..RoomChange::default() }, &bench.user)
            .await
            .unwrap();
        bench.store.set_member(room.id, bob.id, Some(MemberRole::Moderator), bench.user.id, act).await.unwrap();
        // What is refused is undone with whatever it would have told.
        fixture.make(NewRoom::named("secret")).await.unwrap_err();
        bench.store.remove_member(room.id, bench.user.id, bob.id, act).await.unwrap_err();
        bench.store.remove_member(room.id, bob.id, bench.user.id, act).await.unwrap();
        bench.store.delete_room(room.id, bench.user.id, act).await.unwrap();
        let events = told(bench, EVENTS).await.split_off(before_events);
        let expected = [
            "room_created",
            "room_member_added",
            "room_member_added",
            "room_updated",
            "room_updated",
            "room_member_removed",
            "room_deleted",
        ];
        assert_eq!(events, expected);
        let audit = told(bench, AUDIT).await.split_off(before_audit);
        let expected =
            ["room.create", "room.policy", "room.update", "room.member_role", "room.member_remove", "room.delete"];
        assert_eq!(audit, expected);
    }

    const EVENTS: &str = "SELECT json_extract(event, '$.type') FROM changes ORDER BY number";
    const AUDIT: &str = "SELECT action FROM audit ORDER BY number";

    async fn told(bench: &Bench, query: &'static str) -> Vec<String> {
        let told = bench.store.read(move |connection| {
            connection.prepare(query)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
        });
        told.await.unwrap()
    }

    #[tokio::test]
    async fn who_may_post_is_the_rooms_to_say() {
        let fixture = Fixture::new().await;
        let Fixture { bench, bob, act, .. } = &fixture;
        let (room, _) = fixture.make(NewRoom::named("news")).await.unwrap();
        let by_bob = |text| plexichat::pipeline::Incoming { author: bob.actor(), ..bench.incoming(room.id, text) };
        bench.send(by_bob("free for all")).await.unwrap();
        let policy = RoomPolicy { posting: Posting::Moderators, ..RoomPolicy::default() };
        let change = RoomChange { policy: Some(policy), ..RoomChange::default() };
        fixture.change(room.id, change, &bench.user).await.unwrap();
        assert_eq!(bench.send(by_bob("no more")).await.err(), Some(Refusal::Forbidden));
        bench.store.set_member(room.id, bob.id, Some(MemberRole::Moderator), bench.user.id, act).await.unwrap();
        bench.send(by_bob("again")).await.unwrap();
    }
}
