//! Tools: typed functions of plugins that a model may call. Knows no model and no host.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Model;
use crate::error::{PluginError, Result};
use crate::id::RoomId;
use crate::plugin::interface::Caller;

/// The longest name of a tool, in bytes. With its plugin's name it has to fit into the 64 that models know.
pub const NAME_MAX: usize = 20;

/// What stands between a plugin's name and its tool's in the name that a model knows: `weather__forecast`.
pub const SEPARATOR: &str = "__";

/// What is wrong with a tool's name, if anything. The attribute asks the same.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let good = name.len() <= NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('_').all(word);
    (!good).then_some(
        "lower-case letters and digits in words joined by `_`, starting with a letter, at most 20 characters: with the \
         plugin's name it has to fit into what models know",
    )
}

/// Whether a person is asked before a tool is called for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// No: it only looks something up.
    Never,
    /// The first time for each person.
    FirstUse,
    /// Every time: it changes something. The default.
    Always,
}

impl Approval {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::FirstUse => "first_use",
            Self::Always => "always",
        }
    }
}

/// What the macro knows of a tool.
#[derive(Debug, Clone, Copy)]
pub struct ToolSpec {
    /// Its name, unique in its plugin.
    pub name: &'static str,
    /// The method's documentation: what the model reads.
    pub help: &'static str,
    /// The method that answers.
    pub method: &'static str,
    /// The JSON Schema of its arguments.
    pub arguments: fn() -> Value,
    /// Whether a person is asked first; an operator or a room may ask for more.
    pub approval: Approval,
}

/// A call of a tool, with the rights of whoever the model answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ToolCall {
    /// The tool's name.
    pub tool: String,
    /// The arguments, as the model wrote them.
    pub arguments: Value,
    /// For whom.
    pub caller: Caller,
    /// The room in which the model was asked; nothing where it was asked elsewhere.
    pub room_id: Option<RoomId>,
    /// The same for every try of the same call: what changes something uses it to do so once.
    pub key: String,
}

impl ToolCall {
    /// A call; hosts and tests make these.
    pub fn new(tool: &str, arguments: Value, caller: Caller, room_id: Option<RoomId>, key: &str) -> Self {
        Self { tool: tool.to_owned(), arguments, caller, room_id, key: key.to_owned() }
    }
}

/// What a tool answers to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolAnswer {
    /// Text, or JSON as text.
    pub content: String,
}

impl From<String> for ToolAnswer {
    fn from(content: String) -> Self {
        Self { content }
    }
}

impl From<&str> for ToolAnswer {
    fn from(content: &str) -> Self {
        Self { content: content.to_owned() }
    }
}

impl ToolAnswer {
    /// JSON, as the model reads it.
    ///
    /// # Errors
    /// `Internal` where the value cannot be written as JSON.
    pub fn json(content: &impl Serialize) -> Result<Self> {
        Ok(Self { content: serde_json::to_string(content)? })
    }
}

impl From<Value> for ToolAnswer {
    fn from(content: Value) -> Self {
        Self { content: content.to_string() }
    }
}

/// Reads a tool's arguments: what generated code calls.
///
/// # Errors
/// `Input` with what does not fit, and where: the model reads it and may try again.
pub fn parse_arguments<A: Model + DeserializeOwned>(tool: &str, arguments: &Value) -> Result<A> {
    let read: A = serde_path_to_error::deserialize(arguments).map_err(|error| {
        PluginError::input(format!("the arguments of `{tool}` do not fit at `{}`: {}", error.path(), error.inner()))
    })?;
    garde::Validate::validate(&read)
        .map_err(|report| PluginError::input(format!("the arguments of `{tool}` do not fit: {report}")))?;
    Ok(read)
}
