//! A text where a list is wanted, and a list of nothing.
use plexichat::prelude::*;

#[plexichat::plugin(tags = "a", permissions = NetworkAccess, absolute())]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
