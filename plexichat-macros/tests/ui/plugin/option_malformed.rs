//! An option that has no name.
use plexichat::prelude::*;

#[plexichat::plugin("word", category => "x", tags["a"])]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
