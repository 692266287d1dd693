//! What a provider is asked: turns with roles and parts, tools, sampling. Knows no wire format.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::response::ToolRequest;

/// What a provider is asked to answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct AiRequest {
    /// The model. To a provider: its own name for it; to the host: `plugin/model`.
    pub model: String,
    /// What was said so far, in order.
    pub turns: Vec<Turn>,
    /// The tools that the model may call.
    pub tools: Vec<ToolDefinition>,
    /// Whether it may, must or must not call them.
    pub tool_choice: ToolChoice,
    /// The shape of the answer.
    pub response_format: ResponseFormat,
    /// How the answer is drawn.
    pub sampling: Sampling,
    /// A stable name for whoever asks, without personal data: some services want one against abuse.
    pub user: Option<String>,
    /// What the caller said beyond these fields, untouched: a provider adds it to what it sends.
    pub extra: Map<String, Value>,
}

impl AiRequest {
    /// A request for this model.
    pub fn new(model: impl Into<String>, turns: Vec<Turn>) -> Self {
        Self { model: model.into(), turns, ..Self::default() }
    }
}

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TurnRole {
    /// Whoever runs the assistant: instructions.
    System,
    /// A person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// What one side said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    /// Who.
    pub role: TurnRole,
    /// What, in order.
    pub parts: Vec<Part>,
}

impl Turn {
    /// A text by this role.
    pub fn text(role: TurnRole, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text { text: text.into() }] }
    }

    /// Instructions.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(TurnRole::System, text)
    }

    /// What a person says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(TurnRole::User, text)
    }

    /// What the model said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(TurnRole::Assistant, text)
    }

    /// The texts of its parts, joined by line ends.
    pub fn joined_text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text {
        /// What was said.
        text: String,
    },
    /// A picture.
    Image {
        /// Where it comes from.
        source: ImageSource,
    },
    /// The model asked for a tool.
    ToolCall(ToolRequest),
    /// What a tool answered.
    ToolResult {
        /// The [`ToolRequest`] that it answers.
        id: String,
        /// What it answered: text, or JSON as text.
        content: String,
        /// Whether it failed.
        #[serde(default)]
        is_error: bool,
    },
}

/// Where a picture comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageSource {
    /// Its bytes.
    Data {
        /// Such as `image/png`.
        mime: String,
        /// The bytes in base64.
        base64: String,
    },
    /// An address that the service fetches itself.
    Url {
        /// The address.
        url: String,
    },
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolDefinition {
    /// Its name: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does, for the model.
    #[serde(default)]
    pub description: String,
    /// The JSON Schema of its arguments: an object.
    pub parameters: Value,
}

/// Whether the model may, must or must not call tools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// As it sees fit.
    #[default]
    Auto,
    /// It must not.
    None,
    /// It must call one.
    Required,
    /// It must call this one.
    Tool(String),
}

/// The shape of the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// What the schema is called.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether the service has to hold it to the letter.
        #[serde(default)]
        strict: bool,
    },
}

/// How the answer is drawn. What is not given is the service's to choose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct Sampling {
    /// From 0, always the likeliest word, to about 2.
    pub temperature: Option<f32>,
    /// Only the likeliest words that make up this share, from 0 to 1.
    pub top_p: Option<f32>,
    /// At most so many tokens.
    pub max_output_tokens: Option<u32>,
    /// The answer ends before any of these.
    pub stop: Vec<String>,
    /// The same seed gives the same answer, as far as the service can.
    pub seed: Option<i64>,
    /// From -2 to 2: against words that came often.
    pub frequency_penalty: Option<f32>,
    /// From -2 to 2: against words that came at all.
    pub presence_penalty: Option<f32>,
}

/// Texts to be made into vectors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct EmbedRequest {
    /// The model, as in [`AiRequest::model`].
    pub model: String,
    /// The texts.
    pub input: Vec<String>,
    /// How long each vector is to be, where the model lets one choose.
    pub dimensions: Option<u32>,
    /// As in [`AiRequest::user`].
    pub user: Option<String>,
    /// As in [`AiRequest::extra`].
    pub extra: Map<String, Value>,
}

impl EmbedRequest {
    /// These texts for this model.
    pub fn new(model: impl Into<String>, input: Vec<String>) -> Self {
        Self { model: model.into(), input, ..Self::default() }
    }
}
