//! A name that is this project's own.
use plexichat::prelude::*;

#[plexichat::plugin(name = "server")]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
