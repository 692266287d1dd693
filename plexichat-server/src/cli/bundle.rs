//! `plexichat bundle …`: what is linked into this binary, without a server.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Failure;
use super::output::{Output, cell, table};
use crate::Bundle;

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = "Example:\n  plexichat bundle info")]
pub(super) struct BundleArgs {
    #[command(subcommand)]
    command: BundleCommand,
}

#[derive(Debug, Subcommand)]
enum BundleCommand {
    /// Show the bundle's name and version and the plugins that are linked.
    #[command(after_help = "Examples:\n  plexichat bundle info\n  plexichat bundle info --json")]
    Info,
}

pub(super) fn run(arguments: &BundleArgs, bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        BundleCommand::Info => {
            let info = serde_json::to_value(crate::http::BundleInfo::of(bundle))
                .map_err(|error| Failure::new(format!("cannot tell what is linked: {error}")))?;
            output.show(&info, text)
        }
    }
}

fn text(info: &Value) -> String {
    let head = format!("{} {}, core {}\n", cell(info, "name"), cell(info, "version"), cell(info, "core"));
    let plugins = info["plugins"].as_array().cloned().unwrap_or_default();
    if plugins.is_empty() {
        return head + "no plugin is linked\n";
    }
    let row = |plugin: &Value| ["name", "version", "type", "description"].map(|name| cell(plugin, name));
    head + "\n" + &table(["NAME", "VERSION", "TYPE", "DESCRIPTION"], plugins.iter().map(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn an_empty_bundle_says_so() {
        let text = super::text(&json!({ "name": "plexichat", "version": "1.0.0", "core": "0.1.0", "plugins": [] }));
        assert_eq!(text, "plexichat 1.0.0, core 0.1.0\nno plugin is linked\n");
    }
}
