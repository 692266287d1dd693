//! The settings. Knows no command.

/// Settings of the echo plugin.
#[plexichat::config]
pub struct Config {
    /// What stands before everything that it repeats.
    #[serde(default)]
    #[garde(length(max = 40))]
    pub prefix: String,
    /// The name it answers to when somebody mentions it: `@echo hello`.
    #[serde(default = "default_name")]
    #[garde(length(min = 1, max = 40), custom(check_name))]
    pub name: String,
}

fn default_name() -> String {
    "echo".to_owned()
}

/// What can stand behind an `@` as one word.
fn check_name(name: &str) -> Result<(), &'static str> {
    match name.chars().all(|character| character.is_alphanumeric() || character == '-' || character == '_') {
        true => Ok(()),
        false => Err("a name has letters, digits, `-` and `_` only"),
    }
}
