//! What is said of a room's assistant: which models, when it answers, what it may call. Knows no room and no model.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::is_plugin_name;
use crate::problem::Problem;
use crate::tool::{Approval, SEPARATOR};

/// How many messages of the room a model is shown at most, where nothing is said.
pub const HISTORY: u32 = 50;

/// How many it may be at most.
pub const HISTORY_MAX: u32 = 500;

/// The longest name of an assistant, in characters.
pub const NAME_MAX: usize = 40;

/// The longest system prompt, in bytes.
pub const PROMPT_MAX: usize = 32 * 1024;

/// How many models and tools a policy may name.
pub const NAMED_MAX: usize = 50;

/// A room's assistant. Written as a text it is one model, as a list of texts the models in their order: all else is then as
/// it is by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssistantPolicy {
    /// The models to ask, in this order until one answers: `plugin/model`, or `plugin` for its first one. None: the server's
    /// default ones.
    pub models: Vec<String>,
    /// The name under which it answers, and by which it is mentioned: `@name`.
    pub name: String,
    /// When it answers beside `/ai`.
    pub trigger: Trigger,
    /// What it is told before the room's messages. Nothing: that it is an assistant in a chat room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// How many of the room's messages it is shown at most; fewer where they do not fit into the model's context.
    pub history: u32,
    /// The plugins' tools that it may call. None: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolRule>,
    /// How long an answer may be, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

/// When an assistant answers a person's message. To `/ai` it answers wherever it is not off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Where the message mentions it: `@name`. In a direct room that has an assistant of its own: always.
    #[default]
    Mention,
    /// Where the message mentions it, and always in direct rooms.
    Direct,
    /// Always.
    Every,
    /// Only to `/ai`.
    Command,
    /// Never, not even to `/ai`.
    Off,
}

/// A tool that an assistant may call. Written as a text it is the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolRule {
    /// The tool: `plugin__tool`, or `plugin__*` for all that the plugin has.
    pub name: String,
    /// Whether the person is asked first, where the room wants more than the tool itself does. Less cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

impl Default for AssistantPolicy {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            name: "assistant".to_owned(),
            trigger: Trigger::default(),
            system_prompt: None,
            history: HISTORY,
            tools: Vec::new(),
            max_output_tokens: None,
        }
    }
}

impl AssistantPolicy {
    /// An assistant of these models, and all else as it is by default.
    pub fn of(models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { models: models.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The plugins that its models and tools name, each with the pointer of its place.
    pub fn plugins(&self) -> Vec<(String, &str)> {
        let models = self.models.iter().enumerate();
        let models = models.map(|(n, model)| (format!("/models/{n}"), model.split('/').next().unwrap_or(model)));
        let tools = self.tools.iter().enumerate();
        let tools = tools.map(|(n, rule)| (format!("/tools/{n}"), rule.plugin()));
        models.chain(tools).collect()
    }

    /// What is wrong with it, each finding with its pointer. Reading one has asked already; who makes one asks.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (n, model) in self.models.iter().enumerate() {
            let (plugin, name) = model.split_once('/').map_or((model.as_str(), None), |(one, two)| (one, Some(two)));
            if !is_plugin_name(plugin) || name.is_some_and(|name| name.is_empty() || name.contains(char::is_control)) {
                let problem = Problem::new(format!("/models/{n}"), format!("`{model}` names no model"));
                problems.push(problem.hint("write `plugin/model`, or `plugin` for its first model"));
            }
        }
        let name = &self.name;
        let shown = name.trim();
        if shown.is_empty() || shown != name || name.chars().count() > NAME_MAX || !name.chars().all(may_be_in_a_name) {
            let message = format!("`{}` is no name for an assistant", name.escape_debug());
            problems.push(
                Problem::new("/name", message).hint(format!(
                    "1 to {NAME_MAX} letters, digits, blanks, `-`, `_`, `.`, with no blank at either end"
                )),
            );
        }
        if self.system_prompt.as_ref().is_some_and(|prompt| prompt.len() > PROMPT_MAX) {
            problems.push(Problem::new("/system_prompt", format!("is longer than {PROMPT_MAX} bytes")));
        }
        if !(1..=HISTORY_MAX).contains(&self.history) {
            let message = format!("is {}, 1 to {HISTORY_MAX} are possible", self.history);
            problems.push(Problem::new("/history", message));
        }
        if self.max_output_tokens == Some(0) {
            problems.push(Problem::new("/max_output_tokens", "is 0: no answer would have a word"));
        }
        for (list, length) in [("models", self.models.len()), ("tools", self.tools.len())] {
            if length > NAMED_MAX {
                let message = format!("has {length} entries, at most {NAMED_MAX} are possible");
                problems.push(Problem::new(format!("/{list}"), message));
            }
        }
        let tools = self.tools.iter().enumerate().filter(|(_, rule)| !rule.is_valid());
        problems.extend(tools.map(|(n, rule)| {
            let problem = Problem::new(format!("/tools/{n}"), format!("`{}` names no tool", rule.name));
            problem.hint("write `plugin__tool`, or `plugin__*` for all tools of the plugin")
        }));
        problems
    }
}

fn may_be_in_a_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, ' ' | '-' | '_' | '.')
}

impl ToolRule {
    /// This tool, as it asks for leave itself.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), approval: None }
    }

    /// The plugin that it names.
    pub fn plugin(&self) -> &str {
        self.name.split_once(SEPARATOR).map_or(self.name.as_str(), |(plugin, _)| plugin)
    }

    /// Whether it means this tool of this plugin.
    pub fn means(&self, plugin: &str, tool: &str) -> bool {
        self.name.split_once(SEPARATOR).is_some_and(|(one, two)| one == plugin && (two == "*" || two == tool))
    }

    fn is_valid(&self) -> bool {
        let valid = |(plugin, tool): (&str, &str)| {
            let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            is_plugin_name(plugin) && (tool == "*" || !tool.is_empty() && tool.bytes().all(word))
        };
        self.name.split_once(SEPARATOR).is_some_and(valid)
    }
}

/// The written form of a policy.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct WrittenPolicy {
    /// The models to ask, in this order until one answers: `plugin/model`, or `plugin` for its first one. None: the server's
    /// default ones.
    models: Vec<String>,
    /// The name under which it answers, and by which it is mentioned: `@name`.
    name: String,
    /// When it answers beside `/ai`.
    trigger: Trigger,
    /// What it is told before the room's messages. Nothing: that it is an assistant in a chat room.
    system_prompt: Option<String>,
    /// How many of the room's messages it is shown at most; fewer where they do not fit into the model's context.
    #[schemars(range(min = 1, max = 500))]
    history: u32,
    /// The plugins' tools that it may call. None: none.
    tools: Vec<ToolRule>,
    /// How long an answer may be, in tokens.
    #[schemars(range(min = 1))]
    max_output_tokens: Option<u32>,
}

impl Default for WrittenPolicy {
    fn default() -> Self {
        let AssistantPolicy { models, name, trigger, system_prompt, history, tools, max_output_tokens } =
            AssistantPolicy::default();
        Self { models, name, trigger, system_prompt, history, tools, max_output_tokens }
    }
}

impl From<WrittenPolicy> for AssistantPolicy {
    fn from(written: WrittenPolicy) -> Self {
        let WrittenPolicy { models, name, trigger, system_prompt, history, tools, max_output_tokens } = written;
        Self { models, name, trigger, system_prompt, history, tools, max_output_tokens }
    }
}

impl<'de> Deserialize<'de> for AssistantPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = deserializer.deserialize_any(ReadPolicy)?;
        match policy.check().first() {
            None => Ok(policy),
            Some(problem) => Err(de::Error::custom(problem)),
        }
    }
}

/// What is released had the name of a plugin here: it is read still.
struct ReadPolicy;

impl<'de> Visitor<'de> for ReadPolicy {
    type Value = AssistantPolicy;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a model such as `openai/gpt-5`, a list of them, or an object with `models`")
    }

    fn visit_str<E: de::Error>(self, model: &str) -> Result<AssistantPolicy, E> {
        Ok(AssistantPolicy::of([model]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, models: A) -> Result<AssistantPolicy, A::Error> {
        Ok(AssistantPolicy::of(Vec::<String>::deserialize(SeqAccessDeserializer::new(models))?))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AssistantPolicy, A::Error> {
        Ok(WrittenPolicy::deserialize(MapAccessDeserializer::new(map))?.into())
    }
}

impl JsonSchema for AssistantPolicy {
    fn schema_name() -> Cow<'static, str> {
        "AssistantPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = WrittenPolicy::json_schema(generator);
        json_schema!({
            "description": "A room's assistant. Written as a text it is one model, as a list of texts the models in their \
                            order: all else is then as it is by default.",
            "anyOf": [
                whole,
                { "type": "string", "description": "The model: `plugin/model`, or `plugin` for its first one." },
                { "type": "array", "items": { "type": "string" }, "description": "The models, in their order." },
            ],
        })
    }
}

/// The written form of a rule.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    /// The tool: `plugin__tool`, or `plugin__*` for all that the plugin has.
    name: String,
    /// Whether the person is asked first, where the room wants more than the tool itself does. Less cannot be said.
    approval: Option<Approval>,
}

impl<'de> Deserialize<'de> for ToolRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadRule)
    }
}

struct ReadRule;

impl<'de> Visitor<'de> for ReadRule {
    type Value = ToolRule;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a tool such as `weather__forecast`, or an object with `name` and `approval`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<ToolRule, E> {
        Ok(ToolRule::new(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ToolRule, A::Error> {
        let WrittenRule { name, approval } = WrittenRule::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ToolRule { name, approval })
    }
}

impl JsonSchema for ToolRule {
    fn schema_name() -> Cow<'static, str> {
        "ToolRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = WrittenRule::json_schema(generator);
        json_schema!({
            "description": "A tool that an assistant may call. Written as a text it is the name.",
            "anyOf": [whole, { "type": "string", "description": "`plugin__tool`, or `plugin__*`." }],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<AssistantPolicy, String> {
        // As the API and the settings read it: with the place of what does not fit.
        serde_path_to_error::deserialize(value).map_err(|error| format!("{}: {}", error.path(), error.inner()))
    }

    #[track_caller]
    fn check(value: Value, expected: Value) {
        let policy = read(&value).expect("it can be read");
        assert_eq!(serde_json::to_value(&policy).expect("it can be written"), expected);
        assert_eq!(read(&expected), Ok(policy), "what is written is read as the same");
    }

    #[track_caller]
    fn refused(value: Value, expected: &str) {
        assert_eq!(read(&value).expect_err("it is wrong"), expected);
    }

    #[test]
    fn what_was_released_and_the_short_forms_are_read() {
        let whole =
            |models: Value| json!({ "models": models, "name": "assistant", "trigger": "mention", "history": 50 });
        check(json!("openai"), whole(json!(["openai"])));
        check(json!("openai/gpt-5"), whole(json!(["openai/gpt-5"])));
        check(json!(["openai/gpt-5", "local-ai"]), whole(json!(["openai/gpt-5", "local-ai"])));
        check(json!({}), whole(json!([])));
        let full = json!({
            "models": ["a/b/c:7b"], "name": "Old Bot", "trigger": "every", "system_prompt": "Be kind.", "history": 3,
            "tools": [{ "name": "weather__*" }, { "name": "roll__dice", "approval": "always" }], "max_output_tokens": 9,
        });
        check(full.clone(), full);
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_place() {
        refused(
            json!({ "model": "a" }),
            "model: unknown field `model`, expected one of `models`, `name`, `trigger`, `system_prompt`, `history`, \
             `tools`, `max_output_tokens`",
        );
        refused(
            json!({ "trigger": "always" }),
            "trigger: unknown variant `always`, expected one of `mention`, `direct`, `every`, `command`, `off`",
        );
        refused(json!({ "tools": [{ "name": "a__b", "aproval": "never" }] }), {
            "tools[0].aproval: unknown field `aproval`, expected `name` or `approval`"
        });
        refused(
            json!("Open AI"),
            ".: /models/0: `Open AI` names no model (write `plugin/model`, or `plugin` for its first model)",
        );
        refused(json!({ "name": "@x" }), {
            ".: /name: `@x` is no name for an assistant (1 to 40 letters, digits, blanks, `-`, `_`, `.`, with no blank at \
             either end)"
        });
        refused(json!({ "history": 0 }), ".: /history: is 0, 1 to 500 are possible");
        refused(json!({ "tools": ["roll"] }), {
            ".: /tools/0: `roll` names no tool (write `plugin__tool`, or `plugin__*` for all tools of the plugin)"
        });
    }

    #[test]
    fn rules_mean_tools() {
        let rule = ToolRule::new("weather__*");
        assert!(rule.means("weather", "forecast"));
        assert!(!rule.means("weather2", "forecast"));
        assert!(!ToolRule::new("weather__forecast").means("weather", "fore"));
    }
}
