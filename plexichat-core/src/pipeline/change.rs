//! What befell a stored message, as clients of its room are told it. Only the pipeline makes a [`Change`]; a store reads
//! [`ChangeRow`]s of what is over.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::{Message, Stored};
use crate::event::Event;
use crate::event::catalog::{ReactionAdded, ReactionRemoved};
use crate::id::{MessageId, RoomId};
use crate::message::{Actor, Reaction, StoredRow};

/// A change on its way to listeners: the proof that whatever text it shows went through the pipeline.
#[derive(Debug, Clone)]
pub struct Change(ChangeRow);

/// A change as it is told, live or later.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRow {
    /// Its number: later changes have higher ones, in all rooms together.
    pub number: u64,
    /// The room.
    pub room_id: RoomId,
    /// What changed.
    pub what: Changed,
}

/// What changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// A message was edited or released. Whoever has it by its `id` replaces it, whoever has not inserts it.
    Updated(Arc<StoredRow>),
    /// A message is not shown any more: deleted, or held back after an edit.
    Deleted {
        /// The message.
        id: MessageId,
        /// Its place in the room, which stays empty.
        seq: u64,
    },
    /// Somebody reacted, or took a reaction back.
    Reaction {
        /// The message.
        message_id: MessageId,
        /// With what.
        emoji: String,
        /// Whether it was added.
        on: bool,
        /// Who.
        by: Actor,
        /// All reactions of the message now.
        reactions: Vec<Reaction>,
    },
}

/// The changes of a room that somebody missed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// In the order of their numbers. Those of messages that are not shown any more are left out.
    pub rows: Vec<ChangeRow>,
    /// Everything up to this number is among them; go on after it.
    pub upto: u64,
    /// Whether there are more after it.
    pub more: bool,
    /// Whether some between the number that was asked for and the first of these are not kept any more.
    pub gone: bool,
}

/// What a row among the changes is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Plugins alone: an event.
    Event,
    /// A message was edited.
    Updated,
    /// A message is not shown any more.
    Deleted,
    /// Somebody reacted.
    Reaction,
    /// A message was released that nobody had seen: clients are shown it, plugins are told of it as of a new one.
    Released,
}

impl ChangeKind {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Reaction => "reaction",
            Self::Released => "released",
        }
    }
}

impl Change {
    pub(super) fn updated(number: u64, message: &Message<Stored>) -> Self {
        let row = message.row();
        Self(ChangeRow { number, room_id: row.room_id, what: Changed::Updated(row.clone()) })
    }

    /// For what shows no text.
    pub(super) fn textless(number: u64, room_id: RoomId, what: Textless) -> Self {
        let what = match what {
            Textless::Deleted { id, seq } => Changed::Deleted { id, seq },
            Textless::Reaction { message_id, emoji, on, by, reactions } => {
                Changed::Reaction { message_id, emoji, on, by, reactions }
            }
        };
        Self(ChangeRow { number, room_id, what })
    }

    /// The change as it is told.
    pub fn row(&self) -> &ChangeRow {
        &self.0
    }
}

/// What a stored change is told as now, by its kind, its message as it is, and its event; nothing where the message is not
/// shown any more, or there is nothing for clients.
pub fn changed(kind: ChangeKind, row: &StoredRow, event: Option<&Event>) -> Option<Changed> {
    let what = match kind {
        ChangeKind::Event => return None,
        ChangeKind::Deleted => return Some(Changed::Deleted { id: row.id, seq: row.seq }),
        ChangeKind::Updated | ChangeKind::Released => Changed::Updated(Arc::new(row.clone())),
        ChangeKind::Reaction => {
            let (event, message_id, reactions) = (event?, row.id, row.reactions.clone());
            let (emoji, by, on) = match event.payload::<ReactionAdded>() {
                Ok(added) => (added.emoji.clone(), added.by.clone(), true),
                Err(_) => {
                    let removed = event.payload::<ReactionRemoved>().ok()?;
                    (removed.emoji.clone(), removed.by.clone(), false)
                }
            };
            Changed::Reaction { message_id, emoji, on, by, reactions }
        }
    };
    row.state.is_shown().then_some(what)
}

/// The changes that need no proof.
pub(super) enum Textless {
    Deleted { id: MessageId, seq: u64 },
    Reaction { message_id: MessageId, emoji: String, on: bool, by: Actor, reactions: Vec<Reaction> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_json() {
        use ChangeKind::{Deleted, Event, Reaction, Released, Updated};
        for kind in [Event, Updated, Deleted, Reaction, Released] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
