//! The words of messages: who wrote it, by which road it came, what a plugin says of it. Knows no pipeline.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::id::{FileId, MessageId, RoomId};

/// What kind of being wrote or did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActorKind {
    /// A person.
    User,
    /// A plugin.
    Plugin,
    /// A model, through an AI provider.
    Ai,
    /// The server itself.
    System,
    /// An outside program through a webhook.
    Webhook,
}

/// Who wrote or did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// What kind of being.
    pub kind: ActorKind,
    /// Its identifier within its kind: a user's id, a plugin's name.
    pub id: Arc<str>,
    /// The name to show.
    pub name: Arc<str>,
}

impl Actor {
    /// The server itself.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: "system".into(), name: "system".into() }
    }

    /// A plugin.
    pub fn plugin(name: &str) -> Self {
        Self { kind: ActorKind::Plugin, id: name.into(), name: name.into() }
    }

    /// A person.
    pub fn user(id: &str, name: &str) -> Self {
        Self { kind: ActorKind::User, id: id.into(), name: name.into() }
    }

    /// An outside program, through a webhook of a plugin.
    pub fn webhook(plugin: &str, id: &str, name: &str) -> Self {
        Self { kind: ActorKind::Webhook, id: format!("{plugin}/{id}").into(), name: name.into() }
    }

    /// Whether it is this plugin, or a webhook of its own.
    pub fn is_plugin(&self, name: &str) -> bool {
        match self.kind {
            ActorKind::Plugin => *self.id == *name,
            ActorKind::Webhook => self.id.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')),
            _ => false,
        }
    }

    /// Whether both are one, whatever the name is by now.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.id == other.id
    }
}

/// By which road something came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// A page of the server.
    Ui,
    /// The REST API.
    Rest,
    /// The WebSocket.
    Ws,
    /// The OpenAI-compatible gateway.
    Openai,
    /// A webhook.
    Webhook,
    /// A plugin.
    Plugin,
    /// The server itself.
    System,
    /// A post that was written before and was due now.
    Scheduled,
}

/// A moment in time, to the microsecond, as RFC 3339 text in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub Timestamp);

impl Time {
    /// Now, by the machine's clock.
    pub fn now() -> Self {
        Self::from_micros(Timestamp::now().as_microsecond())
    }

    /// Microseconds since 1970.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The moment so many microseconds after 1970, or the nearest that can be told.
    pub fn from_micros(micros: i64) -> Self {
        Self(Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX }))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// How far a stored message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageState {
    /// Scanned, stored, delivered.
    Stored,
    /// Stored and held back until a moderator releases it.
    Quarantined,
    /// Stored and delivered although a scanner failed, since its policy is `open`.
    Unscanned,
    /// Deleted: its place in the room is kept, what was written is gone.
    Deleted,
}

impl MessageState {
    /// Whether those who may read the room are shown it.
    pub const fn is_shown(self) -> bool {
        matches!(self, Self::Stored | Self::Unscanned)
    }
}

/// A file that hangs on a message, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// The file's identifier: `GET /api/v1/files/{id}`.
    pub id: FileId,
    /// The name that its sender gave it. It is never a path.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The type that its content shows.
    pub mime: String,
}

/// How often people reacted to a message with one emoji.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    /// With what.
    pub emoji: String,
    /// How many people.
    pub count: u32,
}

/// A message as it is stored and as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredRow {
    /// Its identifier.
    pub id: MessageId,
    /// The room it was posted in.
    pub room_id: RoomId,
    /// Its place in the room: 1 for the first message, without gaps.
    pub seq: u64,
    /// What was written.
    pub text: String,
    /// Who wrote it.
    pub author: Actor,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// How far it got.
    pub state: MessageState,
    /// 1 when posted, one more at each edit.
    pub revision: u32,
    /// When it was stored.
    pub created_at: Time,
    /// When it was edited last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Time>,
    /// The files that hang on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What people reacted with, in the order in which each emoji came first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// A message as a security plugin sees it: the text that would be stored, unless somebody objects.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MessageView<'a> {
    /// Its identifier.
    pub id: MessageId,
    /// The room it is for.
    pub room_id: RoomId,
    /// Who wrote it.
    pub author: &'a Actor,
    /// What was written.
    pub text: &'a str,
    /// By which road it came. Scanners may judge by it, and none is skipped by it.
    pub origin: Origin,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The message that it edits.
    pub edit_of: Option<MessageId>,
    /// Whether it is asked of a model and not posted: nobody in a room reads it. A whole conversation is asked anew with each
    /// question, so the same text comes again and again.
    pub prompt: bool,
    /// The files that hang on it. Their names are text that people read: judge them like it. Their content is judged when it
    /// is uploaded; the names cannot be rewritten, so rewriting hooks of a new message are not shown them.
    pub attachments: &'a [Attachment],
}

impl<'a> MessageView<'a> {
    /// A new message of this author in a room, by the road of plugins, that answers and carries nothing. The pipeline makes
    /// those of real messages; this is for tests and measurements.
    pub fn new(room_id: RoomId, author: &'a Actor, text: &'a str) -> Self {
        Self {
            id: MessageId::new(),
            room_id,
            author,
            text,
            origin: Origin::Plugin,
            reply_to: None,
            edit_of: None,
            prompt: false,
            attachments: &[],
        }
    }
}

/// What a rewriting hook changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessagePatch {
    /// The new text.
    pub text: String,
}

impl MessagePatch {
    /// Replaces the text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// What a scanner found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A short code for programs, such as `banned_word`.
    pub code: String,
    /// The threats by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threats: Vec<String>,
    /// How sure the scanner is, from 0 to 1.
    pub confidence: f32,
    /// More, for moderators. It must not repeat the message's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    /// A certain finding with this code.
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), threats: Vec::new(), confidence: 1.0, detail: None }
    }
}

/// A scanner's opinion of a message or a file. That it failed is a [`ScanError`], never an opinion.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing against it.
    Allow,
    /// Let it through and tell the moderators.
    Flag(Finding),
    /// Store it and hold it back until a moderator has looked.
    Quarantine(Finding),
    /// Refuse it.
    Reject(Finding),
}

impl Verdict {
    /// The specification's view: `{safe, confidence}`.
    pub fn to_json(&self) -> serde_json::Value {
        let (safe, confidence) = match self {
            Self::Allow => (true, 1.0),
            Self::Flag(finding) => (true, finding.confidence),
            Self::Quarantine(finding) | Self::Reject(finding) => (false, finding.confidence),
        };
        serde_json::json!({ "safe": safe, "confidence": confidence })
    }
}

/// A scanner could not form an opinion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// It took too long.
    #[error("took too long")]
    Timeout,
    /// What it depends on is not there.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// It is too large to scan.
    #[error("too large to scan")]
    TooLarge,
    /// The host could not read the file. It does not count against the scanner.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
    /// Anything else.
    #[error("failed: {0}")]
    Internal(String),
}

impl From<crate::error::PluginError> for ScanError {
    fn from(error: crate::error::PluginError) -> Self {
        match error.kind() {
            kind if kind.retryable() => Self::Unavailable(error.to_string()),
            _ => Self::Internal(error.to_string()),
        }
    }
}
