//! `plexichat config …`: the settings, without a server.

use clap::{Args, Subcommand};
use plexichat::catalog::Catalog;
use plexichat::settings::Settings;
use serde_json::{Value, json};

use super::Failure;
use super::output::{Output, cell, plain};
use super::settings::{SettingsArgs, load};
use crate::Bundle;
use crate::shown::{self, Setting};

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat config check --config plexichat.toml\n  plexichat config example > plexichat.toml"
)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Find everything that is wrong with the settings; exit status 78 where there is something.
    #[command(after_help = "Example:\n  plexichat config check --config plexichat.toml")]
    Check(SettingsArgs),
    /// Show what counts and where each value was set, secrets masked. What was set over the API is in the store and not here.
    #[command(after_help = "Example:\n  plexichat config show --json")]
    Show(SettingsArgs),
    /// Print a settings file with everything that can be set, to begin with.
    #[command(after_help = "Example:\n  plexichat config example > plexichat.toml")]
    Example,
}

pub(super) fn run(arguments: ConfigArgs, bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        ConfigCommand::Check(arguments) => match load(bundle, &arguments) {
            Ok(_) => output.show(&json!({ "problems": [] }), |_| "the settings are good".to_owned()),
            Err(problems) if output.is_json() => {
                output.show(&json!({ "problems": problems }), |_| String::new())?;
                Err(Failure::told())
            }
            Err(problems) => Err(Failure::of_problems(&problems)),
        },
        ConfigCommand::Show(arguments) => {
            let (catalog, settings) = load(bundle, &arguments).map_err(|problems| Failure::of_problems(&problems))?;
            let entries = json!(entries(&catalog, &settings));
            output.show(&entries, |entries| entries.as_array().into_iter().flatten().map(line).collect())
        }
        ConfigCommand::Example => {
            let example = example(&load_without_operator(bundle)?);
            output.show(&json!({ "example": example }), |_| example.clone())
        }
    }
}

/// The linked plugins alone: an example must not depend on a file that is wrong.
fn load_without_operator(bundle: &Bundle) -> Result<Catalog, Failure> {
    Catalog::linked(bundle.expected).map_err(|problems| Failure::of_problems(&problems))
}

/// Each setting with its value and where it was set.
fn entries(catalog: &Catalog, settings: &Settings) -> Vec<Setting> {
    let mut entries = shown::of_server(settings);
    for descriptor in catalog.plugins() {
        let config = settings.plugin_config(descriptor, None);
        entries.extend(shown::of_plugin(settings, &descriptor.plugin_name(), &config.shown(), &config.origins));
    }
    entries
}

/// `server.listen = "127.0.0.1:8080"  # default`: what TOML would read.
fn line(entry: &Value) -> String {
    let (key, value, origin) = (cell(entry, "key"), plain(&entry["value"].to_string()), cell(entry, "origin"));
    match entry["value"] {
        Value::Null => format!("# {key} is not set\n"),
        _ => format!("{key} = {value}  # {origin}\n"),
    }
}

const EXAMPLE: &str = r#"# Settings of PlexiChat. Every line that begins with `#` shows what counts without it, or an example.
# Each may also be set as an environment variable: PLEXICHAT__SERVER__LISTEN, PLEXICHAT__PLUGINS__WORD_FILTER__ENABLED.

[server]
# The address to listen on.
# listen = "127.0.0.1:8080"
# The address that people use: pages of it may open WebSockets.
# public_url = "https://chat.example.org"
# The directory of the store and the first administrator's token.
# data_dir = "data"
# Whose `X-Forwarded-For` and `Forwarded` say where a request comes from: the proxies in front of the server.
# trusted_proxies = ["10.0.0.0/8"]
# What is logged, where neither `--log-level` nor RUST_LOG says it.
# log_level = "info"
# With both files the server speaks https. SIGHUP reads them, and these settings, again.
# tls = { cert = "cert.pem", key = "key.pem" }

[server.limits]
# The longest text of a message, in bytes.
# text_bytes = 16384
# Messages a second by one actor in one room, in the long run, and at once.
# messages_per_second = 20
# message_burst = 100
# Connections at a time, and those from one address; this machine and trusted proxies are not counted.
# connections = 10000
# connections_per_address = 100
# Requests a second from one address, in the long run, and at once; this machine and trusted proxies are not counted.
# requests_per_second = 1000
# request_burst = 5000

[server.accounts]
# Who may make an account: "open" everybody, "invitation" whoever has one (`plexichat user invite`), "off" nobody.
# registration = "invitation"
# How many wrong tokens a minute one address may send before it is told to wait.
# bad_tokens_per_minute = 60

[server.retention]
# How long messages and the audit log are kept; for ever where nothing is said. Each room's last message stays.
# messages = "365d"
# audit = "1000d"
# How long clients that come back can hear of what changed meanwhile.
# changes = "7d"
# How long it is known what models were asked and what it cost; a day at least.
# ai_usage = "400d"
# How long it is known what workflows did: runs that ended, and those that failed for good and can be replayed.
# runs = "30d"
# dead_letters = "90d"

[server.ai]
# The models to ask where nobody names one, the first that answers: `plugin/model`, or a plugin for its first one. With none
# named, the first provider that runs is asked.
# default_models = []
# How many tokens and requests one person, and one room, may use within 24 hours; without limit where nothing is said.
# person_tokens_per_day = 200000
# person_requests_per_day = 500
# room_tokens_per_day = 1000000
# room_requests_per_day = 2000

[server.ai.assistant]
# The assistant of rooms that say nothing of theirs: the name by which it is mentioned, what it is told before every
# conversation, the models it asks (those of `default_models` where none is named).
# name = "assistant"
# system_prompt = "You help the people of this room. Be brief."
# models = []
# When it answers beside /ai: where it is mentioned ("mention"), also to every message of a direct room ("direct"), to every
# message of a person ("every"), never ("command"), or not even to /ai ("off").
# trigger = "mention"
# How many of the room's messages it is shown at most, and how long an answer may be, in tokens.
# history = 50
# max_output_tokens = 1000
# The tools that it may call: `plugin__tool`, or `plugin__*` for all that a plugin has.
# tools = []

[server.files]
# The largest file, the files of one person, and the files of all, in bytes.
# max_bytes = 67108864
# quota_per_user = 1073741824
# quota_total = 21474836480
"#;

/// A file to begin with, with a section for each linked plugin.
fn example(catalog: &Catalog) -> String {
    let mut text = EXAMPLE.to_owned();
    for plugin in catalog.plugins() {
        text.push_str(&format!("\n# {}\n[plugins.{}]\n", plain(plugin.package.description), plugin.name));
        text.push_str("# enabled = true\n");
        if !plugin.permissions.is_empty() {
            let names: Vec<String> = plugin.permissions.iter().map(|it| format!("\"{it}\"")).collect();
            text.push_str(&format!("# grant = [{}]\n", names.join(", ")));
        }
        text.push_str("# isolation = \"runtime\"\n");
        let schema = (plugin.entry.config_schema)();
        let defaults = (plugin.entry.default_config)();
        let properties = schema["properties"].as_object();
        if properties.is_some_and(|properties| !properties.is_empty()) {
            text.push_str(&format!("[plugins.{}.config]\n", plugin.name));
        }
        for (name, property) in properties.into_iter().flatten() {
            if let Some(description) = property["description"].as_str() {
                text.push_str(&format!("# {}\n", plain(description)));
            }
            let value = defaults.get(name).filter(|value| !value.is_null() && !value.is_object());
            text.push_str(&format!("# {name} = {}\n", value.map_or_else(|| "…".to_owned(), ToString::to_string)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_toml() {
        let entry = json!({ "key": "server.listen", "value": "127.0.0.1:1", "origin": "default" });
        assert_eq!(line(&entry), "server.listen = \"127.0.0.1:1\"  # default\n");
        let entry = json!({ "key": "server.public_url", "value": null, "origin": "default" });
        assert_eq!(line(&entry), "# server.public_url is not set\n");
    }

    #[test]
    fn the_example_is_a_good_file() {
        let catalog = Catalog::default();
        let example = example(&catalog);
        let file = Some(("example.toml", example.as_bytes()));
        let settings = Settings::load(&plexichat::settings::Sources { file, ..Default::default() }).unwrap();
        assert_eq!(settings.server, Settings::default().server);
        // And so it is with what it shows.
        let shown: String = example
            .lines()
            .map(|line| {
                let setting = line.strip_prefix("# ").filter(|line| line.contains(" = "));
                format!("{}\n", setting.unwrap_or(line))
            })
            .collect();
        let file = Some(("example.toml", shown.as_bytes()));
        let settings = Settings::load(&plexichat::settings::Sources { file, ..Default::default() }).unwrap();
        assert_eq!(settings.server.public_url.as_deref(), Some("https://chat.example.org"));
    }
}
