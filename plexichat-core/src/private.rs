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
    Descriptor, Entry, Handlers, Hook, HookSpec, Instance, Package, Registered, Role, SecurityRole, StartError,
};
use crate::error::Result;
use crate::event::Event;
use crate::plugin::security::Security;
use crate::plugin::{Health, Plugin};
use crate::problem::Problem;

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

/// What needs a plugin's types.
pub const fn entry<P: Registered>() -> Entry {
    Entry {
        config_schema: config_schema::<P>,
        default_config: default_config::<P>,
        check_config: check_config::<P>,
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
        emits: &[],
        absolute_routes: &[],
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

/// Starts an instance.
pub fn start<P: Registered>(
    services: Services,
    config: Value,
) -> BoxFuture<'static, Result<Arc<dyn Instance>, StartError>> {
    Box::pin(async move {
        let config = crate::schema::parse_config::<P::Config>(&config).map_err(StartError::Config)?;
        let plugin = P::initialize(Context::new(services), config).await?;
        Ok(Arc::new(Running(plugin)) as Arc<dyn Instance>)
    })
}

struct Running<P>(P);

impl<P: Registered> Instance for Running<P> {
    fn event<'a>(&'a self, handler: usize, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        P::HANDLERS.event_calls[handler](&self.0, event)
    }

    fn command(&self, command: usize, call: CommandCall) -> BoxFuture<'_, Result<CommandReply>> {
        P::HANDLERS.command_calls[command](&self.0, call)
    }

    fn security(&self) -> Option<&dyn Security> {
        P::SECURITY.role.map(|role| role(&self.0))
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(self.0.health())
    }

    fn cleanup(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.0.cleanup())
    }

    fn as_any(&self) -> &dyn Any {
        &self.0
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
