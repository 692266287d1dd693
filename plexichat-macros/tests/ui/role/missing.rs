//! A role that is declared and not filled.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Security))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
