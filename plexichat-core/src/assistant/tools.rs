//! The tools of a room's assistant: which are offered, how one is called for a person, with their leave. Knows no model.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::approval::{ApprovalRequest, ApprovalState, PATIENCE};
use super::frame::ReplyStep;
use super::policy::ToolRule;
use super::reply::{Place, Reply};
use super::{Assistants, Question};
use crate::ai::{Part, ToolDefinition, ToolRequest};
use crate::cause::Cause;
use crate::dispatch::nth;
use crate::error::{ErrorKind, PluginError};
use crate::event::Event;
use crate::event::catalog::AiToolCall;
use crate::guard::CallError;
use crate::id::{ApprovalId, EventId, PluginName, ReplyId};
use crate::message::{Actor, Time};
use crate::plugin::interface::Caller;
use crate::store::StoreError;
use crate::tool::{Approval, SEPARATOR, ToolAnswer, ToolCall};

/// How often a model may be asked again with what tools answered.
pub(super) const ROUNDS: usize = 8;

/// How many calls one answer may have.
const CALLS: usize = 16;

/// The longest result that a model is shown, in bytes.
const RESULT_MAX: usize = 64 * 1024;

/// A tool that is offered.
pub(super) struct Offered {
    pub(super) definition: ToolDefinition,
    plugin: PluginName,
    tool: &'static str,
    approval: Approval,
}

/// Where a model's calls come from.
pub(super) struct Calling<'a> {
    pub(super) question: &'a Question,
    pub(super) reply: &'a Reply,
    pub(super) offered: &'a [Offered],
    /// The request to the provider that they were the answer to.
    pub(super) request_id: &'a str,
}

/// The calls of one answer so far.
#[derive(Default)]
pub(super) struct Calls {
    count: usize,
    /// How often each tool was called with the same arguments.
    alike: HashMap<String, u32>,
}

/// How a call stood with leave.
struct Leave {
    word: &'static str,
    by: Option<Actor>,
    granted: bool,
}

impl Assistants {
    /// The tools of plugins that run and that the room's rules mean.
    pub(super) fn offered(&self, rules: &[ToolRule]) -> Vec<Offered> {
        let plugins = self.plugins.load();
        let mut offered = Vec::new();
        for plugin in plugins.plugins() {
            for tool in plugin.descriptor().tools {
                let meant = rules.iter().filter(|rule| rule.means(plugin.name().as_str(), tool.name));
                // The strictest word counts: the tool's own, or that of any rule.
                let asked = meant.map(|rule| rule.approval.unwrap_or(Approval::Never)).max();
                let Some(asked) = asked else { continue };
                let name = format!("{}{SEPARATOR}{}", plugin.name(), tool.name);
                let (description, parameters) = (tool.help.trim().to_owned(), (tool.arguments)());
                offered.push(Offered {
                    definition: ToolDefinition { name, description, parameters },
                    plugin: plugin.name().clone(),
                    tool: tool.name,
                    approval: asked.max(tool.approval),
                });
            }
        }
        offered
    }

    /// Calls what the model asked for: its result, or why there is none, for the model to read.
    pub(super) async fn call_tool(
        &self,
        on: &Calling<'_>,
        place: &mut Place,
        calls: &mut Calls,
        asked: &ToolRequest,
    ) -> Part {
        let Calling { question, .. } = on;
        let result = self.try_tool(on, place, calls, asked).await;
        let (content, is_error) = match result {
            Ok(content) => (content, false),
            Err(content) => (content, true),
        };
        let content = cut(content);
        let row = &question.posted.row;
        let judged = self.pipeline.clear_prompt(&row.author, Some(row.room_id), content, question.posted.origin);
        let (content, is_error) = match judged.await {
            Ok(content) => (content, is_error),
            Err(refusal) => (format!("the result was withheld ({})", refusal.code()), true),
        };
        Part::ToolResult { id: asked.id.clone(), content, is_error }
    }

    async fn try_tool(
        &self,
        on: &Calling<'_>,
        place: &mut Place,
        calls: &mut Calls,
        asked: &ToolRequest,
    ) -> Result<String, String> {
        let Calling { question, reply, offered, request_id } = *on;
        if calls.count >= CALLS {
            return Err(format!("no more than {CALLS} tools are called for one answer: answer with what there is"));
        }
        calls.count += 1;
        let Some(tool) = offered.iter().find(|tool| tool.definition.name == asked.name) else {
            let names: Vec<&str> = offered.iter().map(|tool| tool.definition.name.as_str()).collect();
            return Err(format!("there is no tool `{}`; there are: {}", asked.name, names.join(", ")));
        };
        let arguments = read_arguments(&asked.arguments)?;
        let hash = hex(&Sha256::digest(arguments.to_string()));
        let alike = calls.alike.entry(format!("{}/{hash}", asked.name)).or_default();
        *alike += 1;
        let key = format!("{}/{}/{hash}/{alike}", question.posted.row.id, asked.name);

        let tell = |leave: &str, status: &str, by: Option<Actor>| {
            let (request, name) = (request_id.to_owned(), asked.name.clone());
            let payload = AiToolCall::new(request, name, hash.clone(), leave.to_owned(), status.to_owned(), by);
            self.announcer.announce(about(question, payload));
        };
        let waiting = || tell("asked", "waiting", None);
        let leave = self.leave(on, place, tool, &arguments, &key, waiting).await;
        let leave = leave.map_err(|error| {
            tracing::warn!(tool = asked.name, %error, "leave for a tool could not be asked for");
            "leave for this call could not be asked for".to_owned()
        })?;
        if !leave.granted {
            tell(leave.word, "failed", leave.by);
            return Err("the person did not give leave for this call".to_owned());
        }
        let run = self.run_tool(question, tool, arguments, key, calls.count);
        let done = self.thinking(question, &reply.author, run).await;
        tell(leave.word, if done.is_ok() { "done" } else { "failed" }, leave.by);
        done
    }

    /// Whether the person lets the tool be called. Nobody else waits meanwhile: the place is given up while they think.
    async fn leave(
        &self,
        on: &Calling<'_>,
        place: &mut Place,
        tool: &Offered,
        arguments: &Value,
        key: &str,
        waiting: impl FnOnce(),
    ) -> Result<Leave, StoreError> {
        let Calling { question, reply, .. } = *on;
        let (person, name) = (&question.posted.row.author, &tool.definition.name);
        match tool.approval {
            Approval::Never => return Ok(Leave { word: "not_needed", by: None, granted: true }),
            Approval::FirstUse if self.approvals.was_given(person, name).await? => {
                return Ok(Leave { word: "given", by: Some(person.clone()), granted: true });
            }
            Approval::FirstUse | Approval::Always => {}
        }
        let (row, now) = (&question.posted.row, self.clock.now());
        let request = ApprovalRequest {
            id: ApprovalId::about(row.id, key),
            reply_id: ReplyId::to(row.id),
            room_id: row.room_id,
            message_id: row.id,
            asked: person.clone(),
            model: reply.author.id.to_string(),
            tool: name.clone(),
            help: tool.definition.description.clone(),
            arguments: arguments.clone(),
            approval: tool.approval,
            created_at: now,
            expires_at: Time::from_micros(now.as_micros() + PATIENCE.as_micros() as i64),
            state: ApprovalState::Pending,
            decided_at: None,
        };
        let ask = |request: Arc<ApprovalRequest>| {
            waiting();
            self.show(question, reply, ReplyStep::Approval(request));
        };
        place.leave();
        let state = self.wait_for_leave(request, ask).await;
        place.come(self, question).await;
        Ok(match state? {
            ApprovalState::Given => Leave { word: "given", by: Some(person.clone()), granted: true },
            ApprovalState::Refused => Leave { word: "refused", by: Some(person.clone()), granted: false },
            ApprovalState::Pending | ApprovalState::Expired => Leave { word: "refused", by: None, granted: false },
        })
    }

    async fn run_tool(
        &self,
        question: &Question,
        tool: &Offered,
        arguments: Value,
        key: String,
        number: usize,
    ) -> Result<String, String> {
        let row = &question.posted.row;
        let plugin = self.plugins.load().plugin(&tool.plugin).cloned();
        let place = |plugin: &Arc<crate::guard::PluginHandle>| {
            plugin.descriptor().tools.iter().position(|spec| spec.name == tool.tool)
        };
        let found = plugin.and_then(|plugin| place(&plugin).map(|index| (plugin, index)));
        let Some((plugin, index)) = found else { return Err("the tool does not run any more".to_owned()) };
        // Each call has a cause of its own: what it posts is told apart from what another call posts.
        let about = EventId::about(row.id, nth::MESSAGE_RECEIVED);
        let event =
            EventId::caused(about, plugin.name().as_str(), tool.tool, u32::try_from(number).unwrap_or(u32::MAX));
        let cause = Cause::new(event, question.posted.cause_depth, plugin.descriptor().name, "tool");
        let call = ToolCall::new(tool.tool, arguments, Caller::known(row.author.clone()), Some(row.room_id), &key);
        let timeout = plugin.timeouts().tool;
        let asked = plugin.call_for(Some(cause), "tool", timeout, move |instance| {
            Box::pin(async move { instance.tool(index, call).await })
        });
        let name = &tool.definition.name;
        match asked.await {
            Ok(Ok(ToolAnswer { content, .. })) => Ok(content),
            Ok(Err(error)) => {
                tracing::warn!(tool = name, message = %row.id, %error, "a tool failed");
                Err(told(&error))
            }
            Err(CallError::Timeout) => Err(format!("the tool gave no result within {timeout:?}")),
            // A panic's words are the operator's alone, who finds them in the log.
            Err(_) => Err("the tool failed".to_owned()),
        }
    }
}

/// What the model reads of a plugin's error.
fn told(error: &PluginError) -> String {
    match error.kind() {
        ErrorKind::Input | ErrorKind::NotFound | ErrorKind::Permission => error.message().to_owned(),
        kind => format!("the tool failed ({})", kind.code()),
    }
}

fn read_arguments(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(Value::Object(arguments)),
        Ok(_) => Err("the arguments are no JSON object".to_owned()),
        Err(error) => Err(format!("the arguments are no JSON: {error}")),
    }
}

fn cut(mut content: String) -> String {
    if content.len() > RESULT_MAX {
        let end = (0..=RESULT_MAX).rev().find(|at| content.is_char_boundary(*at)).unwrap_or(0);
        content.truncate(end);
        content.push_str("\n[the rest is left out]");
    }
    content
}

fn about(question: &Question, payload: AiToolCall) -> Event {
    let row = &question.posted.row;
    let mut event = Event::new(payload);
    event.actor = row.author.clone();
    event.origin = question.posted.origin;
    event.room_id = Some(row.room_id);
    event.cause_id = Some(EventId::about(row.id, nth::MESSAGE_RECEIVED));
    event.cause_depth = question.posted.cause_depth + 1;
    event
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
