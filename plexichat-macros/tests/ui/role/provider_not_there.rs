//! A role that is said to be filled and is not.
use plexichat::prelude::*;

#[plexichat::plugin(provides(AiProvider, Interface))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
