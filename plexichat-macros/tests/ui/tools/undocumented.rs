//! A tool of which no model would know when to call it.
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
    #[tool("forecast")]
    async fn forecast(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("rain".into())
    }
}

fn main() {}
