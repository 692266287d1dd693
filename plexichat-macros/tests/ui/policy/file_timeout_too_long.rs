//! A file that takes longer to scan than anybody waits.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Security), scan_file(timeout = "2min"))]
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

    async fn scan_file(&self, _: &FileMeta, _: FileBody<'_>) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }
}

fn main() {}
