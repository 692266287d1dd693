//! A request's fields, taken one by one, so that each mistake names its parameter and what is left passes through untouched.
//! Knows no field by name.

use plexichat::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Map;

use crate::failure::Failure;

/// The fields of an object that nobody has taken yet.
pub(crate) struct Fields {
    place: String,
    rest: Map<String, Value>,
}

impl Fields {
    /// The fields of a request's body.
    ///
    /// # Errors
    /// It is no JSON object.
    pub(crate) fn of_body(body: &[u8]) -> Result<Self, Failure> {
        let rest = serde_json::from_slice::<Value>(body)
            .map_err(|error| Failure::bad("", format!("We could not parse the JSON body of your request: {error}")))?;
        Self::of("", rest)
    }

    /// The fields of what stands at `place`.
    ///
    /// # Errors
    /// It is no object.
    pub(crate) fn of(place: &str, value: Value) -> Result<Self, Failure> {
        match value {
            Value::Object(rest) => Ok(Self { place: place.to_owned(), rest }),
            other => Err(wrong(place, "an object", &other)),
        }
    }

    /// The place of a field, such as `messages[0].role`.
    pub(crate) fn place(&self, name: &str) -> String {
        match self.place.as_str() {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        }
    }

    /// A field as it is; nothing where it is missing or null.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name).filter(|value| !value.is_null())
    }

    /// A field of this type; nothing where it is missing or null.
    ///
    /// # Errors
    /// It has another type: `expected` says which one is wanted.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        // Only what is wrong is written out, so the value is kept until it is known to be good.
        let found = kind(&value);
        serde_json::from_value(value).map(Some).map_err(|_| mistyped(&self.place(name), expected, found))
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// It is missing, or no text.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, Failure> {
        self.take(name, "a string")?.ok_or_else(|| Failure::missing(&self.place(name)))
    }

    /// What nobody took.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.rest
    }
}

/// A list of what stands at `place`.
///
/// # Errors
/// It is no list.
pub(crate) fn list(place: &str, value: Value) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong(place, "an array", &other)),
    }
}

/// What stands at `place` has another type than is wanted.
pub(crate) fn wrong(place: &str, expected: &str, found: &Value) -> Failure {
    mistyped(place, expected, kind(found))
}

fn mistyped(place: &str, expected: &str, found: &str) -> Failure {
    match place {
        "" => Failure::bad("", format!("Invalid type for the body: expected {expected}, but got {found} instead.")),
        place => {
            Failure::bad(place, format!("Invalid type for '{place}': expected {expected}, but got {found} instead."))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
