//! A name that is too long.
use plexichat::prelude::*;

#[plexichat::plugin(name = "a-very-long-name-that-nobody-wants-to-write")]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
