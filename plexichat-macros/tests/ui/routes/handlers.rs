//! Handlers of routes that take what no call has, answer what is no answer, and are no handlers at all.
use std::sync::Arc;

use plexichat::plugin::interface::{EventStream, Socket};
use plexichat::prelude::*;

#[plexichat::plugin(provides(Interface))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

/// No model.
pub struct Plain;

#[plexichat::role]
impl Interface for Mine {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes
            .get("/number", Auth::User, Self::takes_a_number)
            .post("/plain", Auth::User, Self::takes_no_model)
            .get("/nothing", Auth::User, Self::cannot_fail)
            .get("/borrows", Auth::User, Self::borrows)
            .websocket("/socket", Auth::User, Self::has_no_socket)
            .events("/events", Auth::User, Self::has_no_events)
    }
}

impl Mine {
    async fn takes_a_number(self: Arc<Self>, _number: u64) -> Result<()> {
        Ok(())
    }

    async fn takes_no_model(self: Arc<Self>, _plain: Json<Plain>) -> Result<()> {
        Ok(())
    }

    async fn cannot_fail(self: Arc<Self>) {}

    async fn borrows(&self) -> Result<()> {
        Ok(())
    }

    async fn has_no_socket(self: Arc<Self>, _user: User) -> Result<()> {
        Ok(())
    }

    async fn has_no_events(self: Arc<Self>) -> Result<String> {
        let _: fn(Socket, EventStream) = |_, _| {};
        Ok(String::new())
    }
}

fn main() {}
