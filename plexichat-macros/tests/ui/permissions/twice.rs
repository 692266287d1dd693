//! A permission that is named twice.
use plexichat::prelude::*;

#[plexichat::plugin(permissions(NetworkAccess, NetworkAccess))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
