//! The operator's commands: one file each, and the table that names them. Knows how to ask a running server, and how to
//! start one.

mod ai;
mod audit;
mod backup;
mod bundle;
mod client;
mod config;
mod doctor;
mod events;
mod failure;
mod output;
mod plugin;
mod print;
mod reload;
mod room;
mod serve;
mod settings;
mod token;
mod user;
mod workflow;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use failure::Failure;
use output::Output;

use crate::Bundle;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    about = "A chat server made of plugins, linked into one static binary",
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Examples:\n  plexichat serve\n  plexichat room create general\n  plexichat plugin list\n\n\
                  Exit status: 0 done, 1 failed, 2 wrong usage, 78 cannot work as configured."
)]
struct Cli {
    /// Print JSON on stdout instead of tables.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: REST, WebSocket, plugins, over an embedded store.
    Serve(serve::ServeArgs),
    /// List, inspect and change the plugins of a running server.
    Plugin(plugin::PluginArgs),
    /// Make, list, change and invite people of a running server.
    User(user::UserArgs),
    /// Make, list and revoke API tokens of a running server.
    Token(token::TokenArgs),
    /// Make, list, change and delete rooms of a running server, and say who is in them.
    Room(room::RoomArgs),
    /// List the models of a running server, show what they cost, and answer tool calls that wait for leave.
    Ai(ai::AiArgs),
    /// List what starts workflows on a running server and what they did; start, end and replay runs.
    Workflow(workflow::WorkflowArgs),
    /// Show who did what, and verify that nobody changed the record of it.
    Audit(audit::AuditArgs),
    /// Take a backup of a running server, or of a data directory that none uses.
    Backup(backup::BackupArgs),
    /// Put a backup back into an empty data directory, or verify one.
    Restore(backup::RestoreArgs),
    /// List the events that there are, print those that happen, or emit one.
    Events(events::EventsArgs),
    /// Look for what keeps a server from working well, and say what to do.
    Doctor(doctor::DoctorArgs),
    /// Print the OpenAPI document of this bundle.
    Openapi(print::OpenapiArgs),
    /// Print a script by which a shell completes commands.
    Completions(print::CompletionsArgs),
    /// Tell what is linked into this binary.
    Bundle(bundle::BundleArgs),
    /// Check and show the settings.
    Config(config::ConfigArgs),
}

/// Where the running server is, and who asks.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// The server's address. Without it, the one that a server left in the data directory, else http://127.0.0.1:8080.
    #[arg(long, global = true, value_name = "URL", env = "PLEXICHAT_SERVER")]
    server: Option<String>,
    /// A file with the API token. Without it, PLEXICHAT_TOKEN, else `admin-token` in the data directory.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The server's data directory, where its address and the first administrator's token are looked for.
    #[arg(long, global = true, value_name = "DIR", env = "PLEXICHAT__SERVER__DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
}

/// Reads the command line and carries the command out.
pub(crate) fn run(bundle: &Bundle, arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let parsed = command(bundle).try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with 0, mistakes to stderr with 2. A closed pipe is nobody's mistake.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut output = Output::new(cli.json);
    let result = match cli.command {
        Command::Plugin(arguments) => on_runtime(plugin::run(arguments, &mut output)),
        Command::User(arguments) => on_runtime(user::run(arguments, &mut output)),
        Command::Token(arguments) => on_runtime(token::run(arguments, &mut output)),
        Command::Room(arguments) => on_runtime(room::run(arguments, &mut output)),
        Command::Ai(arguments) => on_runtime(ai::run(arguments, &mut output)),
        Command::Workflow(arguments) => on_runtime(workflow::run(arguments, &mut output)),
        Command::Audit(arguments) => on_runtime(audit::run(arguments, &mut output)),
        Command::Backup(arguments) => on_runtime(backup::backup(arguments, bundle, &mut output)),
        Command::Restore(arguments) => backup::put_back(&arguments, bundle, &mut output),
        Command::Events(arguments) => on_runtime(events::run(arguments, bundle, &mut output)),
        Command::Doctor(arguments) => on_runtime(doctor::run(arguments, bundle, &mut output)),
        Command::Openapi(print::OpenapiArgs {}) => print::openapi(bundle, &mut output),
        Command::Completions(arguments) => print::completions(&arguments, command(bundle), &mut output),
        Command::Serve(arguments) => serve::run(&arguments, bundle),
        Command::Config(arguments) => config::run(arguments, bundle, &mut output),
        Command::Bundle(arguments) => bundle::run(&arguments, bundle, &mut output),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn command(bundle: &Bundle) -> clap::Command {
    Cli::command().name(bundle.name).bin_name(bundle.name).version(bundle.version)
}

/// Runs a command that waits for a server.
fn on_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: Bundle = Bundle { name: "plexichat", version: "1.2.3", expected: &[], config: "" };

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let words = std::iter::once("plexichat").chain(line.split_whitespace());
        command(&BUNDLE).try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches))
    }

    #[track_caller]
    fn check(line: &str, accepted: bool) {
        match parse(line) {
            Ok(_) => assert!(accepted, "`{line}` was accepted"),
            Err(error) => assert!(!accepted, "`{line}`: {error}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command(&BUNDLE).debug_assert();
    }

    #[test]
    fn options_of_the_client_may_stand_behind_the_command() {
        check("plugin list --server http://127.0.0.1:1 --json", true);
        check("--json plugin list", true);
        check("plugin --server http://127.0.0.1:1 info echo", true);
        check("plugin config set echo prefix=>", true);
        check("plugin config set echo", false);
        check("token create alice --role admin --expires-in 30d", true);
        check("token create alice --role root", false);
        check("token create alice --role moderator", true);
        check("user add ann --role moderator --password-file -", true);
        check("user add ann --password secret", false);
        check("user role ann root", false);
        check("user invite --uses 3 --expires-in 1d --json", true);
        check("room create", false);
        check("room list --token-file t", true);
        check("bundle info", true);
        check("workflow list --plugin clerk", true);
        check("workflow runs --state failed,waiting --limit 5 --json", true);
        check("workflow runs --state dead", false);
        check("workflow start clerk hooks/in --input {} --dry-run --key a --wait", true);
        check("workflow start clerk hooks/in --input {", false);
        check("workflow replay", false);
        check("workflow replay --all clerk --workflow file", true);
        check("workflow replay --all clerk 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f", false);
        check("workflow secret clerk hooks/in --server http://127.0.0.1:1", true);
        check("events", true);
        check("events tail --name user_created --server http://127.0.0.1:1", true);
        check("events emit custom.a {}", true);
        check("events emit custom.a []", false);
        check("doctor --data-dir d --json", true);
        check("openapi", true);
        check("completions fish", true);
        check("completions tcsh", false);
        check("backup b.tar --server http://127.0.0.1:1", true);
        check("backup --offline b.tar --data-dir d", true);
        check("restore b.tar --data-dir d", true);
        check("restore b.tar --check --json", true);
        check("restore", false);
        check("audit list --action plugin. --limit 5", true);
        check("audit verify --file data/plexichat.db --expect 1:ab", false);
        check("audit verify --server http://127.0.0.1:1", true);
        check("serve --listen 127.0.0.1:0 --data-dir d --config f --log-format json --log-level debug", true);
        check("serve --log-format xml", false);
        check("config check --config plexichat.toml", true);
        check("config show --json", true);
        check("config", false);
        check("bundle info --server http://127.0.0.1:1", false);
        check("nonsense", false);
        check("", false);
    }

    #[test]
    fn every_command_has_an_example() {
        fn walk(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            let has_example = command.get_after_help().is_some_and(|help| help.to_string().contains("Example"));
            if !has_example {
                missing.push(path.clone());
            }
            command.get_subcommands().for_each(|command| walk(command, &path, missing));
        }
        let mut missing = Vec::new();
        walk(&command(&BUNDLE), "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
