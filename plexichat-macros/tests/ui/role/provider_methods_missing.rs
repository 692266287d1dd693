//! A provider that cannot answer.
use plexichat::prelude::*;

#[plexichat::plugin(provides(AiProvider))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl AiProvider for Mine {
    async fn models(&self) -> Result<Vec<Model>, AiError> {
        Ok(Vec::new())
    }
}

fn main() {}
