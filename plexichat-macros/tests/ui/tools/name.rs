//! Names of tools that break the rule or are missing.
use plexichat::prelude::*;

#[plexichat::plugin]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::handlers]
impl Mine {
    /// One.
    #[tool("open-window")]
    async fn one(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("open".into())
    }

    /// Two.
    #[tool("the_name_of_a_tool_that_is_too_long")]
    async fn two(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("open".into())
    }

    /// Three.
    #[tool(forecast)]
    async fn three(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("rain".into())
    }

    /// Four.
    #[tool]
    async fn four(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("rain".into())
    }
}

fn main() {}
