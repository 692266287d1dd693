//! Secrets by reference: `{ file = "…" }` and `{ env = "…" }` stand for what the file or the variable holds. Knows no layer.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use serde_json::Value;

use crate::problem::Problem;

/// The largest secret that is read from a file, in bytes.
const FILE_MAX: u64 = 64 * 1024;

/// The variables that a secret may refer to.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    environment: Arc<BTreeMap<OsString, OsString>>,
}

/// Without the variables: what they hold may be secret.
impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}

impl Secrets {
    pub(super) fn of(environment: &[(OsString, OsString)]) -> Self {
        Self { environment: Arc::new(environment.iter().cloned().collect()) }
    }

    /// Puts the secrets where the references to them stand. Where the schema has no secret, nothing is a reference.
    ///
    /// `trusted` says whether the reference at a pointer was written by the operator: whoever may change a configuration
    /// through the API may not read the server's files and variables by it.
    pub(super) fn resolve(&self, schema: &Value, config: &mut Value, trusted: &dyn Fn(&str) -> bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        for pointer in crate::secret::pointers(schema, config) {
            let Some(place) = config.pointer_mut(&pointer) else { continue };
            let Some(reference) = place.as_object() else { continue };
            let read = match trusted(&pointer) {
                true => self.read(reference),
                false => Err(Problem::new("", "a reference to a secret cannot be set by the API")
                    .hint("send the secret itself, or set the reference in plexichat.toml")),
            };
            match read {
                Ok(secret) => *place = Value::String(secret),
                Err(problem) => {
                    // What stays would be reported again, as a table where text was expected.
                    *place = Value::String(String::new());
                    problems.push(Problem { pointer, ..problem });
                }
            }
        }
        problems
    }

    fn read(&self, reference: &serde_json::Map<String, Value>) -> Result<String, Problem> {
        let only = (reference.len() == 1).then(|| reference.iter().next()).flatten();
        let secret = match only.map(|(key, value)| (key.as_str(), value.as_str())) {
            Some(("env", Some(name))) => match self.environment.get(&OsString::from(name)) {
                Some(value) => value
                    .to_str()
                    .map(str::to_owned)
                    .ok_or_else(|| Problem::new("", format!("the variable `{name}` is not UTF-8 text"))),
                None => Err(Problem::new("", format!("the variable `{name}` is not set"))
                    .hint("it has to be in the server's own environment")),
            },
            Some(("file", Some(path))) => file(path),
            _ => Err(Problem::new("", "a secret is text, or a reference to it")
                .hint("either `{ env = \"NAME\" }` or `{ file = \"path\" }`")),
        }?;
        match secret.is_empty() {
            true => Err(Problem::new("", "the secret that this refers to is empty")),
            false => Ok(secret),
        }
    }
}

/// What a file holds, without the line end that editors leave.
fn file(path: &str) -> Result<String, Problem> {
    let failed = |error: std::io::Error| Problem::new("", format!("the file `{path}` cannot be read: {error}"));
    let mut text = String::new();
    let size = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text)).map_err(failed)?;
    if size as u64 > FILE_MAX {
        return Err(Problem::new("", format!("the file `{path}` is too large for a secret")));
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}
