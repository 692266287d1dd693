//! A policy without parentheses, and a flag with a value.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Security), scan_message, rewrite_message(required = true))]
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
