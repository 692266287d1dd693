//! An event that the server alone emits.
use plexichat::prelude::*;

#[plexichat::plugin(emits(UserMessage))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
