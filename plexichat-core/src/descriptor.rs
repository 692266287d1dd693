//! What the linker gathers: constant data and function pointers, one descriptor a plugin. Runs nothing by itself.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::asset::{Asset, Locale};
use crate::command::{CommandCall, CommandReply, CommandSpec};
use crate::context::Services;
use crate::error::{PluginError, Result};
use crate::event::Event;
use crate::permission::{Permission, PermissionSet};
use crate::plugin::ai_provider::AiProvider;
use crate::plugin::automation::{Automation, Triggers};
use crate::plugin::gui::{ComponentSpec, Gui, GuiReply, Interaction};
use crate::plugin::interface::{RouteAnswer, RouteCall, RouteRefusal, RouteSpec, Routes, SocketTask};
use crate::plugin::security::Security;
use crate::plugin::{Health, Plugin};
use crate::problem::Problem;
use crate::tool::{ToolAnswer, ToolCall, ToolSpec};
use crate::trigger::TriggerSpec;
use crate::workflow::{Outcome, WorkflowError, WorkflowRun};

/// Everything that is known of a plugin without running it. `#[plexichat::plugin]` writes it as a constant.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    /// The plugin's name.
    pub name: &'static str,
    /// The crate it is in.
    pub package: Package,
    /// The type that carries the attribute, with its path: the manifest's `entry_point`.
    pub entry_point: &'static str,
    /// What it is for, such as `productivity`.
    pub category: &'static str,
    /// Words to find it by.
    pub tags: &'static [&'static str],
    /// The versions of `plexichat-core` that it accepts, as a Cargo requirement.
    pub core: &'static str,
    /// The roles it fills.
    pub provides: &'static [Role],
    /// The permissions it asks for.
    pub permissions: &'static [Permission],
    /// The plugins it cannot do without.
    pub requires: &'static [Requirement],
    /// The hooks that its roles implement, with their policies.
    pub hooks: &'static [HookSpec],
    /// The events it handles.
    pub events: &'static [EventSpec],
    /// The commands it answers.
    pub commands: &'static [CommandSpec],
    /// The tools that models may call.
    pub tools: &'static [ToolSpec],
    /// The custom events it emits, with their prefix.
    pub emits: &'static [&'static str],
    /// The absolute paths it serves.
    pub absolute_routes: &'static [&'static str],
    /// The files it embeds.
    pub assets: &'static [Asset],
    /// The languages it speaks.
    pub locales: &'static [Locale],
    /// What needs the plugin's types.
    pub entry: Entry,
}

/// What Cargo knows of a plugin's crate.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "Cargo's own names")]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    pub description: &'static str,
    /// Separated by `:`, each `Name <email>`.
    pub authors: &'static str,
    pub license: &'static str,
    pub repository: &'static str,
    pub rust_version: &'static str,
}

/// A kind of plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Answers prompts.
    AiProvider,
    /// Judges messages, files, answers of models and attempts to sign in.
    Security,
    /// Adds routes and pages.
    Interface,
    /// Reacts to events, commands and time.
    Automation,
}

/// Another plugin that must be enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// Its name.
    pub name: &'static str,
    /// The versions that will do, as a Cargo requirement.
    pub version: &'static str,
}

/// A point where the host asks a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hook {
    /// `Security::rewrite_message`.
    RewriteMessage,
    /// `Security::scan_message`.
    ScanMessage,
    /// `Security::scan_file`.
    ScanFile,
    /// `Security::scan_reply`.
    ScanReply,
    /// `Security::check_login`.
    CheckLogin,
}

/// The largest file that a scanner is asked about where its attribute says nothing: 50 MiB.
pub const MAX_BYTES: u64 = 50 << 20;

/// A call about a file may take a second longer for each of these many bytes that the file has.
const BYTES_A_SECOND: u64 = 10 << 20;

impl Hook {
    /// Every hook there is.
    pub const ALL: &'static [Hook] =
        &[Hook::RewriteMessage, Hook::ScanMessage, Hook::ScanFile, Hook::ScanReply, Hook::CheckLogin];

    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RewriteMessage => "rewrite_message",
            Self::ScanMessage => "scan_message",
            Self::ScanFile => "scan_file",
            Self::ScanReply => "scan_reply",
            Self::CheckLogin => "check_login",
        }
    }

    /// The policy where the attribute says nothing.
    pub const fn default_policy(self) -> HookPolicy {
        let (timeout, max_bytes) = match self {
            Self::ScanFile => (Duration::from_secs(10), Some(MAX_BYTES)),
            Self::RewriteMessage | Self::ScanMessage | Self::ScanReply | Self::CheckLogin => {
                (Duration::from_millis(500), None)
            }
        };
        HookPolicy { timeout, max_bytes, on_error: FailMode::Closed, required: false, before: &[], after: &[] }
    }

    /// The longest time that an attribute or an operator may give the hook.
    pub const fn timeout_max(self) -> Duration {
        match self {
            Self::ScanFile => Duration::from_secs(60),
            Self::RewriteMessage | Self::ScanMessage | Self::ScanReply | Self::CheckLogin => Duration::from_secs(5),
        }
    }

    /// What a call about so many bytes may take beyond its timeout: a second for each 10 MiB of a file.
    pub const fn extra_time(self, bytes: u64) -> Duration {
        match self {
            Self::ScanFile => Duration::from_secs(bytes / BYTES_A_SECOND),
            Self::RewriteMessage | Self::ScanMessage | Self::ScanReply | Self::CheckLogin => Duration::ZERO,
        }
    }
}

/// A hook that a plugin implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookSpec {
    /// Which.
    pub hook: Hook,
    /// How the host treats it.
    pub policy: HookPolicy,
}

/// How the host treats a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookPolicy {
    /// How long a call may take; for files, beside [`Hook::extra_time`].
    pub timeout: Duration,
    /// The largest file that the plugin is asked about; nothing for hooks that see no files.
    pub max_bytes: Option<u64>,
    /// What happens when the call fails or takes too long.
    pub on_error: FailMode,
    /// Whether what it judges is refused while the plugin is disabled, and disabling it through the API is refused.
    pub required: bool,
    /// Plugins whose same hook runs after this one.
    pub before: &'static [&'static str],
    /// Plugins whose same hook runs before this one.
    pub after: &'static [&'static str],
}

/// What happens to a message or a file when a hook fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailMode {
    /// It is refused: 503 `scanner_unavailable`.
    Closed,
    /// It is stored and held back. A file waits until its scanner works again.
    Quarantine,
    /// It is delivered and marked `unscanned`. Counts only where the operator's configuration says so too.
    Open,
}

impl FailMode {
    /// The word for it in settings and manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Quarantine => "quarantine",
            Self::Open => "open",
        }
    }
}

/// An event handler, as the macro saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSpec {
    /// The method.
    pub method: &'static str,
    /// The events' names, or `*`.
    pub patterns: &'static [&'static str],
    /// Whether the plugin's own events are wanted too.
    pub own: bool,
}

/// The functions that need the plugin's types.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The JSON Schema of its configuration.
    pub config_schema: fn() -> Value,
    /// The default configuration: what the defaults of the schema give, without required fields and secrets.
    pub default_config: fn() -> Value,
    /// Reads and validates a configuration; every finding, none where it is good.
    pub check_config: fn(&Value) -> Vec<Problem>,
    /// The routes it serves.
    pub routes: fn() -> Vec<RouteSpec>,
    /// The body of an error that the host answers on one of them; nothing: as all of the server's errors look.
    pub route_error: fn(&RouteRefusal<'_>) -> Option<Value>,
    /// What it adds to the pages.
    pub gui: fn() -> Vec<ComponentSpec>,
    /// The triggers that its code registers.
    pub triggers: fn() -> Vec<TriggerSpec>,
    /// Starts an instance.
    pub start: StartFn,
}

/// Starts an instance of a plugin with its capabilities and a configuration.
pub type StartFn = fn(Services, Value) -> BoxFuture<'static, Result<Arc<dyn Instance>, StartError>>;

/// Why an instance did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration does not fit.
    #[error("its configuration is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<Problem>),
    /// `initialize` refused.
    #[error(transparent)]
    Refused(#[from] PluginError),
}

/// A running plugin, its type erased. The host's guard is the only caller.
pub trait Instance: Send + Sync + 'static {
    /// Hands an event to the handler with this index in [`Descriptor::events`].
    fn event<'a>(&'a self, handler: usize, event: &'a Event) -> BoxFuture<'a, Result<()>>;
    /// Calls the command with this index in [`Descriptor::commands`].
    fn command(&self, command: usize, call: CommandCall) -> BoxFuture<'_, Result<CommandReply>>;
    /// Calls the tool with this index in [`Descriptor::tools`].
    fn tool(&self, tool: usize, call: ToolCall) -> BoxFuture<'_, Result<ToolAnswer>> {
        let _ = (tool, call);
        Box::pin(std::future::ready(Err(PluginError::not_found("this plugin has no tools"))))
    }
    /// Calls the route with this index in what [`Entry::routes`] gives.
    fn route(&self, route: usize, call: RouteCall) -> BoxFuture<'static, Result<RouteAnswer>> {
        let _ = (route, call);
        Box::pin(std::future::ready(Err(PluginError::not_found("this plugin has no routes"))))
    }
    /// Takes a call of the WebSocket with this index apart; what is given back speaks on it.
    fn socket(&self, route: usize, call: RouteCall) -> BoxFuture<'static, Result<SocketTask>> {
        let _ = (route, call);
        Box::pin(std::future::ready(Err(PluginError::not_found("this plugin has no WebSockets"))))
    }
    /// Calls the component with this index in what [`Entry::gui`] gives.
    fn interact(&self, component: usize, interaction: Interaction) -> BoxFuture<'static, Result<GuiReply>> {
        let _ = (component, interaction);
        Box::pin(std::future::ready(Err(PluginError::not_found("this plugin has no components"))))
    }
    /// Makes an attempt at a run.
    fn workflow(&self, run: WorkflowRun) -> BoxFuture<'_, Result<Outcome, WorkflowError>> {
        let _ = run;
        Box::pin(std::future::ready(Err(WorkflowError::permanent("this plugin has no workflows"))))
    }
    /// The security role.
    fn security(&self) -> Option<&dyn Security>;
    /// The role of an AI provider.
    fn ai_provider(&self) -> Option<&dyn AiProvider> {
        None
    }
    /// Its health.
    fn health(&self) -> BoxFuture<'_, Health>;
    /// The last call.
    fn cleanup(&self) -> BoxFuture<'_, Result<()>>;
    /// The plugin itself, for tests.
    fn as_any(&self) -> &dyn Any;
}

/// What `#[plexichat::plugin]` implements on the type: the tie between type and descriptor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not registered as a plugin",
    note = "put `#[plexichat::plugin]` on the struct"
)]
pub trait Registered: Plugin {
    /// The descriptor.
    const DESCRIPTOR: &'static Descriptor;
    /// The handlers that `#[plexichat::handlers]` found.
    const HANDLERS: Handlers<Self>;
    /// The security role that `#[plexichat::role]` found.
    const SECURITY: SecurityRole<Self>;
    /// The role of an AI provider that `#[plexichat::role]` found.
    const AI_PROVIDER: AiProviderRole<Self>;
    /// The role of an interface that `#[plexichat::role]` found.
    const INTERFACE: InterfaceRole<Self>;
    /// The role of an automation that `#[plexichat::role]` found.
    const AUTOMATION: AutomationRole<Self>;
}

/// The handlers and commands of one type, in the order they were written.
pub struct Handlers<T: 'static> {
    /// The event handlers.
    pub events: &'static [EventSpec],
    /// How to call each.
    pub event_calls: &'static [EventFn<T>],
    /// The commands.
    pub commands: &'static [CommandSpec],
    /// How to call each.
    pub command_calls: &'static [CommandFn<T>],
    /// The tools.
    pub tools: &'static [ToolSpec],
    /// How to call each.
    pub tool_calls: &'static [ToolFn<T>],
}

/// Calls an event handler.
pub type EventFn<T> = for<'a> fn(&'a T, &'a Event) -> BoxFuture<'a, Result<()>>;
/// Calls a command.
pub type CommandFn<T> = for<'a> fn(&'a T, CommandCall) -> BoxFuture<'a, Result<CommandReply>>;
/// Calls a tool.
pub type ToolFn<T> = for<'a> fn(&'a T, ToolCall) -> BoxFuture<'a, Result<ToolAnswer>>;

impl<T> Handlers<T> {
    /// No handlers.
    pub const NONE: Self =
        Self { events: &[], event_calls: &[], commands: &[], command_calls: &[], tools: &[], tool_calls: &[] };
}

/// Which methods of the security role a type implements, and the way to them.
pub struct SecurityRole<T> {
    /// The hooks that the block has.
    pub hooks: &'static [Hook],
    /// The way to the trait object; nothing where there is no block.
    pub role: Option<fn(&T) -> &dyn Security>,
}

impl<T> SecurityRole<T> {
    /// No block.
    pub const NONE: Self = Self { hooks: &[], role: None };
}

/// The way to the role of an AI provider.
pub struct AiProviderRole<T> {
    /// The way to the trait object; nothing where there is no block.
    pub role: Option<fn(&T) -> &dyn AiProvider>,
}

impl<T> AiProviderRole<T> {
    /// No block.
    pub const NONE: Self = Self { role: None };
}

/// The way to the role of an interface.
pub struct InterfaceRole<T> {
    /// Names the routes; nothing where there is no block.
    pub role: Option<fn() -> Routes<T>>,
    /// The body of an error that the host answers on one of them.
    pub error_body: fn(&RouteRefusal<'_>) -> Option<Value>,
    /// Names what it adds to the pages.
    pub gui: fn() -> Gui<T>,
}

impl<T> InterfaceRole<T> {
    /// No block.
    pub const NONE: Self = Self { role: None, error_body: |_| None, gui: Gui::new };
}

/// The way to the role of an automation.
pub struct AutomationRole<T> {
    /// The way to the trait object; nothing where there is no block.
    pub role: Option<fn(&T) -> &dyn Automation>,
    /// Names the triggers.
    pub triggers: fn() -> Triggers<T>,
}

impl<T> AutomationRole<T> {
    /// No block.
    pub const NONE: Self = Self { role: None, triggers: Triggers::new };
}

impl Descriptor {
    /// The permissions it asks for, as a set.
    pub const fn permission_set(&self) -> PermissionSet {
        PermissionSet::of(self.permissions)
    }

    /// The manifest's `type`: the first role, or `automation` for a plugin that has handlers only.
    pub const fn kind(&self) -> Role {
        match self.provides {
            [first, ..] => *first,
            [] => Role::Automation,
        }
    }

    /// The policy of a hook, where the plugin implements it.
    pub fn hook(&self, hook: Hook) -> Option<&'static HookPolicy> {
        self.hooks.iter().find(|spec| spec.hook == hook).map(|spec| &spec.policy)
    }

    /// Whether a route's path begins at the server's root: the attribute's `absolute(..)` names it, or a path that it lies
    /// below.
    pub fn has_absolute(&self, path: &str) -> bool {
        let covers =
            |absolute: &&str| path.strip_prefix(*absolute).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.absolute_routes.iter().any(covers)
    }

    /// The plugin's name as its type.
    pub fn plugin_name(&self) -> crate::id::PluginName {
        crate::id::PluginName::linked(self.name)
    }
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// A plugin that does nothing, to be changed by tests.
    pub(crate) const fn plugin(name: &'static str) -> Descriptor {
        Descriptor {
            name,
            package: Package {
                name: "plexichat-test",
                version: "0.1.0",
                description: "A plugin of the tests",
                authors: "",
                license: "MIT",
                repository: "",
                rust_version: "",
            },
            entry_point: "plexichat_test::Test",
            category: "",
            tags: &[],
            core: "*",
            provides: &[],
            permissions: &[],
            requires: &[],
            hooks: &[],
            events: &[],
            commands: &[],
            tools: &[],
            emits: &[],
            absolute_routes: &[],
            assets: &[],
            locales: &[],
            entry: Entry {
                config_schema: || serde_json::json!({ "type": "object", "additionalProperties": false }),
                default_config: || serde_json::json!({}),
                check_config: |_| Vec::new(),
                routes: Vec::new,
                route_error: |_| None,
                gui: Vec::new,
                triggers: Vec::new,
                start: |_, _| Box::pin(async { Err(StartError::Refused(PluginError::internal("it cannot start"))) }),
            },
        }
    }
}
