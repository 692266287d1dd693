//! An example of what a schema describes: its own where it gives one, else one made from it, so that no operation of the
//! document is without. Knows no route.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

/// Deeper than this an example ends.
const DEPTH_MAX: usize = 64;

/// What a value of this name most often is. The first whose name fits counts.
const USUAL: &[(&str, &str)] = &[
    ("text", "Good morning!"),
    ("username", "alice"),
    ("user", "alice"),
    ("password", "correct horse battery staple"),
    ("old_password", "correct horse battery staple"),
    ("new_password", "a longer one with seven words in it"),
    ("token", "plx_…"),
    ("invitation", "plxi_…"),
    ("emoji", "👍"),
    ("topic", "Whatever comes up"),
    ("snippet", "Good morning!"),
    ("q", "morning"),
    ("mime", "image/png"),
    ("content_type", "image/png"),
    ("version", "1.0.0"),
    ("core", "0.1.0"),
    ("license", "MIT OR Apache-2.0"),
    ("pointer", "/text"),
    ("ip", "192.0.2.7"),
    ("request_id", "01a2b3c4-0000-7000-8000-000000000001"),
    ("action", "room.create"),
    ("event", "message_posted"),
    ("key", "server.listen"),
    ("origin", "plexichat.toml:2:1"),
    ("prefix", "/"),
];

const ID: &str = "01a2b3c4-0000-7000-8000-000000000000";

/// An example of a schema of this document; `name` is what the value is called where it stands.
pub(crate) fn of(document: &Value, schema: &Value, name: &str) -> Value {
    Maker { document, within: RefCell::default() }.make(schema, name, 0)
}

struct Maker<'a> {
    document: &'a Value,
    /// The schemas within which something is made: one that refers to itself ends there.
    within: RefCell<Vec<String>>,
}

impl Maker<'_> {
    fn make(&self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        let own = schema["examples"].get(0).or_else(|| schema.get("example")).or_else(|| schema.get("const"));
        if let Some(own) = own.or_else(|| schema["enum"].get(0)) {
            return own.clone();
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let name = kind_of(reference).unwrap_or(name);
            let Some(schema) = self.document.pointer(reference.trim_start_matches('#')) else { return Value::Null };
            if self.within.borrow().iter().any(|within| within == reference) {
                return Value::Null;
            }
            self.within.borrow_mut().push(reference.to_owned());
            let made = self.make(schema, name, depth + 1);
            self.within.borrow_mut().pop();
            return made;
        }
        if let Some(default) = schema.get("default").filter(|default| !default.is_null() && !is_empty(default)) {
            return default.clone();
        }
        for word in ["oneOf", "anyOf"] {
            let variants = schema[word].as_array().into_iter().flatten();
            if let Some(variant) = variants.into_iter().find(|variant| variant["type"] != "null") {
                let made = self.make(variant, name, depth + 1);
                // What all variants have beside them.
                return if schema["properties"].is_object() { self.object(schema, depth, made) } else { made };
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let mut whole = Value::Null;
            for part in parts {
                whole = joined(whole, self.make(part, name, depth + 1));
            }
            return if schema["properties"].is_object() { self.object(schema, depth, whole) } else { whole };
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        match kinds.iter().find(|kind| **kind != "null").copied() {
            Some("object") => self.object(schema, depth, Value::Null),
            Some("array") => self.array(schema, name, depth),
            Some("string") => json!(string(schema, name)),
            Some("integer" | "number") => number(schema, name),
            Some("boolean") => json!(false),
            None if schema["properties"].is_object() => self.object(schema, depth, Value::Null),
            // Whatever there is of JSON.
            None if kinds.is_empty() => json!({}),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth: usize, within: Value) -> Value {
        let mut made = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            made.insert(name.clone(), self.make(property, name, depth + 1));
        }
        joined(within, Value::Object(made))
    }

    fn array(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let items = &schema["items"];
        if schema["maxItems"] == 0 || !items.is_object() {
            return json!([]);
        }
        json!([self.make(items, name.strip_suffix('s').unwrap_or(name), depth + 1)])
    }
}

/// `#/components/schemas/RoomId` is called `id` wherever it stands, a plugin's name `plugin`.
fn kind_of(reference: &str) -> Option<&'static str> {
    match reference.rsplit('/').next()? {
        "PluginName" => Some("plugin"),
        "RequestId" => Some("request_id"),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty) || *value == json!("")
}

fn joined(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            one.extend(other);
            Value::Object(one)
        }
        (Value::Null, other) => other,
        (one, _) => one,
    }
}

fn string(schema: &Value, name: &str) -> String {
    let text = match schema["format"].as_str() {
        Some("uuid") => ID,
        Some("date-time") => "2026-01-02T03:04:05.000006Z",
        Some("uri") => "https://chat.example.org",
        _ => match USUAL.iter().find(|(usual, _)| *usual == name) {
            Some((_, text)) => text,
            None if name == "id" || name.ends_with("_id") => ID,
            None if name == "plugin" => "echo",
            None if name == "name" => "general",
            None if name.ends_with("_at") => "2026-01-02T03:04:05.000006Z",
            None => "…",
        },
    };
    let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap_or(0);
    let missing = least.saturating_sub(text.chars().count());
    format!("{text}{}", "x".repeat(missing))
}

fn number(schema: &Value, name: &str) -> Value {
    let usual = match name {
        "limit" => 50,
        "expires_in" => 86_400,
        "size" => 20_480,
        "after" | "before" | "after_seq" | "from_seq" => 7,
        _ => 1,
    };
    let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
    let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
    json!(usual.clamp(least, most.max(least)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: Value, expected: Value) {
        let document = json!({ "components": { "schemas": {
            "RoomId": { "type": "string", "format": "uuid" },
            "Tree": { "type": "object", "properties": { "name": { "type": "string" }, "next": { "$ref": "#/components/schemas/Tree" } } },
        } } });
        assert_eq!(of(&document, &schema, "name"), expected, "{schema}");
    }

    #[test]
    fn a_schemas_own_example_comes_first() {
        check(json!({ "type": "string", "examples": ["mine"] }), json!("mine"));
        check(json!({ "type": "integer", "default": 5 }), json!(5));
        check(json!({ "oneOf": [{ "type": "null" }, { "const": "a" }] }), json!("a"));
    }

    #[test]
    fn what_gives_none_is_made() {
        check(json!({ "$ref": "#/components/schemas/RoomId" }), json!(ID));
        check(json!({ "type": ["string", "null"] }), json!("general"));
        check(json!({ "type": "array", "items": { "type": "integer", "minimum": 3 } }), json!([3]));
        check(json!({ "type": "string", "minLength": 10 }), json!("generalxxx"));
        check(
            json!({ "allOf": [{ "properties": { "text": { "type": "string" } } }], "properties": { "size": { "type": "integer" } } }),
            json!({ "text": "Good morning!", "size": 20_480 }),
        );
    }

    #[test]
    fn what_refers_to_itself_ends() {
        let document = json!({ "Tree": { "properties": { "next": { "$ref": "#/Tree" } } } });
        assert!(of(&document, &json!({ "$ref": "#/Tree" }), "tree").to_string().len() < 500);
    }
}
