//! The trait every plugin implements. Knows no manager and no host.

pub mod ai_provider;
pub mod automation;
pub mod gui;
pub mod interface;
pub mod security;

use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::Result;

/// A plugin: configured, started, asked for its health, stopped.
///
/// `#[plexichat::plugin]` on the type registers it; the roles it fills are traits of their own, such as
/// [`security::Security`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries `#[plexichat::plugin]` and does not implement `Plugin`",
    label = "is no plugin yet",
    note = "add `impl Plugin for {Self} {{ type Config = ..; async fn initialize(..) .. }}`"
)]
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Its settings, made by `#[plexichat::config]`; [`NoConfig`] where there are none.
    type Config: Config;

    /// Builds the plugin from a configuration that is already validated. Nothing half-built exists: what this returns
    /// is ready.
    ///
    /// # Errors
    /// Why it cannot start. The operator sees it; the plugin is `failed`, or, where a new configuration was tried, the
    /// old instance goes on.
    ///
    /// # Cancel safety
    /// The host drops the call after 10 s (or what the operator set): hold nothing that must be released by hand.
    fn initialize(context: Context<Self>, config: Self::Config) -> impl Future<Output = Result<Self>> + Send;

    /// The last call. What was spawned through the context ends by itself.
    ///
    /// # Errors
    /// Are logged; the plugin stops all the same.
    ///
    /// # Cancel safety
    /// The host drops the call after 5 s.
    fn cleanup(&self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether it can do its work now. Feeds readiness and `plugin_health_changed`.
    fn health(&self) -> impl Future<Output = Health> + Send {
        std::future::ready(Health::Healthy)
    }
}

/// Whether a plugin can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", content = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// All is well.
    Healthy,
    /// It works, not as it should; why.
    Degraded(String),
    /// It cannot work; why.
    Down(String),
}

/// What can be a plugin's settings.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a plugin's configuration",
    note = "put `#[plexichat::config]` on the struct, or use `NoConfig` where there is nothing to set"
)]
pub trait Config:
    DeserializeOwned + Serialize + JsonSchema + garde::Validate<Context = ()> + Send + Sync + 'static
{
}

impl Config for NoConfig {}

/// The settings of a plugin that has none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, garde::Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NoConfig {}
