//! Answers with a language model that runs in the server's own process. Knows the host by its SDK only.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod engine;
pub mod error;
pub mod gguf;
pub mod model;
pub mod network;
pub mod prompt;
mod request;
pub mod sampling;
pub mod shape;
pub mod text;
pub mod tokens;
pub mod weights;

use async_trait::async_trait;
use plexichat::ai::Turn;
use plexichat::plugin::ai_provider::estimated_tokens;
use plexichat::prelude::*;

pub use crate::config::Config;
use crate::engine::Engine;

/// What health says where there is no model, and what a request is told.
const NO_MODEL: &str = "no model is set: fetch a GGUF file of the llama family, such as `SmolLM2-360M-Instruct` in Q8_0 from \
                        huggingface.co, put it into a directory of its own, and set `directories` of `[plugins.local-ai]` \
                        and `path` of `[plugins.local-ai.config]` in plexichat.toml";

/// Runs a language model from a GGUF file.
#[plexichat::plugin(
    provides(AiProvider),
    permissions(FileSystemRead),
    category = "productivity",
    tags("ai", "chat", "embedded")
)]
pub struct LocalAi {
    config: Config,
    engine: Option<Engine>,
}

impl Plugin for LocalAi {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        let engine = match &config.path {
            Some(path) => Some(Engine::start(&context, &config, path).await?),
            None => None,
        };
        Ok(Self { config, engine })
    }

    async fn health(&self) -> Health {
        self.engine.as_ref().map_or_else(|| Health::Degraded(NO_MODEL.to_owned()), Engine::health)
    }
}

#[plexichat::role]
#[async_trait]
impl AiProvider for LocalAi {
    async fn models(&self) -> Result<Vec<Model>, AiError> {
        let model = self.engine.as_ref().map(|engine| {
            let mut model = Model::new(engine.name.as_str());
            model.name = engine.title.clone().unwrap_or(model.name);
            model.context_tokens = u32::try_from(engine.context_tokens).ok();
            model.max_output_tokens = Some(self.config.max_output_tokens);
            model
        });
        Ok(model.into_iter().collect())
    }

    async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError> {
        let engine = self.engine.as_ref().ok_or_else(|| AiError::new(AiErrorKind::ModelNotFound, NO_MODEL))?;
        if request.model != engine.name {
            return Err(AiError::no_model(&request.model));
        }
        let wish = request::wish(&request, &self.config)?;
        engine.answer(request::said(&request.turns)?, wish)
    }

    fn count_tokens(&self, _model: &str, turns: &[Turn]) -> u32 {
        let Some(engine) = &self.engine else { return estimated_tokens(turns) };
        // What a template adds to each turn is not known without rendering it: about as much as this.
        let texts = request::said(turns).unwrap_or_default();
        let tokens = texts.iter().map(|said| engine.count(&said.content) + 8).sum::<usize>();
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}
