//! A configuration type as JSON Schema, and a checked parse that gives every finding at once. Knows no layers.

use serde_json::Value;

use crate::plugin::Config;
use crate::problem::Problem;

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
    Value::Object(config)
}

/// Reads and validates a configuration.
///
/// # Errors
/// Every finding, each with its JSON pointer.
pub fn parse_config<C: Config>(value: &Value) -> Result<C, Vec<Problem>> {
    let config: C = serde_path_to_error::deserialize(value)
        .map_err(|error| vec![Problem::new(error.path().to_string(), error.inner().to_string())])?;
    config.validate().map_err(|report| {
        report.iter().map(|(path, error)| Problem::new(path.to_string(), error.message())).collect::<Vec<_>>()
    })?;
    Ok(config)
}
