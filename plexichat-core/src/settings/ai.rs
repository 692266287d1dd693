//! What is set about AI: the models to ask where nobody names one, the assistant of rooms that say nothing of theirs, and how
//! much may be asked. Knows no layer, no broker and no room.

use std::num::NonZeroU64;

use crate::assistant::AssistantPolicy;

/// What is set about AI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AiSettings {
    /// The models to ask where neither a request nor a room names one, the first that answers: `plugin/model`, or `plugin` for
    /// its first one. Empty: the first provider that runs.
    pub default_models: Vec<String>,
    /// The assistant of rooms that say nothing of theirs.
    pub assistant: AssistantPolicy,
    /// Tokens of one person within 24 hours; without limit where nothing is said. The same for the three after it.
    pub person_tokens_per_day: Option<NonZeroU64>,
    /// Requests of one person.
    pub person_requests_per_day: Option<NonZeroU64>,
    /// Tokens of one room.
    pub room_tokens_per_day: Option<NonZeroU64>,
    /// Requests of one room.
    pub room_requests_per_day: Option<NonZeroU64>,
}
