//! Requirements that are no pairs.
use plexichat::prelude::*;

#[plexichat::plugin(requires("other", other = "^1"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
