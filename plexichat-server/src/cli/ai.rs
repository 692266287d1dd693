//! `plexichat ai …`: the models of a running server, what they were asked, and tool calls that wait for leave.

use clap::{Args, Subcommand, ValueEnum};
use plexichat::id::ApprovalId;
use plexichat::message::Time;
use serde_json::{Value, json};

use super::client::{Client, escaped, query};
use super::output::{Output, cell, table};
use super::room::{find, user_id};
use super::token::seconds;
use super::{ClientArgs, Failure};

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat ai models\n  plexichat ai usage --by user --since 7d"
)]
pub(super) struct AiArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: AiCommand,
}

#[derive(Debug, Subcommand)]
enum AiCommand {
    /// List the models of every AI provider that runs.
    #[command(after_help = "Examples:\n  plexichat ai models\n  plexichat ai models --json\n\n\
                            Without any: `plexichat plugin list` says which providers there are and why one does not run.")]
    Models,
    /// Show what models were asked and what it cost: everybody's for administrators, else one's own.
    #[command(after_help = "Examples:\n  plexichat ai usage --by model --since 30d\n  \
                            plexichat ai usage --user ann --since 2026-01-01T00:00:00Z --json")]
    Usage {
        /// Sums for each of these instead of the requests one by one.
        #[arg(long, value_enum)]
        by: Option<ByArg>,
        /// Only what this person asked, by name or identifier; `me` for oneself.
        #[arg(long)]
        user: Option<String>,
        /// Only what was asked for this room, by name or identifier.
        #[arg(long)]
        room: Option<String>,
        /// Only what this model was asked, such as openai/gpt-5.
        #[arg(long)]
        model: Option<String>,
        /// Only from then on: so long ago (90s, 15m, 12h, 30d), or a time such as 2026-01-31T00:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Time>,
        /// Only before then.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Time>,
        /// At most so many lines.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// The page behind the one that said `next` so.
        #[arg(long, value_name = "NUMBER")]
        next: Option<u64>,
    },
    /// List the tool calls that wait for one's leave, and the tools that one gave leave for.
    #[command(after_help = "Example:\n  plexichat ai approvals")]
    Approvals,
    /// Let a model call the tool that it asked for.
    #[command(after_help = "Example:\n  plexichat ai approve 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f")]
    Approve {
        /// Its identifier, as `plexichat ai approvals` shows it.
        id: ApprovalId,
    },
    /// Do not let a model call the tool that it asked for.
    #[command(after_help = "Example:\n  plexichat ai refuse 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f")]
    Refuse {
        /// Its identifier, as `plexichat ai approvals` shows it.
        id: ApprovalId,
    },
    /// Forget the leave that one gave for a tool: one is asked again.
    #[command(after_help = "Example:\n  plexichat ai forget weather__forecast")]
    Forget {
        /// The tool, as `plexichat ai approvals` shows it.
        tool: String,
    },
}

/// By what is summed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByArg {
    /// Who asked.
    User,
    /// The room that it was for.
    Room,
    /// The model.
    Model,
    /// The day, by UTC.
    Day,
}

impl ByArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Room => "room",
            Self::Model => "model",
            Self::Day => "day",
        }
    }
}

/// Reads `7d` as the moment so long ago, else a time.
fn moment(text: &str) -> Result<Time, String> {
    if let Ok(seconds) = seconds(text) {
        let ago = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
        return Ok(Time::from_micros(Time::now().as_micros().saturating_sub(ago.unwrap_or(i64::MAX))));
    }
    serde_json::from_value(text.into())
        .map_err(|_| format!("`{text}` is no time: write it like 30d, or 2026-01-31T00:00:00Z"))
}

pub(super) async fn run(arguments: AiArgs, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.client)?;
    match arguments.command {
        AiCommand::Models => {
            let list = client.get("/api/v1/ai/models").await?;
            output.show(&list, models)
        }
        AiCommand::Usage { by, user, room, model, since, until, limit, next } => {
            let user = match user {
                Some(user) if user != "me" => Some(user_id(&client, &user).await?),
                user => user,
            };
            let room = match room {
                Some(room) => Some(cell(&find(&client, &room).await?, "id")),
                None => None,
            };
            let written = |time: Option<Time>| time.and_then(|time| json!(time).as_str().map(str::to_owned));
            let path = query(
                "/api/v1/ai/usage",
                &[
                    ("by", by.map(|by| by.as_str().to_owned())),
                    ("user_id", user),
                    ("room_id", room),
                    ("model", model),
                    ("since", written(since)),
                    ("until", written(until)),
                    ("limit", Some(limit.to_string())),
                    (if by.is_some() { "skip" } else { "before" }, next.map(|next| next.to_string())),
                ],
            );
            let usage = client.get(&path).await?;
            output.show(&usage, |usage| used(usage, by))
        }
        AiCommand::Approvals => {
            let list = client.get("/api/v1/ai/approvals").await?;
            output.show(&list, approvals)
        }
        AiCommand::Approve { id } => decide(&client, id, true, output).await,
        AiCommand::Refuse { id } => decide(&client, id, false, output).await,
        AiCommand::Forget { tool } => {
            client.delete(&format!("/api/v1/ai/remembered/{}", escaped(&tool))).await?;
            output.show(&json!({ "forgotten": tool }), |_| format!("you are asked again before {tool} is called"))
        }
    }
}

async fn decide(client: &Client, id: ApprovalId, approve: bool, output: &mut Output) -> Result<(), Failure> {
    let decided = client.post(&format!("/api/v1/ai/approvals/{id}"), &json!({ "approve": approve })).await?;
    let what = if approve { "is called" } else { "is not called" };
    output.show(&decided, |decided| format!("{} {what}", cell(decided, "tool")))
}

fn models(list: &Value) -> String {
    if list["models"].as_array().is_none_or(Vec::is_empty) {
        return "there are none: no AI provider runs (`plexichat plugin list` shows those that are linked)".to_owned();
    }
    let row = |model: &Value| {
        let can = ["chat", "tools", "images", "embeddings"];
        let can: Vec<&str> = can.into_iter().filter(|name| model["abilities"][*name] == true).collect();
        [
            cell(model, "id"),
            cell(model, "name"),
            cell(model, "context_tokens"),
            cell(model, "max_output_tokens"),
            if can.is_empty() { "-".to_owned() } else { can.join(", ") },
        ]
    };
    let rows = list["models"].as_array().into_iter().flatten().map(row);
    table(["MODEL", "NAME", "CONTEXT", "OUTPUT", "CAN"], rows)
}

fn used(usage: &Value, by: Option<ByArg>) -> String {
    let sums = |sum: &Value| ["requests", "failed", "input_tokens", "output_tokens"].map(|name| cell(sum, name));
    let mut text = match by {
        Some(by) => {
            let heading = match by {
                ByArg::User => "WHO",
                ByArg::Room => "ROOM",
                ByArg::Model => "MODEL",
                ByArg::Day => "DAY",
            };
            let row = |group: &Value| {
                let name = match by {
                    ByArg::User => cell(&group["actor"], "name"),
                    ByArg::Room if group["room_name"].is_null() => cell(group, "room_id"),
                    ByArg::Room => cell(group, "room_name"),
                    ByArg::Model => cell(group, "model"),
                    ByArg::Day => cell(group, "day"),
                };
                let [requests, failed, input, output] = sums(group);
                [name, requests, failed, input, output]
            };
            let groups = usage["groups"].as_array().into_iter().flatten().map(row);
            table([heading, "REQUESTS", "FAILED", "INPUT", "OUTPUT"], groups)
        }
        None => {
            let row = |row: &Value| {
                let estimated = if row["estimated"] == true { "~" } else { "" };
                [
                    cell(row, "time"),
                    cell(&row["actor"], "name"),
                    cell(row, "model"),
                    format!("{estimated}{}", cell(&row["usage"], "input_tokens")),
                    format!("{estimated}{}", cell(&row["usage"], "output_tokens")),
                    format!("{} ms", cell(row, "latency_ms")),
                    cell(row, "outcome"),
                ]
            };
            let rows = usage["requests"].as_array().into_iter().flatten().map(row);
            table(["TIME", "WHO", "MODEL", "INPUT", "OUTPUT", "TOOK", "OUTCOME"], rows)
        }
    };
    let [requests, failed, input, output] = sums(&usage["total"]);
    text.push_str(&format!("total: {requests} requests, {failed} failed, {input} tokens asked, {output} answered\n"));
    if let Some(next) = usage["next"].as_u64() {
        text.push_str(&format!("there is more: `--next {next}`\n"));
    }
    text
}

fn approvals(list: &Value) -> String {
    let row = |request: &Value| {
        [
            cell(request, "id"),
            cell(request, "tool"),
            request["arguments"].to_string(),
            cell(request, "model"),
            cell(request, "expires_at"),
        ]
    };
    let rows = list["approvals"].as_array().into_iter().flatten().map(row);
    let mut text = table(["ID", "TOOL", "ARGUMENTS", "MODEL", "EXPIRES"], rows);
    for tool in list["remembered"].as_array().into_iter().flatten() {
        text.push_str(&format!("you gave leave for {} at {}\n", cell(tool, "tool"), cell(tool, "given_at")));
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn moments_are_ago_or_told() {
        let ago = Time::now().as_micros() - moment("1h").unwrap().as_micros();
        assert!((3_590_000_000..=3_600_000_000).contains(&ago), "{ago}");
        assert_eq!(moment("1970-01-02T00:00:00Z"), Ok(Time::from_micros(86_400_000_000)));
        assert!(moment("yesterday").is_err() && moment("").is_err());
    }

    #[test]
    fn usage_is_a_table_with_its_total() {
        let sum = json!({ "requests": 2, "failed": 1, "input_tokens": 30, "output_tokens": 4 });
        let mut group = sum.clone();
        group["model"] = "openai/gpt-5".into();
        let usage = json!({ "total": sum, "groups": [group], "next": 7 });
        expect![[r#"
            MODEL         REQUESTS  FAILED  INPUT  OUTPUT
            openai/gpt-5  2         1       30     4
            total: 2 requests, 1 failed, 30 tokens asked, 4 answered
            there is more: `--next 7`
        "#]]
        .assert_eq(&used(&usage, Some(ByArg::Model)));
        let request = json!({
            "time": "2026-01-01T00:00:00Z", "actor": { "name": "ann" }, "model": "openai/gpt-5", "estimated": true,
            "usage": { "input_tokens": 30, "output_tokens": 4 }, "latency_ms": 120, "outcome": "stop",
        });
        let usage = json!({ "total": usage["total"], "requests": [request] });
        expect![[r#"
            TIME                  WHO  MODEL         INPUT  OUTPUT  TOOK    OUTCOME
            2026-01-01T00:00:00Z  ann  openai/gpt-5  ~30    ~4      120 ms  stop
            total: 2 requests, 1 failed, 30 tokens asked, 4 answered
        "#]]
        .assert_eq(&used(&usage, None));
    }
}
