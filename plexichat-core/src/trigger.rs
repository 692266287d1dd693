//! Triggers: what starts a workflow, where, and what becomes of its runs. Words that plugins and hosts share; knows neither.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{PluginError, Result};
use crate::message::Time;

/// The longest identifier of a trigger or name of a workflow, in bytes.
pub const NAME_MAX: usize = 100;

/// What starts a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSpec {
    /// Its name, unique in its plugin: letters, digits and `. _ - /`, at most 100 bytes.
    pub id: String,
    /// What it waits for.
    pub on: On,
    /// The workflow that it starts: the plugin's own word, which [`execute_workflow`](crate::plugin::automation::Automation::execute_workflow)
    /// is given.
    pub workflow: String,
    /// Once in the whole cluster, or on every node.
    pub scope: Scope,
    /// What every run is given beside what the trigger saw.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// What becomes of its runs.
    #[serde(default)]
    pub policy: RunPolicy,
}

/// What a trigger waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum On {
    /// One of these events, where it fits.
    Event {
        /// Names of events, such as `message_received` or `custom.report_ready`; `*` for all but those of runs themselves
        /// (`trigger_fired`, `workflow_started` and so on), which are named one by one.
        names: Vec<String>,
        /// All of these must hold.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        filter: Vec<Condition>,
        /// Whether the plugin's own events count, too.
        #[serde(default)]
        own: bool,
    },
    /// The times of a cron expression.
    Cron {
        /// Five fields (minute, hour, day of month, month, day of week), or six with seconds first.
        expression: String,
        /// The time zone that the fields are in, such as `Europe/Berlin`.
        zone: String,
        /// What happens about times that passed while nobody looked.
        #[serde(default)]
        misfire: Misfire,
    },
    /// Every so often, counted from when the trigger was made.
    Every {
        /// How often, in whole seconds, at least one.
        seconds: u64,
        /// What happens about times that passed while nobody looked.
        #[serde(default)]
        misfire: Misfire,
    },
    /// Once at this moment, or as soon as somebody looks after it.
    At {
        /// When.
        time: Time,
    },
    /// A call of the trigger's own address, `POST /api/v1/plugins/{plugin}/-/hooks/{id}`, with its secret.
    Webhook,
    /// A person writes `/name …` in a room. No plugin may have a command of this name.
    Command {
        /// The command's name, without the slash.
        name: String,
        /// What it does, for whoever asks which commands there are.
        #[serde(default)]
        help: String,
    },
    /// An administrator starts it; nothing else does.
    Manual,
}

/// A condition that an event must fulfil.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Where to look in the event's envelope, as a JSON pointer: `/data/text`, `/room_id`, `/actor/kind`.
    pub at: String,
    /// What must be there.
    #[serde(flatten)]
    pub is: Matches,
}

/// What must be at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Matches {
    /// Exactly this.
    Equals(Value),
    /// Anything but this.
    Not(Value),
    /// A text that has this in it, whatever the case.
    Contains(String),
    /// A text that begins so.
    StartsWith(String),
}

impl Condition {
    /// Whether an envelope, as JSON, fulfils it.
    pub fn holds(&self, envelope: &Value) -> bool {
        let found = envelope.pointer(&self.at);
        let text = || found.and_then(Value::as_str);
        match &self.is {
            Matches::Equals(wanted) => found == Some(wanted),
            Matches::Not(unwanted) => found != Some(unwanted),
            Matches::Contains(part) => text().is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase())),
            Matches::StartsWith(start) => text().is_some_and(|text| text.starts_with(start.as_str())),
        }
    }
}

/// Where a trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Once, on whichever node comes first.
    Cluster,
    /// On every node.
    Node,
}

/// What happens about times that passed while nobody looked: the server was down, or the plugin disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// They are forgotten.
    Skip,
    /// One run, for the last of them. The default.
    #[default]
    RunOnce,
    /// A run for each, at most this many: the last ones.
    CatchUp(u32),
}

/// What becomes of the runs of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunPolicy {
    /// How long one attempt may take, in seconds: 60, at most an hour. Waiting between attempts and in `Wait` does not count.
    pub timeout_seconds: u32,
    /// How often a run is tried before it is a dead letter: 3.
    pub attempts: u32,
    /// How long it waits before the second attempt, in seconds: 1. Each wait is twice the one before, and varies by a quarter.
    pub backoff_seconds: u32,
    /// No wait is longer, in seconds: 300.
    pub backoff_max_seconds: u32,
    /// How many runs of the trigger may be executed at once: 8.
    pub concurrency: u32,
    /// Runs begin and end one after the other, in the order in which they were made: one that is tried again holds up those
    /// behind it.
    pub in_order: bool,
    /// A JSON pointer into the run's input: while a run with the same value there has not ended, another is not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicate: Option<String>,
}

impl Default for RunPolicy {
    fn default() -> Self {
        Self {
            timeout_seconds: 60,
            attempts: 3,
            backoff_seconds: 1,
            backoff_max_seconds: 300,
            concurrency: 8,
            in_order: false,
            deduplicate: None,
        }
    }
}

impl RunPolicy {
    /// How long one attempt may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.clamp(1, 3600).into())
    }

    /// How long to wait after this attempt (from 1) failed, before chance varies it.
    pub fn backoff(&self, attempt: u32) -> Duration {
        let first = u64::from(self.backoff_seconds.max(1));
        let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(30));
        Duration::from_secs(doubled.min(u64::from(self.backoff_max_seconds.max(1))))
    }
}

impl TriggerSpec {
    /// A trigger with nothing else set.
    pub fn new(id: impl Into<String>, on: On, workflow: impl Into<String>, scope: Scope) -> Self {
        let (input, policy) = (Value::Null, RunPolicy::default());
        Self { id: id.into(), on, workflow: workflow.into(), scope, input, policy }
    }

    /// What is wrong with it, as far as can be said without a calendar.
    ///
    /// # Errors
    /// `Input`, which names the field.
    pub fn check(&self) -> Result<()> {
        check_name("id", &self.id)?;
        check_name("workflow", &self.workflow)?;
        match &self.on {
            On::Event { names, filter, .. } => {
                if names.is_empty() {
                    return Err(PluginError::input("`on.names` is empty: name at least one event"));
                }
                for condition in filter {
                    check_pointer("on.filter.at", &condition.at)?;
                }
            }
            On::Every { seconds: 0, .. } => return Err(PluginError::input("`on.seconds` is 0: at least 1")),
            On::Command { name, .. } if !crate::id::is_plugin_name(name) => {
                return Err(PluginError::input(format!(
                    "`{name}` is no command's name: lower-case letters and digits in words joined by `-`"
                )));
            }
            _ => {}
        }
        let policy = &self.policy;
        for (field, value) in [
            ("timeout_seconds", policy.timeout_seconds),
            ("attempts", policy.attempts),
            ("concurrency", policy.concurrency),
        ] {
            if value == 0 {
                return Err(PluginError::input(format!("`policy.{field}` is 0: at least 1")));
            }
        }
        match &policy.deduplicate {
            Some(pointer) => check_pointer("policy.deduplicate", pointer),
            None => Ok(()),
        }
    }
}

fn check_pointer(field: &str, pointer: &str) -> Result<()> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(());
    }
    Err(PluginError::input(format!("`{field}` is `{pointer}`: a JSON pointer begins with `/`, such as `/data/text`")))
}

fn check_name(field: &str, name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_MAX).collect();
    Err(PluginError::input(format!(
        "`{field}` is `{shown}`: 1 to {NAME_MAX} letters, digits and `. _ - /` are expected"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(condition: Value, holds: bool) {
        let envelope = json!({ "room_id": "r", "data": { "text": "Deploy NOW", "count": 3 } });
        let condition: Condition = serde_json::from_value(condition).unwrap();
        assert_eq!(condition.holds(&envelope), holds, "{condition:?}");
    }

    #[test]
    fn conditions_look_at_one_place() {
        check(json!({ "at": "/data/count", "equals": 3 }), true);
        check(json!({ "at": "/data/count", "equals": "3" }), false);
        check(json!({ "at": "/data/missing", "not": 3 }), true);
        check(json!({ "at": "/data/text", "contains": "now" }), true);
        check(json!({ "at": "/data/text", "starts_with": "deploy" }), false);
        check(json!({ "at": "/data/count", "contains": "3" }), false);
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RunPolicy { backoff_seconds: 2, backoff_max_seconds: 9, ..RunPolicy::default() };
        let waits: Vec<u64> = (1..6).map(|attempt| policy.backoff(attempt).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 9, 9]);
        assert_eq!(RunPolicy::default().backoff(u32::MAX).as_secs(), 300);
    }

    #[test]
    fn a_trigger_says_what_is_wrong_with_it() {
        let of = |on| TriggerSpec::new("daily", on, "digest", Scope::Cluster);
        assert!(of(On::Manual).check().is_ok());
        let wrong = |spec: TriggerSpec| spec.check().unwrap_err().to_string();
        assert!(wrong(TriggerSpec { id: "a b".into(), ..of(On::Manual) }).contains("`id` is `a b`"));
        assert!(wrong(of(On::Every { seconds: 0, misfire: Misfire::Skip })).contains("at least 1"));
        assert!(wrong(of(On::Command { name: "No".into(), help: String::new() })).contains("no command's name"));
        let policy = RunPolicy { deduplicate: Some("room".into()), ..RunPolicy::default() };
        assert!(wrong(TriggerSpec { policy, ..of(On::Manual) }).contains("JSON pointer"));
    }
}
