//! Commands: `/name words` in a message, answered by the plugin that claims the name. Knows no dispatcher.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{PluginError, Result};
use crate::id::{MessageId, RoomId};
use crate::message::Actor;

/// A type that crosses the boundary between people and plugins: `#[plexichat::model]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the boundary of a plugin",
    note = "put `#[plexichat::model]` on it"
)]
pub trait Model: DeserializeOwned + JsonSchema + Send + 'static {
    /// The names of its fields, in the order they were written: positional words of a command fill them in this order.
    const FIELDS: &'static [&'static str];
}

/// What the macro knows of a command.
#[derive(Debug, Clone, Copy)]
pub struct CommandSpec {
    /// The name, without the slash.
    pub name: &'static str,
    /// The method's documentation: the help text.
    pub help: &'static str,
    /// The method that answers.
    pub method: &'static str,
    /// The JSON Schema of its arguments.
    pub arguments: fn() -> Value,
    /// The names of its arguments, in order.
    pub fields: &'static [&'static str],
}

/// One call of a command.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommandCall {
    /// The command's name, without the slash.
    pub command: String,
    /// Everything behind the name, trimmed.
    pub arguments: String,
    /// The message it stands in.
    pub message_id: MessageId,
    /// The room it was posted in.
    pub room_id: RoomId,
    /// Who called.
    pub author: Actor,
}

impl CommandCall {
    /// A call as it stands in a message.
    pub fn new(command: &str, arguments: &str, message_id: MessageId, room_id: RoomId, author: Actor) -> Self {
        Self { command: command.to_owned(), arguments: arguments.trim().to_owned(), message_id, room_id, author }
    }
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum CommandReply {
    /// Post this in the room, as an answer to the message.
    Text(String),
    /// Nothing: the command did its work silently.
    Nothing,
}

impl CommandReply {
    /// Post this in the room, as an answer to the message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for CommandReply {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for CommandReply {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

/// Splits `/name rest` into name and rest; nothing where the text is no command.
///
/// ```
/// use plexichat::command::split;
/// assert_eq!(split("/roll 2 6"), Some(("roll", "2 6")));
/// assert_eq!(split("/"), None);
/// assert_eq!(split("hello /roll"), None);
/// ```
pub fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('/')?;
    let (name, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let valid = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_');
    valid.then_some((name, arguments.trim()))
}

/// Reads a command's words into its argument type.
///
/// Words fill the fields in their order; `name=value` fills a field by name; the last field takes the rest of the line if
/// it is text. A word is read as JSON where the field wants a number or a boolean.
///
/// # Errors
/// [`PluginError`] of kind `Input` with a usage line, to be shown to the caller.
pub fn parse_arguments<A: Model>(command: &str, text: &str) -> Result<A> {
    let schema = schemars::schema_for!(A);
    let value = read_words(A::FIELDS, schema.as_value(), text).map_err(|message| usage::<A>(command, &message))?;
    serde_path_to_error::deserialize(&value).map_err(|error| usage::<A>(command, &error.to_string()))
}

fn usage<A: Model>(command: &str, message: &str) -> PluginError {
    let schema = schemars::schema_for!(A);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let words = A::FIELDS
        .iter()
        .map(|field| if required.contains(field) { format!(" <{field}>") } else { format!(" [{field}]") });
    PluginError::input(format!("{message}; usage: /{command}{}", words.collect::<String>()))
}

fn read_words(fields: &[&str], schema: &Value, text: &str) -> Result<Value, String> {
    let kind = |field: &str| {
        let kind = &schema["properties"][field]["type"];
        // `Option<T>` is `["integer", "null"]`.
        kind.as_str().or_else(|| kind[0].as_str()).unwrap_or("string").to_owned()
    };
    let mut value = Map::new();
    let mut open: Vec<&str> = fields.to_vec();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let named = word
            .split_once('=')
            .and_then(|(name, word)| open.iter().position(|field| *field == name).map(|index| (index, word)));
        let (field, word) = match named {
            Some((index, word)) => (open.remove(index), word),
            None if open.is_empty() => return Err(format!("`{word}` is too much")),
            None => (open.remove(0), word),
        };
        let takes_rest = named.is_none() && open.is_empty() && kind(field) == "string";
        let word = if takes_rest { rest } else { word };
        let read = match kind(field).as_str() {
            "string" => Value::from(word),
            _ => serde_json::from_str(word).map_err(|_| format!("`{word}` is no {} for `{field}`", kind(field)))?,
        };
        value.insert(field.to_owned(), read);
        rest = if takes_rest { "" } else { after.trim_start() };
    }
    Ok(Value::Object(value))
}
