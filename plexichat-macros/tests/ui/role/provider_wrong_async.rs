//! Methods of a provider that are asynchronous where they are not, and the other way round.
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

    async fn stream_response(&self, _: AiRequest) -> Result<AiStream, AiError> {
        Err(AiError::new(AiErrorKind::Unavailable, "there is nobody"))
    }

    fn generate_response(&self, _: AiRequest) -> Result<AiResponse, AiError> {
        Err(AiError::new(AiErrorKind::Unavailable, "there is nobody"))
    }

    async fn count_tokens(&self, _: &str, _: &[plexichat::ai::Turn]) -> u32 {
        0
    }
}

fn main() {}
