//! Text in TOML or JSON as a value, and where each part of it stands. Knows no workflow.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plexichat::problem::Problem;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// How a definition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Json,
}

impl Format {
    /// By the end of a file's name.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// A document that begins with a brace is JSON.
    pub(crate) fn of_text(text: &str) -> Self {
        if text.trim_start().starts_with('{') { Self::Json } else { Self::Toml }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Json => "json",
        }
    }
}

/// Where the parts of a document stand.
#[derive(Debug, Default)]
pub(crate) struct Places<'a> {
    /// What the document is called: a file's path; nothing for a configuration, whose places are JSON pointers.
    name: Option<Cow<'a, str>>,
    /// What stands before each pointer.
    prefix: String,
    text: &'a str,
    /// By JSON pointer: where the key begins, and where the value does.
    offsets: BTreeMap<String, (usize, usize)>,
}

impl<'a> Places<'a> {
    /// A part of the configuration.
    pub(crate) fn of_config(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// The problem with the place where its key or value stands; a part that is missing is where it would belong.
    pub(crate) fn locate(&self, problem: Problem) -> Problem {
        let Some(name) = &self.name else {
            return Problem { pointer: format!("{}{}", self.prefix, problem.pointer), ..problem };
        };
        let known = self.offsets.get(&problem.pointer);
        let at_key = problem.message.starts_with("unknown key");
        let offset = match known {
            Some((key, value)) => {
                if at_key {
                    *key
                } else {
                    *value
                }
            }
            None => self.nearest(&problem.pointer),
        };
        let (line, column) = line_and_column(self.text, offset);
        problem.origin(format!("{name}:{line}:{column}"))
    }

    /// The problem with the place of a byte within the text that stands at its pointer.
    pub(crate) fn locate_within(&self, problem: Problem, byte: usize) -> Problem {
        let (Some(name), Some((_, value))) = (&self.name, self.offsets.get(&problem.pointer)) else {
            return self.locate(problem);
        };
        let rest = &self.text[*value..];
        let quotes = ["\"\"\"\n", "'''\n", "\"\"\"", "'''", "\"", "'"];
        let quote = quotes.iter().find(|quote| rest.starts_with(**quote)).map_or(0, |quote| quote.len());
        let upto = rest[quote..].get(..byte).unwrap_or_default();
        // An escape before it moves what follows: then the value's own place has to do.
        if upto.contains('\\') {
            return self.locate(problem);
        }
        let (line, column) = line_and_column(self.text, value + quote + upto.len());
        problem.origin(format!("{name}:{line}:{column}"))
    }

    fn nearest(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        while let Some((parent, _)) = pointer.rsplit_once('/') {
            if let Some((key, _)) = self.offsets.get(parent) {
                return *key;
            }
            pointer = parent;
        }
        0
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Reads a document.
///
/// # Errors
/// What is no TOML or JSON in it, with its place.
pub(crate) fn read<'a>(name: &'a str, text: &'a str, format: Format) -> Result<(Value, Places<'a>), Vec<Problem>> {
    let mut places = Places { name: Some(name.into()), text, ..Places::default() };
    let at = |offset: usize, message: String| {
        let (line, column) = line_and_column(text, offset);
        vec![Problem::new("", message).origin(format!("{name}:{line}:{column}"))]
    };
    match format {
        Format::Toml => {
            let table = DeTable::parse(text)
                .map_err(|error| at(error.span().map_or(0, |span| span.start), error.message().trim().to_owned()))?;
            let value = of_table(table.get_ref(), &mut String::new(), &mut places.offsets)
                .map_err(|offset| at(offset, "a number that no workflow can hold".to_owned()))?;
            Ok((value, places))
        }
        Format::Json => {
            let value = serde_json::from_str(text).map_err(|error| {
                let told = error.to_string();
                let what = told.split(" at line ").next().unwrap_or(&told).to_owned();
                let origin = format!("{name}:{}:{}", error.line(), error.column().max(1));
                vec![Problem::new("", what).origin(origin)]
            })?;
            // What serde_json read has the shape that this relies on.
            JsonPlaces { text, at: 0, offsets: &mut places.offsets }.value(&mut String::new(), None);
            Ok((value, places))
        }
    }
}

fn inside<R>(pointer: &mut String, key: &str, look: impl FnOnce(&mut String) -> R) -> R {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    let result = look(pointer);
    pointer.truncate(length);
    result
}

type Offsets = BTreeMap<String, (usize, usize)>;

fn of_table(table: &DeTable<'_>, pointer: &mut String, offsets: &mut Offsets) -> Result<Value, usize> {
    let mut object = Map::new();
    for (key, value) in table {
        let value = inside(pointer, key.get_ref(), |pointer| {
            offsets.insert(pointer.clone(), (key.span().start, value.span().start));
            of_value(value, pointer, offsets)
        })?;
        object.insert(key.get_ref().to_string(), value);
    }
    Ok(Value::Object(object))
}

fn of_value(value: &toml::Spanned<DeValue<'_>>, pointer: &mut String, offsets: &mut Offsets) -> Result<Value, usize> {
    let start = value.span().start;
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).map_err(|_| start)?.into()
        }
        DeValue::Float(number) => {
            let number: f64 = number.as_str().replace('_', "").parse().map_err(|_| start)?;
            Value::Number(serde_json::Number::from_f64(number).ok_or(start)?)
        }
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => {
            let mut list = Vec::new();
            for (index, item) in items.iter().enumerate() {
                list.push(inside(pointer, &index.to_string(), |pointer| {
                    let start = item.span().start;
                    offsets.insert(pointer.clone(), (start, start));
                    of_value(item, pointer, offsets)
                })?);
            }
            Value::Array(list)
        }
        DeValue::Table(table) => of_table(table, pointer, offsets)?,
    })
}

/// Walks through JSON that is known to be valid.
struct JsonPlaces<'a> {
    text: &'a str,
    at: usize,
    offsets: &'a mut Offsets,
}

impl JsonPlaces<'_> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    fn value(&mut self, pointer: &mut String, key: Option<usize>) {
        let first = self.peek();
        let start = self.at;
        self.offsets.insert(pointer.clone(), (key.unwrap_or(start), start));
        match first {
            b'{' => {
                self.at += 1;
                while self.peek() == b'"' {
                    let key_at = self.at;
                    let raw = self.string();
                    let name: String = serde_json::from_str(raw).unwrap_or_default();
                    self.peek();
                    self.at += 1; // the colon
                    inside(pointer, &name, |pointer| self.value(pointer, Some(key_at)));
                    if self.peek() == b',' {
                        self.at += 1;
                    }
                }
                self.at += 1;
            }
            b'[' => {
                self.at += 1;
                let mut index = 0;
                while !matches!(self.peek(), b']' | 0) {
                    inside(pointer, &index.to_string(), |pointer| self.value(pointer, None));
                    index += 1;
                    if self.peek() == b',' {
                        self.at += 1;
                    }
                }
                self.at += 1;
            }
            b'"' => {
                self.string();
            }
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                self.at += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
            }
        }
    }

    fn string(&mut self) -> &str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(bytes.len());
        &self.text[start..self.at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, pointer: &str, expected: &str) {
        let (value, places) = read("a", text, Format::of_text(text)).unwrap_or_else(|problems| panic!("{problems:?}"));
        let found = places.locate(Problem::new(pointer, "x")).origin.unwrap();
        assert_eq!(found, expected, "{value}");
    }

    #[track_caller]
    fn check_wrong(text: &str, expected: &str) {
        let problems = read("a", text, Format::of_text(text)).map(|(value, _)| value).expect_err("it is wrong");
        assert_eq!(problems[0].to_string(), expected);
    }

    #[test]
    fn every_part_has_its_place() {
        check("name = 'x'\n[[steps]]\nid = 'b'\n  wait = { for = '1s' }", "/steps/0/wait/for", "a:4:18");
        check("name = 'x'\n[[steps]]\nid = 'b'", "/steps/0/missing", "a:2:1");
        check("{\"a\": [1, {\"b\\\"c\":\n  true}], \"d\": \"[{\\\"\", \"e\": null}", "/a/1/b\"c", "a:2:3");
        check("{\"a\": [1, 2], \"d\": \"[{\\\"\", \"e\": null}", "/e", "a:1:33");
        check("{\"a\": [], \"b\": {}, \"c\": 1}", "/c", "a:1:25");
        check("{\"a\": {}}", "/a/b", "a:1:2");
    }

    #[test]
    fn what_is_no_document_says_where() {
        check_wrong("name = ", "a:1:8: string values must be quoted, expected literal string");
        check_wrong("{\"a\": 1,}", "a:1:9: trailing comma");
        check_wrong("{\n \"a\": 99\n", "a:3:1: EOF while parsing an object");
        check_wrong("a = 99999999999999999999", "a:1:5: a number that no workflow can hold");
    }

    #[test]
    fn expressions_are_found_within_their_text() {
        let text = "a = \"\"\"\none\ntwo {{ x }}\"\"\"\nb = \"\\t{{ x }}\"";
        let (_, places) = read("a", text, Format::Toml).unwrap();
        let at = |pointer, byte| places.locate_within(Problem::new(pointer, "x"), byte).origin.unwrap();
        assert_eq!(at("/a", 11), "a:3:8");
        // An escape moves what follows.
        assert_eq!(at("/b", 4), "a:4:5");
    }
}
