//! Reads TOML text and environment variables into located values. Knows no setting by name, except that a plugin's name is
//! written with `_` in a variable.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::layer::{Located, Node};
use super::origin::Origin;
use crate::id::PluginName;
use crate::problem::Problem;

/// What every environment variable of the settings begins with.
pub(super) const PREFIX: &str = "PLEXICHAT__";

/// How many sections a variable may name.
const SECTIONS_MAX: usize = 16;

/// How much of a variable's name is shown.
const SHOWN_MAX: usize = 120;

/// Reads a TOML document. Where its syntax is wrong, what could be read is not returned: it may mean something else.
pub(super) fn toml(content: &[u8], place: &dyn Fn(usize, usize) -> Origin, problems: &mut Vec<Problem>) -> Located {
    let text = match std::str::from_utf8(content) {
        Ok(text) => text,
        Err(error) => {
            let (valid, _) = content.split_at(error.valid_up_to());
            let (line, column) = Lines::new(&String::from_utf8_lossy(valid)).place(valid.len());
            problems.push(Problem::new("", "this is not UTF-8 text").origin(place(line, column).to_string()));
            return Located::default();
        }
    };
    let lines = Lines::new(text);
    let at = |offset: usize| {
        let (line, column) = lines.place(offset);
        place(line, column)
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let node = table_node(table.into_inner(), &at, &mut String::new(), problems);
        return Located { node, origin: Origin::Default };
    }
    for error in errors {
        // The parser's message holds no values, only what it expected.
        let problem = Problem::new("", error.message());
        problems.push(problem.origin(at(error.span().map_or(0, |span| span.start)).to_string()));
    }
    Located::default()
}

fn table_node(
    table: DeTable<'_>,
    at: &dyn Fn(usize) -> Origin,
    pointer: &mut String,
    problems: &mut Vec<Problem>,
) -> Node {
    let mut entries = BTreeMap::new();
    for (key, value) in table {
        let origin = at(key.span().start);
        let key = key.into_inner().into_owned();
        let length = pointer.len();
        crate::problem::push_key(pointer, &key);
        let node = node(value.into_inner(), at, &origin, pointer, problems);
        pointer.truncate(length);
        entries.insert(key, Located { node, origin });
    }
    Node::Table(entries)
}

fn node(
    value: DeValue<'_>,
    at: &dyn Fn(usize) -> Origin,
    origin: &Origin,
    pointer: &mut String,
    problems: &mut Vec<Problem>,
) -> Node {
    match value {
        DeValue::Table(table) => table_node(table, at, pointer, problems),
        DeValue::Array(items) => {
            let mut nodes = Vec::new();
            for (index, item) in items.into_iter().enumerate() {
                let origin = at(item.span().start);
                let length = pointer.len();
                crate::problem::push_key(pointer, &index.to_string());
                let node = node(item.into_inner(), at, &origin, pointer, problems);
                pointer.truncate(length);
                nodes.push(Located { node, origin });
            }
            Node::Array(nodes)
        }
        scalar => {
            let value = scalar_value(&scalar).unwrap_or_else(|message| {
                problems.push(Problem::new(&**pointer, message).origin(origin.to_string()));
                Value::Null
            });
            Node::Scalar { value, text: None }
        }
    }
}

fn scalar_value(value: &DeValue<'_>) -> Result<Value, &'static str> {
    Ok(match value {
        DeValue::Integer(integer) => {
            let signed = i64::from_str_radix(integer.as_str(), integer.radix()).map(Value::from);
            let unsigned = || u64::from_str_radix(integer.as_str(), integer.radix()).map(Value::from);
            signed.or_else(|_| unsigned()).map_err(|_| "this number is too large")?
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or("this number is infinite or none at all")?)
        }
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => unreachable!("the caller takes lists and tables apart"),
    })
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Line and column of a byte, both from 1, columns in characters.
    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let before = self.text.get(self.starts[line]..offset).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }
}

/// Reads every variable that begins with `PLEXICHAT__`.
pub(super) fn environment(
    variables: &[(OsString, OsString)],
    plugins: &[PluginName],
    problems: &mut Vec<Problem>,
) -> Located {
    let mut ours: Vec<_> = variables.iter().filter(|(name, _)| name.to_string_lossy().starts_with(PREFIX)).collect();
    // Sections before what is in them, whatever order the system gives.
    ours.sort();
    let mut layer = Located::default();
    for (name, value) in ours {
        let full = name.to_string_lossy();
        let shown: String = full.chars().take(SHOWN_MAX).collect();
        let origin = Origin::Environment(shown.as_str().into());
        let mut refuse = |message: &str| problems.push(Problem::new("", message).origin(&*shown));
        let (Some(_), Some(text)) = (name.to_str(), value.to_str()) else {
            refuse("this variable is not UTF-8 text");
            continue;
        };
        let keys = keys(&full, plugins);
        if keys.len() > SECTIONS_MAX || keys.iter().any(String::is_empty) {
            refuse("this variable names no setting; it has to look like `PLEXICHAT__SERVER__LISTEN`");
            continue;
        }
        if layer.set(&keys, literal(text, &origin), &origin).is_err() {
            refuse("another variable sets the whole section that this one is in");
        }
    }
    layer
}

/// The keys that a variable's name spells: sections are separated by `__`, and `_` stands for `-` in a plugin's name.
fn keys(name: &str, plugins: &[PluginName]) -> Vec<String> {
    let mut keys: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
    if let [section, plugin, ..] = &mut keys[..]
        && section == "plugins"
    {
        let spelled = plugins.iter().find(|name| name.as_str().replace('-', "_") == *plugin);
        *plugin = spelled.map_or_else(|| plugin.replace('_', "-"), ToString::to_string);
    }
    keys
}

/// What a text means: a TOML value where it is one, else the text itself.
fn literal(text: &str, origin: &Origin) -> Node {
    let mut problems = Vec::new();
    let read = DeValue::parse(text)
        .ok()
        .map(|value| node(value.into_inner(), &|_| origin.clone(), origin, &mut String::new(), &mut problems));
    match read {
        Some(Node::Scalar { value, .. }) if problems.is_empty() => {
            let text = (!value.is_string()).then(|| text.to_owned());
            Node::Scalar { value, text }
        }
        Some(node) if problems.is_empty() => node,
        _ => Node::Scalar { value: Value::from(text), text: None },
    }
}

/// What an argument of the command line means: always text.
pub(super) fn argument(text: &str) -> Node {
    Node::Scalar { value: Value::from(text), text: None }
}
