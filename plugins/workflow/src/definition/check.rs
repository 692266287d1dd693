//! Reads a definition and says everything that is wrong with it, each with its place. Knows no file and no store.

use std::collections::BTreeSet;

use plexichat::error::{PluginError, Result as PluginResult};
use plexichat::id::is_plugin_name;
use plexichat::message::Time;
use plexichat::problem::{Problem, nearest};
use plexichat::trigger::{On, RunPolicy, Scope, TriggerSpec};
use serde_json::Value;

use super::located::{Format, Places};
use super::{Definition, KINDS, Kind, Span, Step, Trigger, located};
use crate::expression::{Known, Language, Use, Wrong};

/// The largest definition, in bytes.
pub(crate) const DEFINITION_MAX: usize = 256 * 1024;

/// How many steps a definition may have, those within others included, and how deep they may stand in each other.
const STEPS_MAX: usize = 500;
const DEPTH_MAX: usize = 8;

/// How long a try of a step may take where it says nothing, and at most.
pub(crate) const STEP_TIMEOUT: Span = Span(60);
const STEP_TIMEOUT_MAX: Span = Span(50 * 60);

/// How often a run may be begun again after a crash. What its steps do about failures is theirs.
const ATTEMPTS: u32 = 20;

/// Where triggers of workflows begin: `wf.<name>.<id>`.
pub(crate) const TRIGGERS: &str = "wf.";

/// The last part of the trigger by which an administrator starts a workflow.
pub(crate) const BY_HAND: &str = "manual";

/// What a check needs of the host.
pub(crate) struct Checks<'a> {
    pub(crate) language: &'a Language,
    /// Names of secrets that there are.
    pub(crate) secrets: &'a [String],
    /// Names of tools that there are; nothing where not every plugin runs yet.
    pub(crate) tools: Option<&'a [String]>,
    /// What the calendar and the grant say of a trigger.
    pub(crate) trigger: &'a (dyn Fn(&TriggerSpec) -> PluginResult<()> + Sync),
}

/// A definition from text.
///
/// # Errors
/// Everything that is wrong, each with `name:line:column`.
pub(crate) fn parse_text(
    name: &str,
    text: &str,
    format: Format,
    checks: &Checks<'_>,
) -> Result<Definition, Vec<Problem>> {
    if text.len() > DEFINITION_MAX {
        let message = format!("it has {} bytes, at most {DEFINITION_MAX} are read", text.len());
        return Err(vec![Problem::new("", message).origin(name)]);
    }
    let (value, places) = located::read(name, text, format)?;
    parse_value(&value, &places, checks)
}

/// A definition from a value.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub(crate) fn parse_value(value: &Value, places: &Places<'_>, checks: &Checks<'_>) -> Result<Definition, Vec<Problem>> {
    let located = |problems: Vec<Problem>| problems.into_iter().map(|problem| places.locate(problem)).collect();
    let schema = schemars::schema_for!(Definition).to_value();
    let findings = plexichat::schema::findings(&schema, value);
    if !findings.is_empty() {
        return Err(located(findings));
    }
    let definition: Definition = serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer_of(error.path());
        located(vec![Problem::new(pointer, error.inner().to_string())])
    })?;
    let mut checker = Checker { checks, places, problems: Vec::new(), ids: BTreeSet::new(), steps: 0 };
    checker.definition(&definition);
    match checker.problems.is_empty() {
        true => Ok(definition),
        false => Err(checker.problems),
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

struct Checker<'a, 'p> {
    checks: &'a Checks<'a>,
    places: &'p Places<'p>,
    problems: Vec<Problem>,
    ids: BTreeSet<String>,
    steps: usize,
}

impl Checker<'_, '_> {
    fn say(&mut self, problem: Problem) {
        self.problems.push(self.places.locate(problem));
    }

    fn definition(&mut self, definition: &Definition) {
        if !is_plugin_name(&definition.name) {
            self.say(Problem::new(
                "/name",
                "a name is words of lower-case letters and digits joined by `-`, at most 40 bytes",
            ));
            return;
        }
        let ids: Vec<&str> = all_steps(&definition.steps).filter_map(|step| step.id.as_deref()).collect();
        let known = Known { names: Vec::new(), ids };
        let nothing = Known::default();
        for (index, trigger) in definition.triggers.iter().enumerate() {
            self.trigger(definition, index, trigger, &nothing);
        }
        for (name, value) in &definition.vars {
            self.values(&format!("/vars/{name}"), value, Use::Plain, &nothing);
        }
        self.steps("/steps", &definition.steps, &known, 1);
        if self.steps > STEPS_MAX {
            self.say(Problem::new("/steps", format!("there are {} steps, at most {STEPS_MAX} are taken", self.steps)));
        }
        self.timeout("/defaults/timeout", definition.defaults.timeout);
        self.values("/output", &definition.output, Use::Plain, &known);
    }

    fn trigger(&mut self, definition: &Definition, index: usize, trigger: &Trigger, known: &Known<'_>) {
        let pointer = format!("/triggers/{index}");
        self.trigger_id(definition, index, trigger);
        if let Some(when) = &trigger.when {
            self.expression(&format!("{pointer}/when"), when, known);
        }
        match trigger.spec(definition, index) {
            Err(problem) => self.say(Problem { pointer: format!("{pointer}{}", problem.pointer), ..problem }),
            Ok(spec) => {
                if let Err(error) = (self.checks.trigger)(&spec) {
                    let field = trigger.kinds().first().map_or(String::new(), |(name, _)| format!("/{name}"));
                    let told = error.to_string();
                    let field = match () {
                        () if told.contains("zone") && trigger.cron.is_some() => format!("{field}/zone"),
                        () if trigger.cron.is_some() => format!("{field}/expression"),
                        () => field,
                    };
                    self.say(Problem::new(format!("{pointer}{field}"), told));
                }
            }
        }
    }

    fn trigger_id(&mut self, definition: &Definition, index: usize, trigger: &Trigger) {
        let pointer = format!("/triggers/{index}");
        let Some(id) = &trigger.id else {
            if trigger.webhook.is_some() {
                let why = "a webhook needs an `id`: its address and its secret hang on it, and must not change with its place";
                self.say(Problem::new(pointer, why).hint("such as `id = \"alerts\"`"));
            }
            return;
        };
        let place = format!("{pointer}/id");
        if !is_plugin_name(id) || id == BY_HAND {
            let message = format!(
                "an id is words of lower-case letters and digits joined by `-`, at most 40 bytes, and not `{BY_HAND}`"
            );
            self.say(Problem::new(place, message));
        } else if definition.triggers.iter().take(index).any(|other| other.id.as_ref() == Some(id)) {
            self.say(Problem::new(place, format!("another trigger has the id `{id}`, too")));
        }
    }

    fn steps(&mut self, pointer: &str, steps: &[Step], known: &Known<'_>, depth: usize) {
        if depth > DEPTH_MAX {
            self.say(Problem::new(pointer, format!("steps stand more than {DEPTH_MAX} deep in each other")));
            return;
        }
        for (index, step) in steps.iter().enumerate() {
            self.steps += 1;
            self.step(&format!("{pointer}/{index}"), step, known, depth);
        }
    }

    fn step(&mut self, pointer: &str, step: &Step, known: &Known<'_>, depth: usize) {
        if let Some(id) = &step.id {
            let place = format!("{pointer}/id");
            let valid = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if id.is_empty()
                || id.len() > 40
                || !id.chars().all(valid)
                || id.starts_with(|first: char| first.is_ascii_digit())
            {
                self.say(Problem::new(
                    place,
                    "an id is letters, digits and `_`, begins with a letter, and has at most 40 bytes",
                ));
            } else if !self.ids.insert(id.clone()) {
                self.say(Problem::new(place, format!("another step has the id `{id}`, too")));
            }
        }
        if let Some(when) = &step.when {
            self.expression(&format!("{pointer}/when"), when, known);
        }
        self.timeout(&format!("{pointer}/timeout"), step.timeout);
        if step.condition.is_none() && !(step.then.is_empty() && step.otherwise.is_empty()) {
            self.say(Problem::new(pointer, "`then` and `else` need an `if`"));
        }
        let kinds = step.kinds();
        match &kinds[..] {
            [(_, kind)] => self.kind(pointer, kind, known),
            [] => {
                let all: Vec<String> = KINDS.iter().map(|kind| format!("`{kind}`")).collect();
                self.say(
                    Problem::new(pointer, "it says nothing to do").hint(format!("give it one of {}", all.join(", "))),
                );
            }
            [..] => {
                let names: Vec<String> = kinds.iter().map(|(name, _)| format!("`{name}`")).collect();
                self.say(
                    Problem::new(pointer, format!("it says {} at once", names.join(" and ")))
                        .hint("make a step of each"),
                );
            }
        }
        for (inner, steps) in step.inner() {
            let mut known = known.clone();
            known.names.extend(step.for_each.as_ref().map(|each| each.name.as_str()));
            self.steps(&format!("{pointer}{inner}"), steps, &known, depth + 1);
        }
    }

    fn kind(&mut self, pointer: &str, kind: &Kind<'_>, known: &Known<'_>) {
        let at = |field: &str| format!("{pointer}/{field}");
        match kind {
            Kind::Post(post) => {
                self.template(&at("post/text"), &post.text, Use::Plain, known);
                for (field, text) in [("post/room", &post.room), ("post/reply_to", &post.reply_to)] {
                    self.maybe_template(&at(field), text.as_deref(), known);
                }
            }
            Kind::Ai(ai) => {
                self.template(&at("ai/prompt"), &ai.prompt, Use::Plain, known);
                for (field, text) in [("ai/model", &ai.model), ("ai/system", &ai.system)] {
                    self.maybe_template(&at(field), text.as_deref(), known);
                }
            }
            Kind::Tool(tool) => {
                self.tool(&at("tool/name"), &tool.name);
                for (name, value) in &tool.arguments {
                    self.values(&at(&format!("tool/arguments/{name}")), value, Use::Secrets, known);
                }
            }
            Kind::Http(http) => {
                self.template(&at("http/url"), &http.url, Use::Secrets, known);
                if !http.url.contains("{{") && !http.url.starts_with("https://") && !http.url.starts_with("http://") {
                    self.say(Problem::new(at("http/url"), "an address begins with `https://` or `http://`"));
                }
                for (name, value) in &http.headers {
                    self.template(&at(&format!("http/headers/{name}")), value, Use::Secrets, known);
                }
                if let Some(json) = &http.json {
                    self.values(&at("http/json"), json, Use::Secrets, known);
                }
                if let Some(body) = &http.body {
                    self.template(&at("http/body"), body, Use::Secrets, known);
                }
                if http.json.is_some() && http.body.is_some() {
                    self.say(Problem::new(at("http"), "it has `json` and `body` at once"));
                }
                let method = |method: &str| !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
                if http.method.as_deref().is_some_and(|name| !method(name)) {
                    self.say(Problem::new(at("http/method"), "a method is upper-case letters, such as `POST`"));
                }
            }
            Kind::Set(values) => {
                for (name, value) in *values {
                    self.values(&at(&format!("set/{name}")), value, Use::Plain, known);
                }
            }
            Kind::If(condition) => self.expression(&at("if"), condition, known),
            Kind::Loop(each) => {
                self.expression(&at("for_each/in"), &each.list, known);
                let valid = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                if !each.name.chars().all(valid) || crate::expression::NAMES.contains(&&*each.name) {
                    self.say(Problem::new(
                        at("for_each/as"),
                        format!("`{}` cannot be the name of a variable here", each.name),
                    ));
                }
            }
            Kind::Wait(wait) => match (&wait.span, &wait.until) {
                (Some(_), None) => {}
                (None, Some(until)) if until.contains("{{") => {
                    self.template(&at("wait/until"), until, Use::Plain, known)
                }
                (None, Some(until)) => {
                    if let Err(message) = parse_time(until) {
                        self.say(Problem::new(at("wait/until"), message));
                    }
                }
                _ => self.say(Problem::new(at("wait"), "it has either `for` or `until`")),
            },
            Kind::Approve(approve) => {
                self.template(&at("approve/text"), &approve.text, Use::Plain, known);
                self.maybe_template(&at("approve/room"), approve.room.as_deref(), known);
                for (index, user) in approve.users.iter().enumerate() {
                    self.template(&at(&format!("approve/users/{index}")), user, Use::Plain, known);
                }
            }
            Kind::Parallel(branches) => {
                if branches.is_empty() {
                    self.say(Problem::new(at("parallel"), "it has no branch"));
                }
                for name in branches.keys() {
                    let valid = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
                    if name.is_empty() || !name.chars().all(valid) {
                        self.say(Problem::new(
                            at(&format!("parallel/{name}")),
                            "a branch's name is letters, digits, `_` and `-`",
                        ));
                    }
                }
            }
            Kind::Stop(text) => self.template(&at("stop"), text, Use::Plain, known),
            Kind::Fail(text) => self.template(&at("fail"), text, Use::Plain, known),
        }
    }

    fn tool(&mut self, pointer: &str, name: &str) {
        let Some(tools) = self.checks.tools else { return };
        if tools.iter().any(|tool| tool == name) {
            return;
        }
        let problem = Problem::new(pointer, format!("no plugin that runs has a tool `{name}`"));
        let near = nearest(name, tools.iter().map(String::as_str));
        self.say(match near {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if tools.is_empty() => problem.hint("no tools are there at all: enable the plugin that has it"),
            None => problem.hint(format!("there is {}", some_of(tools))),
        });
    }

    fn timeout(&mut self, pointer: &str, timeout: Option<Span>) {
        if timeout.is_some_and(|timeout| timeout.0 == 0 || timeout > STEP_TIMEOUT_MAX) {
            self.say(Problem::new(pointer, format!("a try of a step takes from 1s to {STEP_TIMEOUT_MAX}")));
        }
    }

    fn values(&mut self, pointer: &str, value: &Value, how: Use, known: &Known<'_>) {
        match value {
            Value::String(text) => self.template(pointer, text, how, known),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.values(&format!("{pointer}/{index}"), item, how, known);
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    self.values(&format!("{pointer}/{key}"), value, how, known);
                }
            }
            _ => {}
        }
    }

    fn maybe_template(&mut self, pointer: &str, source: Option<&str>, known: &Known<'_>) {
        if let Some(source) = source {
            self.template(pointer, source, Use::Plain, known);
        }
    }

    fn template(&mut self, pointer: &str, source: &str, how: Use, known: &Known<'_>) {
        let wrong = self.checks.language.check_template(source, how, known);
        self.wrong(pointer, wrong);
        if how == Use::Secrets {
            self.secrets(pointer, source);
        }
    }

    fn expression(&mut self, pointer: &str, source: &str, known: &Known<'_>) {
        let mut wrong = self.checks.language.check_expression(source, Use::Plain, known);
        if source.contains("{{") {
            let message = "this is an expression already: write it without `{{ }}`".to_owned();
            wrong = vec![Wrong { message, range: None, part: String::new() }];
        }
        self.wrong(pointer, wrong);
    }

    fn wrong(&mut self, pointer: &str, wrong: Vec<Wrong>) {
        for wrong in wrong {
            let problem = Problem::new(pointer, wrong.to_string());
            self.problems.push(match wrong.range {
                Some(range) => self.places.locate_within(problem, range.start),
                None => self.places.locate(problem),
            });
        }
    }

    /// Secrets that are asked for by their plain name and are not there.
    fn secrets(&mut self, pointer: &str, source: &str) {
        for (at, _) in source.match_indices("secret(") {
            let rest = source[at + "secret(".len()..].trim_start();
            let Some(quote) = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"')) else { continue };
            let Some(name) = rest[1..].split(quote).next() else { continue };
            if self.checks.secrets.iter().any(|secret| secret == name) {
                continue;
            }
            let problem = Problem::new(pointer, format!("there is no secret `{name}`"));
            let near = nearest(name, self.checks.secrets.iter().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("set it: `[plugins.workflow.config.secrets] {name} = {{ file = \"…\" }}`"),
            };
            self.problems.push(self.places.locate_within(problem.hint(hint), at));
        }
    }
}

fn some_of(names: &[String]) -> String {
    names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A moment as people write it.
///
/// # Errors
/// What is expected.
pub(crate) fn parse_time(text: &str) -> Result<Time, String> {
    let parsed: Result<jiff::Timestamp, _> = text.trim().parse();
    parsed.map(Time).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!("`{shown}` is no moment: write `2027-01-31T09:00:00Z` or `2027-01-31T10:00:00+01:00`")
    })
}

/// Every step, those within others included.
pub(crate) fn all_steps(steps: &[Step]) -> Box<dyn Iterator<Item = &Step> + '_> {
    Box::new(steps.iter().flat_map(|step| {
        let inner = step.inner().into_iter().flat_map(|(_, steps)| all_steps(steps));
        std::iter::once(step).chain(inner)
    }))
}

impl Trigger {
    /// Its id as the host knows it.
    fn full_id(&self, definition: &Definition, index: usize) -> String {
        let id = self.id.clone().unwrap_or_else(|| index.to_string());
        format!("{TRIGGERS}{}.{id}", definition.name)
    }

    fn kinds(&self) -> Vec<(&'static str, On)> {
        let event = self.event.as_ref().map(|event| On::Event {
            names: event.names.clone(),
            filter: event.filter.clone(),
            own: event.own,
        });
        let cron = self.cron.as_ref().map(|cron| On::Cron {
            expression: cron.expression.clone(),
            zone: cron.zone.clone(),
            misfire: cron.misfire,
        });
        let every = self.every.map(|every| On::Every { seconds: every.0, misfire: Default::default() });
        let at = self.at.as_ref().map(|at| On::At { time: parse_time(at).unwrap_or(Time::from_micros(0)) });
        let webhook = self.webhook.as_ref().map(|_| On::Webhook);
        let command = self.command.as_ref();
        let command = command.map(|command| On::Command { name: command.name.clone(), help: command.help.clone() });
        let all = [
            ("event", event),
            ("cron", cron),
            ("every", every),
            ("at", at),
            ("webhook", webhook),
            ("command", command),
        ];
        all.into_iter().filter_map(|(name, on)| Some((name, on?))).collect()
    }

    /// As the host takes it.
    ///
    /// # Errors
    /// What is wrong, at a pointer within the trigger.
    pub(crate) fn spec(&self, definition: &Definition, index: usize) -> Result<TriggerSpec, Problem> {
        if let Some(Err(message)) = self.at.as_deref().map(parse_time) {
            return Err(Problem::new("/at", message));
        }
        let mut kinds = self.kinds();
        let Some((_, on)) = kinds.pop().filter(|_| kinds.is_empty()) else {
            let problem =
                Problem::new("", "a trigger is exactly one of `event`, `cron`, `every`, `at`, `webhook`, `command`");
            return Err(problem.hint("give each a `[[triggers]]` of its own"));
        };
        let mut spec = TriggerSpec::new(self.full_id(definition, index), on, definition.name.clone(), Scope::Cluster);
        spec.input = self.input.clone();
        spec.policy = definition.policy();
        spec.policy.concurrency = self.concurrency.unwrap_or(spec.policy.concurrency);
        spec.policy.in_order = self.in_order;
        spec.policy.deduplicate = self.deduplicate.clone();
        Ok(spec)
    }
}

impl Definition {
    fn policy(&self) -> RunPolicy {
        let longest = all_steps(&self.steps).filter_map(|step| step.timeout).chain(self.defaults.timeout).max();
        let longest = longest.unwrap_or(STEP_TIMEOUT).max(STEP_TIMEOUT).0;
        let timeout_seconds = u32::try_from(longest + 60).unwrap_or(u32::MAX).clamp(120, 3600);
        RunPolicy { timeout_seconds, attempts: ATTEMPTS, ..RunPolicy::default() }
    }

    /// The trigger that the host knows by this id; none where it is the one by hand, or is gone.
    pub(crate) fn trigger(&self, full_id: &str) -> Option<&Trigger> {
        let mut triggers = self.triggers.iter().enumerate();
        triggers.find(|(index, trigger)| trigger.full_id(self, *index) == full_id).map(|(_, trigger)| trigger)
    }

    /// Its triggers as the host takes them, the one by hand included. Those that a check would refuse are left out. Of a workflow
    /// that is off only webhooks, which would lose their secrets.
    pub(crate) fn specs(&self) -> Vec<TriggerSpec> {
        let by_hand = format!("{TRIGGERS}{}.{BY_HAND}", self.name);
        let mut by_hand = TriggerSpec::new(by_hand, On::Manual, self.name.clone(), Scope::Cluster);
        by_hand.policy = self.policy();
        let stays = |trigger: &Trigger| self.enabled || trigger.webhook.is_some();
        let named = self.triggers.iter().enumerate().filter(|(_, trigger)| stays(trigger));
        named.filter_map(|(index, trigger)| trigger.spec(self, index).ok()).chain([by_hand]).collect()
    }
}

/// Says on one line each what is wrong.
pub(crate) fn told(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A refusal that holds all problems.
pub(crate) fn refused(problems: &[Problem]) -> PluginError {
    PluginError::config(told(problems))
}

#[cfg(test)]
mod tests;
