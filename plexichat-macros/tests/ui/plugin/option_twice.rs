//! An option that is given twice.
use plexichat::prelude::*;

#[plexichat::plugin(tags("a"), tags("b"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
