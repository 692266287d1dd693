//! What a run keeps between its steps, so that none is done again. Knows no host and no step.

use std::collections::{BTreeMap, BTreeSet};

use plexichat::message::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The largest result of a step that is kept, in bytes of JSON.
pub(crate) const RESULT_MAX: usize = 64 * 1024;

/// The longest text within a result that had to be cut.
const CUT_TEXT: usize = 32 * 1024;

/// What a run keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The version of the definition that it began with.
    pub(crate) version: String,
    /// When it began.
    pub(crate) begun: Time,
    /// Paths of steps that are done, or were left out.
    pub(crate) done: BTreeSet<String>,
    /// Steps that have begun and are not done, by path.
    pub(crate) open: BTreeMap<String, Open>,
    /// What steps gave, by id.
    pub(crate) steps: BTreeMap<String, Value>,
    /// Variables.
    pub(crate) vars: Map<String, Value>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Open {
    /// Which way a condition went.
    Way(bool),
    /// A loop: its list, and which part it is at.
    Loop { items: Vec<Value>, index: usize },
    /// Several branches.
    Branches,
    /// It waits until then.
    Until(Time),
    /// It was asked, and waits for an answer until then.
    Asked { id: String, until: Time },
    /// It failed so many times, and is tried again then.
    Failed { tries: u32, again: Time },
}

impl Kept {
    pub(crate) fn new(version: &str, begun: Time) -> Self {
        let (done, open, steps, vars) = Default::default();
        Self { version: version.to_owned(), begun, done, open, steps, vars }
    }

    /// The step at this path is done; what was within it need not be known any more.
    pub(crate) fn finish(&mut self, path: &str) {
        self.forget_below(path);
        self.open.remove(path);
        self.done.insert(path.to_owned());
    }

    /// Forgets the steps within this one.
    pub(crate) fn forget_below(&mut self, path: &str) {
        let inner = format!("{path}/");
        self.done.retain(|known| !known.starts_with(&inner));
        self.open.retain(|known, _| !known.starts_with(&inner));
    }

    /// Keeps what a step gave.
    pub(crate) fn give(&mut self, id: Option<&str>, result: Value) {
        if let Some(id) = id {
            self.steps.insert(id.to_owned(), json!({ "result": bounded(result) }));
        }
    }

    /// Keeps why a step failed.
    pub(crate) fn give_error(&mut self, id: Option<&str>, error: &str) {
        if let Some(id) = id {
            self.steps.insert(id.to_owned(), json!({ "error": error }));
        }
    }
}

/// A result that is not too large to be kept: long texts in it are cut, and what is still too large is left out.
pub(crate) fn bounded(result: Value) -> Value {
    let size = |value: &Value| value.to_string().len();
    if size(&result) <= RESULT_MAX {
        return result;
    }
    let Value::Object(entries) = result else { return cut(result) };
    let mut kept = Map::new();
    let mut room = RESULT_MAX;
    for (key, value) in entries {
        let value = if size(&value) > CUT_TEXT { cut(value) } else { value };
        let bytes = size(&value);
        if bytes <= room {
            room -= bytes;
            kept.insert(key, value);
        }
    }
    kept.insert("truncated".to_owned(), Value::Bool(true));
    Value::Object(kept)
}

fn cut(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text[..text.floor_char_boundary(CUT_TEXT.min(text.len()) / 2)].to_owned()),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_forgets_what_was_within() {
        let mut kept = Kept::new("v", Time::from_micros(0));
        for path in ["a", "b/0/x", "b/1/x", "bb"] {
            kept.finish(path);
        }
        kept.open.insert("b".into(), Open::Branches);
        kept.open.insert("b/1/y".into(), Open::Way(true));
        kept.finish("b");
        assert_eq!(kept.done.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "bb"]);
        assert!(kept.open.is_empty());
    }

    #[test]
    fn large_results_are_cut() {
        let small = json!({ "status": 200, "body": "x" });
        assert_eq!(bounded(small.clone()), small);
        let large = bounded(json!({ "status": 200, "body": "ä".repeat(100_000), "json": vec![1; 100_000] }));
        assert_eq!((&large["status"], &large["truncated"]), (&json!(200), &json!(true)));
        assert!(large["body"].as_str().unwrap().len() <= CUT_TEXT && large["json"].is_null(), "{}", large["json"]);
        assert!(large.to_string().len() <= RESULT_MAX);
    }
}
