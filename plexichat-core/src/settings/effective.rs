//! One plugin's configuration as its layers give it together, and what of it the API cannot change. Knows no manager.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::layer::Located;
use super::{Origin, Settings};
use crate::descriptor::Descriptor;
use crate::problem::{Problem, pointer_keys};
use crate::schema::walk;
use crate::secret;

/// A plugin's configuration from all layers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Effective {
    /// The configuration, with the secrets themselves in it. To show it, see [`shown`](Self::shown).
    pub value: Value,
    /// Where each value was set, by JSON pointer.
    pub origins: BTreeMap<String, Origin>,
    /// What is wrong with it, each with where it was set. A plugin cannot start while there is any.
    pub problems: Vec<Problem>,
    schema: Value,
}

/// Without the values: some are secrets.
impl fmt::Debug for Effective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Effective").field("origins", &self.origins).field("problems", &self.problems).finish()
    }
}

impl Settings {
    /// A plugin's configuration: its type's defaults, the bundle, what the API stored, `plexichat.toml`, the environment.
    ///
    /// A secret may be `{ file = "…" }` or `{ env = "…" }`, except in what the API stored; each call reads it anew.
    pub fn plugin_config(&self, plugin: &Descriptor, stored: Option<&Value>) -> Effective {
        let schema = (plugin.entry.config_schema)();
        let place = format!("/plugins/{}/config", plugin.name);
        let mut merged = Located::from_json(&(plugin.entry.default_config)(), &Origin::Default);
        let layers = [
            self.layers.bundle.at(&place).cloned(),
            stored.map(|stored| Located::from_json(stored, &Origin::Api)),
            self.layers.pinned.at(&place).cloned(),
        ];
        for layer in layers.into_iter().flatten() {
            // A map that nobody but the type's default has filled is replaced, as serde would.
            let untouched = merged.clone();
            merged.put_over(layer, &|pointer| {
                let is_default = untouched.at(pointer).is_some_and(|place| place.origin == Origin::Default);
                joins(&schema, pointer) && (!is_default || !is_map(&schema, pointer))
            });
        }

        let mut value = merged.to_json();
        let trusted = |pointer: &str| merged.at(pointer).is_some_and(|place| place.origin != Origin::Api);
        let mut problems = self.secrets.resolve(&schema, &mut value, &trusted);
        let unresolved: Vec<String> = problems.iter().map(|problem| problem.pointer.clone()).collect();
        let found = (plugin.entry.check_config)(&value);
        problems.extend(found.into_iter().filter(|problem| !unresolved.contains(&problem.pointer)));
        for problem in &mut problems {
            let origin = &merged.nearest(&problem.pointer).0.origin;
            if problem.origin.is_none() && *origin != Origin::Default {
                problem.origin = Some(origin.to_string());
            }
        }

        let mut origins = BTreeMap::new();
        merged.leaves(&|pointer| !joins(&schema, pointer), &mut |pointer, place| {
            origins.insert(pointer.to_owned(), place.origin.clone());
        });
        Effective { value, origins, problems, schema }
    }
}

impl Effective {
    /// The configuration as it may be shown: secrets masked.
    pub fn shown(&self) -> Value {
        secret::mask(&self.schema, &self.value)
    }

    /// The secrets in it.
    pub(crate) fn secrets(&self) -> Vec<secret::Secret> {
        let places = secret::pointers(&self.schema, &self.value);
        let texts = places.iter().filter_map(|place| self.value.pointer(place)?.as_str());
        texts.map(secret::Secret::new).collect()
    }

    /// What the API cannot change, and where it is set.
    pub fn pinned(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.origins.iter().filter(|(_, origin)| origin.is_pinned()).map(|(pointer, origin)| (pointer.as_str(), origin))
    }

    /// A wanted configuration as it is to be stored: masks replaced by the secrets they stand for, and without what is
    /// pinned, which belongs to the layer that sets it.
    ///
    /// # Errors
    /// One problem for each pinned value that it would change, naming where it is set.
    pub fn to_store(&self, wanted: &Value) -> Result<Value, Vec<Problem>> {
        let mut wanted = wanted.clone();
        for pointer in secret::pointers(&self.schema, &wanted) {
            // A secret that another layer brings stays there.
            let is_brought = self.origins.get(&pointer).is_some_and(|origin| *origin != Origin::Api);
            if is_brought && wanted.pointer(&pointer).is_some_and(|value| value == secret::MASK) {
                crate::schema::remove(&mut wanted, &pointer);
            }
        }
        secret::unmask(&self.schema, &mut wanted, &self.value);
        let mut conflicts = Vec::new();
        for (pointer, origin) in self.pinned() {
            let Some(value) = wanted.pointer(pointer) else { continue };
            if Some(value) != self.value.pointer(pointer) {
                let message = format!("is set in {origin} and cannot be changed here");
                let problem = Problem::new(pointer, message);
                conflicts.push(problem.hint("change it there, or remove it there first"));
            }
            crate::schema::remove(&mut wanted, pointer);
        }
        if conflicts.is_empty() { Ok(wanted) } else { Err(conflicts) }
    }
}

/// Whether two layers' tables at a pointer are one table together. Not where the schema has variants (the keys of two of
/// them would mix), and not where a secret's reference stands.
pub(super) fn joins(schema: &Value, pointer: &str) -> bool {
    let places: Vec<&Value> = places(schema, pointer);
    let has_variants = |schema: &&Value| {
        ["anyOf", "oneOf"].iter().any(|word| {
            let variants = schema[*word].as_array().into_iter().flatten();
            variants.filter(|variant| variant["type"] != "null").count() > 1
        })
    };
    !places.iter().any(|place| secret::is_secret(schema, place))
        && !places.iter().flat_map(|place| walk::same_place(schema, place)).any(|place| has_variants(&place))
}

/// Whether a map with keys of its author's choice stands at a pointer.
fn is_map(schema: &Value, pointer: &str) -> bool {
    let places = places(schema, pointer);
    let all: Vec<&Value> = places.iter().flat_map(|place| walk::same_place(schema, place)).collect();
    !all.is_empty() && all.iter().all(|place| place["properties"].is_null())
}

/// The schemas that speak of a pointer.
fn places<'a>(schema: &'a Value, pointer: &str) -> Vec<&'a Value> {
    pointer_keys(pointer).fold(vec![schema], |places, key| {
        let inside = |place: &&'a Value| match key.parse() {
            Ok(index) if place["properties"].is_null() => {
                let mut found = walk::item(schema, place, index);
                found.extend(walk::property(schema, place, &key));
                found
            }
            _ => walk::property(schema, place, &key),
        };
        places.iter().flat_map(inside).collect()
    })
}
