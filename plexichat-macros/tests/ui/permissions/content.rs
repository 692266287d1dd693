//! Events with content, and all events, without the permission.
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
    #[on("user_message")]
    async fn one(&self, _: &UserMessage) -> Result<()> {
        Ok(())
    }

    #[on("user_login", "message_updated")]
    async fn some(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("*")]
    async fn all(&self, _: &Event) -> Result<()> {
        Ok(())
    }
}

fn main() {}
