//! Text that people read: as it is, or by the key under which a plugin's `locales/` have it. Knows no language.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Text {
    /// As it is.
    Plain(Cow<'static, str>),
    /// By its key in the plugin's `locales/`: `t!("key")` makes these, and does not compile where the key is not there.
    Key {
        /// The key.
        key: Cow<'static, str>,
        /// What stands for the text's variables.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<(Cow<'static, str>, String)>,
    },
}

impl Text {
    /// A text by its key, unchecked: `t!` checks.
    pub const fn key(key: &'static str) -> Self {
        Self::Key { key: Cow::Borrowed(key), arguments: Vec::new() }
    }

    /// The same with a value for one of the text's variables.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Self::Key { arguments, .. } = &mut self {
            arguments.push((name.into(), value.to_string()));
        }
        self
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Plain(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Plain(text.into())
    }
}
