//! The one road of every message, from whoever sent it to whoever reads it. What skips a stage does not compile: a
//! [`Message`] carries its stage in its type, and only this folder moves it on.
//!
//! | # | stage | where |
//! |---|---|---|
//! | 0 | receive: an identifier, the sender's key | [`Pipeline::send`] |
//! | 1 | authenticate | the road in: an [`Incoming`] names a known actor |
//! | 2 | authorise | [`MessageStore::access`] |
//! | 3 | limit | `limits.rs` |
//! | 4, 6 | rewrite, scan | `scan.rs` |
//! | 5 | attachments | `attachments.rs`: files that came by the road in `files.rs` |
//! | 7, 8, 9 | store, deliver, tell plugins | [`Commit`] |
//!
//! What befalls a message later goes the same way: an edit is judged like a new message, and every change is an [`Alter`],
//! which the store completes in one order with the commits.

pub mod alter;
mod alterations;
mod attachments;
pub mod change;
pub mod chat;
pub mod delivery;
pub mod files;
mod judge;
mod limits;
mod login;
pub mod message;
pub mod ports;
mod prompt;
mod refusal;
mod reply;
mod scan;
mod scan_file;
mod told;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

pub use self::alter::{Alter, Altered, Decision, EMOJI_MAX, Edit, Kept, NewChange, React};
pub use self::attachments::{ATTACHMENTS_MAX, Attachable};
pub use self::change::{Change, ChangeKind, ChangeRow, Changed, Changes};
pub use self::delivery::{Delivery, Posted, Told};
pub use self::limits::{KEY_MAX, Limits};
pub use self::message::{Admitted, Cleared, Incoming, Message, Received, Stored};
pub use self::ports::{
    Access, Announcer, Commit, Committed, Fanout, MessageStore, Outbox, Outcome, Posting, RoomPolicy,
};
pub use self::refusal::Refusal;
pub use self::reply::{REPLY_BYTES_MAX, ReplyAbout, ReplyDelta, ReplyScanner};
pub use self::scan_file::{FileContent, FileReport, FileScan, FileVerdict, ScanFileError};

use self::limits::Limiter;
use self::ports::Tail;
use self::scan::Refused;
use crate::event::CAUSE_DEPTH_MAX;
use crate::id::{MessageId, RoomId};
use crate::incident::Fault;
use crate::manager::snapshot::Snapshot;
use crate::message::{Actor, ActorKind, MessageState};
use crate::problem::Problem;
use crate::store::StoreError;

/// The pipeline: one for all roads.
pub struct Pipeline {
    plugins: Arc<ArcSwap<Snapshot>>,
    store: Arc<dyn MessageStore>,
    tail: Arc<Tail>,
    limiter: ArcSwap<Limiter>,
    /// The host's own, where it was built on one: an answer may be read on a plugin's.
    runtime: Option<Handle>,
}

/// What a pipeline is built from.
pub struct Parts {
    /// The plugins that run now.
    pub plugins: Arc<ArcSwap<Snapshot>>,
    /// Where messages are kept.
    pub store: Arc<dyn MessageStore>,
    /// Who listens.
    pub fanout: Arc<dyn Fanout>,
    /// The way to handlers of messages.
    pub outbox: Arc<dyn Outbox>,
    /// The way to handlers of what did not become a message.
    pub announcer: Arc<dyn Announcer>,
    /// How much and how fast one actor may post.
    pub limits: Limits,
}

impl Pipeline {
    /// A pipeline over these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { plugins, store, fanout, outbox, announcer, limits } = parts;
        let runtime = Handle::try_current().ok();
        let tail = Arc::new(Tail { fanout, outbox, announcer });
        Self { plugins, store, tail, limiter: ArcSwap::from_pointee(Limiter::new(limits)), runtime }
    }

    /// Lets other limits count from now on. Everybody begins with a full bucket.
    pub fn set_limits(&self, limits: Limits) {
        self.limiter.store(Arc::new(Limiter::new(limits)));
    }

    /// The room of this name, which is no direct one.
    pub(crate) async fn room_named(&self, name: &str) -> Result<Option<RoomId>, StoreError> {
        self.store.room_named(name).await
    }

    /// The longest text that may be stored, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.limiter.load().text_bytes()
    }

    /// Takes a message through every stage; returns when it is durable.
    ///
    /// # Errors
    /// A [`Refusal`]; then nothing was stored, delivered or told to handlers of messages.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have stored the message. If it did, the message was also delivered and told to
    /// plugins. Sending it again with the same key is safe.
    pub async fn send(&self, incoming: Incoming) -> Result<Outcome, Refusal> {
        let received = self.receive(incoming).await?;
        if let Some(outcome) = self.known(&received).await? {
            return Ok(outcome);
        }
        let cleared = self.clear(received).await?;
        let (commit, outcome) = Commit::new(cleared, self.tail.clone());
        self.store.append(commit);
        let outcome = outcome.await.unwrap_or_else(|_| Err(StoreError::Failed("it gave no answer".to_owned())));
        Ok(outcome?)
    }

    /// Takes a message through every stage before it is stored, for somebody who wants to know what would become of it:
    /// the state in which it would be stored. Nothing is stored, delivered, or told to handlers of messages.
    ///
    /// # Errors
    /// The [`Refusal`] that [`send`](Self::send) would answer.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn check(&self, incoming: Incoming) -> Result<MessageState, Refusal> {
        let received = self.receive(incoming).await?;
        Ok(self.clear(received).await?.state())
    }

    /// Stages 0 to 2.
    async fn receive(&self, incoming: Incoming) -> Result<Message<Received>, Refusal> {
        if incoming.cause_depth > CAUSE_DEPTH_MAX {
            return Err(self.too_deep(&incoming));
        }
        self.limiter.load().check_size(&incoming)?;
        let received = Message::receive(MessageId::new(), incoming);
        self.authorise(received.author(), received.room_id()).await?;
        Ok(received)
    }

    /// Stages 3 to 6: what comes out may be stored.
    async fn clear(&self, received: Message<Received>) -> Result<Message<Cleared>, Refusal> {
        self.limiter.load().check_rate(received.incoming())?;
        self.check_reply(&received).await?;
        let mut admitted = received.admit();

        let scanning = self.scanning(admitted.room_id()).await?;
        let text_bytes = self.text_bytes();
        let passed = scan::rewrite(&scanning, &mut admitted, text_bytes).await?;
        self.limiter.load().check_size(admitted.incoming())?;
        self.attach(&mut admitted).await?;
        scan::scan(&scanning, admitted, passed).await.map_err(|refused| self.announce_refused(refused))
    }

    fn too_deep(&self, incoming: &Incoming) -> Refusal {
        let depth = incoming.cause_depth;
        let plugin = incoming.author.id.parse().ok().and_then(|name| self.plugins.load().plugin(&name).cloned());
        match plugin.filter(|_| incoming.author.kind == ActorKind::Plugin) {
            Some(plugin) => {
                let message = format!("it continued a chain of events at depth {depth}: cut");
                plugin.guard().report(Fault::CauseTooDeep, "post", &message, 0);
            }
            None => tracing::warn!(author = %incoming.author.id, depth, "a chain of events is too long: cut"),
        }
        Refusal::TooDeep { depth }
    }

    async fn authorise(&self, actor: &Actor, room_id: RoomId) -> Result<(), Refusal> {
        match self.store.access(actor, room_id).await? {
            Access::None => Err(Refusal::NoRoom),
            Access::Read => Err(Refusal::Forbidden),
            Access::Write | Access::Moderate => Ok(()),
        }
    }

    /// The first result again, where the author sent this key in this room before.
    async fn known(&self, message: &Message<Received>) -> Result<Option<Outcome>, Refusal> {
        let Some(key) = message.key() else { return Ok(None) };
        let row = self.store.by_key(message.author(), message.room_id(), key).await?;
        Ok(row.map(|row| Outcome { row: Arc::new(row), known: true }))
    }

    /// Whether what the message answers is in its room. What a plugin answers to an event is: the host told it of it.
    async fn check_reply(&self, message: &Message<Received>) -> Result<(), Refusal> {
        // What an edited message answers was looked at when it was sent, and may be gone by now.
        let asked = message.cause_depth() == 0 && !message.is_edit();
        let Some(answered) = message.reply_to().filter(|_| asked) else { return Ok(()) };
        if self.store.has_message(message.room_id(), answered).await? {
            return Ok(());
        }
        Err(Refusal::Invalid(vec![Problem::new("/reply_to", format!("this room has no message `{answered}`"))]))
    }

    fn announce_refused(&self, refused: Refused) -> Refusal {
        let Refused { refusal, message } = refused;
        if let Some(event) = told::rejected(&message, &refusal) {
            tracing::info!(room = %message.room_id(), %refusal, "a message was rejected");
            self.tail.announcer.announce(event);
        }
        refusal
    }
}
