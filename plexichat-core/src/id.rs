//! Names and identifiers: text parsed once into a type. Knows nothing of what they name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest name a plugin may have, in bytes.
pub const PLUGIN_NAME_MAX: usize = 40;

/// Names that a plugin may not take: they are this project's own crates and features.
pub const RESERVED_PLUGIN_NAMES: &[&str] =
    &["core", "macros", "server", "default", "full", "cluster", "host", "interface", "testing", "fixtures"];

/// A plugin's name: lower-case words of letters and digits joined by `-`, at most 40 bytes, not reserved.
///
/// ```
/// use plexichat::id::PluginName;
/// assert_eq!("word-filter".parse::<PluginName>().unwrap().as_str(), "word-filter");
/// assert!("Word Filter".parse::<PluginName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PluginName(Cow<'static, str>);

impl PluginName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a linked plugin, checked by the macro at compile time.
    pub(crate) const fn linked(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

/// Why a text is no plugin name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// It has another shape.
    #[error(
        "`{0}` is no plugin name: lower-case letters and digits in words joined by `-`, starting with a letter, \
         at most {PLUGIN_NAME_MAX} characters"
    )]
    Shape(String),
    /// It is one of this project's own names.
    #[error("`{0}` is reserved and cannot be a plugin's name")]
    Reserved(String),
}

impl FromStr for PluginName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let shown = || text.chars().take(PLUGIN_NAME_MAX + 10).collect::<String>();
        if !is_plugin_name(text) {
            return Err(InvalidName::Shape(shown()));
        }
        if RESERVED_PLUGIN_NAMES.contains(&text) {
            return Err(InvalidName::Reserved(shown()));
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }
}

/// Whether the text matches `^[a-z][a-z0-9]*(-[a-z0-9]+)*$` and is at most 40 bytes long.
pub fn is_plugin_name(text: &str) -> bool {
    let mut words = text.split('-');
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= PLUGIN_NAME_MAX && text.starts_with(|first: char| first.is_ascii_lowercase()) && words.all(word)
}

impl fmt::Display for PluginName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for PluginName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for PluginName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for PluginName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for PluginName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PluginName {
    fn schema_name() -> Cow<'static, str> {
        "PluginName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": PLUGIN_NAME_MAX })
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier (UUIDv7: later ones sort after earlier ones of the same process).
            #[expect(clippy::new_without_default, reason = "every call gives another value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The identifier as its sixteen bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The identifier that these sixteen bytes spell.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "uuid" })
            }
        }
    };
}

/// The text is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: a UUID such as `01890c6e-8b5a-7cc0-98c4-dc0c0c07398f` is expected")]
pub struct InvalidId;

uuid_id!(
    /// A room.
    RoomId
);
uuid_id!(
    /// A person's account.
    UserId
);
uuid_id!(
    /// A message.
    MessageId
);
uuid_id!(
    /// An uploaded file.
    FileId
);
uuid_id!(
    /// One emitted event.
    EventId
);
uuid_id!(
    /// An assistant's answer to one message, while it comes.
    ReplyId
);
uuid_id!(
    /// One run of a workflow.
    RunId
);
uuid_id!(
    /// Leave that a person is asked for before a tool is called for them.
    ApprovalId
);

impl ReplyId {
    /// The identifier of the answer to this message: the same however often it is begun.
    #[cfg(feature = "host")]
    pub(crate) fn to(message: MessageId) -> Self {
        let mut bytes = *message.as_bytes();
        bytes[15] ^= 0xa1;
        Self::from_bytes(bytes)
    }
}

impl ApprovalId {
    /// The identifier of the leave for this call in the answer to this message: the same however often that is begun.
    #[cfg(feature = "host")]
    pub(crate) fn about(message: MessageId, call: &str) -> Self {
        Self::from_bytes(derived(message.as_bytes(), call.bytes()))
    }
}

impl EventId {
    /// The event that a run of a workflow is, as the cause of what it does: the same at every attempt.
    #[cfg(feature = "host")]
    pub(crate) fn of_run(run: RunId) -> Self {
        Self::from_bytes(*run.as_bytes())
    }

    /// The identifier of the `nth` event about a stored message: the same however often the message is told to plugins.
    #[cfg(feature = "host")]
    pub(crate) fn about(message: MessageId, nth: u8) -> Self {
        let mut bytes = *message.as_bytes();
        // The last bytes of a UUIDv7 are random: two messages are as unlikely to meet here as anywhere.
        bytes[15] ^= nth;
        Self::from_bytes(bytes)
    }

    /// The identifier of the `nth` event that a plugin emits while its handler or command `step` answers the event `cause`:
    /// the same on every machine, however often the cause is delivered. A UUIDv8 made of their FNV-1a in 128 bits, which
    /// suffices since nobody outside chooses what goes in.
    #[cfg(feature = "host")]
    pub(crate) fn caused(cause: Self, plugin: &str, step: &str, nth: u32) -> Self {
        // Neither name has a zero byte, so that no two pairs read alike.
        let names = plugin.bytes().chain([0]).chain(step.bytes()).chain([0]);
        Self::from_bytes(derived(cause.as_bytes(), names.chain(nth.to_le_bytes())))
    }
}

/// A UUIDv8 that is made of another one and of what it is about.
#[cfg(feature = "host")]
fn derived(from: &[u8; 16], about: impl Iterator<Item = u8>) -> [u8; 16] {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = from.iter().copied().chain(about);
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let mut bytes = hash.to_be_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, valid: bool) {
        assert_eq!(text.parse::<PluginName>().is_ok(), valid, "{text:?}");
    }

    #[test]
    fn names_have_one_shape() {
        check("echo", true);
        check("word-filter", true);
        check("a1-2b", true);
        check(&"a".repeat(40), true);
        check(&"a".repeat(41), false);
        check("", false);
        check("1a", false);
        check("-a", false);
        check("a-", false);
        check("a--b", false);
        check("Echo", false);
        check("a_b", false);
        check("../etc", false);
        check("еcho", false); // a Cyrillic look-alike
        check("core", false);
    }

    #[cfg(feature = "host")]
    #[test]
    fn caused_events_are_the_same_everywhere() {
        let cause = EventId::from_bytes([7; 16]);
        let id = |plugin, step, nth| EventId::caused(cause, plugin, step, nth).to_string();
        assert_eq!(id("a", "b", 0), "33309ca7-5688-80f3-956c-1c3eb934956e");
        let all =
            [id("a", "b", 0), id("a", "b", 1), id("a", "c", 0), id("ab", "", 0), id("", "ab", 0), id("a", "b", 256)];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), 6);
    }
}
