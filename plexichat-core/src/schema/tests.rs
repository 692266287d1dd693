//! What each kind of bad input gets, as text.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::secret::Secret;

#[derive(Debug, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The key of the service.
    #[garde(length(min = 3))]
    api_key: Secret,
    /// Seconds.
    #[garde(range(min = 1, max = 600))]
    #[serde(default = "timeout")]
    timeout: u16,
    #[garde(skip)]
    #[serde(default)]
    mode: Mode,
    #[garde(skip)]
    #[serde(default)]
    action: Option<Action>,
    #[garde(skip)]
    #[serde(default)]
    source: Option<Source>,
    #[garde(dive)]
    #[serde(default)]
    rules: Vec<Rule>,
    #[garde(skip)]
    #[serde(default)]
    weights: BTreeMap<String, f32>,
    #[garde(skip)]
    #[serde(default)]
    pair: Option<(u8, String)>,
    #[garde(skip)]
    #[serde(default)]
    fallback: Option<Box<Settings>>,
}

fn timeout() -> u16 {
    30
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Careful.
    #[default]
    Slow,
    /// Not so.
    Quick,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Reject,
    Replace { with: String },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Source {
    File { path: String },
    Web { url: String, port: u16 },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[garde(custom(no_spaces))]
    word: String,
    #[garde(skip)]
    #[serde(default)]
    token: Option<Secret>,
}

fn no_spaces(word: &str, (): &()) -> garde::Result {
    match word.contains(' ') {
        true => Err(garde::Error::new("has a space in it")),
        false => Ok(()),
    }
}

impl Config for Settings {}

#[track_caller]
fn check(value: Value, expected: Expect) {
    let found = match parse_config::<Settings>(&value) {
        Ok(_) => "fine".to_owned(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&found);
}

#[test]
fn good_ones_pass() {
    check(json!({"api_key": "abc"}), expect!["fine"]);
    check(
        json!({
            "api_key": "abc", "timeout": 1, "mode": "quick", "action": {"replace": {"with": "-"}},
            "source": {"kind": "web", "url": "x", "port": 1}, "rules": [{"word": "a", "token": null}],
            "weights": {"a": 1, "b": 0.5}, "pair": [1, "a"], "fallback": {"api_key": "def"}
        }),
        expect!["fine"],
    );
}

#[test]
fn every_finding_comes_at_once() {
    check(
        json!({"timout": 5, "timeout": 0, "mode": "quik", "rules": [{"word": 1}, {"wrd": "a"}], "weights": {"a/b": "x"}}),
        expect![[r#"
            /api_key: is required and missing (The key of the service)
            /mode: expected one of `slow`, `quick` (did you mean `quick`?)
            /rules/0/word: expected text, found a whole number
            /rules/1/word: is required and missing
            /rules/1/wrd: unknown key `wrd` (did you mean `word`?)
            /timeout: must be at least 1
            /timout: unknown key `timout` (did you mean `timeout`?)
            /weights/a~1b: expected a number, found text"#]],
    );
}

#[test]
fn the_variant_that_was_meant_is_judged() {
    check(
        json!({"api_key": "abc", "action": "rejct"}),
        expect!["/action: expected one of `reject`, `replace` (did you mean `reject`?)"],
    );
    check(
        json!({"api_key": "abc", "action": {"replace": {"wth": "-"}}}),
        expect!["/action/replace/with: is required and missing"],
    );
    check(
        json!({"api_key": "abc", "action": {"replce": {"with": "-"}}}),
        expect!["/action: expected one of `reject`, `replace` (did you mean `replace`?)"],
    );
    check(json!({"api_key": "abc", "action": 5}), expect!["/action: expected one of `reject`, `replace`"]);
    check(
        json!({"api_key": "abc", "source": {"kind": "web", "url": 5, "prt": 1}}),
        expect![[r#"
        /source/port: is required and missing
        /source/prt: unknown key `prt` (did you mean `port`?)
        /source/url: expected text, found a whole number"#]],
    );
    check(json!({"api_key": "abc", "source": {"kind": "wbe"}}), expect!["/source/kind: expected one of `file`, `web`"]);
    check(json!({"api_key": "abc", "source": {}}), expect!["/source/kind: expected one of `file`, `web`"]);
    check(
        json!({"api_key": "abc", "pair": [300, 1]}),
        expect![[r#"
        /pair/0: must be at most 255
        /pair/1: expected text, found a whole number"#]],
    );
    check(json!({"api_key": "abc", "pair": [3]}), expect!["/pair: must have at least 2 items, has 1"]);
}

#[test]
fn wrong_as_a_whole() {
    check(json!(null), expect!["expected a table, found nothing"]);
    check(json!([1]), expect!["expected a table, found a list"]);
    check(
        json!({"api_key": null, "timeout": 70000, "mode": {}, "rules": {}}),
        expect![[r#"
        /api_key: expected text, found nothing
        /mode: expected one of `slow`, `quick`
        /rules: expected a list, found a table
        /timeout: must be at most 600"#]],
    );
    check(json!({"api_key": "abc", "timeout": 1.5}), expect!["/timeout: expected a whole number, found a number"]);
    check(json!({"api_key": "abc", "timeout": "5"}), expect!["/timeout: expected a whole number, found text"]);
    check(
        json!({"api_key": "abc", "a\nb": 1}),
        expect![[
            r#"/a\nb: unknown key `a\nb` (there is `action`, `api_key`, `fallback`, `mode`, `pair`, `rules`, `source`, `timeout`, `weights`)"#
        ]],
    );
}

#[test]
fn the_type_has_the_last_word() {
    check(
        json!({"api_key": "abc", "rules": [{"word": "a"}, {"word": "a b"}, {"word": " "}]}),
        expect![[r#"
        /rules/1/word: has a space in it
        /rules/2/word: has a space in it"#]],
    );
    check(
        json!({"api_key": "***"}),
        expect!["/api_key: this is the mask that is shown in a secret's place, not the secret"],
    );
    check(json!({"api_key": "ab"}), expect!["/api_key: must have at least 3 characters, has 2"]);
}

#[test]
fn secrets_are_in_no_finding() {
    for value in [
        json!({"api_key": "s3cret!", "api_kye": "s3cret!", "timeout": "s3cret!", "mode": "s3cret!", "action": "s3cret!"}),
        json!({"api_key": "s3cret!", "rules": ["s3cret!"], "source": {"kind": "s3cret!"}, "pair": ["s3cret!"]}),
        json!({"api_key": ["s3cret!"], "rules": [{"word": "a", "token": {"s": "s3cret!"}}]}),
    ] {
        let problems = parse_config::<Settings>(&value).unwrap_err();
        assert!(problems.len() >= 2 && !format!("{problems:?}").contains("s3cret"), "{problems:?}");
    }
}

#[test]
fn deep_and_wide_values_end() {
    let deep = (0..100).fold(json!({"api_key": "abc"}), |inner, _| json!({"api_key": "abc", "fallback": inner}));
    let schema = config_schema::<Settings>();
    assert!(findings(&schema, &deep).iter().any(|problem| problem.message.contains("too deeply")));
    let wide = json!({"api_key": "abc", "rules": vec![json!(1); 50_000]});
    assert_eq!(findings(&schema, &wide).len(), 100);
    let looped =
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}});
    assert!(!findings(&looped, &json!(1)).is_empty());
}

#[test]
fn defaults_come_without_required_fields_and_secrets() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Defaults {
        key: Secret,
        nested: Rule,
        many: Vec<Rule>,
        number: u8,
    }
    impl Default for Defaults {
        fn default() -> Self {
            let rule = || Rule { word: "a".into(), token: Some(Secret::new("t")) };
            Self { key: Secret::new("k"), nested: rule(), many: vec![rule()], number: 3 }
        }
    }
    let schema = schemars::schema_for!(Defaults).to_value();
    let expected = json!({"nested": {"word": "a"}, "many": [{"word": "a"}], "number": 3});
    assert_eq!(default_config(&schema), expected);
    let defaults = default_config(&config_schema::<Settings>());
    assert_eq!(defaults["timeout"], 30);
    assert!(defaults.get("api_key").is_none());
}

#[test]
fn secrets_are_masked_and_come_back() {
    let schema = config_schema::<Settings>();
    let value = json!({
        "api_key": "abc", "timeout": 5, "rules": [{"word": "a", "token": "t"}, {"word": "b", "token": null}],
        "fallback": {"api_key": {"env": "X"}}, "api_kye": "abc"
    });
    let mut shown = crate::secret::mask(&schema, &value);
    let expected = json!({
        "api_key": "***", "timeout": 5, "rules": [{"word": "a", "token": "***"}, {"word": "b", "token": null}],
        "fallback": {"api_key": "***"}, "api_kye": "***"
    });
    assert_eq!(shown, expected);
    shown["timeout"] = json!(6);
    crate::secret::unmask(&schema, &mut shown, &value);
    assert_eq!(shown["api_key"], "abc");
    assert_eq!(shown["rules"][0]["token"], "t");
    assert_eq!(shown["timeout"], 6);
}

#[test]
fn secrets_follow_the_items_of_a_list() {
    let schema = config_schema::<Settings>();
    let rule = |word: &str, token: &str| json!({"word": word, "token": token});
    let old = json!({"rules": [rule("a", "1"), rule("b", "2"), rule("c", "3")]});
    let check = |rules: Value, tokens: [&str; 3]| {
        let mut new = json!({"rules": rules});
        crate::secret::unmask(&schema, &mut new, &old);
        let found: Vec<&str> =
            new["rules"].as_array().unwrap().iter().filter_map(|rule| rule["token"].as_str()).collect();
        assert_eq!(found, &tokens[..found.len()], "{new}");
    };
    check(json!([rule("a", "***"), rule("b", "***"), rule("c", "***")]), ["1", "2", "3"]);
    check(json!([rule("c", "***"), rule("a", "***"), rule("b", "***")]), ["3", "1", "2"]);
    check(json!([rule("b", "***"), rule("c", "***")]), ["2", "3", ""]);
    check(json!([rule("a", "***"), rule("new", "***"), rule("c", "9")]), ["1", "2", "9"]);
    check(json!([rule("new", "***"), rule("b", "***")]), ["***", "2", ""]);
}
