//! The way from a place in a value to the schemas that speak of it. Judges nothing.

use serde_json::Value;

/// How many references and combinations are followed at one place: a schema may refer to itself.
const DEPTH_MAX: usize = 32;

/// The schemas that speak of the same place as this one: itself, what it refers to and what it combines.
pub(crate) fn same_place<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    collect(root, schema, 0, &mut found);
    found
}

fn collect<'a>(root: &'a Value, schema: &'a Value, depth: usize, found: &mut Vec<&'a Value>) {
    if depth > DEPTH_MAX || found.iter().any(|known| std::ptr::eq(*known, schema)) {
        return;
    }
    found.push(schema);
    if let Some(target) = resolve(root, schema) {
        collect(root, target, depth + 1, found);
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        for part in schema[word].as_array().into_iter().flatten() {
            collect(root, part, depth + 1, found);
        }
    }
}

/// What `$ref` means, within the document.
pub(crate) fn resolve<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema["$ref"].as_str()?.strip_prefix('#')?)
}

/// The schemas that speak of a key of an object.
pub(crate) fn property<'a>(root: &'a Value, schema: &'a Value, key: &str) -> Vec<&'a Value> {
    let named: Vec<&Value> =
        same_place(root, schema).into_iter().filter_map(|schema| schema["properties"].get(key)).collect();
    if !named.is_empty() {
        return named;
    }
    same_place(root, schema)
        .into_iter()
        .filter_map(|schema| schema.get("additionalProperties"))
        .filter(|schema| schema.is_object() || **schema == Value::Bool(true))
        .collect()
}

/// The names of the properties that the schema names.
#[cfg(feature = "host")]
pub(crate) fn property_names<'a>(root: &'a Value, schema: &'a Value) -> impl Iterator<Item = &'a str> {
    let places = same_place(root, schema).into_iter();
    places.filter_map(|schema| schema["properties"].as_object()).flat_map(|known| known.keys().map(String::as_str))
}

/// The schemas that speak of an item of a list.
pub(crate) fn item<'a>(root: &'a Value, schema: &'a Value, index: usize) -> Vec<&'a Value> {
    same_place(root, schema)
        .into_iter()
        .filter_map(|schema| schema["prefixItems"].get(index).or_else(|| schema.get("items")))
        .filter(|schema| **schema != Value::Bool(false))
        .collect()
}

/// Whether a schema says nothing at all of what may stand there.
pub(crate) fn is_open(root: &Value, schema: &Value) -> bool {
    const WORDS: [&str; 8] =
        ["type", "properties", "additionalProperties", "items", "prefixItems", "enum", "const", "required"];
    same_place(root, schema).iter().all(|schema| WORDS.iter().all(|word| schema.get(*word).is_none()))
}
