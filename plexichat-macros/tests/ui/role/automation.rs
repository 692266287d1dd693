//! Automation is not declared.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Automation))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
