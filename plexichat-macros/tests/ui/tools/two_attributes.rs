//! A method that is a command and a tool.
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
    /// Says what the weather will be.
    #[command("forecast")]
    #[tool("forecast")]
    async fn forecast(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("rain".into())
    }
}

fn main() {}
