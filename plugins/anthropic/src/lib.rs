//! Answers prompts with Claude, over the Messages API of Anthropic.
//!
//! Start with [`Anthropic`]; `request.rs` writes what is sent, `answer.rs` reads what comes back, `service.rs` says where the service is.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod config;
mod error;
mod models;
mod request;
mod service;

use std::sync::Arc;
use std::time::Duration;

use plexichat::ai::service::AiService;
use plexichat::ai::{EmbedRequest, Embeddings};
use plexichat::prelude::*;

pub use crate::config::{Config, ExtraHeader, ListedModel};

/// How long the service may take to begin its answer before the host is told that the request is on its way. A service
/// that refuses does so within it.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// Answers prompts with Anthropic's models.
#[plexichat::plugin(
    provides(AiProvider),
    permissions(NetworkAccess),
    category = "productivity",
    tags("ai", "chat", "claude")
)]
pub struct Anthropic {
    context: Context<Self>,
    service: Arc<AiService>,
    config: Config,
}

impl Plugin for Anthropic {
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
impl AiProvider for Anthropic {
    async fn models(&self) -> Result<Vec<Model>, AiError> {
        models::models(&self.service, &self.config, self.context.now()).await
    }

    async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError> {
        let body = request::body(&request, &self.config)?;
        let (service, now) = (self.service.clone(), self.context.now());
        let opening = async move { service.answer::<answer::Reader>("/v1/messages", &body, now).await };
        AiStream::opening(opening, self.context.sleep(HEAD_PATIENCE)).await
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, AiError> {
        let model = request.model;
        Err(AiError::invalid(format!(
            "`{model}` makes no embeddings, as no model of Anthropic does: ask another provider"
        )))
    }
}
