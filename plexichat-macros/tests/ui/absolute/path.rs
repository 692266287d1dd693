//! Paths that are none, that are the server's, and twice.
use plexichat::prelude::*;

#[plexichat::plugin(absolute("v1/models", "/v1/{id}", "/", "/v1//x", "/v1/../x", "/api/v1/x", "/v1/x", "/v1/x"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

fn main() {}
