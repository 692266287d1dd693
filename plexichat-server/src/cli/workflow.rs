//! `plexichat workflow …`: what starts workflows on a running server, what they did, and what is to be done about those that failed.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use plexichat::id::{PluginName, RunId};
use serde_json::{Value, json};

use super::client::{Client, query};
use super::output::{Output, cell, fields, table};
use super::{ClientArgs, Failure};

/// How long `start --wait` waits for the run's end.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);
/// How much of a value a line shows.
const SHOWN_MAX: usize = 100;

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat workflow list\n  plexichat workflow runs --state failed\n  \
                  plexichat workflow replay --all workflow"
)]
pub(super) struct WorkflowArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: WorkflowCommand,
}

#[derive(Debug, Subcommand)]
enum WorkflowCommand {
    /// List what starts workflows: what it waits for, when it is next due, where a webhook is called, how its runs stand.
    #[command(after_help = "Examples:\n  plexichat workflow list\n  plexichat workflow list --plugin reminder --json")]
    List {
        /// Only of this plugin.
        #[arg(long)]
        plugin: Option<PluginName>,
        /// Only those whose names begin so.
        #[arg(long)]
        prefix: Option<String>,
        /// The page behind the one that said `next` so.
        #[arg(long, value_name = "NEXT")]
        after: Option<String>,
    },
    /// List runs, the newest first.
    #[command(
        after_help = "Examples:\n  plexichat workflow runs\n  plexichat workflow runs --plugin workflow --state running,waiting"
    )]
    Runs {
        /// Only of this plugin.
        #[arg(long)]
        plugin: Option<PluginName>,
        /// Only of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// Only of this trigger.
        #[arg(long)]
        trigger: Option<String>,
        /// Only those that stand so; several with commas between them.
        #[arg(long, value_enum, value_delimiter = ',')]
        state: Vec<StateArg>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// The page behind the one that said `next` so.
        #[arg(long, value_name = "RUN")]
        before: Option<RunId>,
    },
    /// Show a run: what it was given, what it did, what it came to.
    #[command(after_help = "Example:\n  plexichat workflow show 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f")]
    Show {
        /// The run.
        id: RunId,
    },
    /// Start the workflow of a trigger now, whatever it waits for.
    #[command(after_help = "Examples:\n  plexichat workflow start reports manual.digest --wait\n  \
                            plexichat workflow start workflow nightly/build --input '{\"branch\": \"main\"}' --dry-run\n\n\
                            With --wait the exit status is 1 where the run fails or is cancelled.")]
    Start {
        /// Whose workflow.
        plugin: PluginName,
        /// The trigger, as `plexichat workflow list` shows it.
        trigger: String,
        /// What the run is given, as JSON.
        #[arg(long, value_name = "JSON", value_parser = input)]
        input: Option<Value>,
        /// Let it do nothing to the outside, and say what it would have done.
        #[arg(long)]
        dry_run: bool,
        /// The same key starts it once.
        #[arg(long)]
        key: Option<String>,
        /// Wait until it has ended, ten minutes at most.
        #[arg(long)]
        wait: bool,
    },
    /// End a run that has not ended.
    #[command(after_help = "Example:\n  plexichat workflow cancel 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f")]
    Cancel {
        /// The run.
        id: RunId,
    },
    /// Queue runs again that failed or were cancelled; they go on from what they last kept.
    #[command(after_help = "Examples:\n  plexichat workflow replay 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f\n  \
                            plexichat workflow replay --all webhook")]
    Replay {
        /// The run.
        #[arg(required_unless_present = "all")]
        id: Option<RunId>,
        /// All dead letters of this plugin.
        #[arg(long, value_name = "PLUGIN", conflicts_with = "id")]
        all: Option<PluginName>,
        /// Only of this workflow.
        #[arg(long, requires = "all")]
        workflow: Option<String>,
    },
    /// List dead letters: runs that failed for good.
    #[command(
        after_help = "Examples:\n  plexichat workflow dead-letters\n  plexichat workflow dead-letters --plugin webhook --json"
    )]
    DeadLetters {
        /// Only of this plugin.
        #[arg(long)]
        plugin: Option<PluginName>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// The page behind the one that said `next` so.
        #[arg(long, value_name = "RUN")]
        before: Option<RunId>,
    },
    /// Give a webhook's trigger a new secret and show it, this once. The one before counts no more.
    #[command(after_help = "Example:\n  plexichat workflow secret workflow hooks/deploy")]
    Secret {
        /// Whose it is.
        plugin: PluginName,
        /// The trigger, as `plexichat workflow list` shows it.
        trigger: String,
    },
}

/// How a run stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateArg {
    /// It waits for an attempt.
    Queued,
    /// An attempt is being made.
    Running,
    /// The workflow parked it.
    Waiting,
    /// It is done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// It failed for good: a dead letter.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

fn input(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))
}

pub(super) async fn run(arguments: WorkflowArgs, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.client)?;
    let text = |value: &Option<PluginName>| value.as_ref().map(ToString::to_string);
    match arguments.command {
        WorkflowCommand::List { plugin, prefix, after } => {
            let asked = [("plugin", text(&plugin)), ("prefix", prefix), ("after", after)];
            let list = client.get(&query("/api/v1/workflows", &asked)).await?;
            output.show(&list, triggers)
        }
        WorkflowCommand::Runs { plugin, workflow, trigger, state, limit, before } => {
            let words: Vec<String> =
                state.iter().filter_map(|state| Some(state.to_possible_value()?.get_name().to_owned())).collect();
            let asked = [
                ("plugin", text(&plugin)),
                ("workflow", workflow),
                ("trigger", trigger),
                ("state", (!words.is_empty()).then(|| words.join(","))),
                ("limit", Some(limit.to_string())),
                ("before", before.map(|before| before.to_string())),
            ];
            let list = client.get(&query("/api/v1/workflows/runs", &asked)).await?;
            output.show(&list, |list| runs(list, "there are no such runs"))
        }
        WorkflowCommand::DeadLetters { plugin, limit, before } => {
            let asked = [
                ("plugin", text(&plugin)),
                ("limit", Some(limit.to_string())),
                ("before", before.map(|before| before.to_string())),
            ];
            let list = client.get(&query("/api/v1/workflows/dead-letters", &asked)).await?;
            output.show(&list, |list| runs(list, "there are none: no run failed for good"))
        }
        WorkflowCommand::Show { id } => {
            let run = client.get(&format!("/api/v1/workflows/runs/{id}")).await?;
            output.show(&run, whole)
        }
        WorkflowCommand::Start { plugin, trigger, input, dry_run, key, wait } => {
            let mut body = json!({ "plugin": plugin, "trigger": trigger, "dry_run": dry_run });
            if let Some(input) = input {
                body["input"] = input;
            }
            if let Some(key) = key {
                body["key"] = key.into();
            }
            let mut run = client.post("/api/v1/workflows/start", &body).await?;
            if !wait {
                return output.show(&run, |run| {
                    let id = cell(run, "id");
                    format!("run {id} is {}: `plexichat workflow show {id}` says what it did", cell(run, "state"))
                });
            }
            let began = Instant::now();
            while !has_ended(&run) && began.elapsed() < PATIENCE {
                tokio::time::sleep(LOOK).await;
                run = client.get(&format!("/api/v1/workflows/runs/{}", cell(&run, "id"))).await?;
            }
            output.show(&run, whole)?;
            match run["state"].as_str() {
                Some("done" | "skipped") => Ok(()),
                _ => Err(Failure::new(format!("the run is {}", cell(&run, "state")))
                    .hint("`plexichat workflow replay` queues one again that failed or was cancelled")),
            }
        }
        WorkflowCommand::Cancel { id } => {
            let run = client.post(&format!("/api/v1/workflows/runs/{id}/cancel"), &json!({})).await?;
            output.show(&run, |run| format!("run {id} is {}", cell(run, "state")))
        }
        WorkflowCommand::Replay { all: Some(plugin), workflow, .. } => {
            let mut body = json!({ "plugin": plugin });
            if let Some(workflow) = workflow {
                body["workflow"] = workflow.into();
            }
            let mut replayed = 0;
            loop {
                let found = client.post("/api/v1/workflows/dead-letters/replay", &body).await?;
                replayed += found["replayed"].as_u64().unwrap_or(0);
                if found["more"] != true {
                    break;
                }
            }
            output.show(&json!({ "replayed": replayed }), |_| format!("{replayed} runs of {plugin} are queued again"))
        }
        WorkflowCommand::Replay { id, .. } => {
            // One of both is required.
            let Some(id) = id else { return Err(Failure::usage("name a run, or a plugin with `--all`".to_owned())) };
            let run = client.post(&format!("/api/v1/workflows/runs/{id}/replay"), &json!({})).await?;
            output.show(&run, |_| format!("run {id} is queued again"))
        }
        WorkflowCommand::Secret { plugin, trigger } => {
            let body = json!({ "plugin": plugin, "trigger": trigger });
            let made = client.post("/api/v1/workflows/secret", &body).await?;
            output.show(&made, |made| {
                fields(&[("url", cell(made, "url")), ("secret", cell(made, "secret"))])
                    + "keep it: it is not shown again\n"
            })
        }
    }
}

fn has_ended(run: &Value) -> bool {
    matches!(run["state"].as_str(), Some("done" | "skipped" | "failed" | "cancelled"))
}

/// What a trigger waits for, in short.
fn waits_for(on: &Value) -> String {
    match on["kind"].as_str() {
        Some("cron") => format!("cron {} {}", cell(on, "expression"), cell(on, "zone")),
        Some("every") => format!("every {} s", cell(on, "seconds")),
        Some("event") => format!("event {}", cell(on, "names")),
        Some("command") => format!("command /{}", cell(on, "name")),
        Some("at") => format!("at {}", cell(on, "time")),
        Some(kind) => kind.to_owned(),
        None => "-".to_owned(),
    }
}

fn triggers(list: &Value) -> String {
    let found = list["triggers"].as_array().map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        return "there are none: no plugin has such triggers".to_owned();
    }
    let row = |trigger: &Value| {
        let runs = trigger["runs"].as_object().into_iter().flatten();
        let runs: Vec<String> = runs.map(|(state, count)| format!("{count} {state}")).collect();
        let next = match (&trigger["active"], &trigger["next_at"], &trigger["url"]) {
            (Value::Bool(false), ..) => "its plugin does not run".to_owned(),
            (_, Value::Null, Value::String(url)) => url.clone(),
            _ => cell(trigger, "next_at"),
        };
        [
            cell(trigger, "plugin"),
            cell(trigger, "trigger"),
            cell(trigger, "workflow"),
            waits_for(&trigger["on"]),
            next,
            if runs.is_empty() { "-".to_owned() } else { runs.join(", ") },
        ]
    };
    let mut text = table(["PLUGIN", "TRIGGER", "WORKFLOW", "WAITS FOR", "NEXT", "RUNS"], found.iter().map(row));
    if let Some(next) = list["next"].as_str() {
        text.push_str(&format!("there is more: `--after {next}`\n"));
    }
    text
}

fn runs(list: &Value, none: &str) -> String {
    let found = list["runs"].as_array().map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        return none.to_owned();
    }
    let row = |run: &Value| {
        [
            cell(run, "id"),
            cell(run, "plugin"),
            cell(run, "trigger"),
            cell(run, "state") + if run["dry_run"] == true { " (dry)" } else { "" },
            format!("{}/{}", cell(run, "attempts"), cell(run, "attempts_max")),
            cell(run, "created_at"),
            format!("{} ms", cell(run, "busy_ms")),
            short(&cell(run, "error")),
        ]
    };
    let heading = ["RUN", "PLUGIN", "TRIGGER", "STATE", "ATTEMPTS", "MADE", "BUSY", "ERROR"];
    let mut text = table(heading, found.iter().map(row));
    if let Some(next) = list["next"].as_str() {
        text.push_str(&format!("there is more: `--before {next}`\n"));
    }
    text
}

fn whole(run: &Value) -> String {
    let actor = &run["cause"]["actor"];
    let by = if actor.is_null() { "the time".to_owned() } else { cell(actor, "name") };
    let mut shown = vec![
        ("run", cell(run, "id")),
        ("plugin", cell(run, "plugin")),
        ("workflow", cell(run, "workflow")),
        ("trigger", cell(run, "trigger")),
        ("started by", by),
        ("state", cell(run, "state") + if run["dry_run"] == true { " (dry run)" } else { "" }),
        ("attempts", format!("{} of {}", cell(run, "attempts"), cell(run, "attempts_max"))),
        ("scheduled", cell(run, "scheduled_at")),
    ];
    for (label, name) in [("goes on", "due_at"), ("began", "started_at"), ("ended", "ended_at"), ("error", "error")] {
        if !run[name].is_null() {
            shown.push((label, cell(run, name)));
        }
    }
    shown.push(("busy", format!("{} ms", cell(run, "busy_ms"))));
    for name in ["input", "kept", "signal", "output"] {
        if !run[name].is_null() {
            shown.push((name, run[name].to_string()));
        }
    }
    let mut text = fields(&shown);
    let steps = run["steps"].as_array().map_or(&[][..], Vec::as_slice);
    if !steps.is_empty() {
        let row = |step: &Value| {
            let detail = if step["detail"].is_null() { "-".to_owned() } else { short(&step["detail"].to_string()) };
            [cell(step, "at"), cell(step, "name"), cell(step, "status"), detail]
        };
        text.push('\n');
        text.push_str(&table(["AT", "STEP", "STATUS", "DETAIL"], steps.iter().map(row)));
    }
    text
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn triggers_tell_what_they_wait_for() {
        let of = |trigger: &str, on: Value| json!({ "plugin": "clerk", "trigger": trigger, "workflow": "file", "on": on, "active": true, "runs": {} });
        let mut daily = of("cron.file", json!({ "kind": "cron", "expression": "0 9 * * *", "zone": "Europe/Berlin" }));
        daily["next_at"] = "2026-01-01T08:00:00Z".into();
        daily["runs"] = json!({ "done": 3, "failed": 1 });
        let mut hook = of("hooks/in", json!({ "kind": "webhook" }));
        hook["url"] = "/api/v1/plugins/clerk/-/hooks/hooks/in".into();
        let mut off = of("off", json!({ "kind": "event", "names": ["room_created"] }));
        off["active"] = false.into();
        expect![[r#"
            PLUGIN  TRIGGER    WORKFLOW  WAITS FOR                     NEXT                                    RUNS
            clerk   cron.file  file      cron 0 9 * * * Europe/Berlin  2026-01-01T08:00:00Z                    3 done, 1 failed
            clerk   hooks/in   file      webhook                       /api/v1/plugins/clerk/-/hooks/hooks/in  -
            clerk   off        file      event room_created            its plugin does not run                 -
            there is more: `--after clerk/off`
        "#]]
        .assert_eq(&triggers(&json!({ "triggers": [daily, hook, off], "next": "clerk/off" })));
    }

    #[test]
    fn a_run_is_told_with_its_steps() {
        let run = json!({
            "id": "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f", "plugin": "clerk", "workflow": "file", "trigger": "manual.file",
            "cause": { "actor": null, "depth": 0 }, "state": "failed", "dry_run": false, "attempts": 3,
            "attempts_max": 3, "scheduled_at": "2026-01-01T08:00:00Z", "error": "no room", "busy_ms": 12,
            "input": { "n": 1 },
            "steps": [{ "at": "2026-01-01T08:00:01Z", "name": "post", "status": "failed", "detail": { "n": 1 } }],
        });
        expect![[r#"
            run         01890c6e-8b5a-7cc0-98c4-dc0c0c07398f
            plugin      clerk
            workflow    file
            trigger     manual.file
            started by  the time
            state       failed
            attempts    3 of 3
            scheduled   2026-01-01T08:00:00Z
            error       no room
            busy        12 ms
            input       {"n":1}

            AT                    STEP  STATUS  DETAIL
            2026-01-01T08:00:01Z  post  failed  {"n":1}
        "#]]
        .assert_eq(&whole(&run));
        assert_eq!(runs(&json!({ "runs": [] }), "none"), "none");
    }
}
