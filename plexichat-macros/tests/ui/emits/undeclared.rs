//! An event that is emitted and not declared.
use plexichat::prelude::*;

#[plexichat::event("ready")]
pub struct Ready {}

#[plexichat::plugin]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(ctx: Context<Self>, _: NoConfig) -> Result<Self> {
        ctx.events().emit(Ready {}).await?;
        Ok(Self)
    }
}

fn main() {}
