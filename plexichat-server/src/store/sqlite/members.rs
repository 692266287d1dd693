//! Who is in which room: join, invite, promote, leave, remove. Knows neither messages nor who asks over which road.

use plexichat::event::catalog::{RoomMemberAdded, RoomMemberRemoved, RoomUpdated};
use plexichat::id::{RoomId, UserId};
use plexichat::message::Time;
use plexichat::pipeline::Access;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::access::{Seen, look};
use super::values::{identifier, time, word};
use super::{Store, Tx};
use crate::store::rooms::{AccessChange, MEMBERS_MAX, Member, MemberRole, RoomError, RoomKind};
use crate::store::{Act, Role};

impl Store {
    /// At most so many members of a room by name, from the first after the given name, for somebody who sees the room.
    ///
    /// # Errors
    /// [`RoomError::NoRoom`], or that the store failed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn members(
        &self,
        room: RoomId,
        viewer: UserId,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<Member>, RoomError> {
        let found = self.read(move |connection| {
            let seen = look(connection, room, Some(viewer))?.filter(|seen| seen.access() != Access::None);
            let Some(seen) = seen else { return Ok(None) };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} WHERE members.room = ?1 AND users.name > ?2 ORDER BY users.name LIMIT ?3"
            ))?;
            let members = statement.query_map((seen.number, after.unwrap_or_default(), limit), member)?;
            members.collect::<Result<_, _>>().map(Some)
        });
        found.await?.ok_or(RoomError::NoRoom)
    }

    /// Makes somebody a member of a room, or changes what they are in it: joins, where it is oneself. Where no role is named, a
    /// member stays what they are. The member, and whether they are new.
    ///
    /// # Errors
    /// [`RoomError`].
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn set_member(
        &self,
        room: RoomId,
        user: UserId,
        role: Option<MemberRole>,
        by: UserId,
        act: &Act,
    ) -> Result<(Member, bool), RoomError> {
        let act = act.clone();
        self.change_access(AccessChange { room: Some(room), user: Some(user) }, move |tx| {
            set(tx, room, user, role, by, &act)
        })
        .await
    }

    /// Removes somebody from a room: leaves, where it is oneself.
    ///
    /// # Errors
    /// [`RoomError`].
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn remove_member(&self, room: RoomId, user: UserId, by: UserId, act: &Act) -> Result<(), RoomError> {
        let act = act.clone();
        self.change_access(AccessChange { room: Some(room), user: Some(user) }, move |tx| {
            remove(tx, room, user, by, &act)
        })
        .await
    }
}

/// How high somebody stands in a room; nothing where they may not look after it.
pub(super) fn rank(seen: &Seen) -> Option<MemberRole> {
    let on_server = match (seen.kind, seen.standing.role) {
        (RoomKind::Direct, _) => None,
        (_, Some(Role::Admin)) => Some(MemberRole::Owner),
        (RoomKind::Public, Some(Role::Moderator)) => Some(MemberRole::Moderator),
        _ => None,
    };
    on_server.max(seen.standing.member)
}

/// Adds a row for a person who has an account; whether they have one. Nothing that was said before counts as unread.
pub(super) fn insert_member(
    connection: &Connection,
    room: i64,
    user: UserId,
    role: MemberRole,
    now: Time,
) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO members (room, user_id, role, joined_at)
             SELECT ?1, id, ?3, ?4 FROM users WHERE id = ?2",
        )?
        .execute((room, user.as_bytes(), role.as_str(), now.as_micros()))?;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO read_markers (user_id, room, seq)
             SELECT ?2, ?1, coalesce(max(seq), 0) FROM messages WHERE room = ?1",
        )?
        .execute((room, user.as_bytes()))?;
    Ok(inserted == 1)
}

fn set(
    tx: &mut Tx<'_>,
    room: RoomId,
    user: UserId,
    role: Option<MemberRole>,
    by: UserId,
    act: &Act,
) -> rusqlite::Result<Result<(Member, bool), RoomError>> {
    let Some(seen) = look(tx, room, Some(by))?.filter(|seen| seen.access() != Access::None) else {
        return Ok(Err(RoomError::NoRoom));
    };
    if seen.kind == RoomKind::Direct {
        return Ok(Err(direct()));
    }
    let current = find(tx, seen.number, user)?;
    let wanted = role.or(current.as_ref().map(|member| member.role)).unwrap_or_default();
    let joins = user == by && current.is_none() && wanted == MemberRole::Member;
    let stays = current.as_ref().is_some_and(|member| member.role == wanted);
    // Nobody gives more than they have, nor takes from those above them.
    let highest = current.as_ref().map_or(wanted, |member| wanted.max(member.role)).max(MemberRole::Moderator);
    let own = joins || stays && user == by;
    if !own && rank(&seen) < Some(highest) {
        return Ok(Err(RoomError::Forbidden(match highest {
            MemberRole::Owner => "owners are made and changed by owners and administrators",
            _ => "inviting people is for the room's moderators and owners",
        })));
    }
    let Some(current) = current else {
        let members: u32 = tx
            .prepare_cached("SELECT count(*) FROM members WHERE room = ?1")?
            .query_row([seen.number], |row| row.get(0))?;
        if members >= MEMBERS_MAX {
            let message = format!("the room has {MEMBERS_MAX} members, as many as a room may have");
            return Ok(Err(RoomError::Conflict { code: "room_full", message, hint: "remove somebody first" }));
        }
        if !insert_member(tx, seen.number, user, wanted, Time::now())? {
            return Ok(Err(RoomError::NoUser(user)));
        }
        let why = if user == by { "joined" } else { "invited" };
        tx.event(&act.event(Some(room), RoomMemberAdded::new(room, user, act.by().clone(), why.to_owned())))?;
        tx.audit(&act.audit("room.member_add", room, json!({ "user_id": user, "role": wanted })))?;
        let member = find(tx, seen.number, user)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        return Ok(Ok((member, true)));
    };
    if stays {
        return Ok(Ok((current, false)));
    }
    if current.role == MemberRole::Owner && is_last_owner(tx, seen.number, user)? {
        return Ok(Err(last_owner()));
    }
    tx.prepare_cached("UPDATE members SET role = ?3 WHERE room = ?1 AND user_id = ?2")?.execute((
        seen.number,
        user.as_bytes(),
        wanted.as_str(),
    ))?;
    tx.event(&act.event(Some(room), RoomUpdated::new(room, vec!["members".to_owned()], act.by().clone())))?;
    let detail = json!({ "user_id": user, "old": current.role, "new": wanted });
    tx.audit(&act.audit("room.member_role", room, detail))?;
    Ok(Ok((Member { role: wanted, ..current }, false)))
}

fn remove(
    tx: &mut Tx<'_>,
    room: RoomId,
    user: UserId,
    by: UserId,
    act: &Act,
) -> rusqlite::Result<Result<(), RoomError>> {
    let Some(seen) = look(tx, room, Some(by))?.filter(|seen| seen.access() != Access::None) else {
        return Ok(Err(RoomError::NoRoom));
    };
    if seen.kind == RoomKind::Direct {
        return Ok(Err(direct()));
    }
    let Some(member) = find(tx, seen.number, user)? else { return Ok(Err(RoomError::NoMember(user))) };
    if user != by && rank(&seen) < Some(member.role.max(MemberRole::Moderator)) {
        return Ok(Err(RoomError::Forbidden("removing people is for those who stand above them in the room")));
    }
    if member.role == MemberRole::Owner && is_last_owner(tx, seen.number, user)? {
        return Ok(Err(last_owner()));
    }
    for table in ["members", "read_markers"] {
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE room = ?1 AND user_id = ?2"))?
            .execute((seen.number, user.as_bytes()))?;
    }
    let why = if user == by { "left" } else { "removed" };
    tx.event(&act.event(Some(room), RoomMemberRemoved::new(room, user, act.by().clone(), why.to_owned())))?;
    tx.audit(&act.audit("room.member_remove", room, json!({ "user_id": user, "why": why })))?;
    Ok(Ok(()))
}

fn direct() -> RoomError {
    RoomError::Conflict {
        code: "direct_room",
        message: "the people of a direct room do not change".to_owned(),
        hint: "make another one for the other people: POST /api/v1/rooms",
    }
}

fn last_owner() -> RoomError {
    RoomError::Conflict {
        code: "last_owner",
        message: "the last owner cannot go while others are in the room".to_owned(),
        hint: "make somebody else an owner first, or delete the room",
    }
}

/// Whether others are in the room, none of them an owner.
fn is_last_owner(connection: &Connection, room: i64, owner: UserId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT count(*) > 0 AND coalesce(max(role = 'owner'), 0) = 0 FROM members WHERE room = ?1 AND user_id <> ?2",
        )?
        .query_row((room, owner.as_bytes()), |row| row.get(0))
}

const COLUMNS: &str = "members.user_id, users.name, members.role, members.joined_at
                       FROM members JOIN users ON users.id = members.user_id";

fn find(connection: &Connection, room: i64, user: UserId) -> rusqlite::Result<Option<Member>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} WHERE members.room = ?1 AND members.user_id = ?2"))?
        .query_row((room, user.as_bytes()), member)
        .optional()
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        user_id: identifier(row, 0, UserId::from_bytes)?,
        name: row.get(1)?,
        role: word(row, 2)?,
        joined_at: time(row, 3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{Bench, Place};
    use crate::store::{NewRoom, User};

    struct Fixture {
        bench: Bench,
        room: RoomId,
        bob: User,
        eve: User,
        act: Act,
        _place: Place,
    }

    impl Fixture {
        async fn new(kind: RoomKind) -> Self {
            let place = Place::new();
            let bench = Bench::open(&place).await;
            let bob = bench.store.create_user("bob", Role::User).await.unwrap();
            let eve = bench.store.create_user("eve", Role::User).await.unwrap();
            let act = Act::system();
            let new = NewRoom { kind, ..NewRoom::named("general") };
            let room = bench.store.create_room(new, bench.user.id, &act).await.unwrap().0.id;
            Self { bench, room, bob, eve, act, _place: place }
        }

        async fn set(&self, user: &User, role: Option<MemberRole>, by: &User) -> Result<(Member, bool), RoomError> {
            self.bench.store.set_member(self.room, user.id, role, by.id, &self.act).await
        }

        async fn remove(&self, user: &User, by: &User) -> Result<(), RoomError> {
            self.bench.store.remove_member(self.room, user.id, by.id, &self.act).await
        }

        async fn members(&self) -> Vec<(String, MemberRole)> {
            let members = self.bench.store.members(self.room, self.bench.user.id, None, 100).await.unwrap();
            members.into_iter().map(|member| (member.name, member.role)).collect()
        }
    }

    #[track_caller]
    fn forbidden<T: std::fmt::Debug>(result: Result<T, RoomError>) {
        assert!(matches!(result, Err(RoomError::Forbidden(_))), "{result:?}");
    }

    #[tokio::test]
    async fn a_public_room_is_joined_and_left_freely() {
        let fixture = Fixture::new(RoomKind::Public).await;
        let Fixture { bob, eve, .. } = &fixture;
        assert!(fixture.set(bob, None, bob).await.unwrap().1);
        assert!(!fixture.set(bob, None, bob).await.unwrap().1, "joining twice is joining once");
        forbidden(fixture.set(bob, Some(MemberRole::Owner), bob).await);
        forbidden(fixture.set(eve, None, bob).await);
        forbidden(fixture.set(eve, Some(MemberRole::Moderator), eve).await);
        let members = [("ann".to_owned(), MemberRole::Owner), ("bob".to_owned(), MemberRole::Member)];
        assert_eq!(fixture.members().await, members);
        fixture.remove(bob, bob).await.unwrap();
        assert_eq!(fixture.remove(bob, bob).await, Err(RoomError::NoMember(bob.id)));
    }

    #[tokio::test]
    async fn a_private_room_is_its_moderators_to_open() {
        let fixture = Fixture::new(RoomKind::Private).await;
        let Fixture { bench, bob, eve, .. } = &fixture;
        assert_eq!(fixture.set(bob, None, bob).await, Err(RoomError::NoRoom), "nobody lets themselves in");
        fixture.set(bob, None, &bench.user).await.unwrap();
        forbidden(fixture.set(eve, None, bob).await);
        fixture.set(bob, Some(MemberRole::Moderator), &bench.user).await.unwrap();
        fixture.set(eve, None, bob).await.unwrap();
        forbidden(fixture.set(eve, Some(MemberRole::Owner), bob).await);
        forbidden(fixture.set(&bench.user, Some(MemberRole::Member), bob).await);
        forbidden(fixture.remove(&bench.user, bob).await);
        forbidden(fixture.remove(bob, eve).await);
        fixture.remove(eve, bob).await.unwrap();
        let stranger = bench.store.members(fixture.room, eve.id, None, 10).await;
        assert_eq!(stranger, Err(RoomError::NoRoom));
        // One may always step down.
        fixture.set(bob, Some(MemberRole::Member), bob).await.unwrap();
        forbidden(fixture.set(bob, Some(MemberRole::Moderator), bob).await);
    }

    #[tokio::test]
    async fn the_last_owner_stays_while_others_are_there() {
        let fixture = Fixture::new(RoomKind::Public).await;
        let Fixture { bench, bob, .. } = &fixture;
        let owner = &bench.user;
        fixture.set(bob, None, bob).await.unwrap();
        for result in
            [fixture.remove(owner, owner).await, fixture.set(owner, Some(MemberRole::Member), owner).await.map(|_| ())]
        {
            assert!(matches!(result, Err(RoomError::Conflict { code: "last_owner", .. })), "{result:?}");
        }
        fixture.set(bob, Some(MemberRole::Owner), owner).await.unwrap();
        fixture.remove(owner, owner).await.unwrap();
        fixture.remove(bob, bob).await.unwrap();
        assert_eq!(fixture.members().await, []);
    }
}
