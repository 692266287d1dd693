//! A type of event that is named twice.
use plexichat::prelude::*;

#[plexichat::plugin(emits(Ready, Ready))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::event("ready")]
pub struct Ready {}

fn main() {}
