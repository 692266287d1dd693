//! The settings: which words, and what to do about each. Knows no text that is filtered.

use crate::fold::Folded;
use crate::rules::{Rules, fold_pattern};

/// Settings of the word filter.
#[plexichat::config]
#[garde(custom(check_replacement))]
pub struct Config {
    /// What to look for, and what to do about it. Every rule is applied.
    #[serde(default)]
    #[garde(dive, length(max = 1000))]
    pub rules: Vec<Rule>,
    /// What stands in place of what was redacted.
    #[serde(default = "default_replacement")]
    #[garde(length(min = 1, max = 40))]
    pub replacement: String,
}

/// One rule.
#[plexichat::config]
pub struct Rule {
    /// What moderators see instead of the pattern; `rules/0` and so on where nothing is set.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 80)))]
    pub name: Option<String>,
    /// A word, or several in a row. Case, width, style of letters and invisible characters make no difference.
    #[garde(length(min = 1, max = 200), custom(check_pattern))]
    pub pattern: String,
    /// What to do with a message in which it stands.
    pub action: Action,
    /// Whether it must stand alone, so that `ass` is not found in `class`.
    #[serde(default = "yes")]
    pub whole_word: bool,
}

/// What to do with a message that breaks a rule.
#[plexichat::model]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Refuse it.
    Reject,
    /// Let it through and tell the moderators.
    Flag,
    /// Let it through without the word.
    Redact,
}

fn default_replacement() -> String {
    "***".to_owned()
}

fn yes() -> bool {
    true
}

/// A replacement that a rule would redact again says that the two do not fit.
fn check_replacement(config: &Config) -> std::result::Result<(), &'static str> {
    match Rules::new(&config.rules).redact(&config.replacement, &Folded::new(&config.replacement), "") {
        Some(_) => Err("a rule redacts the `replacement` itself"),
        None => Ok(()),
    }
}

fn check_pattern(pattern: &str) -> std::result::Result<(), &'static str> {
    if fold_pattern(pattern).is_empty() {
        return Err("nothing of the pattern can be seen, so it would be found everywhere");
    }
    Ok(())
}
