//! The settings: which model, and how it answers where a request says nothing. Knows no model.

use std::path::Path;

/// Settings of the model in the server's own process.
#[plexichat::config]
pub struct Config {
    /// The model: the absolute path of a GGUF file. Its directory, or one above it, is named in `directories`. Without a path
    /// there is no model.
    #[serde(default)]
    #[garde(inner(custom(check_path)))]
    pub path: Option<String>,
    /// What the model is called behind `local-ai/`; the file's name where nothing is set.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 80), custom(check_name)))]
    pub name: Option<String>,
    /// How many tokens question and answer may have together, as far as the model goes. Each takes memory: about 130 KB in a
    /// model of a thousand million weights, half a MB in one of seven thousand million.
    #[serde(default = "default_context_tokens")]
    #[garde(range(min = 64, max = 1_048_576))]
    pub context_tokens: u32,
    /// How many tokens an answer has at most.
    #[serde(default = "default_max_output_tokens")]
    #[garde(range(min = 1, max = 1_048_576))]
    pub max_output_tokens: u32,
    /// How many requests may wait while one is answered; the next one is told to come again.
    #[serde(default = "default_queue")]
    #[garde(range(max = 1000))]
    pub queue: u32,
    /// How freely words are chosen where a request does not say: from 0, always the likeliest, to 2.
    #[serde(default = "default_temperature")]
    #[garde(range(min = 0.0, max = 2.0))]
    pub temperature: f32,
    /// Only the likeliest tokens that make up this share are chosen from, where a request does not say.
    #[serde(default = "default_top_p")]
    #[garde(range(min = 0.0, max = 1.0))]
    pub top_p: f32,
    /// Only so many of the likeliest tokens are chosen from, where a request does not say; 0 for all.
    #[serde(default = "default_top_k")]
    #[garde(range(max = 1_000_000))]
    pub top_k: u32,
    /// A Jinja template that makes a prompt of a conversation, instead of the file's own.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 100_000)))]
    pub chat_template: Option<String>,
}

fn default_context_tokens() -> u32 {
    4096
}

fn default_max_output_tokens() -> u32 {
    512
}

fn default_queue() -> u32 {
    4
}

fn default_temperature() -> f32 {
    0.7
}

fn default_top_p() -> f32 {
    0.95
}

fn default_top_k() -> u32 {
    40
}

fn check_path(path: &str) -> std::result::Result<(), &'static str> {
    match Path::new(path).is_absolute() {
        true => Ok(()),
        false => Err("must be an absolute path, such as `/srv/models/smollm2.gguf`"),
    }
}

fn check_name(name: &str) -> std::result::Result<(), &'static str> {
    match name.chars().all(fits) {
        true => Ok(()),
        false => Err("may have letters and digits of ASCII, `.`, `_`, `:` and `-`"),
    }
}

/// Whether a model's name may have this character: it stands behind `local-ai/` in addresses and settings.
fn fits(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._:-".contains(character)
}

impl Config {
    /// What the model is called, given its path.
    pub(crate) fn model_name(&self, path: &str) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let name: String =
            stem.chars().take(80).map(|character| if fits(character) { character } else { '-' }).collect();
        if name.is_empty() { "model".to_owned() } else { name }
    }
}
