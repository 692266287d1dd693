//! Emitting events. A plugin emits only what its descriptor declares.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Scope;
use crate::error::{PluginError, Result};
use crate::event::{CUSTOM_PREFIX, Event, Payload};
use crate::id::PluginName;
use crate::message::{Actor, Origin};

/// Proof that the plugin `P` declared that it emits `Self`: `emits(..)` in its attribute implements it.
#[diagnostic::on_unimplemented(
    message = "plugin `{P}` emits `{Self}` without declaring it",
    label = "is not declared",
    note = "declare it: `#[plexichat::plugin(emits({Self}))]`"
)]
pub trait EmittedBy<P>: Payload {}

/// Emits events as the plugin `T`.
pub struct Events<T> {
    scope: Arc<Scope>,
    port: Arc<dyn EventPort>,
    declared: &'static [&'static str],
    plugin: PhantomData<fn() -> T>,
}

/// What the host does for [`Events`].
#[async_trait]
pub trait EventPort: Send + Sync + 'static {
    /// Hands an event to everyone who subscribed; waits while a mailbox is full. The host sets the cause.
    async fn emit(&self, plugin: &PluginName, event: Event) -> Result<()>;
}

impl<T> Events<T> {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn EventPort>, declared: &'static [&'static str]) -> Self {
        Self { scope, port, declared, plugin: PhantomData }
    }

    /// Emits a typed event; returns when every mailbox has taken it.
    ///
    /// # Errors
    /// `Permission` once the plugin was stopped; `Transient` where the chain of causes is too deep.
    ///
    /// # Cancel safety
    /// A dropped call may have reached some of the subscribers.
    pub async fn emit<E: EmittedBy<T>>(&self, payload: E) -> Result<()> {
        self.send(Event::new(payload)).await
    }

    /// Emits an event of this name (the prefix `custom.` is added) with JSON data.
    ///
    /// # Errors
    /// As [`emit`](Self::emit); `Permission` also where the plugin's attribute does not say `emits("name")`.
    ///
    /// # Cancel safety
    /// As [`emit`](Self::emit).
    pub async fn emit_json(&self, name: &str, data: Value) -> Result<()> {
        let name = if name.starts_with(CUSTOM_PREFIX) { name.to_owned() } else { format!("{CUSTOM_PREFIX}{name}") };
        if !self.declared.contains(&name.as_str()) {
            let plugin = self.scope.plugin();
            let bare = name.trim_start_matches(CUSTOM_PREFIX);
            return Err(PluginError::permission(format!(
                "plugin `{plugin}` does not declare the event `{name}`: add `emits(\"{bare}\")` to its \
                 `#[plexichat::plugin(..)]`"
            )));
        }
        self.send(Event::json(name, data)).await
    }

    async fn send(&self, mut event: Event) -> Result<()> {
        self.scope.check_alive()?;
        event.actor = Actor::plugin(self.scope.plugin().as_str());
        event.origin = Origin::Plugin;
        self.port.emit(self.scope.plugin(), event).await
    }
}
