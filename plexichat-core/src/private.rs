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

use crate::command::{CommandCall, CommandReply};
use crate::context::{Context, Services};
use crate::descriptor::{Handlers, Hook, Instance, Registered, SecurityRole, StartError};
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
