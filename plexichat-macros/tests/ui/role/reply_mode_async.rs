//! The mode of a scanner of answers is known without waiting.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Security))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl Security for Mine {
    async fn scan_reply(&self, _: &ReplyView<'_>) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }

    async fn reply_mode(&self) -> ReplyMode {
        ReplyMode::AuditOnly
    }
}

fn main() {}
