//! Calls the tools of running plugins for other plugins. Knows no model and nobody who gives leave.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::ai::ToolDefinition;
use crate::capability::tools::{ToolPort, ToolUse};
use crate::cause;
use crate::error::{PluginError, Result};
use crate::guard::CallError;
use crate::id::PluginName;
use crate::manager::snapshot::Snapshot;
use crate::tool::{SEPARATOR, ToolCall};

/// The tools of the plugins that run.
pub struct Toolbox(Arc<ArcSwap<Snapshot>>);

impl Toolbox {
    /// The tools of these plugins.
    pub fn new(plugins: Arc<ArcSwap<Snapshot>>) -> Self {
        Self(plugins)
    }
}

#[async_trait]
impl ToolPort for Toolbox {
    fn tools(&self) -> Vec<ToolDefinition> {
        let plugins = self.0.load();
        let tools = plugins.plugins().flat_map(|plugin| {
            plugin.descriptor().tools.iter().map(|tool| ToolDefinition {
                name: format!("{}{SEPARATOR}{}", plugin.name(), tool.name),
                description: tool.help.trim().to_owned(),
                parameters: (tool.arguments)(),
            })
        });
        tools.collect()
    }

    async fn call(&self, _plugin: &PluginName, tool: ToolUse) -> Result<String> {
        let unknown = || PluginError::not_found(format!("no plugin that runs has the tool `{}`", tool.name));
        let (owner, name) = tool.name.split_once(SEPARATOR).ok_or_else(unknown)?;
        let found = self.0.load().plugins().find(|plugin| plugin.name().as_str() == owner).cloned();
        let owner = found.ok_or_else(unknown)?;
        let specs = owner.descriptor().tools;
        let index = specs.iter().position(|spec| spec.name == name).ok_or_else(unknown)?;
        let call =
            ToolCall::new(specs[index].name, tool.arguments.clone(), tool.caller.clone(), tool.room_id, &tool.key);
        let timeout = owner.timeouts().tool;
        let asked = owner.call_for(cause::current(), "tool", timeout, move |instance| {
            Box::pin(async move { instance.tool(index, call).await })
        });
        match asked.await {
            Ok(answer) => answer.map(|answer| answer.content),
            Err(CallError::Timeout) => {
                Err(PluginError::transient(format!("the tool `{}` gave no result within {timeout:?}", tool.name)))
            }
            // A panic's words are the operator's alone, who finds them in the log.
            Err(_) => Err(PluginError::transient(format!("the tool `{}` failed", tool.name))),
        }
    }
}
