//! A role whose block has no attribute.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Security))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

impl Security for Mine {}

fn main() {}
