//! A type that is no event.
use plexichat::prelude::*;

#[plexichat::plugin(emits(Ready))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

pub struct Ready;

fn main() {}
