//! Text that appears in no output, and configurations with their secrets masked. Knows no layer and no store.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize;

use crate::problem::push_key;
use crate::schema::walk;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// Why the mask itself is not taken.
pub(crate) const IS_THE_MASK: &str = "this is the mask that is shown in a secret's place, not the secret";

/// The word that marks a secret in a schema.
const MARK: &str = "x-plexichat-secret";

/// A secret: an API key, a password. It shows as `***` wherever it is printed or written, and its memory is overwritten
/// when it is dropped.
///
/// ```
/// use plexichat::secret::Secret;
/// let key = Secret::new("sk-123");
/// assert_eq!(format!("{key} {key:?}"), "*** Secret(***)");
/// assert_eq!(key.expose(), "sk-123");
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Hand it to what needs it and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// In a time that depends on the lengths only.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (self.0.as_bytes(), other.0.as_bytes());
        left.len() == right.len() && left.iter().zip(right).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({MASK})")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        // serde's own message would repeat the value.
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("a secret has to be text"))?;
        match text == MASK {
            true => Err(D::Error::custom(IS_THE_MASK)),
            false => Ok(Self(text)),
        }
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "writeOnly": true, "x-plexichat-secret": true })
    }
}

impl garde::rules::AsStr for Secret {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl garde::rules::length::simple::HasSimpleLength for Secret {
    fn length(&self) -> usize {
        self.0.len()
    }
}

impl garde::rules::length::chars::HasChars for Secret {
    fn num_chars(&self) -> usize {
        self.0.chars().count()
    }
}

/// How much of a secret gives it away: services that refuse a key repeat its beginning or its end.
const TELLING: usize = 4;

/// The text without these secrets, and without words that begin or end as one of them does: services repeat parts of the
/// keys that they refuse.
///
/// ```
/// use plexichat::secret::{Secret, redact};
/// let key = Secret::new("sk-proj-4711abcd");
/// let told = redact("Incorrect API key provided: sk-proj-****abcd. See example.org/keys", &[&key]);
/// assert_eq!(told, "Incorrect API key provided: ***. See example.org/keys");
/// ```
#[must_use]
pub fn redact(text: &str, secrets: &[&Secret]) -> String {
    let mut told = text.to_owned();
    let secrets: Vec<&str> =
        secrets.iter().map(|secret| secret.expose().trim()).filter(|text| !text.is_empty()).collect();
    for secret in &secrets {
        told = told.replace(secret, MASK);
    }
    let is_part =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '*' | '…' | '+' | '/' | '=' | '•');
    let tells = |word: &str| {
        secrets.iter().any(|secret| {
            let whole = secret.chars().count() >= 2 * TELLING;
            let start: String = secret.chars().take(TELLING).collect();
            let end: String = secret.chars().skip(secret.chars().count().saturating_sub(TELLING)).collect();
            whole && word != MASK && (word.starts_with(&start) || word.ends_with(&end))
        })
    };
    let mut shown = String::with_capacity(told.len());
    let mut rest = told.as_str();
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        shown.push_str(if tells(word) { MASK } else { word });
        let odd = after.chars().next().map_or(0, char::len_utf8);
        shown.push_str(&after[..odd]);
        rest = &after[odd..];
    }
    shown
}

/// Whether a schema says of its place that a secret stands there.
pub(crate) fn is_secret(root: &Value, schema: &Value) -> bool {
    walk::same_place(root, schema).iter().any(|schema| schema[MARK] == true)
}

/// Whether the place at a pointer is a secret's, or within one.
pub(crate) fn is_secret_at(schema: &Value, value: &Value, pointer: &str) -> bool {
    pointers(schema, value).iter().any(|secret| {
        pointer.strip_prefix(secret.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Whether a value of this schema has a secret at a pointer, where it has anything there.
#[cfg(feature = "host")]
pub(crate) fn may_be_at(schema: &Value, pointer: &str) -> bool {
    let mut places = vec![schema];
    for key in crate::problem::pointer_keys(pointer) {
        places = places.iter().flat_map(|place| walk::property(schema, place, &key)).collect();
    }
    places.iter().any(|place| is_secret(schema, place))
}

/// Where a value has secrets by its schema.
pub(crate) fn pointers(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(schema, &[schema], value, &mut String::new(), &mut |pointer, place| {
        if place == Described::Secret {
            found.push(pointer.to_owned());
        }
    });
    found
}

/// The value as it may be shown: secrets masked, and also whatever the schema knows nothing of, since a mistyped key may
/// hold a secret.
///
/// ```
/// use plexichat::secret::mask;
/// use serde_json::json;
/// let schema = json!({"properties": {"key": {"x-plexichat-secret": true}, "url": {"type": "string"}}});
/// let shown = mask(&schema, &json!({"key": "sk-123", "url": "https://example.org", "kye": "sk-123"}));
/// assert_eq!(shown, json!({"key": "***", "url": "https://example.org", "kye": "***"}));
/// ```
#[must_use]
pub fn mask(schema: &Value, value: &Value) -> Value {
    let mut places = Vec::new();
    visit(schema, &[schema], value, &mut String::new(), &mut |pointer, place| {
        if place != Described::Open {
            places.push(pointer.to_owned());
        }
    });
    let mut shown = value.clone();
    for place in places {
        if let Some(value) = shown.pointer_mut(&place).filter(|value| !value.is_null()) {
            *value = Value::from(MASK);
        }
    }
    shown
}

/// Puts the secrets of the old value where the new one has the mask, so that what was shown can be sent back changed.
///
/// The items of a list may have moved: an item's secrets are taken from the one that was shown the same, else, in a list of
/// the same length, from the one in its place. Where neither is there the mask stays, which no [`Secret`] takes: a secret
/// never goes to an item that it does not belong to.
pub fn unmask(schema: &Value, new: &mut Value, old: &Value) {
    let (shown, sent) = (mask(schema, old), new.clone());
    for pointer in pointers(schema, new) {
        if sent.pointer(&pointer).is_some_and(|value| value == MASK)
            && let Some(source) = source(&pointer, &sent, &shown)
            && let (Some(value), Some(old)) = (new.pointer_mut(&pointer), old.pointer(&source))
        {
            *value = old.clone();
        }
    }
}

/// Where the secret was that the mask at a pointer stands for.
fn source(pointer: &str, sent: &Value, shown: &Value) -> Option<String> {
    let ends = pointer.match_indices('/').map(|(end, _)| end).chain([pointer.len()]);
    let list = ends.map(|end| &pointer[..end]).find(|above| sent.pointer(above).is_some_and(Value::is_array));
    let Some(list) = list else { return Some(pointer.to_owned()) };
    let (index, inner) = match pointer[list.len() + 1..].split_once('/') {
        Some((index, inner)) => (index.parse::<usize>().ok()?, format!("/{inner}")),
        None => (pointer[list.len() + 1..].parse().ok()?, String::new()),
    };
    let (new, old) = (sent.pointer(list)?.as_array()?, shown.pointer(list)?.as_array()?);
    let same = |at: &usize| old.get(*at) == new.get(index);
    let mut others = (0..old.len()).filter(same);
    let at = match (same(&index), others.next(), others.next()) {
        (true, ..) => index,
        (false, Some(other), None) => other,
        (false, None, _) if old.len() == new.len() => index,
        _ => return None,
    };
    Some(format!("{list}/{at}{inner}"))
}

/// What a schema says of a place that is not to be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Described {
    Secret,
    Unknown,
    Open,
}

fn visit(
    root: &Value,
    schemas: &[&Value],
    value: &Value,
    pointer: &mut String,
    found: &mut dyn FnMut(&str, Described),
) {
    if schemas.iter().any(|schema| is_secret(root, schema)) {
        return found(pointer, Described::Secret);
    }
    if schemas.is_empty() {
        return found(pointer, Described::Unknown);
    }
    if schemas.iter().any(|schema| walk::is_open(root, schema)) {
        return found(pointer, Described::Open);
    }
    let mut below = |key: &str, schemas: Vec<&Value>, value: &Value| {
        let length = pointer.len();
        push_key(pointer, key);
        visit(root, &schemas, value, pointer, found);
        pointer.truncate(length);
    };
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                below(key, schemas.iter().flat_map(|schema| walk::property(root, schema, key)).collect(), value);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let schemas = schemas.iter().flat_map(|schema| walk::item(root, schema, index)).collect();
                below(&index.to_string(), schemas, item);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let (key, short) = (Secret::new("sk-ant-0123456789wxyz"), Secret::new("abc"));
        assert_eq!(redact(text, &[&key, &short, &Secret::new("")]), expected);
    }

    #[test]
    fn services_repeat_keys_in_many_ways() {
        check("the key sk-ant-0123456789wxyz is wrong", "the key *** is wrong");
        check("(\"sk-ant-0123456789wxyz\")", "(\"***\")");
        check("provided: sk-a**************wxyz.", "provided: ***.");
        check("provided: sk-ant-0...wxyz!", "provided: ***...***!");
        check("ends in ****wxyz", "ends in ***");
        check("says abc twice: abc", "says *** twice: ***");
    }

    #[test]
    fn everything_else_stays() {
        for text in ["", "grüße, 日本 👋🏽", "ask-ant; a task-antics (no key)", "model `gpt-5` has 128000 tokens"]
        {
            check(text, text);
        }
    }
}
