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

/// A role that can be filled.
pub(crate) struct Role {
    /// Its trait, which is also the variant of `plexichat::descriptor::Role`.
    pub(crate) name: &'static str,
    /// The module of `plexichat::plugin` that has the trait.
    pub(crate) module: &'static str,
    /// The constant that its block leaves on the type.
    pub(crate) constant: &'static str,
    /// The points where the host asks it, each with a policy.
    pub(crate) hooks: &'static [Hook],
    /// Its other methods that are asynchronous.
    pub(crate) asynchronous: &'static [&'static str],
    /// Its other methods that are plain functions.
    pub(crate) plain: &'static [&'static str],
}

/// The roles that can be filled.
pub(crate) const ROLES: &[Role] = &[
    Role {
        name: "AiProvider",
        module: "ai_provider",
        constant: "PLEXICHAT_AI_PROVIDER",
        hooks: &[],
        asynchronous: &["models", "stream_response", "generate_response", "embed"],
        plain: &["count_tokens"],
    },
    Role {
        name: "Automation",
        module: "automation",
        constant: "PLEXICHAT_AUTOMATION",
        hooks: &[],
        asynchronous: &["execute_workflow"],
        plain: &["register_triggers"],
    },
    Role {
        name: "Interface",
        module: "interface",
        constant: "PLEXICHAT_INTERFACE",
        hooks: &[],
        asynchronous: &[],
        plain: &["register_routes", "register_gui_components", "error_body"],
    },
    Role {
        name: "Security",
        module: "security",
        constant: "PLEXICHAT_SECURITY",
        hooks: SECURITY_HOOKS,
        asynchronous: &[],
        plain: &["canaries", "reply_mode"],
    },
];

/// The names of the roles that can be filled.
pub(crate) fn role_names() -> Vec<&'static str> {
    ROLES.iter().map(|role| role.name).collect()
}

/// A role by its name.
pub(crate) fn role(name: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.name == name)
}

impl Role {
    /// Every method that its block may have.
    pub(crate) fn methods(&self) -> Vec<&'static str> {
        let hooks = self.hooks.iter().map(|hook| hook.method);
        hooks.chain(self.asynchronous.iter().copied()).chain(self.plain.iter().copied()).collect()
    }
}

/// A point where the host asks a plugin.
pub(crate) struct Hook {
    /// The method, which is also the option that sets its policy.
    pub(crate) method: &'static str,
    /// The variant of `plexichat::descriptor::Hook`.
    pub(crate) variant: &'static str,
    /// The longest timeout, in milliseconds.
    pub(crate) timeout_max: u64,
    /// What waits for a call.
    pub(crate) waits: &'static str,
    /// Whether it sees files, and so has a largest size.
    pub(crate) sees_files: bool,
}

/// The hooks of the role `Security`.
pub(crate) const SECURITY_HOOKS: &[Hook] = &[
    Hook {
        method: "rewrite_message",
        variant: "RewriteMessage",
        timeout_max: 5_000,
        waits: "message",
        sees_files: false,
    },
    Hook { method: "scan_message", variant: "ScanMessage", timeout_max: 5_000, waits: "message", sees_files: false },
    Hook { method: "scan_file", variant: "ScanFile", timeout_max: 60_000, waits: "file", sees_files: true },
    Hook { method: "scan_reply", variant: "ScanReply", timeout_max: 5_000, waits: "answer", sees_files: false },
    Hook { method: "check_login", variant: "CheckLogin", timeout_max: 5_000, waits: "login", sees_files: false },
];

/// What can happen to a message when a hook fails: the word in the attribute and the variant.
pub(crate) const FAIL_MODES: &[(&str, &str)] = &[("closed", "Closed"), ("open", "Open"), ("quarantine", "Quarantine")];

/// Whether a person is asked before a tool is called: the word in the attribute and the variant.
pub(crate) const APPROVALS: &[(&str, &str)] = &[("never", "Never"), ("first_use", "FirstUse"), ("always", "Always")];

/// The longest name of a tool.
pub(crate) const TOOL_NAME_MAX: usize = 20;

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
    "workflow_waiting",
    "workflow_failed",
    "trigger_fired",
    "plugin_enabled",
    "plugin_disabled",
    "plugin_error",
    "plugin_health_changed",
    "plugin_config_changed",
    "permission_denied",
    "config_changed",
    "backup_completed",
    "system_started",
    "system_stopping",
];

/// The events whose data carries what people wrote.
pub(crate) const EVENTS_WITH_CONTENT: &[&str] = &["user_message", "message_received", "message_updated"];

#[cfg(test)]
mod tests {
    use plexichat::descriptor::{FailMode, Hook, Role};
    use plexichat::permission::Permission;

    use super::*;

    #[test]
    fn permissions_are_the_cores() {
        let core: Vec<&str> = Permission::ALL.iter().map(|permission| permission.type_name()).collect();
        assert_eq!(PERMISSIONS, core);
    }

    #[test]
    fn events_are_the_catalogues() {
        let sorted = |names: &[&'static str]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(EVENTS), sorted(plexichat::event::catalog::NAMES));
        assert_eq!(sorted(EVENTS_WITH_CONTENT), sorted(plexichat::event::catalog::WITH_CONTENT));
        assert_eq!(CUSTOM_PREFIX, plexichat::event::CUSTOM_PREFIX);
    }

    #[test]
    fn hooks_are_the_cores() {
        for (ours, core) in SECURITY_HOOKS.iter().zip(Hook::ALL) {
            assert_eq!((ours.method, ours.variant), (core.as_str(), format!("{core:?}").as_str()));
            assert_eq!(u128::from(ours.timeout_max), core.timeout_max().as_millis());
            assert_eq!(ours.sees_files, core.default_policy().max_bytes.is_some());
        }
        assert_eq!(schema_words::<Hook>(), SECURITY_HOOKS.iter().map(|hook| hook.method).collect::<Vec<_>>());
    }

    #[test]
    fn failure_policies_are_the_cores() {
        let mut core = schema_words::<FailMode>();
        core.sort_unstable();
        assert_eq!(FAIL_MODES.iter().map(|(word, _)| *word).collect::<Vec<_>>(), core);
    }

    #[test]
    fn approvals_are_the_cores() {
        let ours: Vec<&str> = APPROVALS.iter().map(|(word, _)| *word).collect();
        assert_eq!(ours, schema_words::<plexichat::tool::Approval>());
        assert_eq!(TOOL_NAME_MAX, plexichat::tool::NAME_MAX);
    }

    #[test]
    fn every_role_of_the_core_is_there() {
        let mut ours: Vec<String> = ROLES.iter().map(|role| snake(role.name)).collect();
        let mut core = schema_words::<Role>();
        ours.sort_unstable();
        core.sort_unstable();
        assert_eq!(ours, core);
    }

    /// The words of an enum, as its schema has them.
    fn schema_words<T: plexichat::__private::schemars::JsonSchema>() -> Vec<String> {
        let schema = plexichat::__private::schemars::schema_for!(T).to_value();
        let plain = schema["enum"].as_array().into_iter().flatten();
        let documented = schema["oneOf"].as_array().into_iter().flatten();
        let words = plain.chain(
            documented.flat_map(|variant| variant["enum"].as_array().into_iter().flatten().chain(variant.get("const"))),
        );
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }

    fn snake(word: &str) -> String {
        let mut snake = String::new();
        for letter in word.chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        snake
    }
}
