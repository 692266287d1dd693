//! Every event that the server emits: its name and its data. Knows no emitter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Payload;
use crate::id::{EventId, MessageId, PluginName, RoomId, UserId};
use crate::message::{Actor, ActorKind, Finding, Time};
use crate::permission::Permission;
use crate::plugin::Health;

macro_rules! catalog {
    ($(
        $(#[$doc:meta])*
        $type:ident = $name:literal $(, carries $content:ident)? {
            $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)*
        }
    )*) => {
        /// The names of all events of the catalogue, in its order.
        pub const NAMES: &[&str] = &[$($name,)*];

        /// The events whose data carries what people wrote: a handler needs `UserDataAccess`.
        pub const WITH_CONTENT: &[&str] = &[$($(catalog!(@content $content $name),)?)*];

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[non_exhaustive]
            pub struct $type {
                $($(#[$field_doc])* pub $field: $field_type,)*
            }

            impl Payload for $type {
                const NAME: &'static str = $name;
                $(const CARRIES_CONTENT: bool = catalog!(@true $content);)?
            }

            impl $type {
                /// The event's data.
                #[allow(clippy::too_many_arguments, clippy::new_without_default, reason = "one argument a field")]
                pub fn new($($field: $field_type),*) -> Self {
                    Self { $($field),* }
                }
            }
        )*

        /// Each event's name and the JSON Schema of its data.
        pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($name, schemars::schema_for!($type)),)*]
        }
    };
    (@content content $name:literal) => { $name };
    (@true content) => { true };
}

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
        /// `room` or `direct`.
        kind: String,
        /// Its name.
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
    /// Something that an operator should look at.
    SecurityAlert = "security_alert" {
        /// `low`, `medium`, `high` or `critical`.
        severity: String,
        /// The plugin that says so; nothing for the server.
        plugin_id: Option<PluginName>,
        /// A short code for programs.
        code: String,
        /// What or whom it is about.
        subject: String,
        /// More, without what people wrote.
        detail: Option<String>,
    }
    /// A scanner fails: messages are treated by its policy.
    ScanDegraded = "scan_degraded" {
        /// The plugin.
        plugin_id: PluginName,
        /// The policy: `closed`, `quarantine` or `open`.
        mode: String,
        /// Failures so far.
        failures: u32,
        /// Since when.
        since: Time,
    }
    /// A scanner works again.
    ScanRecovered = "scan_recovered" {
        /// The plugin.
        plugin_id: PluginName,
        /// Failures while it was down.
        failures: u32,
        /// Since when it had failed.
        since: Time,
    }
    /// A provider is asked.
    AiRequest = "ai_request" {
        /// The request to the provider.
        request_id: String,
        /// The provider.
        provider: PluginName,
        /// The model.
        model: String,
        /// The room it was for, where there is one.
        room_id: Option<RoomId>,
        /// For whom.
        user_id: Option<UserId>,
        /// About how much is sent.
        input_tokens_estimate: u64,
    }
    /// A provider answered.
    AiReply = "ai_reply" {
        /// The request to the provider.
        request_id: String,
        /// The message that the answer became.
        message_id: Option<MessageId>,
        /// The model.
        model: String,
        /// What was sent, as the provider counted it.
        input_tokens: u64,
        /// What came back.
        output_tokens: u64,
        /// Why it ended: `stop`, `length`, `cancelled`, `content_filter`.
        finish: String,
        /// How long the whole took, in milliseconds.
        latency_ms: u64,
        /// How long until the first word, in milliseconds.
        first_token_ms: u64,
    }
    /// A provider failed.
    AiReplyFailed = "ai_reply_failed" {
        /// The request to the provider.
        request_id: String,
        /// The provider.
        provider: PluginName,
        /// Why, as a code.
        code: String,
        /// Whether trying again may help.
        retryable: bool,
        /// Whether part of an answer was shown.
        partial: bool,
    }
    /// A model calls a tool.
    AiToolCall = "ai_tool_call" {
        /// The request to the provider.
        request_id: String,
        /// The tool.
        tool: String,
        /// SHA-256 of the arguments, in hexadecimal.
        args_hash: String,
        /// `not_needed`, `asked`, `given` or `refused`.
        approval: String,
        /// `waiting`, `done` or `failed`.
        status: String,
        /// Who approved or refused it.
        by: Option<Actor>,
    }
    /// A command was run.
    CommandExecuted = "command_executed" {
        /// Its name, without the slash.
        command: String,
        /// The plugin that answered.
        plugin_id: PluginName,
        /// Who did it.
        by: Actor,
        /// The room.
        room_id: RoomId,
        /// Whether it succeeded.
        ok: bool,
        /// How long it took, in milliseconds.
        ms: u64,
    }
    /// An outside program called a webhook.
    WebhookReceived = "webhook_received" {
        /// The webhook.
        hook_id: String,
        /// The plugin it belongs to, where there is one.
        plugin_id: Option<PluginName>,
        /// What it was answered.
        status: u16,
    }
    /// A webhook of an outside program was called.
    WebhookDelivered = "webhook_delivered" {
        /// The webhook.
        hook_id: String,
        /// The plugin it belongs to, where there is one.
        plugin_id: Option<PluginName>,
        /// What it answered.
        status: u16,
        /// How many attempts it took.
        attempts: u32,
    }
    /// A webhook of an outside program could not be called.
    WebhookFailed = "webhook_failed" {
        /// The webhook.
        hook_id: String,
        /// The plugin it belongs to, where there is one.
        plugin_id: Option<PluginName>,
        /// What it answered, if it did.
        status: Option<u16>,
        /// How many attempts were made.
        attempts: u32,
    }
    /// A workflow began.
    WorkflowStarted = "workflow_started" {
        /// The run.
        run_id: String,
        /// The workflow.
        workflow_id: String,
        /// What started it.
        trigger: String,
        /// Which attempt, from 1.
        attempt: u32,
    }
    /// A workflow ended well.
    WorkflowCompleted = "workflow_completed" {
        /// The run.
        run_id: String,
        /// The workflow.
        workflow_id: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// How long it took, in milliseconds.
        ms: u64,
    }
    /// A workflow failed.
    WorkflowFailed = "workflow_failed" {
        /// The run.
        run_id: String,
        /// The workflow.
        workflow_id: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// How long it took, in milliseconds.
        ms: u64,
        /// Why.
        error: String,
    }
    /// A trigger started a workflow.
    TriggerFired = "trigger_fired" {
        /// The trigger.
        trigger_id: String,
        /// The run.
        run_id: String,
        /// The event that it reacted to.
        event_id: Option<EventId>,
    }
    /// A plugin was enabled.
    PluginEnabled = "plugin_enabled" {
        /// The plugin.
        plugin_id: PluginName,
        /// Its version.
        version: String,
        /// Who did it.
        by: Actor,
    }
    /// A plugin was disabled.
    PluginDisabled = "plugin_disabled" {
        /// The plugin.
        plugin_id: PluginName,
        /// Its version.
        version: String,
        /// Who did it.
        by: Actor,
    }
    /// A plugin failed: an error, a timeout or a panic.
    PluginError = "plugin_error" {
        /// The plugin.
        plugin_id: PluginName,
        /// What the host had asked of it, such as `scan_message`.
        call: String,
        /// `failed`, `timeout`, `panicked`, `start_failed`, `quarantined`, `cause_depth`.
        code: String,
        /// Why, without what people wrote.
        error: String,
        /// How long the call took, in milliseconds.
        ms: u64,
    }
    /// A plugin's health changed.
    PluginHealthChanged = "plugin_health_changed" {
        /// The plugin.
        plugin_id: PluginName,
        /// How it was.
        old: Health,
        /// How it is.
        health: Health,
    }
    /// A plugin's configuration was changed.
    PluginConfigChanged = "plugin_config_changed" {
        /// The plugin.
        plugin_id: PluginName,
        /// JSON pointers of what changed, never the values.
        changed_keys: Vec<String>,
        /// Who did it.
        by: Actor,
    }
    /// A plugin was refused something.
    PermissionDenied = "permission_denied" {
        /// The plugin.
        plugin_id: PluginName,
        /// The permission that it lacks.
        permission: Permission,
        /// What it tried.
        call: String,
    }
    /// The server's settings changed.
    ConfigChanged = "config_changed" {
        /// JSON pointers of what changed, never the values.
        changed_keys: Vec<String>,
        /// Who did it.
        by: Actor,
    }
    /// The server is ready.
    SystemStarted = "system_started" {
        /// The version of the bundle.
        version: String,
        /// The plugins that are enabled.
        plugins: Vec<PluginName>,
    }
    /// The server is about to stop.
    SystemStopping = "system_stopping" {
        /// Why, such as `signal`.
        reason: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_snake_case() {
        let distinct: std::collections::BTreeSet<_> = NAMES.iter().collect();
        assert_eq!(distinct.len(), NAMES.len());
        for name in NAMES {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }

    #[test]
    fn only_messages_carry_what_people_wrote() {
        assert_eq!(WITH_CONTENT, ["user_message", "message_received", "message_updated"]);
        const { assert!(MessageUpdated::CARRIES_CONTENT && !MessageRejected::CARRIES_CONTENT) };
        for (name, schema) in schemas() {
            let has_text = schema.as_value().pointer("/properties/text").is_some();
            assert_eq!(has_text, WITH_CONTENT.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_field_is_documented() {
        for (name, schema) in schemas() {
            let properties = schema.get("properties").and_then(serde_json::Value::as_object);
            for (field, schema) in properties.into_iter().flatten() {
                assert!(schema["description"].is_string(), "{name}.{field}");
            }
        }
    }
}
