//! Arguments that are no model.
use plexichat::prelude::*;

#[plexichat::plugin]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

pub struct Arguments {
    pub place: String,
}

#[plexichat::handlers]
impl Mine {
    /// Says what the weather will be.
    #[tool("forecast")]
    async fn forecast(&self, _: ToolCall, _: Arguments) -> Result<ToolAnswer> {
        Ok("rain".into())
    }
}

fn main() {}
