//! Commands: `/name words` in a message, answered by the plugin that claims the name. Knows no dispatcher.

mod arguments;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use arguments::parse_arguments;

use crate::id::{MessageId, RoomId};
use crate::message::Actor;

/// The longest name a command may have, in bytes.
pub const NAME_MAX: usize = 64;

/// A type that crosses the boundary between people and plugins: `#[plexichat::model]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the boundary of a plugin",
    note = "put `#[plexichat::model]` on it"
)]
pub trait Model: DeserializeOwned + JsonSchema + garde::Validate<Context = ()> + Send + 'static {
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
    let valid = name.len() <= NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_');
    valid.then_some((name, arguments.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        assert_eq!(split(text), expected, "{text:?}");
    }

    #[test]
    fn only_a_name_behind_a_slash_is_a_command() {
        check("/echo", Some(("echo", "")));
        check("/echo  two  words ", Some(("echo", "two  words")));
        check("/echo\ttab", Some(("echo", "tab")));
        check("/echo\nnext line\nand more", Some(("echo", "next line\nand more")));
        check("/echo\u{3000}wide space", Some(("echo", "wide space")));
        check("/a-b_2 x", Some(("a-b_2", "x")));
        check("", None);
        check("/", None);
        check("/ echo", None);
        check("//echo", None);
        check("/etc/passwd", None);
        check("/Echo", None);
        check("/2x", None);
        check("/e\u{301}cho", None);
        check("/еcho", None); // a Cyrillic look-alike
        check(" /echo", None);
        check(&format!("/{}", "a".repeat(NAME_MAX)), Some((&"a".repeat(NAME_MAX), "")));
        check(&format!("/{}", "a".repeat(NAME_MAX + 1)), None);
    }
}
