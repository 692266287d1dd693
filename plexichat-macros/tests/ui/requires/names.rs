//! Requirements that cannot be.
use plexichat::prelude::*;

#[plexichat::plugin(name = "mine", requires("mine" = "^1", "Other" = "^1", "third" = "^1", "third" = "^2", "fourth" = "new"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
