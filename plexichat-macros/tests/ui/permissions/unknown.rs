//! A permission that does not exist, mistyped and invented.
use plexichat::prelude::*;

#[plexichat::plugin(permissions(NetworkAcess, Everything))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
