//! Methods that the trait does not have: mistyped, invented, of a later version.
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
    async fn scan_mesage(&self, _: &MessageView<'_>) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }

    fn helper(&self) {}

    async fn scan_repli(&self) {}
}

fn main() {}
