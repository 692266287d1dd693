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
    pub sides: u8,
}

#[plexichat::handlers]
impl Mine {
    /// Rolls.
    #[command("roll")]
    async fn roll(&self, _: CommandCall, _: Arguments) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }
}

fn main() {}
