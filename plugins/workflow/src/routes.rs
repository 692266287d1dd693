//! What the plugin's addresses answer: definitions for administrators, questions for whoever may answer them. Knows no file.

use std::sync::Arc;

use plexichat::error::ErrorKind;
use plexichat::id::is_plugin_name;
use plexichat::prelude::*;
use plexichat::problem::Problem;

use crate::Workflow;
use crate::approvals::{Approval, Standing};
use crate::book::{Active, Source};
use crate::definition::located::Format;

/// What answers a question.
#[plexichat::model]
pub(crate) struct AnswerBody {
    /// Yes or no.
    approve: bool,
    /// Why.
    #[garde(length(max = 1000))]
    #[serde(default)]
    note: String,
}

type Answered = Result<RouteAnswer>;

impl Workflow {
    pub(crate) async fn list_definitions(self: Arc<Self>, _: RouteCall) -> Answered {
        let shelf = self.book.shelf();
        let armed = self.context.triggers().list(crate::definition::check::TRIGGERS).await?;
        let workflows: Vec<Value> = shelf
            .workflows
            .values()
            .map(|active| {
                let own = armed.iter().filter(|armed| armed.spec.workflow == active.definition.name);
                // Secrets of webhooks are the operator's: `plexichat workflow` tells them.
                let triggers: Vec<Value> = own
                    .map(|armed| json!({ "id": armed.spec.id, "on": armed.spec.on, "next_at": armed.next_at, "path": armed.path }))
                    .collect();
                let mut shown = shown(active);
                shown["triggers"] = json!(triggers);
                shown
            })
            .collect();
        let troubles: Vec<Value> = shelf
            .troubles
            .iter()
            .map(|trouble| {
                json!({ "source": trouble.source.to_string(), "problems": trouble.problems, "goes_on": trouble.goes_on })
            })
            .collect();
        let body = json!({ "definitions": workflows, "troubles": troubles, "warnings": shelf.warnings });
        RouteAnswer::json(200, &self.scrubber.value(body))
    }

    pub(crate) async fn show_definition(self: Arc<Self>, call: RouteCall) -> Answered {
        let name = call.parameter("name").unwrap_or_default();
        let stored = if is_plugin_name(name) { self.book.stored(name).await? } else { None };
        let active = self.book.shelf().workflows.get(name).cloned();
        if stored.is_none() && active.is_none() {
            return Err(PluginError::not_found("there is no such workflow"));
        }
        let mut body = active.as_deref().map_or_else(|| json!({ "name": name }), shown);
        if let Some(active) = &active {
            body["definition"] = json!(active.definition);
        }
        if let Some((stored, version)) = stored {
            body["stored_version"] = json!(version);
            body["text"] = json!(stored.text);
            body["format"] = json!(if stored.json { "json" } else { "toml" });
        }
        RouteAnswer::json(200, &body)
    }

    pub(crate) async fn put_definition(self: Arc<Self>, call: RouteCall) -> Answered {
        let name = call.parameter("name").unwrap_or_default().to_owned();
        if !is_plugin_name(&name) {
            return Err(PluginError::input(
                "a name is words of lower-case letters and digits joined by `-`, at most 40 bytes",
            ));
        }
        let expected = match query(&call, "version") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| PluginError::input("`version` is no number"))?),
        };
        let (text, format) = match document(&call) {
            Ok(document) => document,
            Err(problem) => return refused(&call, &[problem]),
        };
        let file = format!("{name}.{}", format.as_str());
        let definition = match self.book.check(&file, &text, format) {
            Ok(definition) => definition,
            Err(problems) => return refused(&call, &problems),
        };
        if definition.name != name {
            let message = format!("it is called `{}`, the address says `{name}`", definition.name);
            return refused(&call, &[Problem::new("/name", message).origin(file)]);
        }
        let version = match self.book.store(&name, &text, format, expected).await {
            Ok(version) => version,
            Err(error) if error.kind() == ErrorKind::Input => {
                return RouteAnswer::json(
                    409,
                    &json!({ "error": { "code": "conflict", "message": error.to_string() } }),
                );
            }
            Err(error) => return Err(error),
        };
        let shelf = self.book.shelf();
        let mut body = shelf.workflows.get(&name).map_or_else(|| json!({ "name": name }), |active| shown(active));
        body["stored_version"] = json!(version);
        body["warnings"] = json!(
            shelf.warnings.iter().filter(|warning| warning.starts_with(&format!("`{name}`"))).collect::<Vec<_>>()
        );
        RouteAnswer::json(200, &body)
    }

    pub(crate) async fn delete_definition(self: Arc<Self>, call: RouteCall) -> Answered {
        let name = call.parameter("name").unwrap_or_default();
        if let Some(active) = self.book.shelf().workflows.get(name)
            && !matches!(active.source, Source::Stored(_))
        {
            let message = format!("workflow `{name}` stands elsewhere: {}; take it out there", active.source);
            return RouteAnswer::json(409, &json!({ "error": { "code": "conflict", "message": message } }));
        }
        match is_plugin_name(name) && self.book.forget(name).await? {
            true => Ok(RouteAnswer::new(204)),
            false => Err(PluginError::not_found("there is no such workflow")),
        }
    }

    pub(crate) async fn check_definition(self: Arc<Self>, call: RouteCall) -> Answered {
        let (text, format) = match document(&call) {
            Ok(document) => document,
            Err(problem) => return refused(&call, &[problem]),
        };
        let file = query(&call, "name").unwrap_or_else(|| format!("definition.{}", format.as_str()));
        let problems = self.book.check(&file, &text, format).err().unwrap_or_default();
        RouteAnswer::json(200, &json!({ "ok": problems.is_empty(), "problems": problems }))
    }

    pub(crate) async fn reload_definitions(self: Arc<Self>, call: RouteCall) -> Answered {
        self.book.reload().await;
        self.list_definitions(call).await
    }

    pub(crate) async fn editor_schema(self: Arc<Self>, _: RouteCall) -> Answered {
        let body = serde_json::to_vec_pretty(&crate::definition::schema())?;
        Ok(RouteAnswer::new(200).header("content-type", "application/schema+json").body(body))
    }

    pub(crate) async fn my_approvals(self: Arc<Self>, call: RouteCall) -> Answered {
        self.list_approvals(&call, Standing::Person).await
    }

    pub(crate) async fn moderators_approvals(self: Arc<Self>, call: RouteCall) -> Answered {
        self.list_approvals(&call, Standing::Moderator).await
    }

    pub(crate) async fn all_approvals(self: Arc<Self>, call: RouteCall) -> Answered {
        self.list_approvals(&call, Standing::Admin).await
    }

    pub(crate) async fn answer_as_user(self: Arc<Self>, call: RouteCall) -> Answered {
        self.answer(&call, Standing::Person).await
    }

    pub(crate) async fn answer_as_moderator(self: Arc<Self>, call: RouteCall) -> Answered {
        self.answer(&call, Standing::Moderator).await
    }

    pub(crate) async fn answer_as_admin(self: Arc<Self>, call: RouteCall) -> Answered {
        self.answer(&call, Standing::Admin).await
    }

    async fn list_approvals(&self, call: &RouteCall, standing: Standing) -> Answered {
        let Some(actor) = call.caller.actor() else { return Err(PluginError::permission("nobody is signed in")) };
        let pending = self.approvals.pending(self.context.now()).await?;
        let mine: Vec<Value> =
            pending.iter().filter(|approval| approval.may_answer(actor, standing)).map(shown_approval).collect();
        RouteAnswer::json(200, &json!({ "approvals": mine }))
    }

    async fn answer(&self, call: &RouteCall, standing: Standing) -> Answered {
        let Some(actor) = call.caller.actor() else { return Err(PluginError::permission("nobody is signed in")) };
        let body: AnswerBody = call.json()?;
        let id = call.parameter("id").unwrap_or_default();
        let now = self.context.now();
        let approval = self.approvals.answer(id, body.approve, &body.note, actor, standing, now).await?;
        RouteAnswer::json(200, &json!({ "id": approval.id, "approved": body.approve, "run_id": approval.run }))
    }
}

fn shown(active: &Active) -> Value {
    let definition = &active.definition;
    json!({
        "name": definition.name,
        "description": definition.description,
        "enabled": definition.enabled,
        "source": active.source.to_string(),
        "version": active.version,
        "steps": definition.steps.len(),
    })
}

fn shown_approval(approval: &Approval) -> Value {
    json!({
        "id": approval.id,
        "text": approval.text,
        "workflow": approval.workflow,
        "step": approval.step,
        "run_id": approval.run,
        "room_id": approval.room_id,
        "may_answer": approval.who(),
        "asked_at": approval.asked_at,
        "until": approval.until,
    })
}

/// A refusal with every problem and its place, in the shape of the host's own errors.
fn refused(call: &RouteCall, problems: &[Problem]) -> Answered {
    let error = json!({
        "code": "invalid_definition",
        "message": crate::definition::check::told(problems),
        "details": problems,
        "request_id": call.request_id,
    });
    RouteAnswer::json(422, &json!({ "error": error }))
}

/// The definition that was sent: by its content type, or by how it begins.
fn document(call: &RouteCall) -> std::result::Result<(String, Format), Problem> {
    let text = String::from_utf8(call.body.clone()).map_err(|_| Problem::new("", "the body is no text in UTF-8"))?;
    let kind = call.header("content-type").unwrap_or_default();
    let format = match kind {
        kind if kind.contains("json") => Format::Json,
        kind if kind.contains("toml") => Format::Toml,
        _ => Format::of_text(&text),
    };
    Ok((text, format))
}

fn query(call: &RouteCall, name: &str) -> Option<String> {
    let pair = call.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.filter(|value| !value.is_empty()).map(str::to_owned)
}
