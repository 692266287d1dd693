//! Events of the server and its plugins: security, AI, commands, webhooks, workflows, life cycle. Knows no emitter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Payload;
use crate::id::{EventId, MessageId, PluginName, RoomId, UserId};
use crate::message::{Actor, Time};
use crate::permission::Permission;
use crate::plugin::Health;

catalog! {
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
        /// What started it.
        trigger: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// How long it took, in milliseconds.
        ms: u64,
    }
    /// A workflow was parked: it goes on at a time, or when it is woken.
    WorkflowWaiting = "workflow_waiting" {
        /// The run.
        run_id: String,
        /// The workflow.
        workflow_id: String,
        /// What started it.
        trigger: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// How long it took, in milliseconds.
        ms: u64,
        /// When it goes on, if at a time.
        until: Option<Time>,
    }
    /// A workflow failed for good.
    WorkflowFailed = "workflow_failed" {
        /// The run; empty where none was made, since a chain of causes was too long.
        run_id: String,
        /// The workflow.
        workflow_id: String,
        /// What started it.
        trigger: String,
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
    /// A backup was taken.
    BackupCompleted = "backup_completed" {
        /// How many bytes it has.
        bytes: u64,
        /// Who took it.
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
