//! The settings: where the service is, how one gets in, which models it has. Knows no request.

pub use plexichat::ai::service::ExtraHeader;
use plexichat::ai::service::{check_base_url, check_distinct, check_value};
use plexichat::prelude::*;

/// Settings of the OpenAI provider.
#[plexichat::config]
pub struct Config {
    /// Where the service is: everything before `/chat/completions`.
    #[serde(default = "default_base_url")]
    #[garde(length(max = 2000), custom(check_address))]
    pub base_url: String,
    /// The key for the service. Local services want none.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 4000), custom(check_value)))]
    pub api_key: Option<Secret>,
    /// The organisation that pays, where the key belongs to several.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 200)))]
    pub organization: Option<String>,
    /// The project that pays, where the key belongs to several.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 200)))]
    pub project: Option<String>,
    /// Headers that are sent along, such as `api-key` for a service that wants its key there.
    #[serde(default)]
    #[garde(dive, length(max = 20))]
    pub headers: Vec<ExtraHeader>,
    /// The models to offer, the preferred one first. Where none is listed the service is asked which ones it has.
    #[serde(default)]
    #[garde(dive, length(max = 200), custom(check_models))]
    pub models: Vec<ListedModel>,
    /// The field that bounds the length of an answer: newer services want `max_completion_tokens`, others know only
    /// `max_tokens`. `auto` takes the first for OpenAI itself, else the second.
    #[serde(default)]
    pub max_tokens_field: MaxTokensField,
    /// Whether to ask a streaming service what the answer cost (`stream_options`). Services that refuse unknown fields need
    /// `false`; the host then estimates.
    #[serde(default = "yes")]
    pub stream_usage: bool,
    /// How many seconds a list of models or an embedding may take.
    #[serde(default = "default_timeout")]
    #[garde(range(min = 1, max = 600))]
    pub timeout: u64,
}

/// A model that is offered.
#[plexichat::config]
pub struct ListedModel {
    /// The name by which people here know it, after `openai/`.
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
    #[serde(default)]
    #[garde(inner(range(min = 1)))]
    pub context_tokens: Option<u32>,
    /// How many tokens an answer may have.
    #[serde(default)]
    #[garde(inner(range(min = 1)))]
    pub max_output_tokens: Option<u32>,
    /// Whether it answers turns; where nothing is set, all but those that make embeddings do.
    #[serde(default)]
    pub chat: Option<bool>,
    /// Whether it calls tools; where nothing is set, all that chat do.
    #[serde(default)]
    pub tools: Option<bool>,
    /// Whether it sees pictures.
    #[serde(default)]
    pub images: bool,
    /// Whether it makes texts into vectors.
    #[serde(default)]
    pub embeddings: bool,
}

/// The field that bounds the length of an answer.
#[plexichat::model]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// By the service's address.
    #[default]
    Auto,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// `max_tokens`.
    MaxTokens,
}

impl Config {
    /// Whether the service is OpenAI's own.
    pub(crate) fn is_openai(&self) -> bool {
        self.base_url.starts_with("https://api.openai.com/") || self.base_url == "https://api.openai.com"
    }

    pub(crate) fn max_tokens_field(&self) -> &'static str {
        match self.max_tokens_field {
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
            MaxTokensField::Auto if self.is_openai() => "max_completion_tokens",
            MaxTokensField::Auto | MaxTokensField::MaxTokens => "max_tokens",
        }
    }

    /// The service's own name for a model.
    ///
    /// # Errors
    /// `ModelNotFound` where models are listed and this one is not among them.
    pub(crate) fn upstream_model<'a>(&'a self, id: &'a str) -> Result<&'a str, AiError> {
        match self.models.iter().find(|model| model.id == id) {
            Some(model) => Ok(model.model.as_deref().unwrap_or(&model.id)),
            None if self.models.is_empty() => Ok(id),
            None => Err(AiError::no_model(id)),
        }
    }
}

fn default_base_url() -> String {
    "https://api.openai.com/v1".to_owned()
}

fn yes() -> bool {
    true
}

fn default_timeout() -> u64 {
    60
}

fn check_address(url: &str) -> std::result::Result<(), &'static str> {
    check_base_url(url)?;
    match url.split('?').next().unwrap_or("").trim_end_matches('/').ends_with("/chat/completions") {
        true => Err("leave `/chat/completions` away: it is added"),
        false => Ok(()),
    }
}

fn check_models(models: &[ListedModel]) -> std::result::Result<(), &'static str> {
    check_distinct(models.iter().map(|model| model.id.as_str()))
}
