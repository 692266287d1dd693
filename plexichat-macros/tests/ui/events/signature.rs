//! Signatures that no event can call.
use plexichat::prelude::*;

#[plexichat::plugin(permissions(UserDataAccess))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::handlers]
impl Mine {
    #[on("user_login")]
    fn not_async(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("user_login")]
    async fn no_receiver(_: &Event) -> Result<()> {
        Ok(())
    }

    #[on("user_login")]
    async fn exclusive(&mut self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("user_login")]
    async fn generic<T>(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("user_login")]
    async fn no_event(&self) -> Result<()> {
        Ok(())
    }

    #[on("user_login")]
    async fn by_value(&self, _: Event) -> Result<()> {
        Ok(())
    }

    #[on("user_login")]
    async fn no_result(&self, _: &Event) {}

    #[on("user_login")]
    async fn other_result(&self, _: &Event) -> Result<u8> {
        Ok(1)
    }
}

fn main() {}
