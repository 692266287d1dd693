//! Calling the tools of other plugins, behind `AiAccess`: what models may call, a workflow may call, too.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Scope;
use crate::ai::ToolDefinition;
use crate::error::Result;
use crate::id::{PluginName, RoomId};
use crate::permission::Permission;
use crate::plugin::interface::Caller;

/// Calls tools.
#[derive(Clone)]
pub struct Tools {
    scope: Arc<Scope>,
    port: Arc<dyn ToolPort>,
}

/// A call of another plugin's tool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ToolUse {
    /// `plugin__tool`.
    pub name: String,
    /// Its arguments, as its schema asks.
    pub arguments: Value,
    /// For whom: the tool acts with their rights. Nobody: with none.
    pub caller: Caller,
    /// The room that it is about.
    pub room_id: Option<RoomId>,
    /// The same for every try of the same call.
    pub key: String,
}

impl ToolUse {
    /// A call for nobody in particular.
    pub fn new(name: impl Into<String>, arguments: Value, key: impl Into<String>) -> Self {
        Self { name: name.into(), arguments, caller: Caller::nobody(), room_id: None, key: key.into() }
    }

    /// The call is made for somebody, in a room where one is named.
    #[must_use]
    pub fn on_behalf_of(mut self, caller: Caller, room_id: Option<RoomId>) -> Self {
        (self.caller, self.room_id) = (caller, room_id);
        self
    }
}

/// What the host does for [`Tools`].
#[async_trait]
pub trait ToolPort: Send + Sync + 'static {
    /// The tools of all plugins that run, each named `plugin__tool`.
    fn tools(&self) -> Vec<ToolDefinition>;
    /// Calls one.
    async fn call(&self, plugin: &PluginName, tool: ToolUse) -> Result<String>;
}

impl Tools {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn ToolPort>) -> Self {
        Self { scope, port }
    }

    /// The tools that can be called now.
    ///
    /// # Errors
    /// `Permission` without the grant.
    pub fn list(&self) -> Result<Vec<ToolDefinition>> {
        self.scope.check(Permission::AiAccess, "tools")?;
        Ok(self.port.tools())
    }

    /// Calls a tool: text, or JSON as text. Whoever makes the workflow gave leave by making it: nobody is asked.
    ///
    /// # Errors
    /// `Permission` without the grant; `NotFound` where no plugin that runs has it; `Input` where the arguments do not fit;
    /// what the tool says; `Transient` where it took too long.
    ///
    /// # Cancel safety
    /// A dropped call may have done what the tool does; the same key makes it safe to try again.
    pub async fn call(&self, tool: ToolUse) -> Result<String> {
        self.scope.check(Permission::AiAccess, "tools")?;
        self.port.call(self.scope.plugin(), tool).await
    }
}
