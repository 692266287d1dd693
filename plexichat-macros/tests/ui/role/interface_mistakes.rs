//! Routes that are registered by an asynchronous function, and a method that no interface has.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Interface))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl Interface for Mine {
    async fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes
    }

    fn register_route(&self) {}
}

fn main() {}
