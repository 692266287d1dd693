//! Events of people: messages, accounts, rooms, files. Knows no emitter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Payload;
use crate::id::{MessageId, PluginName, RoomId, UserId};
use crate::message::{Actor, ActorKind, Finding};

catalog! {
    /// A person's message was stored.
    UserMessage = "user_message", carries content {
        /// The message.
        message_id: MessageId,
        /// The room it was posted in.
        room_id: RoomId,
        /// What was written.
        text: String,
        /// The message it answers.
        reply_to: Option<MessageId>,
        /// The names it mentions, without the `@`.
        mentions: Vec<String>,
    }
    /// A message was stored, whoever wrote it.
    MessageReceived = "message_received", carries content {
        /// The message.
        message_id: MessageId,
        /// The room it was posted in.
        room_id: RoomId,
        /// What was written.
        text: String,
        /// The message it answers.
        reply_to: Option<MessageId>,
        /// The names it mentions, without the `@`.
        mentions: Vec<String>,
        /// What kind of being wrote it.
        author_kind: ActorKind,
    }
    /// A message was edited.
    MessageUpdated = "message_updated", carries content {
        /// The message.
        message_id: MessageId,
        /// The room.
        room_id: RoomId,
        /// The revision it has now.
        revision: u32,
        /// SHA-256 of the text before, in hexadecimal.
        old_text_hash: String,
        /// What it says now.
        text: String,
    }
    /// A message was deleted.
    MessageDeleted = "message_deleted" {
        /// The message.
        message_id: MessageId,
        /// The room.
        room_id: RoomId,
        /// Who did it.
        by: Actor,
        /// Whether it is gone, not only hidden.
        hard: bool,
    }
    /// A message was refused and not stored.
    MessageRejected = "message_rejected" {
        /// The room.
        room_id: RoomId,
        /// Who wrote it.
        author: Actor,
        /// The code that the author was given.
        code: String,
        /// The plugin that refused it.
        plugin_id: PluginName,
        /// What the scanner found, without the text.
        finding: Finding,
    }
    /// A message was stored and a scanner wants it looked at.
    MessageFlagged = "message_flagged" {
        /// The message.
        message_id: MessageId,
        /// The room.
        room_id: RoomId,
        /// The plugin that flagged it.
        plugin_id: PluginName,
        /// What the scanner found, without the text.
        finding: Finding,
    }
    /// A message was stored and held back.
    MessageQuarantined = "message_quarantined" {
        /// The message.
        message_id: MessageId,
        /// The room.
        room_id: RoomId,
        /// The plugin that holds it back.
        plugin_id: PluginName,
        /// What the scanner found, without the text; nothing where the scanner failed.
        finding: Option<Finding>,
    }
    /// A message that was held back is delivered after all.
    MessageReleased = "message_released" {
        /// The message.
        message_id: MessageId,
        /// The room.
        room_id: RoomId,
        /// Who did it.
        by: Actor,
    }
    /// Somebody reacted to a message.
    ReactionAdded = "reaction_added" {
        /// The message.
        message_id: MessageId,
        /// The room.
        room_id: RoomId,
        /// With what.
        emoji: String,
        /// Who did it.
        by: Actor,
    }
    /// Somebody took a reaction back.
    ReactionRemoved = "reaction_removed" {
        /// The message.
        message_id: MessageId,
        /// The room.
        room_id: RoomId,
        /// Which.
        emoji: String,
        /// Who did it.
        by: Actor,
    }
    /// Somebody is typing. Not stored.
    UserTyping = "user_typing" {
        /// The room.
        room_id: RoomId,
        /// The person.
        user_id: UserId,
    }
    /// Somebody logged in.
    UserLogin = "user_login" {
        /// The person.
        user_id: UserId,
        /// How: `password`, `token`.
        method: String,
        /// From which address.
        ip: String,
        /// With which program.
        user_agent: Option<String>,
        /// From which device.
        device_id: Option<String>,
        /// The session that began.
        session_id: String,
    }
    /// Somebody failed to log in.
    UserLoginFailed = "user_login_failed" {
        /// The name that was tried.
        login: String,
        /// From which address.
        ip: String,
        /// Why, as a code.
        reason: String,
        /// How often in a row.
        count: u32,
    }
    /// Somebody logged out.
    UserLogout = "user_logout" {
        /// The person.
        user_id: UserId,
        /// The session that ended.
        session_id: String,
        /// Why: `asked`, `expired`, `revoked`.
        why: String,
    }
    /// An account was made.
    UserCreated = "user_created" {
        /// The person.
        user_id: UserId,
        /// Who did it.
        by: Actor,
    }
    /// An account was changed.
    UserUpdated = "user_updated" {
        /// The person.
        user_id: UserId,
        /// The names of the fields that changed.
        changed: Vec<String>,
        /// Who did it.
        by: Actor,
    }
    /// An account was deleted.
    UserDeleted = "user_deleted" {
        /// The person.
        user_id: UserId,
        /// Who did it.
        by: Actor,
    }
    /// Somebody's roles changed.
    UserRoleChanged = "user_role_changed" {
        /// The person.
        user_id: UserId,
        /// The roles before.
        old: Vec<String>,
        /// The roles now.
        new: Vec<String>,
        /// Who did it.
        by: Actor,
    }
    /// Somebody came, left or is busy.
    PresenceChanged = "presence_changed" {
        /// The person.
        user_id: UserId,
        /// `online`, `away`, `busy` or `offline`.
        status: String,
    }
    /// A room was made.
    RoomCreated = "room_created" {
        /// The room.
        room_id: RoomId,
        /// `public`, `private` or `direct`.
        kind: String,
        /// Its name; empty for a direct room.
        name: String,
        /// Who did it.
        by: Actor,
    }
    /// A room was changed.
    RoomUpdated = "room_updated" {
        /// The room.
        room_id: RoomId,
        /// The names of the fields that changed.
        changed: Vec<String>,
        /// Who did it.
        by: Actor,
    }
    /// A room was deleted.
    RoomDeleted = "room_deleted" {
        /// The room.
        room_id: RoomId,
        /// Who did it.
        by: Actor,
    }
    /// Somebody became a member of a room.
    RoomMemberAdded = "room_member_added" {
        /// The room.
        room_id: RoomId,
        /// The person.
        user_id: UserId,
        /// Who did it.
        by: Actor,
        /// Why: `created`, `joined`, `invited`.
        why: String,
    }
    /// Somebody is no member of a room any more.
    RoomMemberRemoved = "room_member_removed" {
        /// The room.
        room_id: RoomId,
        /// The person.
        user_id: UserId,
        /// Who did it.
        by: Actor,
        /// Why: `left`, `removed`.
        why: String,
    }
    /// A file was stored, and no scanner objected.
    FileUploaded = "file_uploaded" {
        /// The file.
        file_id: String,
        /// The name that its sender gave it.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// The type that its sender named.
        mime_declared: String,
        /// The type that its content shows.
        mime_sniffed: String,
        /// SHA-256 of its content, in hexadecimal.
        sha256: String,
        /// `clean`, `pending` or `unscanned`.
        scan_state: String,
    }
    /// A scanner judged a file.
    FileScanned = "file_scanned" {
        /// The file.
        file_id: String,
        /// The plugin.
        plugin_id: PluginName,
        /// `allow`, `flag`, `quarantine` or `reject`.
        verdict: String,
        /// The threats by name.
        threats: Vec<String>,
        /// How long it took, in milliseconds.
        scan_time_ms: u64,
    }
    /// A file was held back.
    FileQuarantined = "file_quarantined" {
        /// The file.
        file_id: String,
        /// Who did it.
        by: Actor,
        /// Why, as a code.
        why: String,
    }
    /// A file was deleted.
    FileDeleted = "file_deleted" {
        /// The file.
        file_id: String,
        /// Who did it.
        by: Actor,
        /// Why, as a code.
        why: String,
    }
}
