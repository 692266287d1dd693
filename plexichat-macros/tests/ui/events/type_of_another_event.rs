//! The type is another event's.
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
    #[on("user_login")]
    async fn one(&self, _: &UserMessage) -> Result<()> {
        Ok(())
    }
}

fn main() {}
