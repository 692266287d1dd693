//! What the pipeline needs of a server: a store that commits, listeners to deliver to, an outbox. The server supplies
//! them; they cannot make a [`Message`], only carry it on.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::alter::Alter;
use super::attachments::Attachable;
use super::change::{Change, Changes};
use super::delivery::{Delivery, Posted, Told};
use super::message::{Cleared, Message, Stored};
use crate::assistant::frame::ReplyFrame;
use crate::assistant::policy::AssistantPolicy;
use crate::event::Event;
use crate::id::{FileId, MessageId, PluginName, RoomId};
use crate::message::{Actor, MessageState, StoredRow, Time};
use crate::store::StoreError;

/// What an actor may do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It may not know that the room exists.
    None,
    /// It may read.
    Read,
    /// It may read and post.
    Write,
    /// It may also delete what others wrote, and change the room.
    Moderate,
}

/// Who may post in a room that they may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Posting {
    /// Everyone who may read it.
    #[default]
    Everyone,
    /// Its members.
    Members,
    /// Its moderators.
    Moderators,
}

/// What holds in one room beyond what holds everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoomPolicy {
    /// The assistant that answers in this room; nothing: the server's own, where it has one and is mentioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant: Option<AssistantPolicy>,
    /// Scanners without whose word nothing is stored here, whatever their own policy says: 503 where one does not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_scanners: Vec<PluginName>,
    /// Who may post.
    pub posting: Posting,
}

/// Where messages are kept.
#[async_trait]
pub trait MessageStore: Send + Sync + 'static {
    /// What the actor may do in the room; `None` where there is no such room.
    async fn access(&self, actor: &Actor, room: RoomId) -> Result<Access, StoreError>;

    /// Whether the actor decides about what is held back, in every room: that is the server's to give, not a room's. A store
    /// without such people has none.
    async fn judges(&self, _actor: &Actor) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// The room of this name. A store whose rooms have no names has none.
    async fn room_named(&self, _name: &str) -> Result<Option<RoomId>, StoreError> {
        Ok(None)
    }

    /// What holds in the room.
    async fn policy(&self, room: RoomId) -> Result<Arc<RoomPolicy>, StoreError>;

    /// The message that this author sent to this room with this key before.
    async fn by_key(&self, author: &Actor, room: RoomId, key: &str) -> Result<Option<StoredRow>, StoreError>;

    /// The message that an AI sent to this room with this key before, whichever model it was.
    async fn by_ai_key(&self, room: RoomId, key: &str) -> Result<Option<StoredRow>, StoreError>;

    /// Whether the room is that of a few people who talk in private. A store without such rooms has none.
    async fn is_direct(&self, _room: RoomId) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// A message, in whatever state it is.
    async fn message(&self, message: MessageId) -> Result<Option<StoredRow>, StoreError>;

    /// Whether the room has this message, and shows it: one that is held back or deleted is not there.
    async fn has_message(&self, room: RoomId, message: MessageId) -> Result<bool, StoreError>;

    /// What is known of these files, in their order; nothing of one that is not there. A store without files has none.
    async fn files(&self, ids: &[FileId]) -> Result<Vec<Option<Attachable>>, StoreError> {
        Ok(vec![None; ids.len()])
    }

    /// Stores a message, and hangs its files on it. The store calls one of [`Commit`]'s methods once it knows the outcome: [`Commit::stored`] only
    /// after the transaction is durable, and in the order in which the messages were committed.
    fn append(&self, commit: Commit);

    /// Changes a stored message. The store asks [`Alter::decide`] within its transaction, writes what was decided, and
    /// calls one of [`Alter`]'s methods in the order of the commits: [`Alter::stored`] only after it is durable.
    fn alter(&self, alter: Alter);

    /// At most `limit` changes of a room after this number, in the order of their numbers.
    async fn changes(&self, room: RoomId, after: u64, limit: u32) -> Result<Changes, StoreError>;

    /// The number of the last change of all rooms: who asks [`changes`](Self::changes) for those after it misses none.
    async fn last_change(&self) -> Result<u64, StoreError>;

    /// The messages of a room with `after < seq < before`, at most `limit`: the first ones where `after` is given, else
    /// the last ones; in either case in the order of `seq`. Messages that are held or deleted are left out.
    async fn history(
        &self,
        room: RoomId,
        after: Option<u64>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredRow>, StoreError>;
}

/// Tells plugins what happened, without waiting for them. What is told so is not stored.
pub trait Announcer: Send + Sync + 'static {
    /// Hands an event to everyone who subscribed.
    fn announce(&self, event: Event);
}

/// Who listens now. Only a stored message can be handed to them.
pub trait Fanout: Send + Sync + 'static {
    /// Delivers a message to the room's listeners without waiting for any of them. Called in the order of `seq` within a
    /// room.
    fn deliver(&self, message: &Message<Stored>);

    /// Tells the room's listeners what befell a message, without waiting for any of them. Called in the order of the
    /// changes' numbers, and in the order of commits with [`deliver`](Self::deliver).
    fn changed(&self, change: &Change);

    /// Tells the room's listeners of an answer on its way, without waiting for any of them. A text in it was seen by every
    /// scanner. What it tells is not stored: who is too slow misses it, and is shown the message.
    fn deliver_delta(&self, frame: &ReplyFrame) {
        let _ = frame;
    }
}

/// From committed messages to events and commands.
pub trait Outbox: Send + Sync + 'static {
    /// Takes note that what has this outbox number is to be told to plugins. Called in the order of the numbers. Must not
    /// wait: what does not fit is read from the store later.
    fn enqueue(&self, delivery: Delivery);
}

/// What a store gives a message when it commits it.
#[derive(Debug, Clone, Copy)]
pub struct Committed {
    /// Its place in the room.
    pub seq: u64,
    /// Its place in the outbox.
    pub outbox_id: u64,
    /// When.
    pub created_at: Time,
}

/// A cleared message on its way into the store, and the way back to whoever waits for it.
///
/// Dropping it answers that the store failed.
pub struct Commit {
    message: Message<Cleared>,
    events: Vec<Arc<Event>>,
    tail: Arc<Tail>,
    reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// What becomes of a message once it is stored.
pub(super) struct Tail {
    pub(super) fanout: Arc<dyn Fanout>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) announcer: Arc<dyn Announcer>,
}

/// What the pipeline answers.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The stored message.
    pub row: Arc<StoredRow>,
    /// Whether the sender's key was known, so that this is the first result again and nothing was stored.
    pub known: bool,
}

impl Commit {
    pub(super) fn new(
        message: Message<Cleared>,
        tail: Arc<Tail>,
    ) -> (Self, oneshot::Receiver<Result<Outcome, StoreError>>) {
        let (reply, outcome) = oneshot::channel();
        let events = super::told::findings(&message).map(Arc::new).collect();
        (Self { message, events, tail, reply }, outcome)
    }

    /// The events that are stored with the message, in its transaction: what scanners found in it. They take the numbers
    /// after the message's.
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The message to store.
    pub fn message(&self) -> &Message<Cleared> {
        &self.message
    }

    /// The message is durable: it is delivered, told to plugins, and acknowledged.
    pub fn stored(self, committed: Committed) {
        let Self { message, events, tail, reply } = self;
        let row = StoredRow {
            id: message.id(),
            room_id: message.room_id(),
            seq: committed.seq,
            text: message.text().to_owned(),
            author: message.author().clone(),
            reply_to: message.reply_to(),
            state: message.state(),
            revision: 1,
            created_at: committed.created_at,
            edited_at: None,
            attachments: message.attached().to_vec(),
            reactions: Vec::new(),
        };
        let message = message.store(row);
        if message.state() != MessageState::Quarantined {
            tail.fanout.deliver(&message);
        }
        let posted = Posted {
            row: message.row().clone(),
            origin: message.origin(),
            cause_id: message.cause_id(),
            cause_depth: message.cause_depth(),
        };
        let events = events.into_iter().map(Told::Event);
        for (number, what) in (committed.outbox_id..).zip(std::iter::once(Told::Message(posted)).chain(events)) {
            tail.outbox.enqueue(Delivery { outbox_id: number, what });
        }
        // Whoever asked may have gone; the message is stored all the same.
        let _ = reply.send(Ok(Outcome { row: message.row().clone(), known: false }));
    }

    /// The author sent this key in this room before: the first result again. Nothing is delivered a second time.
    pub fn known(self, row: StoredRow) {
        let _ = self.reply.send(Ok(Outcome { row: Arc::new(row), known: true }));
    }

    /// Nothing was stored.
    pub fn failed(self, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}
