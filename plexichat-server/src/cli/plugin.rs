//! `plexichat plugin …`: the plugins of a running server.

use clap::{Args, Subcommand};
use plexichat::settings::Origin;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::output::{Output, cell, fields, pretty, table};
use super::{ClientArgs, Failure};

/// How much of a plugin's own words a table shows.
const CAUSE_MAX: usize = 160;

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat plugin list\n  plexichat plugin config set echo 'prefix=\"> \"'"
)]
pub(super) struct PluginArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// List the linked plugins: state, and the cause where one does not run.
    #[command(after_help = "Example:\n  plexichat plugin list --json")]
    List,
    /// Show one plugin: manifest, state, health, what is granted.
    #[command(after_help = "Example:\n  plexichat plugin info echo")]
    Info(Named),
    /// Install a linked plugin with the permissions that the bundle and the settings grant it, or with those you name.
    #[command(after_help = "Examples:\n  plexichat plugin install word-filter\n  \
                            plexichat plugin install fetcher --grant network_access")]
    Install {
        #[command(flatten)]
        plugin: Named,
        /// A permission to grant; may be given more than once.
        #[arg(long, value_name = "PERMISSION")]
        grant: Vec<plexichat::permission::Permission>,
    },
    /// Uninstall a plugin. Its stored data stays unless you say otherwise.
    #[command(after_help = "Example:\n  plexichat plugin uninstall word-filter --remove-data")]
    Uninstall {
        #[command(flatten)]
        plugin: Named,
        /// Also remove everything that the plugin stored.
        #[arg(long)]
        remove_data: bool,
    },
    /// Start an installed plugin.
    #[command(after_help = "Example:\n  plexichat plugin enable word-filter")]
    Enable(Named),
    /// Stop a plugin and leave it installed.
    #[command(after_help = "Example:\n  plexichat plugin disable word-filter")]
    Disable(Named),
    /// Let a quarantined plugin run again.
    #[command(after_help = "Example:\n  plexichat plugin release word-filter")]
    Release(Named),
    /// Read or change a plugin's configuration.
    #[command(subcommand, after_help = "Example:\n  plexichat plugin config get echo")]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct Named {
    /// The plugin's name, as `plexichat plugin list` shows it.
    name: String,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show the configuration; secrets are masked.
    #[command(after_help = "Example:\n  plexichat plugin config get echo")]
    Get(Named),
    /// Change some values; the others stay as they are. The plugin goes on with the old ones where the new ones are wrong.
    #[command(after_help = "Examples:\n  plexichat plugin config set echo 'prefix=\"> \"'\n  \
                            plexichat plugin config set word-filter 'words=[\"foo\",\"bar\"]' action=reject")]
    Set {
        #[command(flatten)]
        plugin: Named,
        /// `key=value`: the value is read as JSON where it is JSON, else as text. `null` goes back to the default.
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = assignment)]
        values: Vec<(String, Value)>,
    },
}

fn assignment(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("`key=value` is expected")?;
    if key.is_empty() {
        return Err("the key is missing before `=`".to_owned());
    }
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}

pub(super) async fn run(arguments: PluginArgs, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.client)?;
    match arguments.command {
        PluginCommand::List => {
            let list = client.get("/api/v1/plugins").await?;
            output.show(&list, |list| {
                let row = |plugin: &Value| {
                    let [name, version, kind, state] =
                        ["name", "version", "type", "state"].map(|name| cell(plugin, name));
                    [name, version, kind, state, cause(plugin)]
                };
                table(
                    ["NAME", "VERSION", "TYPE", "STATE", "CAUSE"],
                    list["plugins"].as_array().into_iter().flatten().map(row),
                )
            })
        }
        PluginCommand::Info(plugin) => {
            let info = client.get(&address(&plugin, "")?).await?;
            output.show(&info, about)
        }
        PluginCommand::Install { plugin, grant } => {
            let body = if grant.is_empty() { json!({}) } else { json!({ "grant": grant }) };
            act(&client, output, &plugin, "install", body).await
        }
        PluginCommand::Uninstall { plugin, remove_data } => {
            act(&client, output, &plugin, "uninstall", json!({ "remove_data": remove_data })).await
        }
        PluginCommand::Enable(plugin) => act(&client, output, &plugin, "enable", json!({})).await,
        PluginCommand::Disable(plugin) => act(&client, output, &plugin, "disable", json!({})).await,
        PluginCommand::Release(plugin) => act(&client, output, &plugin, "release", json!({})).await,
        PluginCommand::Config(ConfigCommand::Get(plugin)) => {
            let config = client.get(&address(&plugin, "/config")?).await?;
            output.show(&config, |config| pretty(&config["config"]))
        }
        PluginCommand::Config(ConfigCommand::Set { plugin, values }) => {
            let path = address(&plugin, "/config")?;
            let now = client.get_versioned(&path).await?;
            let mut config = stored(&now.value);
            change(&mut config, values);
            let set = client.put(&path, &Value::Object(config), now.etag.as_deref()).await?;
            output.show(&set, |set| pretty(&set["config"]))
        }
    }
}

/// What was set over the API before: what else counts comes from layers that stay where they are.
fn stored(answer: &Value) -> Map<String, Value> {
    let origins = answer["origins"].as_object().into_iter().flatten();
    let here = origins.filter(|(_, origin)| *origin == &Value::from(Origin::Api.to_string()));
    let top = |pointer: &str| pointer.split('/').nth(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
    let keys = here.filter_map(|(pointer, _)| top(pointer));
    keys.map(|key| (key.clone(), answer["config"][&key].clone())).collect()
}

fn change(config: &mut Map<String, Value>, values: Vec<(String, Value)>) {
    for (key, value) in values {
        match value {
            Value::Null => config.remove(&key),
            value => config.insert(key, value),
        };
    }
}

async fn act(client: &Client, output: &mut Output, plugin: &Named, action: &str, body: Value) -> Result<(), Failure> {
    let info = client.post(&address(plugin, &format!("/{action}"))?, &body).await?;
    output.show(&info, |info| format!("{} is {}", cell(info, "name"), cell(info, "state")))
}

fn address(plugin: &Named, rest: &str) -> Result<String, Failure> {
    // Never a path from a name: what is no name goes no further.
    let name: plexichat::id::PluginName =
        plugin.name.parse().map_err(|error: plexichat::id::InvalidName| Failure::usage(error.to_string()))?;
    Ok(format!("/api/v1/plugins/{name}{rest}"))
}

fn about(info: &Value) -> String {
    let manifest = &info["manifest"];
    let mut lines = vec![
        ("name", cell(info, "name")),
        ("version", cell(info, "version")),
        ("state", cell(info, "state")),
        ("cause", cause(info)),
        ("breaker", cell(info, "breaker")),
        ("description", cell(manifest, "description")),
        ("type", cell(info, "type")),
        ("permissions", cell(manifest, "permissions")),
        ("granted", cell(info, "granted")),
        ("commands", names(&manifest["commands"])),
        ("events", cell(manifest, "events")),
        ("health", cell(&info["health"], "status")),
    ];
    lines.retain(|(_, value)| value != "-");
    fields(&lines)
}

/// Why it does not run or is not asked, else what went wrong last.
fn cause(plugin: &Value) -> String {
    let (cause, last) = (plugin["cause"].as_str(), &plugin["last_error"]);
    let text = match (cause, last["message"].as_str()) {
        (Some(cause), _) if plugin["breaker"] == "open" => format!("not asked for a while: {cause}"),
        (Some(cause), _) => cause.to_owned(),
        (None, Some(message)) => format!("last error, {}: {message}", cell(last, "what")),
        (None, None) => "-".to_owned(),
    };
    text.chars().take(CAUSE_MAX).collect()
}

fn names(items: &Value) -> String {
    let name = |item: &Value| item["name"].as_str().or(item.as_str()).map(|name| format!("/{name}"));
    let names: Vec<String> = items.as_array().into_iter().flatten().filter_map(name).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Value)>) {
        let found = assignment(text).ok();
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)), "{text}");
    }

    #[test]
    fn values_are_json_or_text() {
        check("prefix=> ", Some(("prefix", "> ".into())));
        check("prefix=\"3\"", Some(("prefix", "3".into())));
        check("sides=3", Some(("sides", 3.into())));
        check("words=[\"a\",\"b\"]", Some(("words", json!(["a", "b"]))));
        check("a=b=c", Some(("a", "b=c".into())));
        check("empty=", Some(("empty", "".into())));
        check("=x", None);
        check("x", None);
    }

    #[track_caller]
    fn check_cause(plugin: Value, expected: &str) {
        assert_eq!(cause(&plugin), expected);
    }

    #[test]
    fn the_cause_is_why_it_does_not_run_or_what_went_wrong_last() {
        let last = json!({ "what": "command", "message": "it took too long" });
        check_cause(json!({ "state": "enabled" }), "-");
        check_cause(json!({ "state": "failed", "cause": "no key", "last_error": last }), "no key");
        check_cause(json!({ "breaker": "closed", "last_error": last }), "last error, command: it took too long");
        check_cause(json!({ "breaker": "open", "cause": "it panicked" }), "not asked for a while: it panicked");
    }

    #[test]
    fn only_what_the_api_stored_is_sent_again() {
        let answer = json!({
            "config": { "prefix": "> ", "sides": 6, "lists": { "a": 1, "b": 2 } },
            "origins": { "/prefix": "the API", "/sides": "default", "/lists/a": "the API", "/lists/b": "x.toml:1:1" },
        });
        assert_eq!(Value::Object(stored(&answer)), json!({ "prefix": "> ", "lists": { "a": 1, "b": 2 } }));
    }

    #[test]
    fn a_name_is_never_a_path() {
        for name in ["../tokens", "a/b", "A", ""] {
            assert!(address(&Named { name: name.to_owned() }, "").is_err(), "{name}");
        }
    }
}
