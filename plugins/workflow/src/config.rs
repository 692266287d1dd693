//! The settings. Knows no run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plexichat::prelude::*;

/// Settings of workflows.
#[plexichat::config]
pub struct Config {
    /// Workflows that stand here, each as in a file of its own.
    #[serde(default)]
    pub definitions: Vec<Value>,
    /// Directories with workflows in files that end in `.toml` or `.json`. Each must be in `directories` of `[plugins.workflow]`.
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    /// How often these files are looked at, in seconds.
    #[garde(range(min = 1, max = 3600))]
    #[serde(default = "poll_seconds")]
    pub poll_seconds: u32,
    /// What `secret("name")` stands for.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// Names or ids of users who may `/workflow run`, `show`, `runs` and `reload` in rooms.
    #[serde(default)]
    pub operators: Vec<String>,
}

fn poll_seconds() -> u32 {
    5
}

/// A shorter secret would be blacked out in ordinary words.
pub(crate) const SECRET_MIN: usize = 6;

impl Config {
    /// What no schema can say.
    pub(crate) fn check(&self) -> Result<()> {
        match self.secrets.iter().find(|(_, secret)| secret.expose().len() < SECRET_MIN) {
            Some((name, _)) => Err(PluginError::config(format!(
                "secret `{name}` is shorter than {SECRET_MIN} bytes: it cannot be kept out of what runs tell"
            ))),
            None => Ok(()),
        }
    }
}
