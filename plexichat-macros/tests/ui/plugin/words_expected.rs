//! Texts where words are wanted.
use plexichat::prelude::*;

#[plexichat::plugin(permissions("NetworkAccess"), provides("Security"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
