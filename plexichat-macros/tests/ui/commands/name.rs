//! Names of commands that break the rule or are missing.
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
    /// Does something.
    #[command("/roll")]
    async fn one(&self, _: CommandCall) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }

    /// Does something.
    #[command("Roll")]
    async fn two(&self, _: CommandCall) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }

    /// Does something.
    #[command(roll)]
    async fn three(&self, _: CommandCall) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }

    /// Does something.
    #[command()]
    async fn four(&self, _: CommandCall) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }
}

fn main() {}
