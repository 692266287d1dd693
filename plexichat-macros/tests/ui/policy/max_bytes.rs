//! A largest file that is no size, and one for a hook that sees no files.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Security), scan_file(max_bytes = "50MB"), scan_message(max_bytes = "1KiB"))]
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
