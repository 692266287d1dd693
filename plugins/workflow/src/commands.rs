//! What `/workflow` answers. Knows no route.

use plexichat::error::ErrorKind;
use plexichat::prelude::*;
use plexichat::problem::nearest;

use crate::Workflow;
use crate::approvals::{Standing, names};
use crate::book::Active;
use crate::definition::check::{BY_HAND, TRIGGERS};
use crate::engine::origin;

/// What can be said behind `/workflow`.
const WORDS: &[&str] = &["list", "show", "run", "runs", "approve", "refuse", "reload", "help"];

const HELP: &str = "\
/workflow list: the workflows, and what is wrong with definitions
/workflow approve <id>: say yes to a question that is for you
/workflow refuse <id> [why]: say no
For operators (`operators` of `[plugins.workflow.config]`):
/workflow show <name>: what starts a workflow, and its steps
/workflow run <name> [JSON]: start it, with this as its input
/workflow runs [name]: the last runs since the plugin started
/workflow reload: look at the files now";

/// How many runs are shown.
const RUNS_SHOWN: usize = 10;

impl Workflow {
    pub(crate) async fn command(&self, call: &CommandCall) -> Result<CommandReply> {
        self.answered(call).await.map_err(|error| match error.kind() {
            // Whoever asked is told why.
            ErrorKind::Permission | ErrorKind::NotFound => PluginError::input(error.message()),
            _ => error,
        })
    }

    async fn answered(&self, call: &CommandCall) -> Result<CommandReply> {
        let (word, rest) = call.arguments.split_once(char::is_whitespace).unwrap_or((&call.arguments, ""));
        let rest = rest.trim();
        let text = match word {
            "" | "list" => self.told_list(),
            "help" => HELP.to_owned(),
            "approve" => self.told_answer(call, true, rest).await?,
            "refuse" => self.told_answer(call, false, rest).await?,
            "show" => {
                self.check_operator(call)?;
                told_workflow(&*self.named(rest)?)
            }
            "run" => {
                self.check_operator(call)?;
                self.told_run(call, rest).await?
            }
            "runs" => {
                self.check_operator(call)?;
                self.told_runs(rest)
            }
            "reload" => {
                self.check_operator(call)?;
                self.book.reload().await;
                self.told_list()
            }
            other => {
                let shown: String = other.chars().take(20).collect();
                let hint = nearest(other, WORDS.iter().copied()).map_or_else(
                    || "see `/workflow help`".to_owned(),
                    |near| format!("did you mean `/workflow {near}`?"),
                );
                return Err(PluginError::input(format!("`/workflow {shown}` is nothing that can be asked; {hint}")));
            }
        };
        Ok(self.scrubber.text(&text).into())
    }

    fn check_operator(&self, call: &CommandCall) -> Result<()> {
        match names(&self.config.operators, &call.author) {
            true => Ok(()),
            false => Err(PluginError::permission(
                "that is for operators: an administrator names them in `operators` of `[plugins.workflow.config]`, or uses \
                 `plexichat workflow`",
            )),
        }
    }

    fn named(&self, name: &str) -> Result<std::sync::Arc<Active>> {
        let shelf = self.book.shelf();
        if name.is_empty() {
            return Err(PluginError::input("name a workflow; `/workflow list` has them"));
        }
        shelf.workflows.get(name).cloned().ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            let hint = match nearest(name, shelf.workflows.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`/workflow list` has them".to_owned(),
            };
            PluginError::not_found(format!("there is no workflow `{shown}`; {hint}"))
        })
    }

    fn told_list(&self) -> String {
        let shelf = self.book.shelf();
        let mut lines = Vec::new();
        if shelf.workflows.is_empty() {
            lines.push("There are no workflows yet. An administrator makes them: see the plugin's README.".to_owned());
        }
        for (name, active) in &shelf.workflows {
            let definition = &active.definition;
            let off = if definition.enabled { "" } else { " (off)" };
            let about =
                if definition.description.is_empty() { String::new() } else { format!(": {}", definition.description) };
            lines.push(format!("`{name}`{off}{about}"));
        }
        lines.extend(shelf.troubles.iter().map(|trouble| format!("Not taken: {}", trouble.told())));
        lines.extend(shelf.warnings.iter().map(|warning| format!("Warning: {warning}")));
        lines.join("\n")
    }

    async fn told_answer(&self, call: &CommandCall, approved: bool, rest: &str) -> Result<String> {
        let (id, note) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let id = id.trim_matches('`');
        if id.is_empty() {
            let word = if approved { "approve" } else { "refuse" };
            return Err(PluginError::input(format!("say which: `/workflow {word} <id>`, as the question tells it")));
        }
        let now = self.context.now();
        let answered = self.approvals.answer(id, approved, note, &call.author, Standing::Person, now).await?;
        let how = if approved { "approved" } else { "refused" };
        Ok(format!("{} {how} `{id}` of workflow `{}`.", call.author.name, answered.workflow))
    }

    async fn told_run(&self, call: &CommandCall, rest: &str) -> Result<String> {
        let (name, json) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let active = self.named(name)?;
        let mut input = match json.trim() {
            "" => serde_json::Map::new(),
            text => serde_json::from_str(text).map_err(|error| {
                PluginError::input(format!("the input is no JSON object, such as `{{\"version\": \"1.4\"}}`: {error}"))
            })?,
        };
        origin::write(&mut input, &call.author, call.room_id);
        let id = format!("{TRIGGERS}{}.{BY_HAND}", active.definition.name);
        let key = Some(call.message_id.to_string());
        let run = self.context.triggers().start(&id, Value::Object(input), key).await?;
        Ok(format!("Run `{run}` of workflow `{name}` begins."))
    }

    fn told_runs(&self, name: &str) -> String {
        let entries = self.journal.last(Some(name).filter(|name| !name.is_empty()), RUNS_SHOWN);
        if entries.is_empty() {
            return "No run since the plugin started; `plexichat workflow runs` has those before.".to_owned();
        }
        let line = |entry: crate::journal::Entry| {
            format!("{} `{}` {}: {}", entry.at.0.strftime("%Y-%m-%d %H:%M:%S"), entry.workflow, entry.run, entry.what)
        };
        entries.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// What a workflow does, in lines.
fn told_workflow(active: &Active) -> String {
    let definition = &active.definition;
    let mut lines = vec![format!("`{}` version {} ({})", definition.name, active.version, active.source)];
    if !definition.description.is_empty() {
        lines.push(definition.description.clone());
    }
    for spec in definition.specs() {
        let on = serde_json::to_value(&spec.on).unwrap_or_default();
        lines.push(format!("trigger `{}`: {}", spec.id, on["kind"].as_str().unwrap_or_default()));
    }
    for (index, step) in definition.steps.iter().enumerate() {
        let kinds = step.kinds();
        let kind = kinds.first().map_or("", |(name, _)| *name);
        let id = step.id.clone().unwrap_or_else(|| index.to_string());
        lines.push(format!("step `{id}`: {kind}"));
    }
    lines.join("\n")
}
