//! What every store of messages must do. Messages come to it as everywhere, through a [`Pipeline`], here without plugins.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::join_all;

use crate::catalog::Catalog;
use crate::descriptor::{FailMode, Hook};
use crate::event::Event;
use crate::id::{EventId, MessageId, RoomId};
use crate::manager::snapshot::{MissingHook, Snapshot};
use crate::message::{Actor, ActorKind, MessageState, Origin, StoredRow};
use crate::pipeline::{
    Access, Announcer, Change, ChangeRow, Delivery, Fanout, Incoming, Limits, Message, MessageStore, Outbox, Outcome,
    Parts, Pipeline, Posted, Refusal, Stored,
};

/// A store to check, with the rooms and people that the checks need.
pub struct Rooms<S> {
    /// The store; its rooms are empty.
    pub store: Arc<S>,
    /// A room.
    pub room: RoomId,
    /// Another room.
    pub other_room: RoomId,
    /// Who may write in both rooms.
    pub writer: Actor,
    /// Somebody else who may write in both rooms.
    pub other_writer: Actor,
    /// Who may only read in `room`, where the store knows such.
    pub reader: Option<Actor>,
    /// Who may not know of `room`, where the store knows such.
    pub stranger: Option<Actor>,
}

/// Checks a store of messages. `make` gives an empty one.
///
/// # Panics
/// Where the store does something else than the port says.
pub async fn message_store<S: MessageStore>(make: impl AsyncFn() -> Rooms<S>) {
    access_is_told(make().await).await;
    rows_come_back_whole(make().await).await;
    what_an_ai_said_is_found_by_its_key(make().await).await;
    places_have_no_gaps(make().await).await;
    only_messages_of_the_room_are_answered(make().await).await;
    a_key_posts_once(make().await).await;
    a_key_posts_once_at_the_same_time(make().await).await;
    history_gives_the_part_that_was_asked_for(make().await).await;
    messages_are_told_in_order(make().await).await;
    super::changes::message_changes(make).await;
}

async fn access_is_told<S: MessageStore>(rooms: Rooms<S>) {
    let access = async |actor: &Actor, room| rooms.store.access(actor, room).await.expect("access");
    assert_eq!(access(&rooms.writer, rooms.room).await, Access::Write);
    assert_eq!(access(&rooms.writer, RoomId::new()).await, Access::None, "a room that is not there");
    if let Some(reader) = &rooms.reader {
        assert_eq!(access(reader, rooms.room).await, Access::Read);
    }
    if let Some(stranger) = &rooms.stranger {
        assert_eq!(access(stranger, rooms.room).await, Access::None);
    }
}

/// Whichever model said it, and nobody else's.
async fn what_an_ai_said_is_found_by_its_key<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (store, room) = (&bench.rooms.store, bench.rooms.room);
    let keyed = |author: &Actor, key: &str| Incoming { key: Some(key.to_owned()), ..incoming(author, room, "words") };
    let model = Actor { kind: ActorKind::Ai, id: "plugin/model".into(), name: "assistant".into() };
    bench.post(keyed(&bench.rooms.writer, "person")).await;
    let said = bench.post(keyed(&model, "model")).await;
    let by_ai_key = async |room, key| store.by_ai_key(room, key).await.expect("by_ai_key");
    assert_eq!(by_ai_key(room, "model").await.as_ref(), Some(&*said.row));
    assert_eq!(by_ai_key(room, "person").await, None, "a person's key is a person's");
    assert_eq!(by_ai_key(bench.rooms.other_room, "model").await, None, "a key is its room's");
    assert!(!store.is_direct(room).await.expect("is_direct"));
}

async fn rows_come_back_whole<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let text = "ünïcode \u{1F44B} — 'quotes', \"more\"; -- DROP\r\n\ttabs";
    let first = bench.post(incoming(&bench.rooms.writer, bench.rooms.room, text)).await;
    assert!(!first.known);
    assert_eq!((first.row.text.as_str(), first.row.seq, first.row.state), (text, 1, MessageState::Stored));
    assert_eq!((&first.row.author, first.row.revision, first.row.reply_to), (&bench.rooms.writer, 1, None));

    let answer = Incoming {
        reply_to: Some(first.row.id),
        key: Some("key".to_owned()),
        origin: Origin::Plugin,
        cause_id: Some(EventId::new()),
        cause_depth: 3,
        ..incoming(&bench.rooms.other_writer, bench.rooms.room, &"long ".repeat(3000))
    };
    let second = bench.post(answer.clone()).await;
    assert_eq!(second.row.reply_to, Some(first.row.id));
    assert!(second.row.created_at >= first.row.created_at, "time does not run backwards in a room");
    assert_eq!(bench.history(bench.rooms.room).await, [(*first.row).clone(), (*second.row).clone()]);
    let by_key = bench.rooms.store.by_key(&bench.rooms.other_writer, bench.rooms.room, "key").await.expect("by_key");
    assert_eq!(by_key.as_ref(), Some(&*second.row));
    let by_key = bench.rooms.store.by_key(&bench.rooms.writer, bench.rooms.room, "key").await.expect("by_key");
    assert_eq!(by_key, None, "a key is its author's");

    let told = bench.posted();
    assert_eq!(told.len(), 2, "each message is in the outbox once");
    assert_eq!(told[1].row, second.row);
    assert_eq!(
        (told[1].origin, told[1].cause_id, told[1].cause_depth),
        (answer.origin, answer.cause_id, answer.cause_depth)
    );
}

async fn places_have_no_gaps<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let posts = (0..200).map(|number| {
        let room = if number % 4 == 0 { bench.rooms.other_room } else { bench.rooms.room };
        let key = (number % 3 == 0).then(|| number.to_string());
        bench.post(Incoming { key, ..incoming(&bench.rooms.writer, room, &number.to_string()) })
    });
    join_all(posts).await;
    for (room, count) in [(bench.rooms.room, 150), (bench.rooms.other_room, 50)] {
        let places: Vec<u64> = bench.history(room).await.iter().map(|row| row.seq).collect();
        assert_eq!(places, (1..=count).collect::<Vec<u64>>(), "1 for the first message of a room, without gaps");
    }
}

async fn only_messages_of_the_room_are_answered<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (room, other_room) = (bench.rooms.room, bench.rooms.other_room);
    let first = bench.post(incoming(&bench.rooms.writer, room, "first")).await.row.id;
    let elsewhere = bench.post(incoming(&bench.rooms.writer, other_room, "elsewhere")).await.row.id;
    for (message, is_there) in [(first, true), (elsewhere, false), (MessageId::new(), false)] {
        assert_eq!(bench.rooms.store.has_message(room, message).await, Ok(is_there));
        let answer = Incoming { reply_to: Some(message), ..incoming(&bench.rooms.other_writer, room, "answer") };
        match bench.pipeline.send(answer).await {
            Ok(outcome) => assert!(is_there && outcome.row.reply_to == Some(message)),
            Err(Refusal::Invalid(problems)) => assert!(!is_there && problems[0].pointer == "/reply_to", "{problems:?}"),
            Err(refusal) => panic!("{refusal}"),
        }
    }
    assert_eq!(bench.rooms.store.has_message(RoomId::new(), first).await, Ok(false), "a room that is not there");
    assert_eq!(bench.history(room).await.len(), 2, "what was refused is not stored");
}

async fn a_key_posts_once<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (room, other_room) = (bench.rooms.room, bench.rooms.other_room);
    let keyed =
        |author: &Actor, room, text: &str| Incoming { key: Some("key".to_owned()), ..incoming(author, room, text) };
    let first = bench.post(keyed(&bench.rooms.writer, room, "first")).await;
    let again = bench.post(keyed(&bench.rooms.writer, room, "again")).await;
    assert!(again.known && !first.known);
    assert_eq!(again.row, first.row, "the first result again, whatever was sent the second time");
    assert!(!bench.post(keyed(&bench.rooms.writer, other_room, "elsewhere")).await.known, "a key is its room's");
    assert!(!bench.post(keyed(&bench.rooms.other_writer, room, "somebody")).await.known, "a key is its author's");
    let same_id = Actor { kind: crate::message::ActorKind::Plugin, ..bench.rooms.writer.clone() };
    if bench.rooms.store.access(&same_id, room).await.expect("access") == Access::Write {
        assert!(!bench.post(keyed(&same_id, room, "plugin")).await.known, "an author has a kind");
    }
    let plain = bench.post(incoming(&bench.rooms.writer, room, "plain")).await;
    let plain_again = bench.post(incoming(&bench.rooms.writer, room, "plain")).await;
    assert_ne!(plain.row.id, plain_again.row.id, "without a key the same text is another message");
}

async fn a_key_posts_once_at_the_same_time<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let posts = (0..20).map(|number| {
        let key = Some("key".to_owned());
        bench.post(Incoming { key, ..incoming(&bench.rooms.writer, bench.rooms.room, &number.to_string()) })
    });
    let outcomes = join_all(posts).await;
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.known).count(), 1, "one of them stored it");
    assert_eq!(outcomes.iter().map(|outcome| outcome.row.id).collect::<HashSet<_>>().len(), 1, "and all got that one");
    assert_eq!(bench.history(bench.rooms.room).await.len(), 1);
    assert_eq!((bench.told().len(), bench.delivered().len()), (1, 1), "a known message is told nobody again");
}

async fn history_gives_the_part_that_was_asked_for<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    for number in 1..=10 {
        bench.post(incoming(&bench.rooms.writer, bench.rooms.room, &number.to_string())).await;
    }
    bench.post(incoming(&bench.rooms.writer, bench.rooms.other_room, "elsewhere")).await;
    let part = async |after, before, limit| {
        let rows = bench.rooms.store.history(bench.rooms.room, after, before, limit).await.expect("history");
        rows.iter().map(|row| row.seq).collect::<Vec<u64>>()
    };
    assert_eq!(part(None, None, 3).await, [8, 9, 10], "the last ones");
    assert_eq!(part(None, Some(8), 3).await, [5, 6, 7], "the last ones before a place");
    assert_eq!(part(Some(2), None, 3).await, [3, 4, 5], "the first ones behind a place");
    assert_eq!(part(Some(0), None, 2).await, [1, 2]);
    assert_eq!(part(Some(2), Some(5), 10).await, [3, 4]);
    assert_eq!(part(Some(2), Some(9), 2).await, [3, 4]);
    assert_eq!(part(None, None, 100).await, (1..=10).collect::<Vec<u64>>());
    for nothing in [part(None, None, 0).await, part(Some(10), None, 5).await, part(None, Some(1), 5).await] {
        assert_eq!(nothing, [0; 0]);
    }
    assert_eq!(part(Some(u64::MAX), None, 5).await, [0; 0], "a place that no message will reach");
    assert_eq!(part(None, Some(u64::MAX), 1).await, [10]);
    let nowhere = bench.rooms.store.history(RoomId::new(), None, None, 5).await.expect("history");
    assert_eq!(nowhere, [], "a room that is not there has no messages");
}

async fn messages_are_told_in_order<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let posts = (0..100).map(|number| {
        let room = if number % 2 == 0 { bench.rooms.other_room } else { bench.rooms.room };
        bench.post(incoming(&bench.rooms.writer, room, &number.to_string()))
    });
    join_all(posts).await;
    let delivered = bench.delivered();
    for room in [bench.rooms.room, bench.rooms.other_room] {
        let places: Vec<u64> = delivered.iter().filter(|row| row.room_id == room).map(|row| row.seq).collect();
        assert_eq!(places, (1..=50).collect::<Vec<u64>>(), "listeners are told in the order of places");
    }
    let numbers: Vec<u64> = bench.told().iter().map(|delivery| delivery.outbox_id).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "later messages have higher outbox numbers: {numbers:?}");
}

pub(super) fn incoming(author: &Actor, room_id: RoomId, text: &str) -> Incoming {
    Incoming {
        author: author.clone(),
        room_id,
        text: text.to_owned(),
        reply_to: None,
        attachments: Vec::new(),
        origin: Origin::Rest,
        key: None,
        cause_id: None,
        cause_depth: 0,
    }
}

/// A store behind a pipeline, and what came out at the other end.
pub(super) struct Bench<S> {
    pub(super) rooms: Rooms<S>,
    pub(super) pipeline: Pipeline,
    /// The same with a scanner that is away and whose policy is to hold back: so is everything that goes here.
    pub(super) holding: Pipeline,
    ends: Arc<Ends>,
}

#[derive(Default)]
pub(super) struct Ends {
    delivered: Mutex<Vec<StoredRow>>,
    told: Mutex<Vec<Delivery>>,
    changes: Mutex<Vec<ChangeRow>>,
}

impl<S: MessageStore> Bench<S> {
    pub(super) fn new(rooms: Rooms<S>) -> Self {
        let ends = Arc::new(Ends::default());
        let plenty = NonZeroU32::new(100_000).expect("not zero");
        let pipeline = |plugins| {
            Pipeline::new(Parts {
                plugins: Arc::new(ArcSwap::from_pointee(plugins)),
                store: rooms.store.clone(),
                fanout: ends.clone(),
                outbox: ends.clone(),
                announcer: ends.clone(),
                limits: Limits { per_second: plenty, burst: plenty, ..Limits::default() },
            })
        };
        let away = MissingHook { plugin: "away".parse().expect("a name"), on_error: FailMode::Quarantine };
        let nothing = Catalog::of(&[]).expect("nothing is wrong with nothing");
        let holding = Snapshot::new(Vec::new(), &nothing, vec![(Hook::ScanMessage, away)], Arc::default());
        let (pipeline, holding) = (pipeline(Snapshot::default()), pipeline(holding));
        Self { rooms, pipeline, holding, ends }
    }

    pub(super) async fn post(&self, incoming: Incoming) -> Outcome {
        self.pipeline.send(incoming).await.expect("the store takes the message")
    }

    pub(super) async fn history(&self, room: RoomId) -> Vec<StoredRow> {
        self.rooms.store.history(room, None, None, 1000).await.expect("history")
    }

    pub(super) fn delivered(&self) -> Vec<StoredRow> {
        self.ends.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn told(&self) -> Vec<Delivery> {
        self.ends.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn changes(&self) -> Vec<ChangeRow> {
        self.ends.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn posted(&self) -> Vec<Posted> {
        self.told().iter().filter_map(|delivery| delivery.message().cloned()).collect()
    }
}

impl Fanout for Ends {
    fn deliver(&self, message: &Message<Stored>) {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).push((**message.row()).clone());
    }

    fn changed(&self, change: &Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change.row().clone());
    }
}

impl Outbox for Ends {
    fn enqueue(&self, delivery: Delivery) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
    }
}

impl Announcer for Ends {
    fn announce(&self, _: Event) {}
}
