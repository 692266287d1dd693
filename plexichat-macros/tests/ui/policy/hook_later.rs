//! A hook that this version does not have.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Security), scan_reply(timeout = "10s"))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl Security for Mine {
    async fn scan_message(&self, _: &MessageView<'_>) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }
}

fn main() {}
