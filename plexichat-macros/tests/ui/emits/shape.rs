//! Events that are neither a type nor a text.
use plexichat::prelude::*;

#[plexichat::plugin(emits(3, Ready = "x"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
