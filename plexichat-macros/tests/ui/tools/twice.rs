//! A tool that is there twice.
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
    #[tool("forecast")]
    async fn one(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("rain".into())
    }

    /// Two.
    #[tool("forecast", approval = "never")]
    async fn two(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("sun".into())
    }
}

fn main() {}
