//! What leaves for clients: frames of JSON text, each written once however many hear it. Knows no queue and no socket.

use plexichat::assistant::{ApprovalRequest, ReplyError};
use plexichat::id::{MessageId, ReplyId, RoomId, UserId};
use plexichat::message::{Actor, Reaction, StoredRow};
use plexichat::pipeline::{ChangeRow, Changed};
use plexichat::store::StoreError;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::presence::Status;

/// A frame that was written. A clone shares the text.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The JSON text.
    pub text: Utf8Bytes,
    /// How far in its room whoever got it has come.
    pub place: Place,
}

/// How far in its room a frame brings whoever gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: nothing of it is stored.
    None,
    /// To the message with this `seq`.
    Message(u64),
    /// To the change with this number.
    Change(u64),
    /// Out of it.
    Out,
}

/// What is written, with the name of its type as `type` beside its own members. A message has the members that the REST
/// API shows.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    Message(&'a StoredRow),
    /// A message was edited or released.
    MessageUpdated {
        change: u64,
        #[serde(flatten)]
        row: &'a StoredRow,
    },
    /// A message is not shown any more.
    MessageDeleted {
        change: u64,
        room_id: RoomId,
        id: MessageId,
        seq: u64,
    },
    /// Somebody reacted, or no longer does.
    Reaction {
        change: u64,
        room_id: RoomId,
        message_id: MessageId,
        emoji: &'a str,
        on: bool,
        by: &'a Actor,
        reactions: &'a [Reaction],
    },
    /// A client must read the history itself, from this message on.
    Gap {
        room_id: RoomId,
        from_seq: u64,
        /// Where the changes were too many or are not kept any more: go on after this one.
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<u64>,
    },
    /// The connection listens to the room no more, because its person may not.
    Unsubscribed {
        room_id: RoomId,
    },
    Typing {
        room_id: RoomId,
        user: Named<'a>,
    },
    /// An assistant thinks about an answer.
    ReplyStart {
        reply_id: ReplyId,
        room_id: RoomId,
        message_id: MessageId,
        asked_by: &'a Actor,
        author: &'a Actor,
    },
    /// More of an answer's text.
    ReplyDelta {
        reply_id: ReplyId,
        room_id: RoomId,
        index: u32,
        text: &'a str,
    },
    /// An answer is over.
    ReplyEnd {
        reply_id: ReplyId,
        room_id: RoomId,
        messages: &'a [MessageId],
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a ReplyError>,
    },
    /// A tool call waits for leave, or does not any more.
    ToolApproval(&'a ApprovalRequest),
    Presence {
        user_id: UserId,
        status: Status,
    },
}

/// A person or an assistant, by identifier and name.
#[derive(Serialize)]
pub(super) struct Named<'a> {
    /// Of an assistant, `plugin/model`.
    pub(super) id: &'a str,
    pub(super) name: &'a str,
}

impl<'a> Content<'a> {
    pub(super) fn of_change(row: &'a ChangeRow) -> Self {
        let (change, room_id) = (row.number, row.room_id);
        match &row.what {
            Changed::Updated(row) => Self::MessageUpdated { change, row },
            Changed::Deleted { id, seq } => Self::MessageDeleted { change, room_id, id: *id, seq: *seq },
            Changed::Reaction { message_id, emoji, on, by, reactions } => {
                Self::Reaction { change, room_id, message_id: *message_id, emoji, on: *on, by, reactions }
            }
        }
    }
}

impl Content<'_> {
    pub(super) fn write(&self) -> Result<Frame, StoreError> {
        let text = serde_json::to_string(self);
        let text = text.map_err(|error| StoreError::Failed(format!("writing a frame: {error}")))?;
        let place = match self {
            Self::Message(row) => Place::Message(row.seq),
            Self::MessageUpdated { change, .. }
            | Self::MessageDeleted { change, .. }
            | Self::Reaction { change, .. }
            | Self::Gap { change: Some(change), .. } => Place::Change(*change),
            Self::Unsubscribed { .. } => Place::Out,
            Self::Gap { change: None, .. }
            | Self::Typing { .. }
            | Self::Presence { .. }
            | Self::ReplyStart { .. }
            | Self::ReplyDelta { .. }
            | Self::ReplyEnd { .. }
            | Self::ToolApproval(_) => Place::None,
        };
        Ok(Frame { text: text.into(), place })
    }
}
