//! Which models there are: those that are listed, else those that the service tells. Knows no request.

use plexichat::ai::ModelAbilities;
use plexichat::ai::service::AiService;
use plexichat::message::Time;
use plexichat::prelude::*;
use serde::Deserialize;

use crate::config::{Config, ListedModel, default_context};

/// The models to offer.
pub(crate) async fn models(service: &AiService, config: &Config, now: Time) -> Result<Vec<Model>, AiError> {
    let listed = &config.models;
    if !listed.is_empty() {
        return Ok(listed.iter().map(of_settings).collect());
    }
    // More than there are: no second page is asked for.
    let told: Told = service.get("/v1/models?limit=1000", now).await?;
    Ok(told.data.into_iter().map(of_service).collect())
}

#[derive(Deserialize)]
struct Told {
    data: Vec<ToldModel>,
}

#[derive(Deserialize)]
struct ToldModel {
    id: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    max_input_tokens: Option<u32>,
    #[serde(default)]
    max_tokens: Option<u32>,
}

fn of_settings(listed: &ListedModel) -> Model {
    let mut model = Model::new(&listed.id);
    model.name = listed.name.clone().unwrap_or_else(|| listed.id.clone());
    model.context_tokens = Some(listed.context_tokens);
    model.max_output_tokens = listed.max_output_tokens;
    model.abilities = ModelAbilities { chat: true, tools: listed.tools, images: listed.images, embeddings: false };
    model
}

/// All of them chat, call tools and see.
fn of_service(told: ToldModel) -> Model {
    let mut model = Model::new(told.id);
    if let Some(name) = told.display_name {
        model.name = name;
    }
    // Zero stands for what the service does not say.
    model.context_tokens = Some(told.max_input_tokens.filter(|tokens| *tokens > 0).unwrap_or_else(default_context));
    model.max_output_tokens = told.max_tokens.filter(|tokens| *tokens > 0);
    model.abilities = ModelAbilities { chat: true, tools: true, images: true, embeddings: false };
    model
}
