//! A configuration type as JSON Schema, and a checked parse that gives every finding at once. Knows no layers.

mod validate;
pub(crate) mod walk;

use garde::error::PathComponentKind;
use serde_json::Value;

use crate::plugin::Config;
use crate::problem::{Problem, push_key};

pub use validate::findings;

/// The JSON Schema (2020-12) of a configuration type.
pub fn config_schema<C: Config>() -> Value {
    schemars::schema_for!(C).to_value()
}

/// What the schema's defaults give: an object without required fields and secrets.
pub fn default_config(schema: &Value) -> Value {
    let mut config = serde_json::Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(default) = property.get("default") {
            config.insert(name.clone(), default.clone());
        }
    }
    let mut config = Value::Object(config);
    for pointer in crate::secret::pointers(schema, &config) {
        remove(&mut config, &pointer);
    }
    config
}

/// Takes out what stands at a pointer.
pub(crate) fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    match value.pointer_mut(parent) {
        Some(Value::Object(entries)) => {
            entries.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        // A list keeps its places.
        Some(Value::Array(items)) => {
            if let Some(item) = key.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}

/// Reads and validates a configuration: against its schema, then by serde, then by garde.
///
/// # Errors
/// Every finding, each with its JSON pointer.
pub fn parse_config<C: Config>(value: &Value) -> Result<C, Vec<Problem>> {
    let schema = config_schema::<C>();
    let problems = findings(&schema, value);
    if !problems.is_empty() {
        return Err(problems);
    }
    let config: C = serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = serde_pointer(error.path());
        // serde repeats what it could not read.
        let message = match crate::secret::is_secret_at(&schema, value, &pointer) {
            true if value.pointer(&pointer).is_some_and(|value| value == crate::secret::MASK) => {
                crate::secret::IS_THE_MASK.to_owned()
            }
            true => "this is no secret that can be used".to_owned(),
            false => error.inner().to_string(),
        };
        vec![Problem::new(pointer, message)]
    })?;
    match config.validate() {
        Ok(()) => Ok(config),
        Err(report) => Err(garde_problems(&report)),
    }
}

/// A path of serde's as a JSON pointer.
pub(crate) fn serde_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_key(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_key(&mut pointer, key),
            // A variant's name is a key where it is written as one, and stands for nothing otherwise.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// What garde found.
pub(crate) fn garde_problems(report: &garde::Report) -> Vec<Problem> {
    report.iter().map(|(path, error)| Problem::new(garde_pointer(path), error.message())).collect()
}

fn garde_pointer(path: &garde::Path) -> String {
    let mut pointer = String::new();
    for (kind, component) in path.__iter().rev() {
        if kind != <garde::error::NoKey as PathComponentKind>::component_kind() {
            push_key(&mut pointer, component);
        }
    }
    pointer
}

#[cfg(test)]
mod tests;
