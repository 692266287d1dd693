//! A requirement that is none.
use plexichat::prelude::*;

#[plexichat::plugin(core = "newest")]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
