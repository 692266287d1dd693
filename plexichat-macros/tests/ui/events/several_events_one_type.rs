//! One type for events of several.
use plexichat::prelude::*;

#[plexichat::plugin(permissions(UserDataAccess))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::handlers]
impl Mine {
    #[on("user_message", "message_received")]
    async fn one(&self, _: &UserMessage) -> Result<()> {
        Ok(())
    }

    #[on("*")]
    async fn two(&self, _: &UserMessage) -> Result<()> {
        Ok(())
    }
}

fn main() {}
