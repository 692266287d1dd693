//! Models that are asked without the permission.
use plexichat::prelude::*;

#[plexichat::plugin]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(ctx: Context<Self>, _: NoConfig) -> Result<Self> {
        let _ = ctx.ai();
        Ok(Self)
    }
}

fn main() {}
