//! The samples of a scanner as an asynchronous method.
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
    async fn scan_file(&self, _: &FileMeta, _: FileBody<'_>) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }

    async fn canaries(&self) -> Vec<Canary> {
        vec![Canary::eicar()]
    }
}

fn main() {}
