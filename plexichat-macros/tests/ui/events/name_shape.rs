//! Names that are missing or stand without quotes, and an option that does not exist.
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
    #[on()]
    async fn one(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on(user_login)]
    async fn two(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("user_login", owm)]
    async fn three(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on(3)]
    async fn four(&self, _: &Event) -> Result<()> {
        Ok(())
    }
}

fn main() {}
