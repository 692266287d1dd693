//! Nobody misses a message, and nobody gets one twice: however slow they are, whenever they come.

use std::time::Duration;

use async_trait::async_trait;
use plexichat::id::MessageId;
use plexichat::message::{Actor, MessageState, Time};
use plexichat::pipeline::{Access, Alter, Changed, Changes, Commit, RoomPolicy};
use serde_json::Value;

use super::super::queue::{QUEUE_BYTES, QUEUE_FRAMES};
use super::*;
use crate::store::Role;

/// A history that can be posted to without a pipeline.
#[derive(Default)]
struct History {
    rooms: Mutex<HashMap<RoomId, Vec<StoredRow>>>,
    changes: Mutex<Vec<ChangeRow>>,
    /// The changes up to this number are not kept any more.
    gone: Mutex<u64>,
    failing: Mutex<bool>,
}

#[async_trait]
impl MessageStore for History {
    async fn policy(&self, _: RoomId) -> Result<Arc<RoomPolicy>, StoreError> {
        Ok(Arc::default())
    }

    async fn access(&self, _: &Actor, _: RoomId) -> Result<Access, StoreError> {
        Ok(Access::Write)
    }

    async fn by_key(&self, _: &Actor, _: RoomId, _: &str) -> Result<Option<StoredRow>, StoreError> {
        Ok(None)
    }

    async fn by_ai_key(&self, _: RoomId, _: &str) -> Result<Option<StoredRow>, StoreError> {
        Ok(None)
    }

    async fn has_message(&self, _: RoomId, _: MessageId) -> Result<bool, StoreError> {
        unreachable!("the hub only reads history");
    }

    fn append(&self, _: Commit) {
        unreachable!("the hub only reads");
    }

    async fn message(&self, _: MessageId) -> Result<Option<StoredRow>, StoreError> {
        unreachable!("the hub only reads history");
    }

    fn alter(&self, _: Alter) {
        unreachable!("the hub only reads");
    }

    async fn changes(&self, room: RoomId, after: u64, limit: u32) -> Result<Changes, StoreError> {
        tokio::task::yield_now().await;
        if *self.failing.lock().expect("no panic") {
            return Err(StoreError::Unavailable("a test".into()));
        }
        let gone = *self.gone.lock().expect("no panic");
        let mut found = Changes { upto: after, gone: gone > after, ..Changes::default() };
        for row in self.changes.lock().expect("no panic").iter() {
            if row.room_id != room || row.number <= after.max(gone) {
                continue;
            }
            if found.rows.len() == limit as usize {
                found.more = true;
                break;
            }
            found.upto = row.number;
            found.rows.push(row.clone());
        }
        tokio::task::yield_now().await;
        Ok(found)
    }

    async fn last_change(&self) -> Result<u64, StoreError> {
        Ok(self.changes.lock().expect("no panic").len() as u64)
    }

    async fn history(
        &self,
        room: RoomId,
        after: Option<u64>,
        _: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredRow>, StoreError> {
        // Whatever else is due gets its turn between the read and its use, as with a real store.
        tokio::task::yield_now().await;
        if *self.failing.lock().expect("no panic") {
            return Err(StoreError::Unavailable("a test".into()));
        }
        let page = {
            let rooms = self.rooms.lock().expect("no panic");
            let after = after.unwrap_or_else(|| rooms.get(&room).map_or(0, |rows| rows.len() as u64 - 1));
            let missed = rooms.get(&room).into_iter().flatten().skip(after as usize);
            missed.take(limit as usize).cloned().collect()
        };
        tokio::task::yield_now().await;
        Ok(page)
    }
}

fn somebody() -> User {
    User { id: UserId::new(), name: "somebody".into(), role: Role::User, created_at: Time::now(), disabled_at: None }
}

struct Fixture {
    history: Arc<History>,
    hub: Hub,
}

impl Fixture {
    fn new() -> Self {
        let history = Arc::<History>::default();
        Self { hub: Hub::new(history.clone()), history }
    }

    /// Commits a message without delivering it yet.
    fn commit(&self, room: RoomId, text: &str) -> StoredRow {
        let mut rooms = self.history.rooms.lock().expect("no panic");
        let rows = rooms.entry(room).or_default();
        let row = StoredRow {
            id: MessageId::new(),
            room_id: room,
            seq: rows.len() as u64 + 1,
            text: text.into(),
            author: Actor::system(),
            reply_to: None,
            state: MessageState::Stored,
            revision: 1,
            created_at: Time::now(),
            edited_at: None,
            attachments: Vec::new(),
            reactions: Vec::new(),
        };
        rows.push(row.clone());
        row
    }

    /// Commits a change without telling it yet.
    fn change(&self, room: RoomId) -> ChangeRow {
        let mut changes = self.history.changes.lock().expect("no panic");
        let number = changes.len() as u64 + 1;
        let row = ChangeRow { number, room_id: room, what: Changed::Deleted { id: MessageId::new(), seq: 1 } };
        changes.push(row.clone());
        row
    }

    fn last(&self, room: RoomId) -> u64 {
        self.history.rooms.lock().expect("no panic").get(&room).map_or(0, |rows| rows.len() as u64)
    }

    fn post(&self, room: RoomId) {
        self.hub.tell(&self.commit(room, "hello"));
    }
}

/// The next frames, or none where nothing is to be sent.
async fn next(frames: &mut Frames, limit: usize) -> Vec<Value> {
    let mut texts = Vec::new();
    let waited = tokio::time::timeout(Duration::from_millis(50), frames.next(&mut texts, limit)).await;
    if let Ok(result) = waited {
        result.expect("the store answers");
    }
    texts.iter().map(|frame| serde_json::from_str(&frame.text).expect("JSON")).collect()
}

async fn all(frames: &mut Frames) -> Vec<Value> {
    let mut found = Vec::new();
    loop {
        let more = next(frames, 64).await;
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn numbers(frames: &[Value]) -> Vec<u64> {
    frames.iter().filter(|frame| frame["type"] != "gap").filter_map(|frame| frame["change"].as_u64()).collect()
}

fn seqs(frames: &[Value]) -> Vec<u64> {
    frames.iter().filter(|frame| frame["type"] == "message").map(|frame| frame["seq"].as_u64().expect("seq")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_the_message_and_its_type() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, None, None).expect("room");
    let row = fixture.commit(room, "hello \"you\"");
    fixture.hub.tell(&row);
    let mut expected = serde_json::to_value(&row).expect("JSON");
    expected["type"] = "message".into();
    assert_eq!(all(&mut frames).await, [expected]);
}

#[tokio::test(start_paused = true)]
async fn everybody_shares_one_frame() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let mut texts = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..2 {
        let (subscriber, frames) = fixture.hub.connect(&somebody());
        subscriber.subscribe(room, None, None).expect("room");
        connections.push(frames);
    }
    fixture.post(room);
    for frames in &mut connections {
        frames.next(&mut texts, 1).await.expect("a frame");
    }
    assert_eq!(texts[0].text.as_ptr(), texts[1].text.as_ptr());
}

#[tokio::test(start_paused = true)]
async fn only_the_joined_rooms_are_heard() {
    let fixture = Fixture::new();
    let (one, two) = (RoomId::new(), RoomId::new());
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    fixture.post(one);
    subscriber.subscribe(one, None, None).expect("room");
    fixture.post(one);
    fixture.post(two);
    assert_eq!(seqs(&all(&mut frames).await), [2], "from now on, and not the other room");
    subscriber.unsubscribe(one);
    fixture.post(one);
    assert_eq!(seqs(&all(&mut frames).await), [0; 0]);
    subscriber.subscribe(one, Some(1), None).expect("room");
    assert_eq!(seqs(&all(&mut frames).await), [2, 3], "what was missed since");
}

#[tokio::test(start_paused = true)]
async fn who_is_put_out_is_told_and_hears_no_more() {
    let fixture = Fixture::new();
    let (room, other) = (RoomId::new(), RoomId::new());
    let (one, mut frames) = fixture.hub.connect(&somebody());
    let (two, mut others) = fixture.hub.connect(&somebody());
    for room in [room, other] {
        one.subscribe(room, None, None).expect("room");
        two.subscribe(room, None, None).expect("room");
    }
    assert_eq!(fixture.hub.listening(None, None).len(), 4);
    assert_eq!(fixture.hub.listening(Some(room), None).len(), 2);
    assert_eq!(fixture.hub.listening(None, Some(one.user())).len(), 2);
    let found = fixture.hub.listening(Some(room), Some(one.user()));
    found.iter().for_each(|(room, subscriber)| subscriber.put_out(*room));
    fixture.post(room);
    fixture.post(other);
    let heard = all(&mut frames).await;
    assert_eq!(heard[0], serde_json::json!({ "type": "unsubscribed", "room_id": room }));
    assert_eq!(heard[1]["room_id"], other.to_string());
    assert_eq!(heard.len(), 2);
    assert_eq!(all(&mut others).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_gives_way() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let (typist, listener) = (somebody(), somebody());
    let (subscriber, mut frames) = fixture.hub.connect(&listener);
    subscriber.subscribe(room, None, None).expect("room");
    fixture.hub.typing(room, &listener);
    (0..10 * QUEUE_FRAMES).for_each(|_| fixture.hub.typing(room, &typist));
    assert!(frames.connection.state().queue.len() < QUEUE_FRAMES);
    (0..QUEUE_FRAMES).for_each(|_| fixture.post(room));
    let heard = all(&mut frames).await;
    let frame = serde_json::json!({
        "type": "typing", "room_id": room, "user": { "id": typist.id, "name": "somebody" }
    });
    assert_eq!(heard[0], frame);
    assert_eq!(seqs(&heard), (1..=QUEUE_FRAMES as u64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_is_here_is_told_where_both_listen() {
    let fixture = Fixture::new();
    let (room, other) = (RoomId::new(), RoomId::new());
    let (one, two) = (somebody(), somebody());
    let (first, mut frames) = fixture.hub.connect(&one);
    first.subscribe(room, None, None).expect("room");
    let (second, others) = fixture.hub.connect(&two);
    second.subscribe(room, None, None).expect("room");
    second.subscribe(other, None, None).expect("room");
    let changes = fixture.hub.tell_presence(std::time::Instant::now(), 10);
    assert_eq!(changes, [(one.id, Status::Online), (two.id, Status::Online)]);
    let frame = |status| serde_json::json!({ "type": "presence", "user_id": two.id, "status": status });
    assert_eq!(all(&mut frames).await, [frame("online")]);
    second.attend(true);
    second.attend(true);
    fixture.hub.tell_presence(std::time::Instant::now(), 10);
    assert_eq!(all(&mut frames).await, [frame("away")]);
    drop(others);
    fixture.hub.tell_presence(std::time::Instant::now() + Duration::from_secs(6), 10);
    assert_eq!(all(&mut frames).await, [frame("offline")]);
    assert_eq!(fixture.hub.status(two.id), Status::Offline);
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_is_bounded_and_misses_nothing() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, None, None).expect("room");
    let total = QUEUE_FRAMES as u64 + 500;
    (0..total).for_each(|_| fixture.post(room));
    assert_eq!(frames.connection.state().queue.len(), QUEUE_FRAMES);
    assert_eq!(seqs(&all(&mut frames).await), (1..=total).collect::<Vec<_>>());
    fixture.post(room);
    assert_eq!(seqs(&all(&mut frames).await), [total + 1], "it is live again");
}

#[tokio::test(start_paused = true)]
async fn large_messages_are_bounded_by_their_bytes() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, None, None).expect("room");
    let text = "x".repeat(QUEUE_BYTES / 10);
    for _ in 0..30 {
        fixture.hub.tell(&fixture.commit(room, &text));
    }
    assert!(frames.connection.state().bytes <= QUEUE_BYTES);
    assert_eq!(seqs(&all(&mut frames).await), (1..=30).collect::<Vec<_>>());
    assert_eq!(frames.connection.state().bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn who_missed_too_much_is_told_to_read_the_history() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    (0..u64::from(missed::CATCH_UP) + 700).for_each(|_| {
        fixture.commit(room, "hello");
    });
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, Some(0), None).expect("room");
    let found = all(&mut frames).await;
    assert_eq!(seqs(&found), (1..=u64::from(missed::CATCH_UP)).collect::<Vec<_>>());
    let gap = serde_json::json!({ "type": "gap", "room_id": room, "from_seq": missed::CATCH_UP + 1 });
    assert_eq!(found.last(), Some(&gap));
    fixture.post(room);
    assert_eq!(seqs(&all(&mut frames).await), [u64::from(missed::CATCH_UP) + 701], "live goes on after the gap");
}

#[tokio::test(start_paused = true)]
async fn changes_come_live_and_again() {
    let fixture = Fixture::new();
    let (room, other) = (RoomId::new(), RoomId::new());
    fixture.post(room);
    for room in [room, other, room] {
        fixture.hub.tell_change(&fixture.change(room));
    }
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, None, Some(1)).expect("room");
    assert_eq!(numbers(&all(&mut frames).await), [3]);
    fixture.hub.tell_change(&fixture.change(room));
    let heard = all(&mut frames).await;
    assert_eq!((&heard[0]["type"], numbers(&heard)), (&"message_deleted".into(), vec![4]));
    let total = 4 + 3 * QUEUE_FRAMES as u64;
    (4..total).for_each(|_| fixture.hub.tell_change(&fixture.change(room)));
    assert_eq!(frames.connection.state().queue.len(), QUEUE_FRAMES);
    assert_eq!(numbers(&all(&mut frames).await), (5..=total).collect::<Vec<_>>());
    subscriber.subscribe(room, Some(0), Some(total - 1)).expect("room");
    let heard = all(&mut frames).await;
    assert_eq!((seqs(&heard), numbers(&heard)), (vec![1], vec![total]), "the message before what befell it");
}

#[tokio::test(start_paused = true)]
async fn changes_that_are_gone_are_a_gap_once() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    (0..10).for_each(|_| fixture.hub.tell_change(&fixture.change(room)));
    *fixture.history.gone.lock().expect("no panic") = 5;
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    let gap = |change: u64| serde_json::json!({ "type": "gap", "room_id": room, "from_seq": 1, "change": change });
    subscriber.subscribe(room, None, Some(4)).expect("room");
    fixture.hub.tell_change(&fixture.change(room));
    assert_eq!(all(&mut frames).await, [gap(11)]);
    subscriber.subscribe(room, None, Some(5)).expect("room");
    assert_eq!(numbers(&all(&mut frames).await), (6..=11).collect::<Vec<_>>());
    // Whoever knows more than there is saw a store that was put back since.
    subscriber.subscribe(room, Some(100), Some(100)).expect("room");
    assert_eq!(all(&mut frames).await, [gap(11)]);
    fixture.post(room);
    fixture.hub.tell_change(&fixture.change(room));
    let heard = all(&mut frames).await;
    assert_eq!((seqs(&heard), numbers(&heard)), (vec![1], vec![12]));
}

#[tokio::test(start_paused = true)]
async fn too_many_changes_are_a_gap() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let total = 2 * u64::from(missed::CATCH_UP);
    (0..total).for_each(|_| drop(fixture.change(room)));
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, None, Some(0)).expect("room");
    let heard = all(&mut frames).await;
    assert_eq!(numbers(&heard).len(), missed::CATCH_UP as usize);
    let gap = serde_json::json!({ "type": "gap", "room_id": room, "from_seq": 1, "change": total });
    assert_eq!(heard.last(), Some(&gap));
    fixture.hub.tell_change(&fixture.change(room));
    assert_eq!(numbers(&all(&mut frames).await), [total + 1]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_room_does_not_keep_another_from_catching_up() {
    let fixture = Fixture::new();
    let (busy, missed) = (RoomId::new(), RoomId::new());
    (0..200).for_each(|_| {
        fixture.commit(missed, "hello");
    });
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(busy, None, None).expect("room");
    subscriber.subscribe(missed, Some(0), None).expect("room");
    let mut found = Vec::new();
    for _ in 0..60 {
        (0..100).for_each(|_| fixture.post(busy));
        found.extend(next(&mut frames, 64).await);
    }
    let of_missed: Vec<Value> = found.into_iter().filter(|frame| frame["room_id"] == missed.to_string()).collect();
    assert_eq!(seqs(&of_missed), (1..=200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_loses_nothing() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    (0..3).for_each(|_| fixture.post(room));
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, Some(1), None).expect("room");
    *fixture.history.failing.lock().expect("no panic") = true;
    let error = frames.next(&mut Vec::new(), 64).await.expect_err("the store fails");
    assert!(matches!(error, StoreError::Unavailable(_)));
    *fixture.history.failing.lock().expect("no panic") = false;
    assert_eq!(seqs(&all(&mut frames).await), [2, 3]);
}

#[tokio::test]
async fn rooms_are_bounded_and_left_when_the_connection_goes() {
    let fixture = Fixture::new();
    let (subscriber, frames) = fixture.hub.connect(&somebody());
    (0..ROOMS).for_each(|_| subscriber.subscribe(RoomId::new(), None, None).expect("fits"));
    assert_eq!(subscriber.subscribe(RoomId::new(), None, None), Err(TooManyRooms));
    assert_eq!(fixture.hub.inner.rooms.read().expect("no panic").len(), ROOMS);
    drop(frames);
    subscriber.subscribe(RoomId::new(), None, None).expect("nobody listens any more");
    assert!(fixture.hub.inner.rooms.read().expect("no panic").is_empty());
}

mod replies;
mod resuming;
