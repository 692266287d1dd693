//! A policy without its role.
use plexichat::prelude::*;

#[plexichat::plugin(scan_message(timeout = "1s"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
