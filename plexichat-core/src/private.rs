//! What generated code names. No promise of stability: only the macros of the same version use it.

pub use async_trait::async_trait;
pub use garde;
#[cfg(feature = "registry-inventory")]
pub use inventory;
#[cfg(not(feature = "registry-inventory"))]
pub use linkme;
pub use schemars;
pub use serde;
pub use serde_json;

use std::any::Any;
use std::sync::Arc;

pub use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::command::{CommandCall, CommandReply, Model};
use crate::context::{Context, Services};
use crate::descriptor::{
    AiProviderRole, AutomationRole, Descriptor, Entry, Handlers, Hook, HookSpec, Instance, InterfaceRole, Package,
    Registered, Role, SecurityRole, StartError,
};
use crate::error::Result;
use crate::event::Event;
use crate::plugin::ai_provider::AiProvider;
use crate::plugin::gui::{ComponentSpec, Gui, GuiReply, Interaction};
use crate::plugin::interface::{RouteAnswer, RouteCall, RouteSpec, Routes, SocketTask};
use crate::plugin::security::Security;
use crate::plugin::{Health, Plugin};
use crate::problem::Problem;
use crate::tool::{ToolAnswer, ToolCall};
use crate::trigger::TriggerSpec;
use crate::workflow::{Outcome, WorkflowError, WorkflowRun};

/// The handlers of a type without a `#[plexichat::handlers]` block: an inherent constant of the same name wins.
pub trait DefaultHandlers: Sized + 'static {
    /// None.
    const PLEXICHAT_HANDLERS: Handlers<Self> = Handlers::NONE;
}

impl<T: 'static> DefaultHandlers for T {}

/// The security role of a type without a block: an inherent constant of the same name wins.
pub trait DefaultSecurity: Sized + 'static {
    /// None.
    const PLEXICHAT_SECURITY: SecurityRole<Self> = SecurityRole::NONE;
}

impl<T: 'static> DefaultSecurity for T {}

/// The role of an AI provider of a type without a block: an inherent constant of the same name wins.
pub trait DefaultAiProvider: Sized + 'static {
    /// None.
    const PLEXICHAT_AI_PROVIDER: AiProviderRole<Self> = AiProviderRole::NONE;
}

impl<T: 'static> DefaultAiProvider for T {}

/// The role of an interface of a type without a block: an inherent constant of the same name wins.
pub trait DefaultInterface: Sized + 'static {
    /// None.
    const PLEXICHAT_INTERFACE: InterfaceRole<Self> = InterfaceRole::NONE;
}

impl<T: 'static> DefaultInterface for T {}

/// The role of an automation of a type without a block: an inherent constant of the same name wins.
pub trait DefaultAutomation: Sized + 'static {
    /// None.
    const PLEXICHAT_AUTOMATION: AutomationRole<Self> = AutomationRole::NONE;
}

impl<T: 'static> DefaultAutomation for T {}

/// What needs a plugin's types.
pub const fn entry<P: Registered>() -> Entry {
    Entry {
        config_schema: config_schema::<P>,
        default_config: default_config::<P>,
        check_config: check_config::<P>,
        routes: routes::<P>,
        route_error: P::INTERFACE.error_body,
        gui: gui::<P>,
        triggers: triggers::<P>,
        start: start::<P>,
    }
}

/// The descriptor of a plugin whose attribute has mistakes: the crate does not compile, and no other message is wanted.
pub const fn stand_in<P: Registered>(name: &'static str) -> Descriptor {
    let package = Package {
        name: "",
        version: "0.0.0",
        description: "",
        authors: "",
        license: "",
        repository: "",
        rust_version: "",
    };
    Descriptor {
        name,
        package,
        entry_point: "",
        category: "",
        tags: &[],
        core: "*",
        // Every role: a role's block asks whether the attribute names it.
        provides: &[Role::AiProvider, Role::Security, Role::Interface, Role::Automation],
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
        entry: entry::<P>(),
    }
}

/// The schema of a plugin's configuration.
pub fn config_schema<P: Plugin>() -> Value {
    crate::schema::config_schema::<P::Config>()
}

/// The default configuration.
pub fn default_config<P: Plugin>() -> Value {
    crate::schema::default_config(&config_schema::<P>())
}

/// Every finding in a configuration.
pub fn check_config<P: Plugin>(value: &Value) -> Vec<Problem> {
    crate::schema::parse_config::<P::Config>(value).err().unwrap_or_default()
}

/// What is known of a plugin's routes.
pub fn routes<P: Registered>() -> Vec<RouteSpec> {
    P::INTERFACE.role.map(|routes| routes().specs().cloned().collect()).unwrap_or_default()
}

/// What is known of what a plugin adds to the pages.
pub fn gui<P: Registered>() -> Vec<ComponentSpec> {
    (P::INTERFACE.gui)().specs().cloned().collect()
}

/// The triggers that a plugin's code registers.
pub fn triggers<P: Registered>() -> Vec<TriggerSpec> {
    (P::AUTOMATION.triggers)().specs().to_vec()
}

/// Starts an instance.
pub fn start<P: Registered>(
    services: Services,
    config: Value,
) -> BoxFuture<'static, Result<Arc<dyn Instance>, StartError>> {
    Box::pin(async move {
        let config = crate::schema::parse_config::<P::Config>(&config).map_err(StartError::Config)?;
        let plugin = P::initialize(Context::new(services), config).await?;
        let routes = P::INTERFACE.role.map_or_else(Routes::new, |routes| routes());
        Ok(Arc::new(Running { plugin: Arc::new(plugin), routes, gui: (P::INTERFACE.gui)() }) as Arc<dyn Instance>)
    })
}

struct Running<P> {
    plugin: Arc<P>,
    routes: Routes<P>,
    gui: Gui<P>,
}

impl<P: Registered> Instance for Running<P> {
    fn event<'a>(&'a self, handler: usize, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        P::HANDLERS.event_calls[handler](&self.plugin, event)
    }

    fn command(&self, command: usize, call: CommandCall) -> BoxFuture<'_, Result<CommandReply>> {
        P::HANDLERS.command_calls[command](&self.plugin, call)
    }

    fn tool(&self, tool: usize, call: ToolCall) -> BoxFuture<'_, Result<ToolAnswer>> {
        P::HANDLERS.tool_calls[tool](&self.plugin, call)
    }

    fn route(&self, route: usize, call: RouteCall) -> BoxFuture<'static, Result<RouteAnswer>> {
        self.routes.call(route, self.plugin.clone(), call)
    }

    fn socket(&self, route: usize, call: RouteCall) -> BoxFuture<'static, Result<SocketTask>> {
        Box::pin(std::future::ready(self.routes.open(route, self.plugin.clone(), call)))
    }

    fn interact(&self, component: usize, interaction: Interaction) -> BoxFuture<'static, Result<GuiReply>> {
        self.gui.call(component, self.plugin.clone(), interaction)
    }

    fn workflow(&self, run: WorkflowRun) -> BoxFuture<'_, Result<Outcome, WorkflowError>> {
        match P::AUTOMATION.role {
            Some(role) => role(&self.plugin).execute_workflow(run),
            None => Box::pin(std::future::ready(Err(WorkflowError::permanent("this plugin has no workflows")))),
        }
    }

    fn security(&self) -> Option<&dyn Security> {
        P::SECURITY.role.map(|role| role(&self.plugin))
    }

    fn ai_provider(&self) -> Option<&dyn AiProvider> {
        P::AI_PROVIDER.role.map(|role| role(&self.plugin))
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(self.plugin.health())
    }

    fn cleanup(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.plugin.cleanup())
    }

    fn as_any(&self) -> &dyn Any {
        &*self.plugin
    }
}

/// The hooks that a role's block has, each with its policy: the attribute's, or the default. At compile time.
pub const fn hooks<const N: usize>(found: &[Hook], policies: &[HookSpec]) -> [HookSpec; N] {
    let mut hooks = [HookSpec { hook: Hook::ScanMessage, policy: Hook::ScanMessage.default_policy() }; N];
    let mut index = 0;
    while index < N {
        let hook = found[index];
        hooks[index] = HookSpec { hook, policy: hook.default_policy() };
        let mut policy = 0;
        while policy < policies.len() {
            if policies[policy].hook as u8 == hook as u8 {
                hooks[index] = policies[policy];
            }
            policy += 1;
        }
        index += 1;
    }
    hooks
}

/// Whether a list has a hook; at compile time.
pub const fn has_hook(hooks: &[Hook], wanted: Hook) -> bool {
    let mut index = 0;
    while index < hooks.len() {
        if hooks[index] as u8 == wanted as u8 {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether a descriptor names a role; at compile time.
pub const fn provides(descriptor: &Descriptor, wanted: Role) -> bool {
    let mut index = 0;
    while index < descriptor.provides.len() {
        if descriptor.provides[index] as u8 == wanted as u8 {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether two texts are the same; at compile time.
pub const fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && starts_with(left, right)
}

/// Whether an event's name is one that plugins define; at compile time.
pub const fn is_custom(name: &str) -> bool {
    starts_with(name, crate::event::CUSTOM_PREFIX)
}

const fn starts_with(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (text.as_bytes(), prefix.as_bytes());
    let mut index = 0;
    while index < prefix.len() {
        if index >= text.len() || text[index] != prefix[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The JSON Schema of a command's arguments.
pub fn arguments_schema<A: Model>() -> Value {
    schemars::schema_for!(A).to_value()
}

/// The JSON Schema of a command that takes no arguments.
pub fn no_arguments() -> Value {
    serde_json::json!({ "type": "object", "properties": {} })
}

/// What a `custom` rule of `#[garde(..)]` found, as garde's error.
pub fn invalid(finding: impl std::fmt::Display) -> garde::Error {
    garde::Error::new(finding.to_string())
}
