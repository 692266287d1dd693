//! What is set about AI: the models to ask where nobody names one, the assistant of rooms that say nothing of theirs, and how
//! much may be asked. Knows no layer, no broker and no room.

use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is set about AI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AiSettings {
    /// The models to ask where neither a request nor a room names one, the first that answers: `plugin/model`, or `plugin` for
    /// its first one. Empty: the first provider that runs.
    pub default_models: Vec<String>,
    /// The assistant of rooms that say nothing of theirs.
    pub assistant: AssistantSettings,
    /// Tokens of one person within 24 hours; without limit where nothing is said. The same for the three after it.
    pub person_tokens_per_day: Option<NonZeroU64>,
    /// Requests of one person.
    pub person_requests_per_day: Option<NonZeroU64>,
    /// Tokens of one room.
    pub room_tokens_per_day: Option<NonZeroU64>,
    /// Requests of one room.
    pub room_requests_per_day: Option<NonZeroU64>,
}

/// The assistant of rooms that say nothing of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssistantSettings {
    /// The name that it is mentioned by, and writes under.
    pub name: String,
    /// What it is told before every conversation.
    pub system_prompt: Option<String>,
    /// The models that it asks, the first that answers. Empty: those of `default_models`.
    pub models: Vec<String>,
    /// When it answers.
    pub trigger: Trigger,
}

impl Default for AssistantSettings {
    fn default() -> Self {
        Self { name: "assistant".to_owned(), system_prompt: None, models: Vec::new(), trigger: Trigger::default() }
    }
}

/// When an assistant answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// Only where it is asked by `/ai`.
    Never,
    /// Where it is mentioned.
    #[default]
    Mention,
    /// Where it is mentioned, and to every message of a direct room.
    Direct,
    /// To every message of a person.
    Every,
}
