//! The settings: further names of models. Knows no request.

use std::collections::BTreeMap;

/// Settings of the gateway.
#[plexichat::config]
pub struct Config {
    /// Further names of models, such as `gpt-4o = "openai/gpt-4o"`, for programs that know one name only.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
}

impl Config {
    /// The model that a name means.
    pub(crate) fn meant<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }
}
