//! The settings: how one gets in, which models are offered, how long an answer may be. Knows no request.

pub use plexichat::ai::service::ExtraHeader;
use plexichat::ai::service::{check_base_url, check_distinct, check_value};
use plexichat::prelude::*;

/// Settings of the Anthropic provider.
#[plexichat::config]
pub struct Config {
    /// Where the service is: everything before `/v1/messages`.
    #[serde(default = "default_base_url")]
    #[garde(length(max = 2000), custom(check_address))]
    pub base_url: String,
    /// The key for the service.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 4000), custom(check_value)))]
    pub api_key: Option<Secret>,
    /// The version of the protocol.
    #[serde(default = "default_version")]
    #[garde(length(min = 1, max = 40), custom(check_version))]
    pub version: String,
    /// Headers that are sent along, such as `anthropic-beta`.
    #[serde(default)]
    #[garde(dive, length(max = 20))]
    pub headers: Vec<ExtraHeader>,
    /// The models to offer, the preferred one first. Where none is listed the service is asked which ones it has.
    #[serde(default)]
    #[garde(dive, length(max = 200), custom(check_models))]
    pub models: Vec<ListedModel>,
    /// How many tokens an answer may have where nobody says: the protocol wants a number.
    #[serde(default = "default_max_tokens")]
    #[garde(range(min = 1))]
    pub max_tokens: u32,
    /// How many seconds a list of models may take.
    #[serde(default = "default_timeout")]
    #[garde(range(min = 1, max = 600))]
    pub timeout: u64,
}

/// A model that is offered.
#[plexichat::config]
pub struct ListedModel {
    /// The name by which people here know it, after `anthropic/`.
    #[garde(length(min = 1, max = 200))]
    pub id: String,
    /// The service's name for it, where that is another one.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 200)))]
    pub model: Option<String>,
    /// The name to show; `id` where nothing is set.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 200)))]
    pub name: Option<String>,
    /// How many tokens question and answer may have together. The host cuts conversations to it.
    #[serde(default = "default_context")]
    #[garde(range(min = 1))]
    pub context_tokens: u32,
    /// How many tokens an answer may have.
    #[serde(default)]
    #[garde(inner(range(min = 1)))]
    pub max_output_tokens: Option<u32>,
    /// Whether it calls tools.
    #[serde(default = "yes")]
    pub tools: bool,
    /// Whether it sees pictures.
    #[serde(default = "yes")]
    pub images: bool,
}

impl Config {
    /// The service's own name for a model, and how many tokens its answer may have.
    ///
    /// # Errors
    /// `ModelNotFound` where models are listed and this one is not among them.
    pub(crate) fn upstream_model<'a>(&'a self, id: &'a str) -> Result<(&'a str, Option<u32>), AiError> {
        match self.models.iter().find(|model| model.id == id) {
            Some(model) => Ok((model.model.as_deref().unwrap_or(&model.id), model.max_output_tokens)),
            None if self.models.is_empty() => Ok((id, None)),
            None => Err(AiError::no_model(id)),
        }
    }
}

fn default_base_url() -> String {
    "https://api.anthropic.com".to_owned()
}

fn default_version() -> String {
    "2023-06-01".to_owned()
}

fn default_max_tokens() -> u32 {
    4_096
}

pub(crate) fn default_context() -> u32 {
    200_000
}

fn default_timeout() -> u64 {
    60
}

fn yes() -> bool {
    true
}

fn check_address(url: &str) -> std::result::Result<(), &'static str> {
    check_base_url(url)?;
    if url.contains('?') {
        return Err("this is no address; write it like `https://api.anthropic.com`");
    }
    match ["/v1", "/messages"].iter().any(|end| url.trim_end_matches('/').ends_with(end)) {
        true => Err("leave `/v1/messages` away: it is added"),
        false => Ok(()),
    }
}

fn check_version(version: &str) -> std::result::Result<(), &'static str> {
    match version.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err("a version is a day, such as `2023-06-01`"),
    }
}

fn check_models(models: &[ListedModel]) -> std::result::Result<(), &'static str> {
    check_distinct(models.iter().map(|model| model.id.as_str()))
}
