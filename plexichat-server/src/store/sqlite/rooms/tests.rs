//! Who sees which rooms, and what making, changing and deleting them does.

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
    fixture.change(room.id, RoomChange { policy: Some(policy), ..RoomChange::default() }, &bench.user).await.unwrap();
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
