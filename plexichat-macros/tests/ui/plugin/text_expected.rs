//! A list where a text is wanted.
use plexichat::prelude::*;

#[plexichat::plugin(category("fun"), core, name = fun)]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
