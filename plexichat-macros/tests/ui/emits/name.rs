//! Names of events that break the rule, and twice.
use plexichat::prelude::*;

#[plexichat::plugin(emits("custom.ready", "Ready", "ready", "ready"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
