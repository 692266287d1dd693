//! Every mistake shows in one build.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Securty), permissions(NetworkAcess), core = "x", colour = "red")]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
