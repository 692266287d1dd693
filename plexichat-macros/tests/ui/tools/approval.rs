//! Approvals that there are not, and options.
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
    #[tool("one", approval = "firstuse")]
    async fn one(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("1".into())
    }

    /// Two.
    #[tool("two", approval = "sometimes")]
    async fn two(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("2".into())
    }

    /// Three.
    #[tool("three", approval(never))]
    async fn three(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("3".into())
    }

    /// Four.
    #[tool("four", aproval = "never")]
    async fn four(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("4".into())
    }
}

fn main() {}
