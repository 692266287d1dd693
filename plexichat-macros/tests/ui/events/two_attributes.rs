//! Two attributes on one method.
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
    #[on("user_logout")]
    #[on("user_login")]
    async fn one(&self, _: &Event) -> Result<()> {
        Ok(())
    }
}

fn main() {}
