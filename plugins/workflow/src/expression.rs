//! Expressions and templates: minijinja without a loader, with limits; what is undefined is an error. Knows no step.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Serde, Value as Item};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use plexichat::secret::{MASK, Secret};
use serde_json::Value;

/// How much work an expression may be: a few thousand rounds of a loop.
const FUEL: u64 = 100_000;

/// How deep a template may nest.
const DEPTH: usize = 64;

/// The longest text that a template may make, in bytes.
pub(crate) const RENDERED_MAX: usize = 256 * 1024;

/// What can stand in an expression.
pub(crate) const NAMES: &[&str] = &["event", "input", "steps", "vars", "run", "now", "loop_index"];

/// Functions of the language.
const FUNCTIONS: &[&str] = &["range", "dict", "namespace", "cycler", "joiner", "lipsum", "debug"];

/// What can stand in an expression beside [`NAMES`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Known<'a> {
    /// Names of loops' variables.
    pub(crate) names: Vec<&'a str>,
    /// Ids of steps.
    pub(crate) ids: Vec<&'a str>,
}

/// What is wrong with an expression, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What, without its place.
    pub(crate) message: String,
    /// The bytes that it is about.
    pub(crate) range: Option<std::ops::Range<usize>>,
    /// Those bytes.
    pub(crate) part: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match self.part.is_empty() {
            true => Ok(()),
            false => write!(formatter, " at `{}`", self.part),
        }
    }
}

impl Wrong {
    fn of(error: &Error, source: &str) -> Self {
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let message = match error.kind() {
            ErrorKind::UndefinedError => "this is not defined".to_owned(),
            ErrorKind::OutOfFuel => "this is too much work for an expression".to_owned(),
            ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest | ErrorKind::SyntaxError => {
                detail
            }
            kind => {
                if detail == kind.to_string() {
                    detail
                } else {
                    format!("{kind}: {detail}")
                }
            }
        };
        let range = error.range().filter(|range| range.end <= source.len() && !range.is_empty());
        let part = range.clone().and_then(|range| source.get(range)).unwrap_or_default();
        let part = part.chars().take(60).collect();
        Self { message, range, part }
    }
}

/// Evaluates expressions.
#[derive(Clone)]
pub(crate) struct Language {
    strict: Environment<'static>,
    with_secrets: Environment<'static>,
    /// For dry runs: what is not known is empty.
    lenient: Environment<'static>,
}

impl fmt::Debug for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Language")
    }
}

/// What a text is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// No secret may stand in it.
    Plain,
    /// `secret("name")` may stand in it.
    Secrets,
    /// A dry run: a secret shows as `***`, and what is not known is empty.
    Dry,
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

impl Language {
    /// With these secrets.
    pub(crate) fn new(secrets: &Arc<BTreeMap<String, Secret>>) -> Self {
        let mut with_secrets = environment();
        let known = secrets.clone();
        with_secrets.add_function("secret", move |name: String| match known.get(&name) {
            Some(secret) => Ok(secret.expose().to_owned()),
            None => Err(no_secret(&name)),
        });
        let mut lenient = environment();
        lenient.set_undefined_behavior(UndefinedBehavior::Chainable);
        let known = secrets.clone();
        lenient.add_function("secret", move |name: String| match known.contains_key(&name) {
            true => Ok(MASK),
            false => Err(no_secret(&name)),
        });
        Self { strict: environment(), with_secrets, lenient }
    }

    fn of(&self, how: Use) -> &Environment<'static> {
        match how {
            Use::Plain => &self.strict,
            Use::Secrets => &self.with_secrets,
            Use::Dry => &self.lenient,
        }
    }

    /// What is wrong with an expression before it is evaluated.
    pub(crate) fn check_expression(&self, source: &str, how: Use, known: &Known<'_>) -> Vec<Wrong> {
        match self.of(how).compile_expression(source) {
            Err(error) => vec![Wrong::of(&error, source)],
            Ok(expression) => strangers(expression.undeclared_variables(true), source, how, known),
        }
    }

    /// What is wrong with a template before it is rendered.
    pub(crate) fn check_template(&self, source: &str, how: Use, known: &Known<'_>) -> Vec<Wrong> {
        match self.of(how).template_from_str(source) {
            Err(error) => vec![Wrong::of(&error, source)],
            Ok(template) => strangers(template.undeclared_variables(true), source, how, known),
        }
    }

    /// The value of an expression.
    pub(crate) fn evaluate(&self, source: &str, how: Use, scope: &Value) -> Result<Value, Wrong> {
        let wrong = |error: &Error| Wrong::of(error, source);
        let expression = self.of(how).compile_expression(source).map_err(|error| wrong(&error))?;
        let item = expression.eval(Item::from(Serde(scope))).map_err(|error| wrong(&error))?;
        if item.is_undefined() && how != Use::Dry {
            return Err(Wrong {
                message: "this is not defined".to_owned(),
                range: None,
                part: source.trim().to_owned(),
            });
        }
        serde_json::to_value(&item).map_err(|error| Wrong {
            message: error.to_string(),
            range: None,
            part: String::new(),
        })
    }

    /// Whether an expression is true.
    pub(crate) fn holds(&self, source: &str, how: Use, scope: &Value) -> Result<bool, Wrong> {
        let wrong = |error: &Error| Wrong::of(error, source);
        let expression = self.of(how).compile_expression(source).map_err(|error| wrong(&error))?;
        Ok(expression.eval(Item::from(Serde(scope))).map_err(|error| wrong(&error))?.is_true())
    }

    /// The text that a template makes.
    pub(crate) fn render(&self, source: &str, how: Use, scope: &Value) -> Result<String, Wrong> {
        if !source.contains("{{") && !source.contains("{%") && !source.contains("{#") {
            return Ok(source.to_owned());
        }
        let text =
            self.of(how).render_str(source, Item::from(Serde(scope))).map_err(|error| Wrong::of(&error, source))?;
        match text.len() > RENDERED_MAX {
            true => Err(Wrong {
                message: format!("the text is longer than {RENDERED_MAX} bytes"),
                range: None,
                part: String::new(),
            }),
            false => Ok(text),
        }
    }

    /// A value in which every text is a template. A text that is one `{{ … }}` and nothing else becomes what stands in it: a list
    /// stays a list.
    pub(crate) fn fill(&self, value: &Value, how: Use, scope: &Value) -> Result<Value, Wrong> {
        Ok(match value {
            Value::String(text) => match only_expression(text) {
                Some(expression) => self.evaluate(expression, how, scope)?,
                None => Value::String(self.render(text, how, scope)?),
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill(item, how, scope)).collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => {
                let filled = entries.iter().map(|(key, value)| Ok((key.clone(), self.fill(value, how, scope)?)));
                Value::Object(filled.collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    }
}

fn no_secret(name: &str) -> Error {
    let name: String = name.chars().take(40).collect();
    Error::new(
        ErrorKind::InvalidOperation,
        format!("there is no secret `{name}` in `[plugins.workflow.config.secrets]`"),
    )
}

/// The expression of a text that is one `{{ … }}` and nothing else.
fn only_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    // Two of them, or one that has such marks in a text of its own, is rendered as a text.
    (!inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%")).then_some(inner)
}

/// Names that nothing will define.
fn strangers(used: std::collections::HashSet<String>, source: &str, how: Use, known: &Known<'_>) -> Vec<Wrong> {
    let mut used: Vec<String> = used.into_iter().collect();
    used.sort();
    let mut wrong: Vec<Wrong> = Vec::new();
    for path in used {
        let mut parts = path.split('.');
        let name = parts.next().unwrap_or_default();
        let mut about = name;
        let message = match (name, how) {
            ("steps", _) => match parts.next().filter(|id| !known.ids.contains(id)).inspect(|id| about = id) {
                Some(id) => format!("no step has the id `{id}`{}", hint(id, &known.ids)),
                None => continue,
            },
            ("secret", Use::Secrets | Use::Dry) => continue,
            ("secret", Use::Plain) => {
                "a secret may stand only in `http` and `tool` steps: what stands elsewhere is kept with the run"
                    .to_owned()
            }
            _ if NAMES.contains(&name) || FUNCTIONS.contains(&name) || known.names.contains(&name) => continue,
            _ => {
                let names: Vec<&str> = NAMES[..6].iter().copied().chain(known.names.iter().copied()).collect();
                format!("nothing is called `{name}`{}", hint(name, &names))
            }
        };
        let found = Wrong { message, range: word(source, about), part: String::new() };
        if !wrong.iter().any(|other| other.message == found.message) {
            wrong.push(found);
        }
    }
    wrong
}

/// What was meant, or what there is.
fn hint(name: &str, names: &[&str]) -> String {
    match plexichat::problem::nearest(name, names.iter().copied()) {
        Some(near) => format!(" (did you mean `{near}`?)"),
        None if names.is_empty() => String::new(),
        None => {
            let listed: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
            format!(" (there is {})", listed.join(", "))
        }
    }
}

/// Where a word first stands by itself.
fn word(source: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    source
        .match_indices(name)
        .map(|(at, _)| at..at + name.len())
        .find(|range| !source[..range.start].ends_with(part) && !source[range.end..].starts_with(part))
}

/// Takes secrets out of whatever is kept or shown.
#[derive(Clone, Default)]
pub(crate) struct Scrubber(Arc<BTreeMap<String, Secret>>);

impl fmt::Debug for Scrubber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Scrubber")
    }
}

impl Scrubber {
    pub(crate) fn new(secrets: Arc<BTreeMap<String, Secret>>) -> Self {
        Self(secrets)
    }

    /// A text without them.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.0.values().filter(|secret| !secret.expose().is_empty()) {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), MASK);
            }
            // As it stands within JSON that stands within a text.
            let escaped = Value::String(secret.expose().to_owned()).to_string();
            let escaped = escaped.trim_matches('"');
            if escaped != secret.expose() && text.contains(escaped) {
                text = text.replace(escaped, MASK);
            }
        }
        text
    }

    /// A value without them.
    pub(crate) fn value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(entries) => {
                Value::Object(entries.into_iter().map(|(key, value)| (self.text(&key), self.value(value))).collect())
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn language() -> Language {
        let secrets = [("token".to_owned(), Secret::new("s3cr3t-4711"))];
        Language::new(&Arc::new(secrets.into()))
    }

    fn scope() -> Value {
        json!({ "vars": { "list": [1, 2], "name": "ann", "deep": { "a": null } }, "steps": {}, "event": { "data": { "text": "hi" } } })
    }

    #[track_caller]
    fn check(value: Value, expected: Result<Value, &str>) {
        let found = language().fill(&value, Use::Plain, &scope()).map_err(|wrong| wrong.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn templates_give_texts_and_values() {
        check(json!("hello {{ vars.name }}!"), Ok(json!("hello ann!")));
        check(json!("{{ vars.list }}"), Ok(json!([1, 2])));
        check(json!("{{ vars.list | length }}"), Ok(json!(2)));
        check(json!("{{ vars.list }}, {{ vars.name }}"), Ok(json!("[1, 2], ann")));
        check(json!({ "a": ["{{ vars.deep }}", 3] }), Ok(json!({ "a": [{ "a": null }, 3] })));
        check(json!("{% for i in vars.list %}<{{ i }}>{% endfor %}"), Ok(json!("<1><2>")));
        check(json!("{{ '<b>' }} & {{ event.data.text | upper }}"), Ok(json!("<b> & HI")));
        check(json!("no template }}"), Ok(json!("no template }}")));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        check(json!("{{ vars.nothing }}"), Err("this is not defined at `vars.nothing`"));
        check(json!("a {{ vars.nothing }}"), Err("this is not defined at `vars.nothing`"));
        check(json!("{{ vars.nothing | default('x') }}"), Ok(json!("x")));
        check(
            json!("{{ vars.name + 1 }}"),
            Err("invalid operation: tried to use + operator on unsupported types string and number at `vars.name + 1`"),
        );
        check(
            json!("{% for a in range(9000) %}{% for b in range(9000) %}{{ b }}{% endfor %}{% endfor %}"),
            Err("this is too much work for an expression"),
        );
    }

    #[track_caller]
    fn check_source(source: &str, how: Use, expected: &[&str]) {
        let known = Known { names: vec!["item"], ids: vec!["ask"] };
        let found = language().check_expression(source, how, &known);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn expressions_are_checked_before_they_run() {
        check_source("vars.a and item.b > 3", Use::Plain, &[]);
        check_source("evnt.data", Use::Plain, &["nothing is called `evnt` (did you mean `event`?)"]);
        check_source("steps.ask.result.text", Use::Plain, &[]);
        check_source("steps.aks.result.text", Use::Plain, &["no step has the id `aks` (there is `ask`)"]);
        check_source("vars.a ==", Use::Plain, &["unexpected end of input, expected expression at `==`"]);
        check_source("vars.a | uper", Use::Plain, &[]);
        check_source("secret('token')", Use::Secrets, &[]);
        check_source(
            "secret('token')",
            Use::Plain,
            &["a secret may stand only in `http` and `tool` steps: what stands elsewhere is kept with the run"],
        );
    }

    #[test]
    fn secrets_stay_where_they_belong() {
        let language = language();
        let source = json!({ "authorization": "Bearer {{ secret('token') }}" });
        let real = language.fill(&source, Use::Secrets, &scope()).unwrap();
        assert_eq!(real["authorization"], "Bearer s3cr3t-4711");
        let dry = language.fill(&source, Use::Dry, &scope()).unwrap();
        assert_eq!(dry["authorization"], "Bearer ***");
        let missing = language.fill(&json!("{{ secret('tok') }}"), Use::Secrets, &scope()).unwrap_err();
        assert!(missing.to_string().contains("there is no secret `tok`"), "{missing}");
        let scrubber = Scrubber::new(Arc::new([("a".to_owned(), Secret::new("x\"y-long"))].into()));
        assert_eq!(scrubber.text("it is x\"y-long, as JSON x\\\"y-long"), "it is ***, as JSON ***");
        assert_eq!(scrubber.value(json!({ "x\"y-long": ["x\"y-long"] })), json!({ "***": ["***"] }));
    }

    #[test]
    fn dry_runs_know_less() {
        let language = language();
        assert_eq!(language.render("a{{ steps.ask.result.text }}", Use::Dry, &scope()).unwrap(), "a");
        assert_eq!(language.evaluate("steps.ask.result", Use::Dry, &scope()).unwrap(), Value::Null);
    }
}
