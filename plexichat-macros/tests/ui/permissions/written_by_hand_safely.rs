//! The proof of a permission, written by hand without `unsafe`.
#![forbid(unsafe_code)]

use plexichat::permission::{Has, NetworkAccess};
use plexichat::prelude::*;

#[plexichat::plugin]
pub struct Mine;

impl Has<NetworkAccess> for Mine {}

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
