//! `plexichat room …`: rooms of a running server.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, escaped};
use super::output::{Output, cell, table};
use super::{ClientArgs, Failure};

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat room create general\n  plexichat room list"
)]
pub(super) struct RoomArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: RoomCommand,
}

#[derive(Debug, Subcommand)]
enum RoomCommand {
    /// Make a room and print its identifier.
    #[command(after_help = "Example:\n  plexichat room create general")]
    Create {
        /// The room's name.
        name: String,
    },
    /// List the rooms.
    #[command(after_help = "Example:\n  plexichat room list")]
    List,
}

pub(super) async fn run(arguments: RoomArgs, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.client)?;
    match arguments.command {
        RoomCommand::Create { name } => {
            let room = client.post("/api/v1/rooms", &json!({ "name": name })).await?;
            output.show(&room, |room| cell(room, "id"))
        }
        RoomCommand::List => {
            let list = all(&client).await?;
            output.show(&list, |list| {
                let row = |room: &Value| ["id", "name", "created_at"].map(|name| cell(room, name));
                table(["ID", "NAME", "CREATED"], list["rooms"].as_array().into_iter().flatten().map(row))
            })
        }
    }
}

/// Every page of the list.
async fn all(client: &Client) -> Result<Value, Failure> {
    let mut rooms = Vec::new();
    loop {
        let after = rooms.last().map(|room: &Value| cell(room, "name"));
        let query = after.map(|name| format!("?after={}", escaped(&name))).unwrap_or_default();
        let page = client.get(&format!("/api/v1/rooms{query}")).await?;
        let found = page["rooms"].as_array().cloned().unwrap_or_default();
        let more = page["more"].as_bool() == Some(true) && !found.is_empty();
        rooms.extend(found);
        if !more {
            return Ok(json!({ "rooms": rooms }));
        }
    }
}
