//! Reads the words behind a command's name into its argument type, guided by the type's schema. Knows no command.

use serde_json::{Map, Value};

use super::Model;
use crate::error::{PluginError, Result};
use crate::problem::{Problem, nearest};
use crate::schema::{self, walk};

/// How much of a word a message repeats, in characters.
const SHOWN_MAX: usize = 40;

/// The quotes a word may stand in: typewriters', and those that telephones make of them.
const QUOTES: [(char, char); 3] = [('"', '"'), ('“', '”'), ('„', '“')];

/// Reads a command's words into its argument type.
///
/// - Words fill the fields in the order in which they were written; `name=value` fills a field by name.
/// - `"two words"` is one word; `\"` and `\\` are a quote and a backslash within it.
/// - The last open field takes the rest of the line, word for word, if it is text, and the remaining words if it is a list.
/// - Numbers are written as JSON writes them, truth as `true`, `yes`, `on`, `false`, `no` or `off`, tables as JSON.
///
/// # Errors
/// [`PluginError`] of kind `Input` with everything that is wrong and a usage line, to be shown to the caller.
pub fn parse_arguments<A: Model>(command: &str, text: &str) -> Result<A> {
    let schema = schemars::schema_for!(A).to_value();
    let refuse = |message: &str| {
        let usage = usage(A::FIELDS, &schema);
        PluginError::input(format!("{message}; usage: /{command}{usage}"))
    };
    let fields = Fields { names: A::FIELDS, schema: &schema };
    let value = fields.read(text).map_err(|message| refuse(&message))?;
    let problems = schema::findings(&schema, &value);
    if !problems.is_empty() {
        return Err(refuse(&problems.iter().map(in_words).collect::<Vec<_>>().join("; ")));
    }
    let arguments: A = serde_path_to_error::deserialize(&value).map_err(|error| {
        let pointer = schema::serde_pointer(error.path());
        refuse(&in_words(&Problem::new(pointer, error.inner().to_string())))
    })?;
    match arguments.validate() {
        Ok(()) => Ok(arguments),
        Err(report) => {
            let problems = schema::garde_problems(&report);
            Err(refuse(&problems.iter().map(in_words).collect::<Vec<_>>().join("; ")))
        }
    }
}

/// ` <required> [optional] [rest…]`
fn usage(names: &[&str], schema: &Value) -> String {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut usage = String::new();
    for (index, name) in names.iter().enumerate() {
        let kind = Kind::of(schema, name);
        let more = if index + 1 == names.len() && (kind.text || kind.list) { "…" } else { "" };
        usage += &match required.contains(name) {
            true => format!(" <{name}{more}>"),
            false => format!(" [{name}{more}]"),
        };
    }
    usage
}

/// A finding as a sentence for the person who typed the command.
fn in_words(problem: &Problem) -> String {
    let place = problem.pointer.trim_start_matches('/');
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    match place.is_empty() {
        true => format!("{}{hint}", problem.message),
        false => format!("`{place}`: {}{hint}", problem.message),
    }
}

/// What a field takes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Kind {
    text: bool,
    whole: bool,
    number: bool,
    truth: bool,
    list: bool,
    table: bool,
}

impl Kind {
    fn of(schema: &Value, field: &str) -> Self {
        Self::of_all(schema, &walk::property(schema, schema, field))
    }

    fn of_all(root: &Value, schemas: &[&Value]) -> Self {
        let mut kind = Self::default();
        for place in schemas.iter().flat_map(|schema| walk::same_place(root, schema)) {
            let types = match &place["type"] {
                Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
                one => Vec::from_iter(one.as_str()),
            };
            kind.text |= types.contains(&"string") || place["const"].is_string();
            kind.text |= place["enum"].as_array().is_some_and(|choices| choices.iter().any(Value::is_string));
            kind.whole |= types.contains(&"integer");
            kind.number |= types.contains(&"number");
            kind.truth |= types.contains(&"boolean");
            kind.list |= types.contains(&"array");
            kind.table |= types.contains(&"object");
        }
        kind
    }

    fn in_words(self) -> &'static str {
        match self {
            Self { whole: true, .. } => "whole number",
            Self { number: true, .. } => "number",
            Self { truth: true, .. } => "`true` or `false`",
            Self { list: true, .. } => "list",
            _ => "table in JSON",
        }
    }

    /// What a word means here; nothing where it means nothing.
    fn read(self, word: &str) -> Option<Value> {
        let whole = || word.parse::<i64>().map(Value::from).or_else(|_| word.parse::<u64>().map(Value::from)).ok();
        let number = || word.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number);
        let truth = || match word.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(Value::Bool(true)),
            "false" | "no" | "off" => Some(Value::Bool(false)),
            _ => None,
        };
        let json = || serde_json::from_str(word).ok();
        let any = self == Self::default();
        [
            (self.whole || self.number).then(whole).flatten(),
            self.number.then(number).flatten(),
            self.truth.then(truth).flatten(),
            (self.list || self.table).then(json).flatten(),
            // A field that takes anything takes JSON, and any other word as text.
            any.then(json).flatten(),
            (self.text || any).then(|| Value::from(word)),
        ]
        .into_iter()
        .flatten()
        .next()
    }
}

struct Fields<'a> {
    names: &'a [&'static str],
    schema: &'a Value,
}

impl Fields<'_> {
    fn read(&self, text: &str) -> Result<Value, String> {
        let mut value = Map::new();
        let mut open: Vec<&str> = self.names.to_vec();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (field, behind) = match self.named(rest, &open, &value)? {
                Some((index, behind)) => (open.remove(index), behind),
                None if open.is_empty() => return Err(format!("{} is too much", shown(Word::first(rest)?.text()))),
                None => (open.remove(0), rest),
            };
            let kind = Kind::of(self.schema, field);
            let last = open.is_empty();
            let (read, after) = if last && kind.text {
                (self.rest_as_text(field, kind, behind)?, "")
            } else if last && kind.list && !behind.starts_with('[') {
                (self.rest_as_list(field, behind)?, "")
            } else if (kind.list || kind.table) && behind.starts_with(['[', '{']) {
                json(field, kind, behind)?
            } else {
                let word = Word::first(behind)?;
                (word.read(field, kind)?, word.after)
            };
            value.insert(field.to_owned(), read);
            rest = after.trim_start();
        }
        Ok(Value::Object(value))
    }

    /// The open field that `name=value` at the beginning of a text names, and what stands behind the `=`.
    fn named<'t>(
        &self,
        text: &'t str,
        open: &[&str],
        filled: &Map<String, Value>,
    ) -> Result<Option<(usize, &'t str)>, String> {
        let name_end = text.find(|character: char| !character.is_ascii_alphanumeric() && !"_-".contains(character));
        let Some((name, behind)) = name_end.and_then(|end| Some((&text[..end], text[end..].strip_prefix('=')?))) else {
            return Ok(None);
        };
        // A command with one field of text takes everything as it is.
        if self.names.len() == 1 && Kind::of(self.schema, self.names[0]).text {
            return Ok(None);
        }
        if let Some(index) = open.iter().position(|field| *field == name) {
            return Ok(Some((index, behind)));
        }
        // A sentence may hold what looks like a field.
        let takes_sentence = matches!(open, [last] if Kind::of(self.schema, last).text);
        if filled.contains_key(name) && !takes_sentence {
            return Err(format!("`{name}` is given twice"));
        }
        match nearest(name, self.names.iter().copied()).filter(|_| open.is_empty()) {
            Some(near) => Err(format!("{} is no field; did you mean `{near}`?", shown(name))),
            None => Ok(None),
        }
    }

    /// The rest of the line as it is; or, where all of it stands in quotes, what stands in them.
    fn rest_as_text(&self, field: &str, kind: Kind, rest: &str) -> Result<Value, String> {
        match Word::first(rest) {
            Ok(word) if word.after.trim().is_empty() => word.read(field, kind),
            // Quotes are nothing special in the middle of a sentence.
            _ => Ok(Value::from(rest)),
        }
    }

    fn rest_as_list(&self, field: &str, rest: &str) -> Result<Value, String> {
        let mut items = Vec::new();
        let mut rest = rest.trim_start();
        while !rest.is_empty() {
            let schemas: Vec<&Value> = walk::property(self.schema, self.schema, field)
                .into_iter()
                .flat_map(|schema| walk::item(self.schema, schema, items.len()))
                .collect();
            let word = Word::first(rest)?;
            items.push(word.read(field, Kind::of_all(self.schema, &schemas))?);
            rest = word.after.trim_start();
        }
        Ok(Value::Array(items))
    }
}

/// A list or a table in JSON at the beginning of a text, and what follows it.
fn json<'t>(field: &str, kind: Kind, text: &'t str) -> Result<(Value, &'t str), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok((value, &text[values.byte_offset()..])),
        Some(Err(error)) => Err(format!("`{field}`: this is no {}: {error}", kind.in_words())),
        None => Err(format!("`{field}`: nothing stands here")),
    }
}

/// The first word of a text.
struct Word<'t> {
    /// As it was typed.
    typed: &'t str,
    /// What stood in quotes.
    quoted: Option<String>,
    /// What follows.
    after: &'t str,
}

impl<'t> Word<'t> {
    fn first(text: &'t str) -> Result<Self, String> {
        let opening = text.chars().next().unwrap_or_default();
        if let Some((_, closing)) = QUOTES.iter().find(|(quote, _)| *quote == opening) {
            return Self::in_quotes(text, opening, *closing);
        }
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (typed, after) = text.split_at(end);
        Ok(Self { typed, quoted: None, after })
    }

    fn in_quotes(text: &'t str, opening: char, closing: char) -> Result<Self, String> {
        let mut quoted = String::new();
        let mut characters = text.char_indices().skip(1).peekable();
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => match characters.next_if(|(_, next)| [opening, closing, '\\'].contains(next)) {
                    Some((_, escaped)) => quoted.push(escaped),
                    None => quoted.push('\\'),
                },
                _ if character == closing => {
                    let (typed, after) = text.split_at(index + closing.len_utf8());
                    return match after.chars().next() {
                        Some(next) if !next.is_whitespace() => {
                            Err(format!("a space is missing behind {}", shown(typed)))
                        }
                        _ => Ok(Self { typed, quoted: Some(quoted), after }),
                    };
                }
                _ => quoted.push(character),
            }
        }
        Err(format!("a quote is opened and not closed: {}", shown(text)))
    }

    fn text(&self) -> &str {
        self.quoted.as_deref().unwrap_or(self.typed)
    }

    fn read(&self, field: &str, kind: Kind) -> Result<Value, String> {
        // What stands in quotes is text where text may stand.
        let kind = match self.quoted.is_some() && kind.text {
            true => Kind { text: true, ..Kind::default() },
            false => kind,
        };
        kind.read(self.text()).ok_or_else(|| format!("`{field}`: {} is no {}", shown(self.text()), kind.in_words()))
    }
}

/// A word as a message may repeat it: short, on one line, closed in its quotes and in its own direction.
fn shown(word: &str) -> String {
    if word.is_empty() {
        return "an empty word".to_owned();
    }
    let turns =
        |character| matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let tame = |character: char| match character.is_control() || character == '`' || turns(character) {
        true => char::REPLACEMENT_CHARACTER,
        false => character,
    };
    let more = if word.chars().nth(SHOWN_MAX).is_some() { "…" } else { "" };
    format!("`{}{more}`", word.chars().take(SHOWN_MAX).map(tame).collect::<String>())
}

#[cfg(test)]
mod tests;
