//! A tree of values that know where they were set, and how one layer goes over another. Knows no setting by name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Origin;
use crate::problem::{pointer_keys, push_key};

/// A value and where it was set. Never shown: it may hold secrets.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) node: Node,
    pub(crate) origin: Origin,
}

/// A value whose parts are located.
#[derive(Clone)]
pub(crate) enum Node {
    /// Anything without parts. The text is what an environment variable said, word for word.
    Scalar { value: Value, text: Option<String> },
    /// A list. A later layer replaces it whole.
    Array(Vec<Located>),
    /// A table. A later layer replaces what it names.
    Table(BTreeMap<String, Located>),
}

/// An empty table that nobody set.
impl Default for Located {
    fn default() -> Self {
        Self { node: Node::Table(BTreeMap::new()), origin: Origin::Default }
    }
}

impl Located {
    /// A JSON value, all of it from one place.
    pub(crate) fn from_json(value: &Value, origin: &Origin) -> Self {
        let node = match value {
            Value::Array(items) => Node::Array(items.iter().map(|item| Self::from_json(item, origin)).collect()),
            Value::Object(entries) => {
                Node::Table(entries.iter().map(|(key, value)| (key.clone(), Self::from_json(value, origin))).collect())
            }
            scalar => Node::Scalar { value: scalar.clone(), text: None },
        };
        Self { node, origin: origin.clone() }
    }

    /// The value without its origins.
    pub(crate) fn to_json(&self) -> Value {
        match &self.node {
            Node::Scalar { value, .. } => value.clone(),
            Node::Array(items) => items.iter().map(Self::to_json).collect(),
            Node::Table(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }

    /// Puts another layer over this one. `joins` says, for a pointer at which both have tables, whether they are merged
    /// key by key; otherwise the later one replaces the earlier.
    pub(crate) fn put_over(&mut self, over: Self, joins: &dyn Fn(&str) -> bool) {
        self.put_over_at(over, joins, &mut String::new());
    }

    fn put_over_at(&mut self, over: Self, joins: &dyn Fn(&str) -> bool, pointer: &mut String) {
        match (&mut self.node, over.node) {
            (Node::Table(entries), Node::Table(over_entries)) if joins(pointer) => {
                for (key, value) in over_entries {
                    let length = pointer.len();
                    push_key(pointer, &key);
                    match entries.get_mut(&key) {
                        Some(entry) => entry.put_over_at(value, joins, pointer),
                        None => {
                            entries.insert(key, value);
                        }
                    }
                    pointer.truncate(length);
                }
                self.origin = over.origin;
            }
            (node, over_node) => {
                *node = over_node;
                self.origin = over.origin;
            }
        }
    }

    /// What stands exactly at a pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Self> {
        let (found, rest) = self.nearest(pointer);
        rest.is_empty().then_some(found)
    }

    /// What stands at a pointer, or the nearest thing above it; and the keys that are missing.
    pub(crate) fn nearest(&self, pointer: &str) -> (&Self, Vec<String>) {
        let mut found = self;
        let mut keys = pointer_keys(pointer);
        while let Some(key) = keys.next() {
            let next = match &found.node {
                Node::Table(entries) => entries.get(&key),
                Node::Array(items) => key.parse().ok().and_then(|index: usize| items.get(index)),
                Node::Scalar { .. } => None,
            };
            match next {
                Some(next) => found = next,
                None => return (found, std::iter::once(key).chain(keys).collect()),
            }
        }
        (found, Vec::new())
    }

    /// Calls back for everything that has no named parts: its pointer and itself.
    pub(crate) fn leaves(&self, visit: &mut dyn FnMut(&str, &Self)) {
        self.leaves_at(&mut String::new(), visit);
    }

    fn leaves_at(&self, pointer: &mut String, visit: &mut dyn FnMut(&str, &Self)) {
        match &self.node {
            Node::Table(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let length = pointer.len();
                    push_key(pointer, key);
                    value.leaves_at(pointer, visit);
                    pointer.truncate(length);
                }
            }
            _ => visit(pointer, self),
        }
    }
}
