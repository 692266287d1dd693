//! The type is no event.
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
    async fn one(&self, _: &u8) -> Result<()> {
        Ok(())
    }
}

fn main() {}
