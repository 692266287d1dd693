//! Who may do what in which room: remembered, so that a message asks the disk nothing, and forgotten at each change.
//! Knows no road by which somebody asks.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use plexichat::id::{RoomId, UserId};
use plexichat::message::{Actor, ActorKind};
use plexichat::pipeline::{Access, RoomPolicy};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::broadcast;

use super::values::{count, json, optional_word, word};
use super::{Store, Tx};
use crate::store::Role;
use crate::store::rooms::{AccessChange, RoomKind, Standing, access};

/// How many answers are remembered; beyond it all are forgotten and asked for again.
const REMEMBERED: usize = 100_000;

/// How many changes may wait for one who listens to them. Whoever is later than that asks again for everything.
const UNTOLD: usize = 1024;

/// A room as somebody comes to it.
pub(super) struct Seen {
    pub(super) number: i64,
    pub(super) kind: RoomKind,
    pub(super) policy: RoomPolicy,
    pub(super) revision: u64,
    pub(super) standing: Standing,
}

impl Seen {
    /// What they may do there.
    pub(super) fn access(&self) -> Access {
        access(self.kind, self.policy.posting, self.standing)
    }
}

/// Looks a room up for somebody; nothing where there is none, or none any more.
pub(super) fn look(connection: &Connection, room: RoomId, user: Option<UserId>) -> rusqlite::Result<Option<Seen>> {
    connection
        .prepare_cached(
            "SELECT number, kind, policy, revision,
                    (SELECT role FROM users WHERE id = ?2 AND disabled_at IS NULL),
                    (SELECT role FROM members WHERE room = rooms.number AND user_id = ?2)
             FROM rooms WHERE id = ?1 AND deleted_at IS NULL",
        )?
        .query_row((room.as_bytes(), user.map(|user| *user.as_bytes())), |row| {
            Ok(Seen {
                number: row.get(0)?,
                kind: word(row, 1)?,
                policy: json(row, 2)?,
                revision: count(row, 3)?,
                standing: Standing { role: optional_word(row, 4)?, member: optional_word(row, 5)? },
            })
        })
        .optional()
}

/// What is remembered of rooms, and who is told when it changes.
pub(super) struct Remembered {
    state: RwLock<State>,
    changes: broadcast::Sender<AccessChange>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, Known>,
    answers: usize,
    /// How often something was forgotten. Whoever looked something up meanwhile must not remember it.
    forgotten: u64,
}

struct Known {
    kind: RoomKind,
    policy: Arc<RoomPolicy>,
    people: HashMap<UserId, Access>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { state: RwLock::default(), changes: broadcast::Sender::new(UNTOLD) }
    }
}

impl Remembered {
    fn recall<T>(&self, find: impl FnOnce(&HashMap<RoomId, Known>) -> Option<T>) -> Result<T, u64> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        find(&state.rooms).ok_or(state.forgotten)
    }

    fn remember(&self, room: RoomId, user: Option<UserId>, seen: &Seen, before: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.forgotten != before {
            return;
        }
        if state.answers >= REMEMBERED {
            state.rooms.clear();
            state.answers = 0;
        }
        let mut new = 0;
        let known = state.rooms.entry(room).or_insert_with(|| {
            new += 1;
            Known { kind: seen.kind, policy: Arc::new(seen.policy.clone()), people: HashMap::new() }
        });
        if let Some(user) = user {
            new += usize::from(known.people.insert(user, seen.access()).is_none());
        }
        state.answers += new;
    }

    fn forget(&self, change: AccessChange) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.forgotten += 1;
        match change {
            AccessChange { room: Some(room), user: Some(user) } => {
                if let Some(known) = state.rooms.get_mut(&room) {
                    known.people.remove(&user);
                }
            }
            AccessChange { room: Some(room), user: None } => drop(state.rooms.remove(&room)),
            AccessChange { room: None, user: Some(user) } => {
                for known in state.rooms.values_mut() {
                    known.people.remove(&user);
                }
            }
            AccessChange { room: None, user: None } => state.rooms.clear(),
        }
        state.answers = state.rooms.values().map(|known| 1 + known.people.len()).sum();
        drop(state);
        // Nobody may listen.
        let _ = self.changes.send(change);
    }
}

impl Store {
    /// Who may see or do what in which room from now on: each change is told after it holds. One who is told that it missed
    /// some asks again for everything.
    pub fn access_changes(&self) -> broadcast::Receiver<AccessChange> {
        self.inner.remembered.changes.subscribe()
    }

    /// Forgets what was remembered, and tells those who listen: to be called once a change holds that is not of a room,
    /// such as that of a person's role.
    pub fn access_changed(&self, change: AccessChange) {
        self.inner.remembered.forget(change);
    }

    /// Carries a change through to its end, though whoever asked for it may go, and forgets what was remembered.
    pub(super) async fn change_access<T, E>(
        &self,
        change: AccessChange,
        work: impl FnOnce(&mut Tx<'_>) -> rusqlite::Result<Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = self.clone();
        let changed = tokio::spawn(async move {
            let outcome = store.write(work).await;
            if outcome.is_ok() {
                store.access_changed(change);
            }
            outcome
        });
        let failed = |error| StoreError::Failed(format!("changing who may do what: {error}"));
        changed.await.unwrap_or_else(|error| Err(failed(error).into()))
    }

    pub(super) async fn access_of(&self, actor: &Actor, room: RoomId) -> Result<Access, StoreError> {
        let user = match actor.kind {
            ActorKind::User => match actor.id.parse::<UserId>() {
                Ok(user) => Some(user),
                Err(_) => return Ok(Access::None),
            },
            // Plugins and the server itself are not people: what the operator grants them bounds them.
            _ => None,
        };
        let find = |rooms: &HashMap<RoomId, Known>| match (rooms.get(&room)?, user) {
            (known, Some(user)) => known.people.get(&user).copied(),
            (_, None) => Some(Access::Write),
        };
        let before = match self.inner.remembered.recall(find) {
            Ok(access) => return Ok(access),
            Err(before) => before,
        };
        // What is not there is not remembered: anybody could fill the memory with it.
        let Some(seen) = self.read(move |connection| look(connection, room, user)).await? else {
            return Ok(Access::None);
        };
        // Nor is an account that is shut out: its name may be on a request that was under way.
        if user.is_some() && seen.standing.role.is_none() {
            return Ok(Access::None);
        }
        self.inner.remembered.remember(room, user, &seen, before);
        Ok(if user.is_some() { seen.access() } else { Access::Write })
    }

    /// Whether somebody is a moderator of the whole server.
    pub(super) async fn is_judge(&self, actor: &Actor) -> Result<bool, StoreError> {
        let user = actor.id.parse::<UserId>().ok().filter(|_| actor.kind == ActorKind::User);
        let Some(user) = user else { return Ok(false) };
        let role = "SELECT role FROM users WHERE id = ?1 AND disabled_at IS NULL";
        let role = self.read(move |connection| {
            connection.prepare_cached(role)?.query_row([user.as_bytes()], |row| word::<Role>(row, 0)).optional()
        });
        Ok(role.await?.is_some_and(|role| role >= Role::Moderator))
    }

    /// Whether the room is a direct one.
    pub(super) async fn is_direct_room(&self, room: RoomId) -> Result<bool, StoreError> {
        let find = |rooms: &HashMap<RoomId, Known>| rooms.get(&room).map(|known| known.kind == RoomKind::Direct);
        let before = match self.inner.remembered.recall(find) {
            Ok(direct) => return Ok(direct),
            Err(before) => before,
        };
        let Some(seen) = self.read(move |connection| look(connection, room, None)).await? else { return Ok(false) };
        self.inner.remembered.remember(room, None, &seen, before);
        Ok(seen.kind == RoomKind::Direct)
    }

    pub(super) async fn policy_of(&self, room: RoomId) -> Result<Arc<RoomPolicy>, StoreError> {
        let find = |rooms: &HashMap<RoomId, Known>| rooms.get(&room).map(|known| known.policy.clone());
        let before = match self.inner.remembered.recall(find) {
            Ok(policy) => return Ok(policy),
            Err(before) => before,
        };
        let Some(seen) = self.read(move |connection| look(connection, room, None)).await? else {
            return Ok(Arc::default());
        };
        self.inner.remembered.remember(room, None, &seen, before);
        Ok(Arc::new(seen.policy))
    }
}

#[cfg(test)]
mod tests {
    use plexichat::pipeline::MessageStore;

    use super::*;
    use crate::store::testing::{Bench, Place};
    use crate::store::{Act, MemberRole, NewRoom, RoomChange};

    #[tokio::test]
    async fn what_is_remembered_is_forgotten_at_each_change() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let store = &bench.store;
        let (act, ann) = (Act::system(), bench.user.id);
        let bob = store.create_user("bob", Role::User).await.unwrap();
        let room = NewRoom { kind: RoomKind::Private, ..NewRoom::named("secret") };
        let room = store.create_room(room, ann, &act).await.unwrap().0.id;
        let check = async |expected: Access| {
            for _ in 0..2 {
                assert_eq!(store.access(&bob.actor(), room).await, Ok(expected));
            }
        };
        let mut changes = store.access_changes();
        check(Access::None).await;
        store.set_member(room, bob.id, None, ann, &act).await.unwrap();
        check(Access::Write).await;
        assert_eq!(changes.try_recv(), Ok(AccessChange { room: Some(room), user: Some(bob.id) }));
        store.set_member(room, bob.id, Some(MemberRole::Moderator), ann, &act).await.unwrap();
        check(Access::Moderate).await;
        store.remove_member(room, bob.id, ann, &act).await.unwrap();
        check(Access::None).await;
        let public = RoomChange { kind: Some(RoomKind::Public), ..RoomChange::default() };
        store.update_room(room, public, None, ann, &act).await.unwrap();
        check(Access::Write).await;
        let policy = RoomPolicy { posting: plexichat::pipeline::Posting::Members, ..RoomPolicy::default() };
        let change = RoomChange { policy: Some(policy.clone()), ..RoomChange::default() };
        store.update_room(room, change, None, ann, &act).await.unwrap();
        check(Access::Read).await;
        assert_eq!(store.policy(room).await.as_deref(), Ok(&policy));
        assert_eq!(store.access(&Actor::plugin("echo"), room).await, Ok(Access::Write));
        store.delete_room(room, ann, &act).await.unwrap();
        check(Access::None).await;
        assert_eq!(store.access(&Actor::plugin("echo"), room).await, Ok(Access::None));
        assert_eq!(store.access(&Actor::user("nobody", "nobody"), room).await, Ok(Access::None));
    }

    #[test]
    fn what_was_looked_up_before_a_change_is_not_remembered_after_it() {
        let remembered = Remembered::default();
        let (room, user) = (RoomId::new(), UserId::new());
        let seen = || Seen {
            number: 1,
            kind: RoomKind::Public,
            policy: RoomPolicy::default(),
            revision: 1,
            standing: Standing { role: Some(Role::User), member: None },
        };
        let find = |rooms: &HashMap<RoomId, Known>| rooms.get(&room)?.people.get(&user).copied();
        let before = remembered.recall(find).unwrap_err();
        remembered.forget(AccessChange { room: Some(room), user: None });
        remembered.remember(room, Some(user), &seen(), before);
        let before = remembered.recall(find).unwrap_err();
        remembered.remember(room, Some(user), &seen(), before);
        assert_eq!(remembered.recall(find), Ok(Access::Write));
        remembered.forget(AccessChange { room: None, user: Some(user) });
        assert!(remembered.recall(find).is_err());
        assert_eq!(remembered.state.read().unwrap().answers, 1);
    }
}
