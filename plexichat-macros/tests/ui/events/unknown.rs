//! Events that do not exist: mistyped, a plugin's without its prefix, no name, a pattern.
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
    #[on("user_mesage")]
    async fn one(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("report_ready")]
    async fn two(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("Report Ready")]
    async fn three(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("user_*")]
    async fn four(&self, _: &Event) -> Result<()> {
        Ok(())
    }

    #[on("custom.Report")]
    async fn five(&self, _: &Event) -> Result<()> {
        Ok(())
    }
}

fn main() {}
