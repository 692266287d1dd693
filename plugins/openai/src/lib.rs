//! Answers prompts with any OpenAI-compatible service.
//!
//! Start with [`OpenAi`]; `request.rs` writes what is sent, `answer.rs` reads what comes back, `service.rs` says where the service is.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod config;
mod embeddings;
mod error;
mod models;
mod request;
mod service;

use std::sync::Arc;
use std::time::Duration;

use plexichat::ai::service::AiService;
use plexichat::ai::{EmbedRequest, Embeddings};
use plexichat::prelude::*;

pub use crate::config::{Config, ExtraHeader, ListedModel, MaxTokensField};

/// How long the service may take to begin its answer before the host is told that the request is on its way. A service
/// that refuses does so within it; one that loads its model first takes longer.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// Answers prompts with a service that speaks OpenAI's protocol.
#[plexichat::plugin(
    name = "openai",
    provides(AiProvider),
    permissions(NetworkAccess),
    category = "productivity",
    tags("ai", "chat", "embeddings")
)]
pub struct OpenAi {
    context: Context<Self>,
    service: Arc<AiService>,
    config: Config,
}

impl Plugin for OpenAi {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        let service = Arc::new(service::of(context.http(), &config));
        Ok(Self { context, service, config })
    }

    async fn health(&self) -> Health {
        self.service.health()
    }
}

#[plexichat::role]
impl AiProvider for OpenAi {
    async fn models(&self) -> Result<Vec<Model>, AiError> {
        models::models(&self.service, &self.config, self.context.now()).await
    }

    async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError> {
        let body = request::body(&request, &self.config)?;
        let (service, now) = (self.service.clone(), self.context.now());
        let opening = async move { service.answer::<answer::Reader>("/chat/completions", &body, now).await };
        AiStream::opening(opening, self.context.sleep(HEAD_PATIENCE)).await
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, AiError> {
        embeddings::embed(&self.service, &self.config, request, self.context.now()).await
    }
}
