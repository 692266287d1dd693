//! Signatures that no tool has.
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
    #[tool("one")]
    fn not_async(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("1".into())
    }

    /// Two.
    #[tool("two")]
    async fn no_call(&self, _: u8) -> Result<ToolAnswer> {
        Ok("2".into())
    }

    /// Three.
    #[tool("three")]
    async fn too_much(&self, _: ToolCall, _: u8, _: u8) -> Result<ToolAnswer> {
        Ok("3".into())
    }

    /// Four.
    #[tool("four")]
    async fn other_result(&self, _: ToolCall) -> Result<String> {
        Ok(String::new())
    }

    /// Five.
    #[tool("five")]
    async fn no_result(&self, _: ToolCall) {}
}

fn main() {}
