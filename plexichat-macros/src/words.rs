//! The closed lists of words that attributes take. A test keeps each equal to the list in `plexichat-core`.

/// The permissions, as types.
pub(crate) const PERMISSIONS: &[&str] = &[
    "NetworkAccess",
    "FileSystemRead",
    "FileSystemWrite",
    "UserDataAccess",
    "PostMessages",
    "AiAccess",
    "AdminAccess",
];

/// The roles that can be filled.
pub(crate) const ROLES: &[&str] = &["Security"];

/// Roles that have a name and no trait yet.
pub(crate) const LATER_ROLES: &[&str] = &["AiProvider", "Interface"];

/// A point where the host asks a plugin.
pub(crate) struct Hook {
    /// The method, which is also the option that sets its policy.
    pub(crate) method: &'static str,
    /// The variant of `plexichat::descriptor::Hook`.
    pub(crate) variant: &'static str,
    /// The longest timeout, in milliseconds.
    pub(crate) timeout_max: u64,
}

/// The hooks of the role `Security`.
pub(crate) const SECURITY_HOOKS: &[Hook] = &[
    Hook { method: "rewrite_message", variant: "RewriteMessage", timeout_max: 5_000 },
    Hook { method: "scan_message", variant: "ScanMessage", timeout_max: 5_000 },
];

/// Hooks that have a name and no method yet.
pub(crate) const LATER_HOOKS: &[&str] = &["scan_file", "scan_reply"];

/// What can happen to a message when a hook fails: the word in the attribute and the variant.
pub(crate) const FAIL_MODES: &[(&str, &str)] = &[("closed", "Closed"), ("open", "Open"), ("quarantine", "Quarantine")];

/// The longest name of a plugin.
pub(crate) const NAME_MAX: usize = 40;

/// Names that a plugin may not take.
pub(crate) const RESERVED_NAMES: &[&str] =
    &["core", "macros", "server", "default", "full", "cluster", "host", "interface", "testing", "fixtures"];

/// The prefix of events that plugins define.
pub(crate) const CUSTOM_PREFIX: &str = "custom.";

/// The events of the catalogue.
pub(crate) const EVENTS: &[&str] = &[
    "user_message",
    "message_received",
    "message_updated",
    "message_deleted",
    "message_rejected",
    "message_flagged",
    "message_quarantined",
    "message_released",
    "reaction_added",
    "reaction_removed",
    "user_typing",
    "user_login",
    "user_login_failed",
    "user_logout",
    "user_created",
    "user_updated",
    "user_deleted",
    "user_role_changed",
    "presence_changed",
    "room_created",
    "room_updated",
    "room_deleted",
    "room_member_added",
    "room_member_removed",
    "file_uploaded",
    "file_scanned",
    "file_quarantined",
    "file_deleted",
    "security_alert",
    "scan_degraded",
    "scan_recovered",
    "ai_request",
    "ai_reply",
    "ai_reply_failed",
    "ai_tool_call",
    "command_executed",
    "webhook_received",
    "webhook_delivered",
    "webhook_failed",
    "workflow_started",
    "workflow_completed",
    "workflow_failed",
    "trigger_fired",
    "plugin_enabled",
    "plugin_disabled",
    "plugin_error",
    "plugin_health_changed",
    "plugin_config_changed",
    "permission_denied",
    "config_changed",
    "system_started",
    "system_stopping",
];

/// The events whose data carries what people wrote.
pub(crate) const EVENTS_WITH_CONTENT: &[&str] = &["user_message", "message_received", "message_updated"];
