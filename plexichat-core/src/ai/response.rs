//! What a provider answers: pieces of a stream, whole answers, models, vectors. Knows no wire format.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A piece of an answer. A stream ends with one [`Finish`](Self::Finish) or one error, and nothing comes after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AiDelta {
    /// More text.
    Text {
        /// What comes next.
        text: String,
    },
    /// More of what the model thinks before it answers. It is no part of the answer.
    Reasoning {
        /// What comes next.
        text: String,
    },
    /// A tool call, or more of one. The first piece of an index has id and name.
    ToolCall {
        /// Which call of this answer, from 0.
        index: u32,
        /// Its identifier.
        id: Option<String>,
        /// The tool's name.
        name: Option<String>,
        /// More of its arguments' JSON text.
        arguments: String,
    },
    /// What the answer cost so far; the last one counts.
    Usage(Usage),
    /// The answer is complete.
    Finish {
        /// Why it ends.
        reason: FinishReason,
    },
}

impl AiDelta {
    /// More text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The end.
    pub const fn finish(reason: FinishReason) -> Self {
        Self::Finish { reason }
    }
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model said all it wanted to.
    Stop,
    /// It may say no more tokens.
    Length,
    /// It waits for the results of tools.
    ToolCalls,
    /// The service or a scanner withheld the rest.
    ContentFilter,
    /// Whoever asked wanted no more.
    Cancelled,
    /// The stream broke off without a word.
    Incomplete,
}

impl FinishReason {
    /// The word for it in events and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Cancelled => "cancelled",
            Self::Incomplete => "incomplete",
        }
    }
}

/// What an answer cost, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Of what was asked.
    pub input_tokens: u64,
    /// Of what was answered.
    pub output_tokens: u64,
    /// Of `input_tokens`, those that the service had seen before and charges less for.
    pub cached_input_tokens: u64,
}

impl Usage {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// A model's call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolRequest {
    /// Its identifier, which the result names.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them: JSON, as a rule.
    pub arguments: String,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct AiResponse {
    /// What the model said.
    pub text: String,
    /// What it thought before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The tools it called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolRequest>,
    /// What it cost, where the service says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Why it ends.
    pub finish: FinishReason,
}

impl Default for AiResponse {
    fn default() -> Self {
        let (text, reasoning, tool_calls) = Default::default();
        Self { text, reasoning, tool_calls, usage: None, finish: FinishReason::Incomplete }
    }
}

impl AiResponse {
    /// Takes the next piece in. Pieces of a tool call are put together by their index.
    pub fn push(&mut self, delta: AiDelta) {
        match delta {
            AiDelta::Text { text } => self.text.push_str(&text),
            AiDelta::Reasoning { text } => self.reasoning.push_str(&text),
            AiDelta::ToolCall { index, id, name, arguments } => {
                let index = index as usize;
                if index > MOST_TOOL_CALLS {
                    return;
                }
                // A service that skips an index gives a call without a name, which nobody will find.
                while self.tool_calls.len() <= index {
                    let (id, name, arguments) = Default::default();
                    self.tool_calls.push(ToolRequest { id, name, arguments });
                }
                let call = &mut self.tool_calls[index];
                call.id.extend(id);
                call.name.extend(name);
                call.arguments.push_str(&arguments);
            }
            AiDelta::Usage(usage) => self.usage = Some(usage),
            AiDelta::Finish { reason } => self.finish = reason,
        }
    }
}

/// No answer calls more tools than these at once: an index beyond it is a mistake of the service.
const MOST_TOOL_CALLS: usize = 255;

/// A model that a provider serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Model {
    /// Its name: to a provider its own, to others `plugin/model`.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// How many tokens question and answer may have together, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// How many tokens an answer may have, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// What it can do.
    #[serde(default)]
    pub abilities: ModelAbilities,
}

impl Model {
    /// A model that chats.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        let abilities = ModelAbilities { chat: true, ..ModelAbilities::default() };
        Self { name: id.clone(), id, context_tokens: None, max_output_tokens: None, abilities }
    }
}

/// What a model can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelAbilities {
    /// It answers turns.
    pub chat: bool,
    /// It calls tools.
    pub tools: bool,
    /// It sees pictures.
    pub images: bool,
    /// It makes texts into vectors.
    pub embeddings: bool,
}

/// Texts as vectors, in the order of the texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Embeddings {
    /// One for each text, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// What it cost, where the service says so.
    pub usage: Option<Usage>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_tool_calls_are_put_together() {
        let mut response = AiResponse::default();
        let call = |index, id: Option<&str>, name: Option<&str>, arguments: &str| AiDelta::ToolCall {
            index,
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
            arguments: arguments.to_owned(),
        };
        for delta in [
            AiDelta::text("Let me "),
            call(0, Some("a"), Some("look"), ""),
            AiDelta::text("see."),
            call(1, Some("b"), Some("add"), "{\"x\""),
            call(0, None, None, "{}"),
            call(1, None, None, ":1}"),
            call(u32::MAX, None, None, "lost"),
            AiDelta::finish(FinishReason::ToolCalls),
        ] {
            response.push(delta);
        }
        assert_eq!(response.text, "Let me see.");
        assert_eq!(response.finish, FinishReason::ToolCalls);
        let call = |id: &str, name: &str, arguments: &str| ToolRequest {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
        };
        assert_eq!(response.tool_calls, [call("a", "look", "{}"), call("b", "add", "{\"x\":1}")]);
    }
}
