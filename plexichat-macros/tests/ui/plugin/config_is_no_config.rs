//! The configuration is a plain struct.
use plexichat::prelude::*;

pub struct Config;

#[plexichat::plugin]
pub struct Mine;

impl Plugin for Mine {
    type Config = Config;

    async fn initialize(_: Context<Self>, _: Config) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
