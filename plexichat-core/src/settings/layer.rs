//! A tree of values that know where they were set, and how one layer goes over another. Knows no setting by name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::origin::Origin;
use crate::problem::{pointer_keys, push_key};
use crate::schema::walk;

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

/// Something else stands where a value was to be put.
#[derive(Debug)]
pub(crate) struct Occupied;

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

    /// Puts a value below these keys, making the tables on the way.
    ///
    /// # Errors
    /// Where something that is no table stands on the way, or something at the end of it.
    pub(crate) fn set(&mut self, keys: &[String], node: Node, origin: &Origin) -> Result<(), Occupied> {
        let mut place = self;
        for key in keys {
            let Node::Table(entries) = &mut place.node else { return Err(Occupied) };
            place = entries
                .entry(key.clone())
                .or_insert_with(|| Self { node: Node::Table(BTreeMap::new()), origin: origin.clone() });
        }
        match &place.node {
            Node::Table(entries) if entries.is_empty() => {
                *place = Self { node, origin: origin.clone() };
                Ok(())
            }
            _ => Err(Occupied),
        }
    }

    /// Gives the words of a variable back where its schema wants text: `12345` may be a number or a password.
    pub(crate) fn as_schema_wants(&mut self, root: &Value, schemas: &[&Value]) {
        match &mut self.node {
            Node::Scalar { value, text: Some(text) } => {
                let places = || schemas.iter().flat_map(|schema| walk::same_place(root, schema));
                let wants = |name: &str| {
                    places().any(|schema| match &schema["type"] {
                        Value::Array(names) => names.iter().any(|other| other == name),
                        one => one == name,
                    })
                };
                let own = match value {
                    Value::Bool(_) => wants("boolean"),
                    Value::Number(number) => wants("number") || (!number.is_f64() && wants("integer")),
                    _ => true,
                };
                if !own && wants("string") {
                    *value = Value::from(std::mem::take(text));
                }
            }
            Node::Scalar { .. } => {}
            Node::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let below: Vec<_> = schemas.iter().flat_map(|schema| walk::item(root, schema, index)).collect();
                    item.as_schema_wants(root, &below);
                }
            }
            Node::Table(entries) => {
                for (key, entry) in entries {
                    let below: Vec<_> = schemas.iter().flat_map(|schema| walk::property(root, schema, key)).collect();
                    entry.as_schema_wants(root, &below);
                }
            }
        }
    }

    /// Spells keys as the schema does: a variable's name says neither case nor `-`.
    pub(crate) fn spell_keys(&mut self, root: &Value, schemas: &[&Value]) {
        let Node::Table(entries) = &mut self.node else { return };
        for (key, mut entry) in std::mem::take(entries) {
            let names = || schemas.iter().flat_map(|schema| walk::property_names(root, schema));
            let spelled = names().find(|name| name.to_ascii_lowercase().replace('-', "_") == key);
            let key = spelled.map_or(key, str::to_owned);
            let below: Vec<_> = schemas.iter().flat_map(|schema| walk::property(root, schema, &key)).collect();
            entry.spell_keys(root, &below);
            entries.insert(key, entry);
        }
    }

    /// Takes out what stands exactly at a pointer.
    pub(crate) fn take(&mut self, pointer: &str) -> Option<Self> {
        let (parent, _) = pointer.rsplit_once('/')?;
        let key = pointer_keys(pointer).last()?;
        match &mut self.at_mut(parent)?.node {
            Node::Table(entries) => entries.remove(&key),
            _ => None,
        }
    }

    /// What stands in tables exactly at a pointer.
    pub(crate) fn at_mut(&mut self, pointer: &str) -> Option<&mut Self> {
        let mut place = self;
        for key in pointer_keys(pointer) {
            let Node::Table(entries) = &mut place.node else { return None };
            place = entries.get_mut(&key)?;
        }
        Some(place)
    }

    /// The names of the entries of a table.
    pub(crate) fn entry_names(&self) -> Vec<String> {
        match &self.node {
            Node::Table(entries) => entries.keys().cloned().collect(),
            _ => Vec::new(),
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

    /// Calls back for everything that has no named parts, or whose parts are not looked at one by one (`is_whole`): its
    /// pointer and itself.
    pub(crate) fn leaves(&self, is_whole: &dyn Fn(&str) -> bool, visit: &mut dyn FnMut(&str, &Self)) {
        self.leaves_at(&mut String::new(), is_whole, visit);
    }

    fn leaves_at(&self, pointer: &mut String, is_whole: &dyn Fn(&str) -> bool, visit: &mut dyn FnMut(&str, &Self)) {
        match &self.node {
            Node::Table(entries) if !entries.is_empty() && !is_whole(pointer) => {
                for (key, value) in entries {
                    let length = pointer.len();
                    push_key(pointer, key);
                    value.leaves_at(pointer, is_whole, visit);
                    pointer.truncate(length);
                }
            }
            // An empty table sets nothing.
            Node::Table(entries) if entries.is_empty() => {}
            _ => visit(pointer, self),
        }
    }
}
