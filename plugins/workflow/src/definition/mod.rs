//! What a workflow is: the words that people write, with their defaults and their JSON Schema. Knows no file and no run.

pub(crate) mod check;
pub(crate) mod located;
mod span;

use std::collections::BTreeMap;

use plexichat::trigger::{Condition, Misfire};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use self::span::Span;

/// How often a loop goes round at most where it says nothing.
pub(crate) const LOOP_MAX: u32 = 100;

/// A workflow: what starts it, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name: words of lower-case letters and digits joined by `-`.
    pub name: String,
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether its triggers fire. Webhooks keep their address and secret meanwhile; a call is answered, and its run does nothing.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// What starts it. An administrator can start any workflow by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// Variables that it begins with: `vars.<name>`. Texts are templates.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vars: Map<String, Value>,
    /// What holds for every step that says nothing else.
    #[serde(default, skip_serializing_if = "Defaults::is_default")]
    pub defaults: Defaults,
    /// What it does, one step after the other.
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
    /// What is kept of a run that is done. Texts are templates.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
}

/// What starts a workflow: exactly one of `event`, `cron`, `every`, `at`, `webhook` and `command`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trigger {
    /// Its own name, as the workflow's: a part of `wf.<name>.<id>`. Where it has none its place counts, from 0. A webhook needs one,
    /// since its address and its secret hang on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// An event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<OnEvent>,
    /// The times of a cron expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<OnCron>,
    /// Every so often, such as `15m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Once, at this moment, such as `2027-01-31T09:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// A call of an address of its own, which `plexichat workflow list` tells an operator; `plexichat workflow secret` makes a new
    /// secret, and the old one ends. It needs an `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<OnWebhook>,
    /// Somebody writes `/name …` in a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<OnCommand>,
    /// An expression: where it is false, the run ends before its first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What every run is given as `input.input`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// How many runs of this trigger go on at once: 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub concurrency: Option<u32>,
    /// Whether its runs begin and end one after the other.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_order: bool,
    /// A JSON pointer into the run's input, such as `/event/room_id`: while a run with the same value there goes on, no other begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicate: Option<String>,
}

/// An event that starts a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnEvent {
    /// Names of events, such as `message_received` or `custom.report_ready`; `*` for all.
    #[schemars(length(min = 1))]
    pub names: Vec<String>,
    /// All of these must hold: a JSON pointer into the event `at`, and one of `equals`, `not`, `contains`, `starts_with`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Condition>,
    /// Whether what workflows themselves do counts, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// Times that start a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnCron {
    /// Five fields (minute, hour, day of month, month, day of week), or six with seconds first.
    pub expression: String,
    /// The time zone, such as `Europe/Berlin`; `UTC` where none is named.
    #[serde(default = "utc")]
    pub zone: String,
    /// What happens about times that passed while the server was down: `skip`, `run_once` or `{ catch_up = 5 }`.
    #[serde(default)]
    pub misfire: Misfire,
}

/// A webhook that starts a workflow: nothing to set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnWebhook {}

/// A command that starts a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnCommand {
    /// Its name, without the slash.
    pub name: String,
    /// What it does, for `/help`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// What holds for every step that says nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// The room of `post` and `approve` steps: its name or its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The model of `ai` steps, such as `openai/gpt-4o`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How often and when a step that failed is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How long one try of a step may take: `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

impl Defaults {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A step: exactly one of `post`, `ai`, `tool`, `http`, `set`, `if`, `for_each`, `wait`, `approve`, `parallel`, `stop` and `fail`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Its name in expressions (`steps.<id>.result`) and in the timeline: letters, digits and `_`, unique in the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// An expression: the step is left out where it is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Posts a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post: Option<PostStep>,
    /// Asks an AI model. The result has `text` and, where that is JSON, `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiStep>,
    /// Calls a tool of another plugin. The result has `text` and, where that is JSON, `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolStep>,
    /// Makes an HTTP request. The result has `status`, `headers`, `body` and, where that is JSON, `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpStep>,
    /// Sets variables: `vars.<name>`. Texts are templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<Map<String, Value>>,
    /// An expression: where it is true the steps in `then` follow, else those in `else`.
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What follows where `if` is true.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Step>,
    /// What follows where `if` is false.
    #[serde(rename = "else", skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Step>,
    /// Goes through a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_each: Option<LoopStep>,
    /// Waits; meanwhile nothing is held, and a restart of the server changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitStep>,
    /// Asks people. The result has `approved`, `by`, `note`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<ApproveStep>,
    /// Several branches at once: each name has its steps. It is done when all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<BTreeMap<String, Vec<Step>>>,
    /// Ends the run, as done; why, as a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// Ends the run, as failed; why, as a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<String>,
    /// How often and when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How long one try may take, such as `30s`; at most `50m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// What happens where it failed for good. With `continue`, `steps.<id>.error` says why.
    #[serde(skip_serializing_if = "OnError::is_stop")]
    pub on_error: OnError,
    /// What a dry run takes for its result.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub sample: Value,
}

/// What happens where a step failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run fails.
    #[default]
    Stop,
    /// The next step follows.
    Continue,
}

impl OnError {
    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

/// How often and when a step is tried again. What will never work is not: bad input, missing rights, a status such as 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often it is tried altogether.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// How long it waits before the second try; each wait is twice the one before, at most an hour.
    #[serde(default = "two_seconds")]
    pub backoff: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff: two_seconds() }
    }
}

/// Posts a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostStep {
    /// The room's name or id, as a template. Where nothing is said: the defaults' room, or the one in which the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// What, as a template.
    pub text: String,
    /// The id of the message that it answers, as a template: `{{ event.data.message_id }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

/// Asks an AI model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AiStep {
    /// Which, such as `openai/gpt-4o`; the defaults' where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it is told before, as a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What it is asked, as a template.
    pub prompt: String,
    /// The longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// From 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
}

/// Calls a tool of another plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolStep {
    /// `plugin__tool`.
    pub name: String,
    /// Its arguments. Texts are templates; `secret("name")` may stand in them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
}

/// Makes an HTTP request. `secret("name")` may stand in its address, headers and body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpStep {
    /// `GET` where nothing is said and there is no body, else `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where to, as a template. The host must be in `hosts` of `[plugins.workflow]`.
    pub url: String,
    /// Headers, as templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A JSON body. Texts are templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A body as text, as a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The statuses that are no failure; 200 to 299 where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expects: Vec<u16>,
}

/// Goes through a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopStep {
    /// An expression that gives a list.
    #[serde(rename = "in")]
    pub list: String,
    /// The name of the variable with the part that it is at; `loop_index` counts from 0.
    #[serde(rename = "as", default = "item")]
    pub name: String,
    /// How often it goes round at most; a longer list is an error. 100 where nothing is said.
    #[serde(default = "loop_max")]
    #[schemars(range(min = 1, max = 10000))]
    pub max: u32,
    /// What it does with each.
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
}

/// Waits: either `for` or `until`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WaitStep {
    /// How long, such as `10m`.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// Until this moment, as a template: `2027-01-31T09:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Asks people whether to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveStep {
    /// What is asked, as a template.
    pub text: String,
    /// Where it is asked: as `post`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Names or ids of users who may answer, as templates. Administrators always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Whether moderators may answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moderators: bool,
    /// How long it waits for an answer: `7d` where nothing is said.
    #[serde(default = "week")]
    pub timeout: Span,
    /// The answer where nobody gave one: `refuse`, `approve`, or `fail`, which ends the run as failed.
    #[serde(default)]
    pub default: Unanswered,
    /// What happens where the answer is no: the run stops, as done, or goes on with `steps.<id>.result.approved` false.
    #[serde(default)]
    pub on_refuse: OnRefuse,
}

/// The answer where nobody gave one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// No.
    #[default]
    Refuse,
    /// Yes.
    Approve,
    /// The run fails.
    Fail,
}

/// What happens where the answer is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnRefuse {
    /// The run stops, as done.
    #[default]
    Stop,
    /// The next step follows.
    Continue,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_yes(yes: &bool) -> bool {
    *yes
}

fn utc() -> String {
    "UTC".to_owned()
}

fn item() -> String {
    "item".to_owned()
}

fn loop_max() -> u32 {
    LOOP_MAX
}

fn two_seconds() -> Span {
    Span(2)
}

fn week() -> Span {
    Span(7 * 24 * 3600)
}

/// What a step does, with what it needs.
pub(crate) enum Kind<'a> {
    Post(&'a PostStep),
    Ai(&'a AiStep),
    Tool(&'a ToolStep),
    Http(&'a HttpStep),
    Set(&'a Map<String, Value>),
    If(&'a str),
    Loop(&'a LoopStep),
    Wait(&'a WaitStep),
    Approve(&'a ApproveStep),
    Parallel(&'a BTreeMap<String, Vec<Step>>),
    Stop(&'a str),
    Fail(&'a str),
}

/// The words that say what a step does.
pub(crate) const KINDS: &[&str] =
    &["post", "ai", "tool", "http", "set", "if", "for_each", "wait", "approve", "parallel", "stop", "fail"];

impl Step {
    /// Everything that it is said to do: exactly one where it was checked.
    pub(crate) fn kinds(&self) -> Vec<(&'static str, Kind<'_>)> {
        let all = [
            ("post", self.post.as_ref().map(Kind::Post)),
            ("ai", self.ai.as_ref().map(Kind::Ai)),
            ("tool", self.tool.as_ref().map(Kind::Tool)),
            ("http", self.http.as_ref().map(Kind::Http)),
            ("set", self.set.as_ref().map(Kind::Set)),
            ("if", self.condition.as_deref().map(Kind::If)),
            ("for_each", self.for_each.as_ref().map(Kind::Loop)),
            ("wait", self.wait.as_ref().map(Kind::Wait)),
            ("approve", self.approve.as_ref().map(Kind::Approve)),
            ("parallel", self.parallel.as_ref().map(Kind::Parallel)),
            ("stop", self.stop.as_deref().map(Kind::Stop)),
            ("fail", self.fail.as_deref().map(Kind::Fail)),
        ];
        all.into_iter().filter_map(|(name, kind)| Some((name, kind?))).collect()
    }

    /// The lists of steps within it, with the JSON pointer of each.
    pub(crate) fn inner(&self) -> Vec<(String, &[Step])> {
        let mut inner = vec![("/then".to_owned(), &*self.then), ("/else".to_owned(), &*self.otherwise)];
        if let Some(each) = &self.for_each {
            inner.push(("/for_each/steps".to_owned(), &each.steps));
        }
        for (name, steps) in self.parallel.iter().flatten() {
            inner.push((format!("/parallel/{name}"), steps));
        }
        inner
    }
}

/// The JSON Schema for editors.
pub(crate) fn schema() -> Value {
    let mut schema = schemars::schema_for!(Definition).to_value();
    // Exactly one word says what a step does: editors know it, and the check says it in better words.
    let one_of: Vec<Value> = KINDS.iter().map(|kind| serde_json::json!({ "required": [kind] })).collect();
    if let Some(step) = schema.pointer_mut("/$defs/Step").and_then(Value::as_object_mut) {
        step.insert("oneOf".to_owned(), Value::Array(one_of));
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "A PlexiChat workflow".into());
    }
    schema
}
