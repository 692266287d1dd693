//! `plexichat room …`: rooms of a running server, who is in them, what holds in them.

use clap::{Args, Subcommand, ValueEnum};
use plexichat::id::{RoomId, UserId};
use serde_json::{Value, json};

use super::client::Client;
use super::output::{Output, cell, fields, table};
use super::{ClientArgs, Failure};

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat room create general\n  plexichat room list\n  plexichat room members add general ann\n\n\
                  A room is named by its name or its identifier, a person likewise."
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
    #[command(after_help = "Examples:\n  plexichat room create general\n  \
                            plexichat room create board --private --topic 'Budget 2027' --member ann --member bob")]
    Create {
        /// The room's name.
        name: String,
        /// Only its members see it.
        #[arg(long)]
        private: bool,
        /// What it is about.
        #[arg(long)]
        topic: Option<String>,
        /// Somebody who is in it from the start; may be given several times.
        #[arg(long = "member", value_name = "USER")]
        members: Vec<String>,
    },
    /// List the rooms that one sees; an administrator sees the private ones, too.
    #[command(after_help = "Example:\n  plexichat room list --joined")]
    List {
        /// Only those that one is a member of.
        #[arg(long)]
        joined: bool,
    },
    /// Show a room.
    #[command(after_help = "Example:\n  plexichat room show general")]
    Show {
        /// The room.
        room: String,
    },
    /// Delete a room: nobody sees it any more, and its name is free.
    #[command(after_help = "Example:\n  plexichat room delete general --yes")]
    Delete {
        /// The room.
        room: String,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
    /// List, add and remove a room's members.
    #[command(subcommand, after_help = "Example:\n  plexichat room members add general ann --role moderator")]
    Members(MembersCommand),
    /// Show or change what holds in a room beyond what holds everywhere.
    #[command(
        after_help = "Examples:\n  plexichat room policy general\n  plexichat room policy news --posting moderators\n  \
                            plexichat room policy general --assistant openai/gpt-5 --assistant anthropic --trigger every\n  \
                            plexichat room policy general --system-prompt 'Be brief.' --tool weather__forecast\n  \
                            plexichat room policy general --assistant none --require word-filter"
    )]
    Policy {
        /// The room.
        room: String,
        /// Who may post of those who may read.
        #[arg(long, value_enum)]
        posting: Option<PostingArg>,
        #[command(flatten)]
        assistant: AssistantArgs,
        /// A scanner without whose word nothing is stored there; may be given several times; `none` for none.
        #[arg(long = "require", value_name = "PLUGIN")]
        scanners: Vec<String>,
    },
}

/// What is said of a room's assistant. What is not given stays as it is.
#[derive(Debug, Args)]
struct AssistantArgs {
    /// A model of the room's assistant, as `plugin/model`, or a plugin for its first one; given several times, they are asked in
    /// this order until one answers; `default` for the server's default ones, `none` for no assistant of the room's own.
    #[arg(long, value_name = "MODEL")]
    assistant: Vec<String>,
    /// The name that the assistant writes under and is mentioned by.
    #[arg(long, value_name = "NAME")]
    assistant_name: Option<String>,
    /// When the assistant answers beside `/ai`.
    #[arg(long, value_enum)]
    trigger: Option<TriggerArg>,
    /// What the assistant is told before the room's messages; empty for nothing.
    #[arg(long, value_name = "TEXT")]
    system_prompt: Option<String>,
    /// How many of the room's messages the assistant is shown at most.
    #[arg(long, value_name = "MESSAGES")]
    history: Option<u32>,
    /// A tool that the assistant may call, as `plugin__tool`, or `plugin__*` for all that a plugin has; may be given several
    /// times; `none` for none.
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// How long the assistant's answer may be, in tokens.
    #[arg(long, value_name = "TOKENS")]
    max_output_tokens: Option<u32>,
}

/// When an assistant answers.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TriggerArg {
    /// Where it is mentioned.
    Mention,
    /// Where it is mentioned, and to every message of a direct room.
    Direct,
    /// To every message of a person.
    Every,
    /// Only to `/ai`.
    Command,
    /// Never, not even to `/ai`.
    Off,
}

impl AssistantArgs {
    /// Puts what is given into the policy's assistant, and leaves the rest.
    fn put_into(self, assistant: &mut Value) {
        if self.assistant == ["none"] {
            *assistant = Value::Null;
            return;
        }
        let mut given = Vec::new();
        if !self.assistant.is_empty() {
            given.push(("models", json!(if self.assistant == ["default"] { Vec::new() } else { self.assistant })));
        }
        if !self.tools.is_empty() {
            given.push(("tools", json!(if self.tools == ["none"] { Vec::new() } else { self.tools })));
        }
        given.extend(self.assistant_name.map(|name| ("name", json!(name))));
        given.extend(self.trigger.map(|trigger| ("trigger", json!(word(&trigger)))));
        given.extend(
            self.system_prompt.map(|text| ("system_prompt", if text.is_empty() { Value::Null } else { json!(text) })),
        );
        given.extend(self.history.map(|history| ("history", json!(history))));
        given.extend(self.max_output_tokens.map(|tokens| ("max_output_tokens", json!(tokens))));
        for (name, value) in given {
            assistant[name] = value;
        }
    }
}

#[derive(Debug, Subcommand)]
enum MembersCommand {
    /// List who is in a room.
    #[command(after_help = "Example:\n  plexichat room members list general")]
    List {
        /// The room.
        room: String,
    },
    /// Add somebody, or change what they may do in the room.
    #[command(after_help = "Example:\n  plexichat room members add general ann --role owner")]
    Add {
        /// The room.
        room: String,
        /// The person.
        user: String,
        /// What they may do in the room.
        #[arg(long, value_enum)]
        role: Option<MemberArg>,
    },
    /// Remove somebody.
    #[command(after_help = "Example:\n  plexichat room members remove general ann")]
    Remove {
        /// The room.
        room: String,
        /// The person.
        user: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PostingArg {
    Everyone,
    Members,
    Moderators,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MemberArg {
    Member,
    Moderator,
    Owner,
}

/// The word of the API, which is the one of the command line.
fn word(value: &impl ValueEnum) -> Value {
    value.to_possible_value().map_or(Value::Null, |value| value.get_name().into())
}

pub(super) async fn run(arguments: RoomArgs, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.client)?;
    match arguments.command {
        RoomCommand::Create { name, private, topic, members } => {
            let mut body = json!({ "name": name });
            if private {
                body["kind"] = "private".into();
            }
            if let Some(topic) = topic {
                body["topic"] = topic.into();
            }
            let mut ids = Vec::new();
            for member in members {
                ids.push(user_id(&client, &member).await?);
            }
            body["members"] = json!(ids);
            let room = client.post("/api/v1/rooms", &body).await?;
            output.show(&room, |room| cell(room, "id"))
        }
        RoomCommand::List { joined } => {
            let list = all(&client, &format!("/api/v1/rooms?limit=500&joined={joined}"), "rooms").await?;
            output.show(&list, |list| {
                let row = |room: &Value| {
                    [cell(room, "id"), name(room), cell(room, "kind"), cell(room, "role"), cell(room, "created_at")]
                };
                table(
                    ["ID", "NAME", "KIND", "ROLE", "CREATED"],
                    list["rooms"].as_array().into_iter().flatten().map(row),
                )
            })
        }
        RoomCommand::Show { room } => {
            let room = find(&client, &room).await?;
            output.show(&room, shown)
        }
        RoomCommand::Delete { room, yes } => {
            let room = find(&client, &room).await?;
            if !yes {
                return Err(
                    Failure::usage(format!("deleting `{}` cannot be undone", name(&room))).hint("say so: add `--yes`")
                );
            }
            client.delete(&address(&room)).await?;
            output.show(&json!({ "deleted": room["id"] }), |_| format!("{} is deleted", name(&room)))
        }
        RoomCommand::Members(command) => members(command, &client, output).await,
        RoomCommand::Policy { room, posting, assistant, scanners } => {
            let found = find(&client, &room).await?;
            let mut policy = found["policy"].clone();
            if let Some(posting) = posting {
                policy["posting"] = word(&posting);
            }
            assistant.put_into(&mut policy["assistant"]);
            if !scanners.is_empty() {
                policy["required_scanners"] = json!(if scanners == ["none"] { Vec::new() } else { scanners });
            }
            let room = if policy == found["policy"] {
                found
            } else {
                let etag = format!("\"{}\"", found["revision"]);
                client.patch(&address(&found), &json!({ "policy": policy }), Some(&etag)).await?
            };
            output.show(&room["policy"], policy_shown)
        }
    }
}

async fn members(command: MembersCommand, client: &Client, output: &mut Output) -> Result<(), Failure> {
    match command {
        MembersCommand::List { room } => {
            let room = find(client, &room).await?;
            let list = all(client, &format!("{}/members?limit=500", address(&room)), "members").await?;
            output.show(&list, |list| {
                let row = |member: &Value| ["user_id", "name", "role", "joined_at"].map(|name| cell(member, name));
                table(["ID", "NAME", "ROLE", "SINCE"], list["members"].as_array().into_iter().flatten().map(row))
            })
        }
        MembersCommand::Add { room, user, role } => {
            let (room, user) = (find(client, &room).await?, user_id(client, &user).await?);
            let body = role.map_or_else(|| json!({}), |role| json!({ "role": word(&role) }));
            let member = client.put(&format!("{}/members/{user}", address(&room)), &body, None).await?;
            output.show(&member, |member| {
                format!("{} is {} of {}", cell(member, "name"), cell(member, "role"), name(&room))
            })
        }
        MembersCommand::Remove { room, user } => {
            let (room, id) = (find(client, &room).await?, user_id(client, &user).await?);
            client.delete(&format!("{}/members/{id}", address(&room))).await?;
            output.show(&json!({ "removed": id }), |_| format!("{user} is no member of {} any more", name(&room)))
        }
    }
}

/// A room by its identifier or its name.
pub(super) async fn find(client: &Client, room: &str) -> Result<Value, Failure> {
    if let Ok(id) = room.parse::<RoomId>() {
        return client.get(&format!("/api/v1/rooms/{id}")).await;
    }
    let found = client.get(&format!("/api/v1/rooms?name={}", escaped(room))).await?;
    found["rooms"].get(0).cloned().ok_or_else(|| {
        Failure::new(format!("there is no room named `{room}`")).hint("`plexichat room list` lists those that you see")
    })
}

/// A person by their identifier or their name.
pub(super) async fn user_id(client: &Client, user: &str) -> Result<String, Failure> {
    if let Ok(id) = user.parse::<UserId>() {
        return Ok(id.to_string());
    }
    let found = client.get(&format!("/api/v1/users?name={}", escaped(user))).await?;
    found["users"].get(0).map(|user| cell(user, "id")).ok_or_else(|| {
        Failure::new(format!("there is no account named `{user}`")).hint("`plexichat user list` lists the accounts")
    })
}

fn address(room: &Value) -> String {
    format!("/api/v1/rooms/{}", cell(room, "id"))
}

/// What a room is called: a direct one by who is in it.
fn name(room: &Value) -> String {
    match &room["name"] {
        Value::Null => {
            let people = room["people"].as_array().into_iter().flatten();
            people.map(|person| cell(person, "name")).collect::<Vec<_>>().join(", ")
        }
        _ => cell(room, "name"),
    }
}

fn shown(room: &Value) -> String {
    let mut lines = vec![("name", name(room))];
    lines.extend(
        ["id", "kind", "topic", "access", "role", "created_at", "last_seq"].map(|name| (name, cell(room, name))),
    );
    if room.get("unread").is_some() {
        lines.extend(["unread", "mentions"].map(|name| (name, cell(room, name))));
    }
    lines.push(("revision", cell(room, "revision")));
    lines.extend(policy_lines(&room["policy"]));
    fields(&lines)
}

fn policy_shown(policy: &Value) -> String {
    fields(&policy_lines(policy))
}

fn policy_lines(policy: &Value) -> [(&'static str, String); 3] {
    let scanners: Vec<&str> =
        policy["required_scanners"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    [
        ("posting", cell(policy, "posting")),
        ("assistant", assistant_shown(&policy["assistant"])),
        ("scanners", if scanners.is_empty() { "-".to_owned() } else { scanners.join(", ") }),
    ]
}

/// `helper (openai/gpt-5, anthropic), every message, tools weather__forecast`.
fn assistant_shown(assistant: &Value) -> String {
    if assistant.is_null() {
        return "-".to_owned();
    }
    let models = match cell(assistant, "models").as_str() {
        "-" => "default models".to_owned(),
        models => models.to_owned(),
    };
    let when = match assistant["trigger"].as_str() {
        Some("every") => "every message",
        Some("direct") => "mentions and direct rooms",
        Some("command") => "/ai only",
        Some("off") => "off",
        _ => "mentions",
    };
    let mut text = format!("{} ({models}), {when}", cell(assistant, "name"));
    let tools = assistant["tools"].as_array().into_iter().flatten();
    let tools: Vec<String> = tools.map(|tool| cell(tool, "name")).collect();
    if !tools.is_empty() {
        text.push_str(&format!(", tools {}", tools.join(", ")));
    }
    text
}

/// Every page of a list.
async fn all(client: &Client, path: &str, list: &str) -> Result<Value, Failure> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = client.get(&format!("{path}{after}")).await?;
        let items = page[list].as_array().cloned().unwrap_or_default();
        let next = page["next"].as_str().map(str::to_owned);
        let next = next.or_else(|| items.last().map(|item| cell(item, "name")));
        found.extend(items);
        match next {
            Some(next) if page["more"].as_bool() == Some(true) => after = format!("&after={}", escaped(&next)),
            _ => return Ok(json!({ list: found })),
        }
    }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_addresses() {
        assert_eq!(escaped("a b&ü"), "a%20b%26%C3%BC");
    }

    #[test]
    fn a_direct_room_is_called_by_its_people() {
        let room = json!({ "name": null, "people": [{ "name": "ann" }, { "name": "bob" }] });
        assert_eq!(name(&room), "ann, bob");
        assert_eq!(name(&json!({ "name": "lobby" })), "lobby");
    }

    #[test]
    fn an_assistant_keeps_what_is_not_given() {
        let args = |assistant: &[&str], tools: &[&str], trigger| AssistantArgs {
            assistant: assistant.iter().map(|model| (*model).to_owned()).collect(),
            assistant_name: None,
            trigger,
            system_prompt: None,
            history: None,
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            max_output_tokens: None,
        };
        let mut assistant = Value::Null;
        args(&[], &[], None).put_into(&mut assistant);
        assert_eq!(assistant, Value::Null);
        args(&["a/b", "c"], &["w__x"], None).put_into(&mut assistant);
        args(&[], &["none"], Some(TriggerArg::Every)).put_into(&mut assistant);
        assert_eq!(assistant, json!({ "models": ["a/b", "c"], "tools": [], "trigger": "every" }));
        args(&["default"], &[], None).put_into(&mut assistant);
        assert_eq!(assistant["models"], json!([]));
        assistant["name"] = "helper".into();
        assert_eq!(assistant_shown(&assistant), "helper (default models), every message");
        args(&["none"], &[], None).put_into(&mut assistant);
        assert_eq!(assistant_shown(&assistant), "-");
    }

    #[test]
    fn words_are_those_of_the_api() {
        assert_eq!(word(&PostingArg::Moderators), "moderators");
        assert_eq!(word(&MemberArg::Owner), "owner");
    }
}
