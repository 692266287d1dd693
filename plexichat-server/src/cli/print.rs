//! `plexichat openapi` and `plexichat completions`: what this binary can tell without a server.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;
use serde_json::{Value, json};

use super::Failure;
use super::output::Output;
use crate::Bundle;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  plexichat openapi > openapi.json\n  plexichat openapi | jq '.paths | keys'")]
pub(super) struct OpenapiArgs {}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  plexichat completions bash > /etc/bash_completion.d/plexichat\n  \
                        plexichat completions zsh > ~/.zfunc/_plexichat")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the OpenAPI document of this bundle: JSON with or without `--json`.
pub(super) fn openapi(bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    let wrong = |error: serde_json::Error| Failure::new(format!("cannot describe the API: {error}"));
    let plugins: Vec<&'static plexichat::Descriptor> = bundle.expected.iter().collect();
    let routes = plexichat::routes::RouteTable::new(&plugins);
    let document = crate::http::document(&crate::http::BundleInfo::of(bundle), &routes).map_err(wrong)?;
    let document: Value = serde_json::from_slice(&document).map_err(wrong)?;
    output.show(&document, super::output::pretty)
}

pub(super) fn completions(
    arguments: &CompletionsArgs,
    mut command: clap::Command,
    output: &mut Output,
) -> Result<(), Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    if output.is_json() {
        let script = String::from_utf8_lossy(&script);
        return output.show(&json!({ "shell": arguments.shell.to_string(), "script": script }), |_| String::new());
    }
    io::stdout().lock().write_all(&script)?;
    Ok(())
}
