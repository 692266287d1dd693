//! Words where texts are wanted.
use plexichat::prelude::*;

#[plexichat::plugin(tags(fun, 3))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
