//! What is said on a WebSocket: the frames of clients, and those of the server that are for one client alone. Knows no socket.

use plexichat::id::{FileId, MessageId, ReplyId, RoomId};
use plexichat::message::StoredRow;
use serde::{Deserialize, Serialize};

use crate::error::ErrorDetail;
use crate::store::User;

/// What the server says of itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// What a client sends. Unknown types are ignored, and so are unknown members of known ones.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientFrame {
    Subscribe {
        room_id: RoomId,
        after_seq: Option<u64>,
        after_change: Option<u64>,
    },
    Send(SendFrame),
    Unsubscribe {
        room_id: RoomId,
    },
    Typing {
        room_id: RoomId,
    },
    Presence {
        status: Attendance,
    },
    /// Ends an assistant's answer early.
    Cancel {
        reply_id: ReplyId,
    },
    Ping,
    #[serde(other)]
    Unknown,
}

/// A message to be sent.
#[derive(Debug, Deserialize)]
pub(super) struct SendFrame {
    pub(super) room_id: RoomId,
    pub(super) text: String,
    pub(super) key: String,
    pub(super) reply_to: Option<MessageId>,
    #[serde(default)]
    pub(super) attachments: Vec<FileId>,
}

/// Whether somebody attends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Attendance {
    Online,
    Away,
}

/// What the server sends, apart from what the hub writes.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerFrame<'a> {
    Hello {
        user: &'a User,
        server: &'a Server,
        /// The last change of all: whoever subscribes after it misses none.
        change: u64,
        limits: HelloLimits,
    },
    Ack {
        key: &'a str,
        message: &'a StoredRow,
    },
    Pong,
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        error: ErrorDetail,
    },
}

#[derive(Serialize)]
pub(super) struct HelloLimits {
    pub(super) frame_bytes: usize,
    pub(super) text_bytes: usize,
    pub(super) frames_per_second: u32,
    pub(super) frames_at_once: u32,
    pub(super) rooms: usize,
    pub(super) typing_seconds: u64,
}

pub(super) fn text(frame: &ServerFrame<'_>) -> String {
    // Strings, numbers and derived shapes only: this cannot fail.
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match serde_json::from_str::<ClientFrame>(text) {
            Ok(frame) => format!("{frame:?}"),
            Err(error) => error.to_string(),
        };
        assert!(found.starts_with(expected), "{text}: {found}");
    }

    #[test]
    fn frames_of_clients() {
        let room = "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f";
        check(r#"{"type":"ping"}"#, "Ping");
        check(&format!(r#"{{"type":"cancel","reply_id":"{room}"}}"#), "Cancel");
        check(r#"{"type":"dance","room_id":"x"}"#, "Unknown");
        check(r#"{"type":"presence","status":"away"}"#, "Presence");
        check(r#"{"type":"presence","status":"offline"}"#, "unknown variant");
        check(&format!(r#"{{"type":"typing","room_id":"{room}"}}"#), "Typing");
        check(&format!(r#"{{"type":"subscribe","room_id":"{room}"}}"#), "Subscribe");
        check(&format!(r#"{{"room_id":"{room}","after_seq":3,"type":"subscribe","new":1}}"#), "Subscribe");
        check(&format!(r#"{{"type":"send","room_id":"{room}","text":"a"}}"#), "missing field `key`");
        check(r#"{"type":"subscribe","room_id":"x"}"#, "");
        check(r#"{"type":1}"#, "");
        check("{}", "missing field `type`");
        check("[", "EOF");
    }
}
