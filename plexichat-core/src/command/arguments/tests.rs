//! What people type and what becomes of it, as text.

use expect_test::{Expect, expect};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;

macro_rules! model {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? }) => {
        #[derive(Debug, Deserialize, JsonSchema, Validate)]
        #[serde(deny_unknown_fields)]
        #[garde(allow_unvalidated)]
        #[allow(dead_code, reason = "most are read through Debug only")]
        struct $name { $($(#[$attribute])* $field: $type,)* }

        impl Model for $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }
    };
}

model!(Text { text: String });
model!(Roll { #[garde(range(min = 2, max = 100), custom(not_thirteen))] #[serde(default = "six")] sides: u8, count: Option<u32>, });
model!(Remind { who: String, minutes: f64, loud: Option<bool>, what: Option<String>, });
model!(Paint { color: Color, shade: Option<Color>, at: Option<Point>, tags: Vec<String>, });
model!(Numbers { numbers: Vec<i64>, });
model!(Nothing {});
model!(Anything { first: Value, second: Option<i64>, });

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Color {
    /// As blood.
    Red,
    /// As the sky.
    Blue,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read through Debug")]
struct Point {
    x: i32,
    y: i32,
}

fn not_thirteen(sides: &u8, (): &()) -> garde::Result {
    if *sides == 13 { Err(garde::Error::new("brings bad luck")) } else { Ok(()) }
}

fn six() -> u8 {
    6
}

#[track_caller]
fn check<A: Model + std::fmt::Debug>(text: &str, expected: Expect) {
    let found = match parse_arguments::<A>("do", text) {
        Ok(arguments) => format!("{arguments:?}"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&found);
}

#[test]
fn one_text_takes_the_line_as_it_is() {
    check::<Text>("hello", expect![[r#"Text { text: "hello" }"#]]);
    check::<Text>("  two  words, \"quoted\" or not  ", expect![[r#"Text { text: "two  words, \"quoted\" or not" }"#]]);
    check::<Text>("a=b text=c", expect![[r#"Text { text: "a=b text=c" }"#]]);
    check::<Text>("text=c", expect![[r#"Text { text: "text=c" }"#]]);
    check::<Text>("\"in  quotes\"", expect![[r#"Text { text: "in  quotes" }"#]]);
    check::<Text>("\"not closed", expect![[r#"Text { text: "\"not closed" }"#]]);
    check::<Text>("5", expect![[r#"Text { text: "5" }"#]]);
    check::<Text>("line\nline", expect![[r#"Text { text: "line\nline" }"#]]);
    check::<Text>("", expect!["`text`: is required and missing; usage: /do <text…>"]);
    check::<Text>("\"\"", expect![[r#"Text { text: "" }"#]]);
}

#[test]
fn numbers_are_read_and_held_within_their_bounds() {
    check::<Roll>("", expect!["Roll { sides: 6, count: None }"]);
    check::<Roll>("20 3", expect!["Roll { sides: 20, count: Some(3) }"]);
    check::<Roll>("count=3", expect!["Roll { sides: 6, count: Some(3) }"]);
    check::<Roll>("count=3 20", expect!["Roll { sides: 20, count: Some(3) }"]);
    check::<Roll>("20 sides=3", expect!["`sides` is given twice; usage: /do [sides] [count]"]);
    check::<Roll>("count=1 count=2", expect!["`count` is given twice; usage: /do [sides] [count]"]);
    check::<Roll>("1", expect!["`sides`: must be at least 2; usage: /do [sides] [count]"]);
    check::<Roll>("300", expect!["`sides`: must be at most 100; usage: /do [sides] [count]"]);
    check::<Roll>("13", expect!["`sides`: brings bad luck; usage: /do [sides] [count]"]);
    check::<Roll>("-5", expect!["`sides`: must be at least 2; usage: /do [sides] [count]"]);
    check::<Roll>("1.5", expect!["`sides`: `1.5` is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>("six", expect!["`sides`: `six` is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>("0x10", expect!["`sides`: `0x10` is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>(
        "99999999999999999999",
        expect!["`sides`: `99999999999999999999` is no whole number; usage: /do [sides] [count]"],
    );
    check::<Roll>("1 2 3", expect!["`3` is too much; usage: /do [sides] [count]"]);
    check::<Roll>("20 3 cuont=5", expect!["`cuont` is no field; did you mean `count`?; usage: /do [sides] [count]"]);
    check::<Roll>("\"20\"", expect!["Roll { sides: 20, count: None }"]);
}

#[test]
fn words_fill_the_fields_in_their_order() {
    check::<Remind>(
        "ada 5 yes buy  the milk",
        expect![[r#"Remind { who: "ada", minutes: 5.0, loud: Some(true), what: Some("buy  the milk") }"#]],
    );
    check::<Remind>(
        "\"Ada Lovelace\" 1e3 off",
        expect![[r#"Remind { who: "Ada Lovelace", minutes: 1000.0, loud: Some(false), what: None }"#]],
    );
    check::<Remind>(
        "“Ada Lovelace” 1",
        expect![[r#"Remind { who: "Ada Lovelace", minutes: 1.0, loud: None, what: None }"#]],
    );
    check::<Remind>(
        "„Ada Lovelace“ 1",
        expect![[r#"Remind { who: "Ada Lovelace", minutes: 1.0, loud: None, what: None }"#]],
    );
    check::<Remind>(
        r#"who="a \"b\" \\ \n" minutes=2"#,
        expect![[r#"Remind { who: "a \"b\" \\ \\n", minutes: 2.0, loud: None, what: None }"#]],
    );
    check::<Remind>(
        "what=tea who=ada minutes=1 loud=no",
        expect![[r#"Remind { who: "ada", minutes: 1.0, loud: Some(false), what: Some("tea") }"#]],
    );
    check::<Remind>(
        "ada 5 what=\"tea, now\" loud=ON",
        expect![[r#"Remind { who: "ada", minutes: 5.0, loud: Some(true), what: Some("tea, now") }"#]],
    );
    check::<Remind>(
        "ada 5 true minutes=5 is what I said",
        expect![[r#"Remind { who: "ada", minutes: 5.0, loud: Some(true), what: Some("minutes=5 is what I said") }"#]],
    );
    check::<Remind>("ada", expect!["`minutes`: is required and missing; usage: /do <who> <minutes> [loud] [what…]"]);
    check::<Remind>(
        "",
        expect![
            "`who`: is required and missing; `minutes`: is required and missing; usage: /do <who> <minutes> [loud] [what…]"
        ],
    );
    check::<Remind>(
        "ada soon maybe",
        expect!["`minutes`: `soon` is no number; usage: /do <who> <minutes> [loud] [what…]"],
    );
    check::<Remind>(
        "ada 5 maybe",
        expect!["`loud`: `maybe` is no `true` or `false`; usage: /do <who> <minutes> [loud] [what…]"],
    );
    check::<Remind>("ada inf", expect!["`minutes`: `inf` is no number; usage: /do <who> <minutes> [loud] [what…]"]);
    check::<Remind>("ada NaN", expect!["`minutes`: `NaN` is no number; usage: /do <who> <minutes> [loud] [what…]"]);
    check::<Remind>(
        "\"ada",
        expect![[r#"a quote is opened and not closed: `"ada`; usage: /do <who> <minutes> [loud] [what…]"#]],
    );
    check::<Remind>(
        "\"ada\"5",
        expect![[r#"a space is missing behind `"ada"`; usage: /do <who> <minutes> [loud] [what…]"#]],
    );
    check::<Remind>("5 5", expect![[r#"Remind { who: "5", minutes: 5.0, loud: None, what: None }"#]]);
}

#[test]
fn choices_tables_and_lists() {
    check::<Paint>(
        "red blue {\"x\": 1, \"y\": -2} a \"b c\" 5",
        expect![[
            r#"Paint { color: Red, shade: Some(Blue), at: Some(Point { x: 1, y: -2 }), tags: ["a", "b c", "5"] }"#
        ]],
    );
    check::<Paint>(
        "red tags=[\"a\", \"b\"] shade=blue",
        expect![[r#"Paint { color: Red, shade: Some(Blue), at: None, tags: ["a", "b"] }"#]],
    );
    check::<Paint>(
        "at={\"x\":1,\"y\":2} red blue",
        expect!["`tags`: is required and missing; usage: /do <color> [shade] [at] <tags…>"],
    );
    check::<Paint>(
        "rde",
        expect![
            "`tags`: is required and missing; `color`: expected one of `red`, `blue`; usage: /do <color> [shade] [at] <tags…>"
        ],
    );
    check::<Paint>(
        "red blue {\"x\": 1",
        expect![
            "`at`: this is no table in JSON: EOF while parsing an object at line 1 column 7; usage: /do <color> [shade] [at] <tags…>"
        ],
    );
    check::<Paint>(
        "red blue {\"x\": 1}",
        expect![
            "`tags`: is required and missing; `at/y`: is required and missing; usage: /do <color> [shade] [at] <tags…>"
        ],
    );
    check::<Paint>(
        "red blue 5",
        expect![
            "`tags`: is required and missing; `at`: expected a table, found a whole number; usage: /do <color> [shade] [at] <tags…>"
        ],
    );
    check::<Numbers>("1 -2 3", expect!["Numbers { numbers: [1, -2, 3] }"]);
    check::<Numbers>("[1, 2]", expect!["Numbers { numbers: [1, 2] }"]);
    check::<Numbers>("1 two", expect!["`numbers`: `two` is no whole number; usage: /do <numbers…>"]);
    check::<Numbers>("", expect!["`numbers`: is required and missing; usage: /do <numbers…>"]);
    check::<Anything>(
        "{\"a\":[1]} 2",
        expect![[r#"Anything { first: Object {"a": Array [Number(1)]}, second: Some(2) }"#]],
    );
    check::<Anything>("word 2", expect![[r#"Anything { first: String("word"), second: Some(2) }"#]]);
    check::<Nothing>("", expect!["Nothing"]);
    check::<Nothing>("x", expect!["`x` is too much; usage: /do"]);
}

#[test]
fn hostile_input_ends_in_a_message() {
    check::<Roll>("`rm -rf` \u{7}\u{1b}[31m", expect!["`sides`: `�rm` is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>(
        &"9".repeat(1_000_000),
        expect!["`sides`: `9999999999999999999999999999999999999999…` is no whole number; usage: /do [sides] [count]"],
    );
    check::<Numbers>(
        &"[".repeat(100_000),
        expect!["`numbers`: this is no list: recursion limit exceeded at line 1 column 128; usage: /do <numbers…>"],
    );
    check::<Roll>("=", expect!["`sides`: `=` is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>("==sides=2", expect!["`sides`: `==sides=2` is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>("sides=", expect!["`sides`: an empty word is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>("\u{202e}20", expect!["`sides`: `�20` is no whole number; usage: /do [sides] [count]"]);
    check::<Roll>("２０", expect!["`sides`: `２０` is no whole number; usage: /do [sides] [count]"]);
    check::<Remind>(
        "\"",
        expect![[r#"a quote is opened and not closed: `"`; usage: /do <who> <minutes> [loud] [what…]"#]],
    );
    check::<Remind>(
        "\"\\",
        expect![[r#"a quote is opened and not closed: `"\`; usage: /do <who> <minutes> [loud] [what…]"#]],
    );
    check::<Remind>(
        "__proto__=1 2",
        expect![[r#"Remind { who: "__proto__=1", minutes: 2.0, loud: None, what: None }"#]],
    );
    assert!(parse_arguments::<Text>("do", &"\"\\".repeat(500_000)).is_ok());
    let many = parse_arguments::<Numbers>("do", &"1 ".repeat(20_000)).unwrap();
    assert_eq!(many.numbers.len(), 20_000);
}
