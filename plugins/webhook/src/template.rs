//! Templates of operators: what a body or an event becomes. Knows no hook.

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

/// How much a template may do: some thousand steps.
const FUEL: u64 = 50_000;

/// The longest that one makes.
const LONGEST: usize = 256 * 1024;

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
}

/// What is wrong with a template; nothing where it can be used.
pub(crate) fn check(template: &str) -> Result<(), String> {
    environment().template_from_str(template).map(drop).map_err(|error| told(&error))
}

/// What a template makes of these values.
pub(crate) fn render(template: &str, values: &Value) -> Result<String, String> {
    let text = environment().render_str(template, minijinja::value::Serde(values)).map_err(|error| told(&error))?;
    match text.len() {
        0..=LONGEST => Ok(text),
        length => Err(format!("it makes {length} bytes, at most {LONGEST} are taken")),
    }
}

fn told(error: &minijinja::Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    match error.kind() {
        ErrorKind::OutOfFuel => format!("{line}it takes too many steps"),
        kind => {
            format!("{line}{}", error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_text(template: &str, values: Value, expected: Result<&str, &str>) {
        match (render(template, &values), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{template}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn templates_see_the_body() {
        check_text(
            "{{ body.who }} did {{ body.what|upper }}",
            json!({ "body": { "who": "ann", "what": "it" } }),
            Ok("ann did IT"),
        );
        check_text("{% for a in body %}{{ a }},{% endfor %}", json!({ "body": [1, 2] }), Ok("1,2,"));
        check_text("[{{ body.missing.deep }}]", json!({}), Ok("[]"));
        check_text("{{ body|tojson }}", json!({ "body": { "a": "<b>" } }), Ok("{\"a\": \"\\u003cb\\u003e\"}"));
    }

    #[test]
    fn templates_end() {
        check_text(
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
            json!({}),
            Err("too many steps"),
        );
        check_text("{{ body", json!({}), Err("line 1"));
        assert!(check("{% if %}").unwrap_err().contains("line 1"));
        assert_eq!(check("{{ body.a }}"), Ok(()));
    }
}
