//! What may befall a stored message: edit, deletion, reaction, release, rejection. Decides on the message as the store has
//! it in the transaction; the store writes what was decided and says when it is durable. Knows no engine.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::change::{Change, ChangeKind, Textless};
use super::delivery::{Delivery, Posted, Told};
use super::message::{Cleared, Message, Stored};
use super::ports::Tail;
use super::refusal::Refusal;
use super::told;
use crate::event::catalog::{MessageDeleted, MessageReleased, MessageUpdated, ReactionAdded, ReactionRemoved};
use crate::event::{Event, Payload};
use crate::id::{MessageId, PluginName};
use crate::message::{Actor, Finding, MessageState, Origin, Reaction, StoredRow, Time};
use crate::store::StoreError;

/// With how many different emoji people may react to one message.
pub const EMOJI_MAX: usize = 50;

/// What somebody wants to write instead of what they wrote before. Only the text changes.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Who edits: only the author may.
    pub by: Actor,
    /// Which message.
    pub message_id: MessageId,
    /// The new text.
    pub text: String,
    /// The revision that the editor saw; where the message has another one by now, the edit is refused.
    pub expected_revision: Option<u32>,
    /// By which road it came.
    pub origin: Origin,
}

/// What somebody reacts with, or no longer does.
#[derive(Debug, Clone)]
pub struct React {
    /// Who.
    pub by: Actor,
    /// To which message.
    pub message_id: MessageId,
    /// With what: one emoji.
    pub emoji: String,
    /// Whether it is put on the message or taken back.
    pub on: bool,
    /// By which road it came.
    pub origin: Origin,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Altered {
    /// The message as it is now.
    pub row: Arc<StoredRow>,
    /// The number of the change that clients are told; nothing where they are told nothing.
    pub change: Option<u64>,
}

/// A message as the store has it, with what is not shown of it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The message.
    pub posted: Posted,
    /// What scanners found in it.
    pub findings: Vec<(PluginName, Finding)>,
    /// Where an edit is held back: SHA-256 of the text that was shown before it, in hexadecimal.
    pub old_text_hash: Option<String>,
    /// Whether whoever reacts has reacted with this emoji. Only asked where [`Alter::reaction`] names one.
    pub reacted: bool,
}

/// A change on its way into the store, and the way back to whoever waits for it.
///
/// The store runs [`decide`](Self::decide) in its transaction, writes the [`Decision`], and calls one of the others once
/// it knows the outcome, in the order of the commits. Dropping it answers that the store failed.
pub struct Alter {
    message_id: MessageId,
    by: Actor,
    origin: Origin,
    what: What,
    tail: Arc<Tail>,
    reply: oneshot::Sender<Result<Altered, Refusal>>,
}

pub(super) enum What {
    /// Judged like a new message.
    Edit {
        message: Box<Message<Cleared>>,
        expected_revision: Option<u32>,
    },
    Delete,
    React {
        emoji: String,
        on: bool,
    },
    Release,
    Reject,
}

/// What the store is to write.
#[derive(Debug, Clone)]
pub struct Decision {
    before: Posted,
    row: Arc<StoredRow>,
    findings: Vec<(PluginName, Finding)>,
    old_text_hash: Option<String>,
    rows: Vec<NewChange>,
    audit: Option<&'static str>,
}

/// A row among the changes. They take their numbers in their order, from the same count as messages do.
#[derive(Debug, Clone)]
pub struct NewChange {
    /// What it is for.
    pub kind: ChangeKind,
    /// The event that plugins are told.
    pub event: Option<Arc<Event>>,
}

impl Decision {
    /// The message from now on.
    pub fn row(&self) -> &StoredRow {
        &self.row
    }

    /// What scanners found in it.
    pub fn findings(&self) -> &[(PluginName, Finding)] {
        &self.findings
    }

    /// Where an edit is held back: SHA-256 of the text that was shown before it, in hexadecimal.
    pub fn old_text_hash(&self) -> Option<&str> {
        self.old_text_hash.as_deref()
    }

    /// The rows among the changes; none where nothing changes and there is nothing to write.
    pub fn changes(&self) -> &[NewChange] {
        &self.rows
    }

    /// Whether what was written must go from wherever it is: reactions, mentions, events that were told, files.
    pub fn wipes(&self) -> bool {
        self.row.state == MessageState::Deleted
    }

    /// What the audit log is told that somebody did to another's message.
    pub fn audit(&self) -> Option<&'static str> {
        self.audit
    }
}

impl Alter {
    pub(super) fn new(
        message_id: MessageId,
        by: Actor,
        origin: Origin,
        what: What,
        tail: Arc<Tail>,
    ) -> (Self, oneshot::Receiver<Result<Altered, Refusal>>) {
        let (reply, outcome) = oneshot::channel();
        (Self { message_id, by, origin, what, tail, reply }, outcome)
    }

    /// Which message.
    pub fn message_id(&self) -> MessageId {
        self.message_id
    }

    /// Who changes it.
    pub fn by(&self) -> &Actor {
        &self.by
    }

    /// The emoji that is put on the message (`true`) or taken back.
    pub fn reaction(&self) -> Option<(&str, bool)> {
        match &self.what {
            What::React { emoji, on } => Some((emoji, *on)),
            _ => None,
        }
    }

    /// What becomes of the message, which the store has like this.
    ///
    /// # Errors
    /// A [`Refusal`]: nothing is to be written.
    pub fn decide(&self, kept: &Kept, now: Time) -> Result<Decision, Refusal> {
        let row = &kept.posted.row;
        let held = match row.state {
            MessageState::Deleted => return Err(Refusal::NoMessage),
            state => state == MessageState::Quarantined,
        };
        let now = now.max(row.created_at);
        let mut decision = Decision {
            before: kept.posted.clone(),
            row: row.clone(),
            findings: kept.findings.clone(),
            old_text_hash: kept.old_text_hash.clone(),
            rows: Vec::new(),
            audit: None,
        };
        match &self.what {
            What::Edit { .. } if held => return Err(Refusal::Held),
            What::Edit { expected_revision: Some(expected), .. } if *expected != row.revision => {
                return Err(Refusal::Stale { revision: row.revision });
            }
            What::Edit { message, .. } => self.edit(&mut decision, message, now),
            What::Delete => {
                decision.audit = (!self.by.is_same(&row.author)).then_some("message.delete");
                self.delete(&mut decision, held, now);
            }
            What::React { .. } if held => return Err(Refusal::NoMessage),
            What::React { emoji, on } if *on != kept.reacted => self.react(&mut decision, emoji, *on, now)?,
            What::React { .. } => {}
            What::Release | What::Reject if !held => return Err(Refusal::NotHeld),
            What::Release => {
                decision.audit = Some("message.release");
                self.release(&mut decision, now);
            }
            What::Reject => {
                decision.audit = Some("message.reject");
                self.delete(&mut decision, held, now);
            }
        }
        Ok(decision)
    }

    fn edit(&self, decision: &mut Decision, message: &Message<Cleared>, now: Time) {
        let before = decision.before.row.clone();
        let old_text_hash = hash(&before.text);
        let row = StoredRow {
            text: message.text().to_owned(),
            state: message.state(),
            revision: before.revision + 1,
            edited_at: Some(now),
            ..(*before).clone()
        };
        decision.findings = message.findings().to_vec();
        let mut findings = told::findings(message).map(|event| Arc::new(self.about(event, &row, now)));
        if row.state == MessageState::Quarantined {
            let event = findings.next();
            decision.rows.push(NewChange { kind: ChangeKind::Deleted, event });
            decision.old_text_hash = Some(old_text_hash);
        } else {
            let event = MessageUpdated::new(row.id, row.room_id, row.revision, old_text_hash, row.text.clone());
            decision.rows.push(NewChange { kind: ChangeKind::Updated, event: Some(self.event(event, &row, now)) });
        }
        decision.rows.extend(findings.map(|event| NewChange { kind: ChangeKind::Event, event: Some(event) }));
        decision.row = Arc::new(row);
    }

    fn delete(&self, decision: &mut Decision, held: bool, now: Time) {
        let row = StoredRow {
            text: String::new(),
            state: MessageState::Deleted,
            attachments: Vec::new(),
            reactions: Vec::new(),
            ..(*decision.row).clone()
        };
        let event = MessageDeleted::new(row.id, row.room_id, self.by.clone(), true);
        // Whoever was not shown it has nothing to take away.
        let kind = if held { ChangeKind::Event } else { ChangeKind::Deleted };
        decision.rows.push(NewChange { kind, event: Some(self.event(event, &row, now)) });
        decision.findings = Vec::new();
        decision.old_text_hash = None;
        decision.row = Arc::new(row);
    }

    fn react(&self, decision: &mut Decision, emoji: &str, on: bool, now: Time) -> Result<(), Refusal> {
        let mut row = (*decision.row).clone();
        let known = row.reactions.iter().position(|reaction| reaction.emoji == emoji);
        match known {
            Some(known) if on => row.reactions[known].count += 1,
            Some(known) if row.reactions[known].count > 1 => row.reactions[known].count -= 1,
            Some(known) => {
                row.reactions.remove(known);
            }
            None if on && row.reactions.len() >= EMOJI_MAX => {
                return Err(Refusal::TooManyReactions { limit: EMOJI_MAX });
            }
            None if on => row.reactions.push(Reaction { emoji: emoji.to_owned(), count: 1 }),
            None => {}
        }
        let (id, room, emoji, by) = (row.id, row.room_id, emoji.to_owned(), self.by.clone());
        let event = if on {
            self.event(ReactionAdded::new(id, room, emoji, by), &row, now)
        } else {
            self.event(ReactionRemoved::new(id, room, emoji, by), &row, now)
        };
        decision.rows.push(NewChange { kind: ChangeKind::Reaction, event: Some(event) });
        decision.row = Arc::new(row);
        Ok(())
    }

    fn release(&self, decision: &mut Decision, now: Time) {
        let row = StoredRow { state: MessageState::Stored, ..(*decision.row).clone() };
        let first = match decision.old_text_hash.take() {
            None => NewChange { kind: ChangeKind::Released, event: None },
            // It was told as a new one before its edit was held back.
            Some(old) => {
                let mut event =
                    Event::new(MessageUpdated::new(row.id, row.room_id, row.revision, old, row.text.clone()));
                event.actor = row.author.clone();
                event.origin = decision.before.origin;
                let event = Arc::new(at(event, &row, now));
                NewChange { kind: ChangeKind::Updated, event: Some(event) }
            }
        };
        let event = MessageReleased::new(row.id, row.room_id, self.by.clone());
        let event = Some(self.event(event, &row, now));
        decision.rows.extend([first, NewChange { kind: ChangeKind::Event, event }]);
        decision.row = Arc::new(row);
    }

    fn event<P: Payload>(&self, payload: P, row: &StoredRow, now: Time) -> Arc<Event> {
        Arc::new(self.about(Event::new(payload), row, now))
    }

    /// An event about the message, done by whoever changes it.
    fn about(&self, event: Event, row: &StoredRow, now: Time) -> Event {
        let mut event = at(event, row, now);
        event.actor = self.by.clone();
        event.origin = self.origin;
        event
    }

    /// What was decided is durable, its first row among the changes has the number `first`: clients and plugins are told,
    /// and whoever asked.
    pub fn stored(self, decision: Decision, first: u64) {
        let Self { by, what, tail, reply, .. } = self;
        let Decision { before, row, rows, .. } = decision;
        let mut change = None;
        if let Some(kind) = rows.first().map(|row| row.kind) {
            if let Some(told) = shown(what, kind, &row, first, (&before, by)) {
                tail.fanout.changed(&told);
                change = Some(first);
            }
            for (number, NewChange { kind, event }) in (first..).zip(rows) {
                let what = match (kind, event) {
                    (ChangeKind::Released, _) => Told::Released(Posted { row: row.clone(), ..before.clone() }),
                    (_, Some(event)) => Told::Event(event),
                    (_, None) => Told::Nothing,
                };
                tail.outbox.enqueue(Delivery { outbox_id: number, what });
            }
        }
        // Whoever asked may have gone; it is stored all the same.
        let _ = reply.send(Ok(Altered { row, change }));
    }

    /// There is no such message.
    pub fn missing(self) {
        self.refused(Refusal::NoMessage);
    }

    /// It was decided that nothing is to be written.
    pub fn refused(self, refusal: Refusal) {
        let _ = self.reply.send(Err(refusal));
    }

    /// Nothing was stored.
    pub fn failed(self, error: StoreError) {
        self.refused(error.into());
    }
}

/// What listeners of the room are told; nothing where it is for plugins alone.
fn shown(
    what: What,
    kind: ChangeKind,
    row: &Arc<StoredRow>,
    number: u64,
    (before, by): (&Posted, Actor),
) -> Option<Change> {
    let textless = |what| Some(Change::textless(number, row.room_id, what));
    match (kind, what) {
        (ChangeKind::Updated, What::Edit { message, .. }) => {
            Some(Change::updated(number, &message.store((**row).clone())))
        }
        (ChangeKind::Updated | ChangeKind::Released, What::Release) => {
            // A moderator decided instead of the scanners that held it back.
            Some(Change::updated(number, &Message::<Stored>::release(before, row.clone())))
        }
        (ChangeKind::Deleted, _) => textless(Textless::Deleted { id: row.id, seq: row.seq }),
        (ChangeKind::Reaction, What::React { emoji, on }) => {
            let reactions = row.reactions.clone();
            textless(Textless::Reaction { message_id: row.id, emoji, on, by, reactions })
        }
        _ => None,
    }
}

fn at(mut event: Event, row: &StoredRow, now: Time) -> Event {
    event.time = now;
    event.room_id = Some(row.room_id);
    event.seq = Some(row.seq);
    event
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
