//! The settings: hooks that are always there, and how patient deliveries are. Knows no request.

use crate::asked::OutgoingAsked;

/// Settings of the webhooks.
#[plexichat::config]
#[garde(custom(check_names))]
pub struct Config {
    /// Calls of other programs that are always made, beside those that administrators set up while the server runs.
    #[serde(default)]
    #[garde(dive, length(max = 100))]
    pub outgoing: Vec<OutgoingAsked>,
    /// So many deliveries of each outgoing hook are kept to be looked at and replayed.
    #[serde(default = "kept")]
    #[garde(range(min = 1, max = 1000))]
    pub deliveries_kept: u16,
    /// A delivery is tried for so many hours before it is given up.
    #[serde(default = "hours")]
    #[garde(range(min = 1, max = 168))]
    pub give_up_after_hours: u16,
    /// Pauses between tries double, and are never longer than so many seconds.
    #[serde(default = "pause")]
    #[garde(range(min = 1, max = 3600))]
    pub longest_pause_seconds: u32,
    /// The longest message that a webhook makes, in bytes; longer ones are shortened.
    #[serde(default = "message")]
    #[garde(range(min = 100, max = 1_000_000))]
    pub message_bytes: u32,
}

fn kept() -> u16 {
    100
}

fn hours() -> u16 {
    24
}

fn pause() -> u32 {
    300
}

fn message() -> u32 {
    16_000
}

/// A hook of the configuration is known by its name.
fn check_names(config: &Config) -> std::result::Result<(), String> {
    for (index, hook) in config.outgoing.iter().enumerate() {
        if config.outgoing[..index].iter().any(|other| other.name == hook.name) {
            return Err(format!("two hooks in `outgoing` are named `{}`", hook.name));
        }
    }
    Ok(())
}
