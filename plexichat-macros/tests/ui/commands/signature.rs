//! Signatures that no command can call.
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
    #[command("one")]
    fn not_async(&self, _: CommandCall) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }

    /// Two.
    #[command("two")]
    async fn no_call(&self, _: u8) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }

    /// Three.
    #[command("three")]
    async fn too_much(&self, _: CommandCall, _: u8, _: u8) -> Result<CommandReply> {
        Ok(CommandReply::Nothing)
    }

    /// Four.
    #[command("four")]
    async fn other_result(&self, _: CommandCall) -> Result<String> {
        Ok(String::new())
    }

    /// Five.
    #[command("five")]
    async fn no_result(&self, _: CommandCall) {}
}

fn main() {}
