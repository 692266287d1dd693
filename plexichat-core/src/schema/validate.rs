//! Holds a value against the JSON Schema that schemars generates, and gives every finding. Knows no type and no layer.
//!
//! The keywords are those that schemars 1 writes for types; `format` and `pattern` are left to the type's own parsing, which
//! always has the last word. Findings never repeat a value: it may be a secret.

use std::cmp::Ordering;

use serde_json::Value;

use super::walk::resolve;
use crate::problem::{Problem, nearest, push_key};

/// How deep values and references are followed.
const DEPTH_MAX: usize = 64;
/// How many places are looked at altogether, and how many for each part of the value, since alternatives multiply.
const STEPS_MAX: usize = 100_000;
const STEPS_PER_PART: usize = 16;
/// How many findings are given.
const FINDINGS_MAX: usize = 100;

/// Everything in a value that does not fit the schema, each with its JSON pointer.
pub fn findings(schema: &Value, value: &Value) -> Vec<Problem> {
    let steps = STEPS_MAX + STEPS_PER_PART * parts(value);
    let mut validator = Validator { root: schema, steps, too_deep: false };
    let mut problems = Vec::new();
    validator.check(schema, value, &mut Place::default(), &mut problems);
    if validator.too_deep {
        problems.push(Problem::new("", "it is nested too deeply, or too large, to be checked"));
    }
    problems.truncate(FINDINGS_MAX);
    problems
}

/// How many values a value holds.
fn parts(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + parts(item)).sum(),
        Value::Object(entries) => entries.values().map(|value| 1 + parts(value)).sum(),
        _ => 0,
    }
}

struct Validator<'a> {
    root: &'a Value,
    /// How many are left.
    steps: usize,
    too_deep: bool,
}

/// Where in the value the check stands.
#[derive(Default)]
struct Place {
    pointer: String,
    depth: usize,
}

impl Place {
    fn inside<R>(&mut self, key: &str, look: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.pointer.len();
        push_key(&mut self.pointer, key);
        let result = look(self);
        self.pointer.truncate(length);
        result
    }
}

impl<'a> Validator<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value, place: &mut Place, problems: &mut Vec<Problem>) {
        if place.depth > DEPTH_MAX || self.steps == 0 {
            self.too_deep = true;
            return;
        }
        self.steps -= 1;
        place.depth += 1;
        self.check_here(schema, value, place, problems);
        place.depth -= 1;
    }

    fn check_here(&mut self, schema: &'a Value, value: &Value, place: &mut Place, problems: &mut Vec<Problem>) {
        if *schema == Value::Bool(false) {
            problems.push(Problem::new(&*place.pointer, "nothing may stand here"));
            return;
        }
        if let Some(target) = resolve(self.root, schema) {
            self.check(target, value, place, problems);
        }
        for part in list(schema, "allOf") {
            self.check(part, value, place, problems);
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(variants) = schema[word].as_array() {
                self.check_variants(variants, value, place, problems);
            }
        }
        // Where even the type is wrong, nothing else is worth saying.
        if let Some(problem) = wrong_type(schema, value, place) {
            problems.push(problem);
            return;
        }
        if let Some(problem) = wrong_choice(schema, value, place) {
            problems.push(problem);
            return;
        }
        match value {
            Value::Number(_) => check_number(schema, value, place, problems),
            Value::String(text) => check_length(schema, text.chars().count(), "Length", place, problems),
            Value::Array(items) => {
                check_length(schema, items.len(), "Items", place, problems);
                self.check_items(schema, items, place, problems);
            }
            Value::Object(entries) => {
                check_length(schema, entries.len(), "Properties", place, problems);
                self.check_properties(schema, entries, place, problems);
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn check_items(&mut self, schema: &'a Value, items: &[Value], place: &mut Place, problems: &mut Vec<Problem>) {
        let first = list(schema, "prefixItems");
        for (index, item) in items.iter().enumerate() {
            if let Some(item_schema) = first.get(index).or_else(|| schema.get("items")) {
                place.inside(&index.to_string(), |place| self.check(item_schema, item, place, problems));
            }
            if schema["uniqueItems"] == true && items[..index].contains(item) {
                let message = "stands in the list twice";
                place.inside(&index.to_string(), |place| problems.push(Problem::new(&*place.pointer, message)));
            }
        }
    }

    fn check_properties(
        &mut self,
        schema: &'a Value,
        entries: &serde_json::Map<String, Value>,
        place: &mut Place,
        problems: &mut Vec<Problem>,
    ) {
        let known = schema["properties"].as_object();
        for key in list(schema, "required").iter().filter_map(Value::as_str) {
            if !entries.contains_key(key) {
                let about = known.and_then(|known| known.get(key)).and_then(description);
                place.inside(key, |place| {
                    let problem = Problem::new(&*place.pointer, "is required and missing");
                    problems.push(match about {
                        Some(about) => problem.hint(about),
                        None => problem,
                    });
                });
            }
        }
        for (key, value) in entries {
            place.inside(key, |place| {
                match (known.and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                    (Some(property), _) => self.check(property, value, place, problems),
                    (None, Some(Value::Bool(false))) => {
                        problems.push(unknown_key(key, known.into_iter().flat_map(|known| known.keys()), place));
                    }
                    (None, Some(additional)) => self.check(additional, value, place, problems),
                    (None, None) => {}
                }
            });
        }
    }

    /// `anyOf` and `oneOf`: the value has to fit one variant. Where it fits none, the findings of the variant that was
    /// meant are given.
    fn check_variants(&mut self, variants: &'a [Value], value: &Value, place: &mut Place, problems: &mut Vec<Problem>) {
        let mut tried = Vec::new();
        for variant in variants {
            let mut found = Vec::new();
            self.check(variant, value, place, &mut found);
            if found.is_empty() {
                return;
            }
            tried.push((variant, found));
        }
        // Where null is one of two, the other was meant.
        tried.retain(|(variant, _)| variant["type"] != "null");
        if let [(_, found)] = &mut tried[..] {
            problems.append(found);
            return;
        }
        let resolved: Vec<&Value> =
            tried.iter().map(|(variant, _)| resolve(self.root, variant).unwrap_or(variant)).collect();
        if let Some(tag) = tag(&resolved)
            && let Some(entries) = value.as_object()
        {
            let names: Vec<&str> = resolved.iter().filter_map(|variant| tag_value(variant, tag)).collect();
            let meant = entries.get(tag).and_then(Value::as_str);
            match names.iter().position(|name| Some(*name) == meant) {
                Some(index) => problems.append(&mut tried[index].1),
                None => place.inside(tag, |place| problems.push(not_one_of(meant, &names, place))),
            }
            return;
        }
        // Variants as `{ name = { .. } }` and as plain `"name"`.
        let meant = resolved.iter().position(|variant| match value {
            Value::Object(entries) => {
                list(variant, "required").iter().filter_map(Value::as_str).any(|key| entries.contains_key(key))
            }
            _ => false,
        });
        if let Some(index) = meant {
            problems.append(&mut tried[index].1);
            return;
        }
        let names: Vec<&str> = resolved.iter().flat_map(|variant| variant_names(variant)).collect();
        let text = value.as_str().or_else(|| value.as_object()?.keys().next().map(String::as_str));
        if names.is_empty() {
            let types: Vec<String> = resolved.iter().flat_map(|variant| type_names(variant)).collect();
            problems.push(Problem::new(
                &*place.pointer,
                match types.is_empty() {
                    true => "fits none of the forms that may stand here".to_owned(),
                    false => format!("expected {}, found {}", types.join(" or "), type_of(value)),
                },
            ));
        } else {
            problems.push(not_one_of(text, &names, place));
        }
    }
}

fn list<'a>(schema: &'a Value, word: &str) -> &'a [Value] {
    schema[word].as_array().map_or(&[], Vec::as_slice)
}

fn description(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    Some(text.lines().next()?.trim_end_matches('.').to_owned())
}

/// A finding for a key that nobody knows.
pub(crate) fn unknown<'k>(pointer: &str, what: &str, key: &str, known: impl IntoIterator<Item = &'k str>) -> Problem {
    let known: Vec<&str> = known.into_iter().collect();
    let problem = Problem::new(pointer, format!("unknown {what} `{}`", shown(key)));
    match nearest(key, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => problem,
        None => problem.hint(format!("there is {}", quoted(&known))),
    }
}

fn unknown_key<'k>(key: &str, known: impl Iterator<Item = &'k String>, place: &Place) -> Problem {
    unknown(&place.pointer, "key", key, known.map(String::as_str))
}

/// A key as it may be shown: not longer than a line.
fn shown(key: &str) -> String {
    key.chars().take(60).flat_map(char::escape_debug).collect()
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn not_one_of(meant: Option<&str>, names: &[&str], place: &Place) -> Problem {
    let problem = Problem::new(&*place.pointer, format!("expected one of {}", quoted(names)));
    match meant.and_then(|meant| nearest(meant, names.iter().copied())) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// The property whose constant tells the variants apart, as serde's `tag` writes it.
fn tag<'a>(variants: &[&'a Value]) -> Option<&'a str> {
    let (first, rest) = variants.split_first()?;
    let keys = first["properties"].as_object()?.keys();
    keys.map(String::as_str)
        .find(|key| tag_value(first, key).is_some() && rest.iter().all(|variant| tag_value(variant, key).is_some()))
}

fn tag_value<'a>(variant: &'a Value, tag: &str) -> Option<&'a str> {
    variant["properties"].get(tag)?["const"].as_str()
}

/// The names by which a value says which variant it is.
fn variant_names(variant: &Value) -> Vec<&str> {
    if let Some(name) = variant["const"].as_str() {
        return vec![name];
    }
    let texts = if variant["enum"].is_array() { list(variant, "enum") } else { list(variant, "required") };
    texts.iter().filter_map(Value::as_str).collect()
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn type_names(schema: &Value) -> Vec<String> {
    let types = types(schema);
    let names = types.iter().filter(|name| **name != "null" || types.len() == 1);
    names.map(|name| in_words(name).to_owned()).collect()
}

fn in_words(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        "null" => "nothing",
        other => other,
    }
}

/// What a value is, in the words of the findings.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn wrong_type(schema: &Value, value: &Value, place: &Place) -> Option<Problem> {
    let types = types(schema);
    let fits = |name: &&str| match *name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    };
    if types.is_empty() || types.iter().any(fits) {
        return None;
    }
    let expected = type_names(schema).join(" or ");
    Some(Problem::new(&*place.pointer, format!("expected {expected}, found {}", type_of(value))))
}

fn wrong_choice(schema: &Value, value: &Value, place: &Place) -> Option<Problem> {
    let constant = schema.get("const").map(std::slice::from_ref);
    let choices = constant.or_else(|| schema["enum"].as_array().map(Vec::as_slice))?;
    if choices.contains(value) {
        return None;
    }
    let names: Vec<String> = choices
        .iter()
        .filter(|choice| !choice.is_null())
        .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
        .collect();
    Some(not_one_of(value.as_str(), &names.iter().map(String::as_str).collect::<Vec<_>>(), place))
}

fn check_number(schema: &Value, value: &Value, place: &Place, problems: &mut Vec<Problem>) {
    type Holds = fn(Ordering) -> bool;
    let rules: [(&str, &str, Holds); 4] = [
        ("minimum", "must be at least", Ordering::is_ge),
        ("exclusiveMinimum", "must be more than", Ordering::is_gt),
        ("maximum", "must be at most", Ordering::is_le),
        ("exclusiveMaximum", "must be less than", Ordering::is_lt),
    ];
    for (word, text, holds) in rules {
        let Some(limit) = schema.get(word).filter(|limit| limit.is_number()) else { continue };
        if !compare(value, limit).is_some_and(holds) {
            problems.push(Problem::new(&*place.pointer, format!("{text} {}", number(limit))));
        }
    }
}

/// Compares two numbers, whole ones without loss.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// A limit as a person writes it: schemars writes whole ones as `1.0` for floats.
fn number(limit: &Value) -> String {
    limit.as_f64().map_or_else(|| limit.to_string(), |number| number.to_string())
}

fn check_length(schema: &Value, length: usize, of: &str, place: &Place, problems: &mut Vec<Problem>) {
    let unit = |limit: u64| match (of, limit) {
        ("Length", 1) => "character",
        ("Length", _) => "characters",
        ("Items", 1) => "item",
        ("Items", _) => "items",
        (_, 1) => "entry",
        _ => "entries",
    };
    let length = length as u64;
    if let Some(least) = schema[format!("min{of}")].as_u64().filter(|least| length < *least) {
        let message = format!("must have at least {least} {}, has {length}", unit(least));
        problems.push(Problem::new(&*place.pointer, message));
    }
    if let Some(most) = schema[format!("max{of}")].as_u64().filter(|most| length > *most) {
        let message = format!("must have at most {most} {}, has {length}", unit(most));
        problems.push(Problem::new(&*place.pointer, message));
    }
}
