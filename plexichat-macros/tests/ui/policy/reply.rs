//! Policies of hooks that see no files and may not take that long.
use plexichat::prelude::*;

#[plexichat::plugin(
    provides(Security),
    scan_reply(timeout = "6s", max_bytes = "1MiB"),
    check_login(timeout = "1min", on_error = "shut")
)]
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

    async fn check_login(&self, _: &LoginAttempt) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }
}

fn main() {}
