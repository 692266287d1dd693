//! `plexichat events`: which events there are, without a server; what happens on a running one; an event for its plugins.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use plexichat::catalog::Catalog;
use plexichat::event::catalog;
use serde_json::{Value, json};

use super::client::{Client, query};
use super::output::{Output, cell, plain, table};
use super::{ClientArgs, Failure};
use crate::Bundle;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  plexichat events\n  plexichat events tail --name user_created,room_created\n  \
                        plexichat events emit custom.report_ready '{\"report\": 7}'\n\n\
                        Without a command it lists every event that server and linked plugins emit.")]
pub(super) struct EventsArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: Option<EventsCommand>,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Print what happens, as it happens, without what people wrote. It ends with the server, or by Ctrl-C.
    #[command(after_help = "Examples:\n  plexichat events tail\n  plexichat events tail --name plugin_error --json")]
    Tail {
        /// Only events of these names, separated by commas.
        #[arg(long)]
        name: Option<String>,
    },
    /// Tell plugins of an event of your own.
    #[command(after_help = "Example:\n  plexichat events emit custom.report_ready '{\"report\": 7}'")]
    Emit {
        /// Its name: `custom.` and what plugins listen to.
        name: String,
        /// Its data: a JSON object.
        #[arg(default_value = "{}", value_parser = object)]
        data: Value,
    },
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) async fn run(arguments: EventsArgs, bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        None => list(bundle, output),
        Some(EventsCommand::Tail { name }) => {
            let client = Client::new(&arguments.client)?;
            let json = output.is_json();
            let mut rest = Vec::new();
            let path = query("/api/v1/events", &[("name", name)]);
            client
                .follow(&path, |chunk| {
                    rest.extend_from_slice(chunk);
                    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                        let line: Vec<u8> = rest.drain(..=end).collect();
                        print(line.trim_ascii(), json)?;
                    }
                    Ok(())
                })
                .await
        }
        Some(EventsCommand::Emit { name, data }) => {
            let client = Client::new(&arguments.client)?;
            let emitted = client.post("/api/v1/events", &json!({ "name": name, "data": data })).await?;
            output.show(&emitted, |emitted| match emitted["heard_by"].as_array() {
                Some(plugins) if !plugins.is_empty() => {
                    format!("{} has {}", cell(emitted, "heard_by"), cell(emitted, "name"))
                }
                _ => format!("no plugin that runs listens to {}", cell(emitted, "name")),
            })
        }
    }
}

/// One event: as it came for programs, in one line for people.
fn print(line: &[u8], json: bool) -> Result<(), Failure> {
    if line.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    let text = String::from_utf8_lossy(line);
    let shown = match serde_json::from_str::<Value>(&text) {
        Ok(event) if !json => told(&event),
        _ => text.into_owned(),
    };
    writeln!(stdout, "{shown}")?;
    stdout.flush()?;
    Ok(())
}

fn told(event: &Value) -> String {
    match event["missed"].as_u64() {
        Some(missed) => format!("({missed} events went by too fast)"),
        None => plain(&format!(
            "{}  {}  {}  {}",
            cell(event, "time"),
            cell(event, "type"),
            cell(&event["actor"], "name"),
            event["data"]
        )),
    }
}

fn list(bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    let linked = Catalog::linked(bundle.expected).map_err(|problems| Failure::of_problems(&problems))?;
    let of_server = catalog::schemas().into_iter().map(|(name, schema)| {
        let schema = schema.to_value();
        json!({
            "name": name,
            "emitted_by": "server",
            "about": schema["description"],
            "with_content": catalog::WITH_CONTENT.contains(&name),
            "schema": schema,
        })
    });
    let of_plugins = linked.plugins().iter().flat_map(|plugin| {
        plugin.emits.iter().map(|name| {
            json!({
                "name": name,
                "emitted_by": plugin.name,
                "about": plugin.package.description,
                "with_content": false,
            })
        })
    });
    let events: Vec<Value> = of_server.chain(of_plugins).collect();
    output.show(&json!({ "events": events }), |list| {
        let fields = |event: &Value| match event["schema"]["properties"].as_object() {
            Some(properties) => properties.keys().cloned().collect::<Vec<_>>().join(", "),
            None => "-".to_owned(),
        };
        let row = |event: &Value| [cell(event, "name"), cell(event, "emitted_by"), fields(event)];
        table(["NAME", "EMITTED BY", "DATA"], list["events"].as_array().into_iter().flatten().map(row))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_in_a_line() {
        let event = json!({ "time": "T", "type": "room_created", "actor": { "name": "ann" }, "data": { "n": "a\nb" } });
        assert_eq!(told(&event), "T  room_created  ann  {\"n\":\"a\\nb\"}");
        assert_eq!(told(&json!({ "missed": 3 })), "(3 events went by too fast)");
    }

    #[test]
    fn data_is_an_object() {
        assert!(object("{\"a\": 1}").is_ok());
        assert!(object("[1]").is_err());
        assert!(object("{").is_err());
    }
}
