//! Words that people search by have a rule too.
use plexichat::prelude::*;

#[plexichat::plugin(category = "Much Fun", tags("dice", "dice", ""))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
