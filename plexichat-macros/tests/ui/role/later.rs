//! A role that this version does not have.
use plexichat::prelude::*;

#[plexichat::plugin(provides(AiProvider))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
