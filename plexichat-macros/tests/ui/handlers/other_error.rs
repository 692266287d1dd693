//! A handler and a command that fail with another error.
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
    #[on("user_login")]
    async fn one(&self, _: &Event) -> Result<(), String> {
        Ok(())
    }

    /// Two.
    #[command("two")]
    async fn two(&self, _: CommandCall) -> Result<CommandReply, String> {
        Ok(CommandReply::Nothing)
    }
}

fn main() {}
