//! A name that breaks the rule.
use plexichat::prelude::*;

#[plexichat::plugin(name = "Mine_")]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
