//! Reads the head of a GGUF file: metadata by key, and where each tensor lies. Trusts no length that the file names before
//! it has seen that there are so many bytes. Knows nothing of what keys and tensors mean.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::error::ModelError;

/// Where a model is read from.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An integer of any width.
    Integer(i64),
    /// A float of any width.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Numbers, of whatever type.
    Numbers(Vec<f64>),
    /// Lists in a list: nothing that this plugin reads.
    Nested,
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::Text(_) => "text",
            Self::Texts(_) => "a list of texts",
            Self::Numbers(_) => "a list of numbers",
            Self::Nested => "a list of lists",
        }
    }
}

/// Where a tensor lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Lengths, the innermost first.
    pub lengths: Vec<u64>,
    /// The number of its type in GGML.
    pub kind: u32,
    /// Where its data begin, from the start of the file.
    pub begins: u64,
}

/// The head of a file.
#[derive(Debug, Default)]
pub struct Head {
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
    /// How long the whole file is.
    pub length: u64,
}

/// More entries than any model has: a file that claims more is broken.
const MOST_ENTRIES: u64 = 1 << 20;

/// No model has lists in lists at all.
const MOST_NESTED: usize = 4;

/// To how many bytes tensors are aligned where the file says nothing.
const ALIGNMENT: u64 = 32;

impl Head {
    /// Reads it.
    ///
    /// # Errors
    /// Where the file is none, ends too soon or is damaged, with the key, the tensor and the byte.
    pub fn read(source: &mut dyn Source) -> Result<Self, ModelError> {
        let length = seek(source, SeekFrom::End(0))?;
        seek(source, SeekFrom::Start(0))?;
        let mut reader = Reader { source: BufReader::with_capacity(1 << 16, source), at: 0, length };
        let magic: [u8; 4] = reader.array("the first bytes")?;
        if magic != *b"GGUF" {
            return Err(ModelError::NotGguf { found: String::from_utf8_lossy(&magic).into_owned() });
        }
        let version = reader.u32("the version")?;
        if !matches!(version, 2 | 3) {
            return Err(ModelError::Version { found: version });
        }
        let tensors = reader.count("the number of tensors")?;
        let entries = reader.count("the number of keys")?;
        let mut head = Self { length, ..Self::default() };
        for number in 0..entries {
            let key = reader.text(&format!("the name of key {number} of {entries}"))?;
            let value = reader.value(&key)?;
            head.metadata.insert(key, value);
        }
        for number in 0..tensors {
            let name = reader.text(&format!("the name of tensor {number} of {tensors}"))?;
            let info = reader.tensor(&name)?;
            head.tensors.insert(name, info);
        }
        let alignment = match head.metadata.get("general.alignment") {
            Some(Value::Integer(alignment)) if *alignment > 0 && alignment % 8 == 0 => alignment.unsigned_abs(),
            None => ALIGNMENT,
            Some(_) => return Err(ModelError::key("general.alignment", "is not a positive multiple of 8")),
        };
        let data = reader.at.next_multiple_of(alignment);
        for (name, info) in &mut head.tensors {
            let begins = data.checked_add(info.begins).filter(|begins| begins.is_multiple_of(alignment));
            info.begins = begins
                .ok_or_else(|| ModelError::tensor(name, format!("begins at no multiple of {alignment} bytes")))?;
        }
        Ok(head)
    }

    /// The value of a key, if there is one.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// A text, if there is one.
    ///
    /// # Errors
    /// Where the value is none.
    pub fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        self.typed(key, "text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A whole number that is not negative, if there is one.
    ///
    /// # Errors
    /// Where the value is none.
    pub fn count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.typed(key, "a whole number", |value| match value {
            Value::Integer(number) => usize::try_from(*number).ok(),
            _ => None,
        })
    }

    /// A number, if there is one.
    ///
    /// # Errors
    /// Where the value is none.
    pub fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.typed(key, "a number", |value| match value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        })
    }

    /// Yes or no, if there is one.
    ///
    /// # Errors
    /// Where the value is none.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.typed(key, "a boolean", |value| match value {
            Value::Bool(yes) => Some(*yes),
            _ => None,
        })
    }

    /// Texts, if there are any.
    ///
    /// # Errors
    /// Where the value is none.
    pub fn texts(&self, key: &str) -> Result<Option<&[String]>, ModelError> {
        self.typed(key, "a list of texts", |value| match value {
            Value::Texts(texts) => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// Numbers, if there are any.
    ///
    /// # Errors
    /// Where the value is none.
    pub fn numbers(&self, key: &str) -> Result<Option<&[f64]>, ModelError> {
        self.typed(key, "a list of numbers", |value| match value {
            Value::Numbers(numbers) => Some(numbers.as_slice()),
            _ => None,
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(ModelError::key(key, format!("is {}, not {wanted}", value.kind()))),
        }
    }

    /// Where the tensor of this name lies, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// The names of all tensors.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

/// Goes to a place in the file.
pub fn seek(source: &mut dyn Source, to: SeekFrom) -> Result<u64, ModelError> {
    source.seek(to).map_err(|error| ModelError::Read { what: "the length".to_owned(), source: error })
}

struct Reader<'a> {
    source: BufReader<&'a mut dyn Source>,
    at: u64,
    length: u64,
}

impl Reader<'_> {
    fn need(&self, what: &str, needed: u64) -> Result<(), ModelError> {
        let left = self.length - self.at;
        if needed > left {
            return Err(ModelError::Truncated { what: what.to_owned(), at: self.at, needed, left });
        }
        Ok(())
    }

    fn fill(&mut self, what: &str, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.need(what, bytes.len() as u64)?;
        self.source
            .read_exact(bytes)
            .map_err(|source: io::Error| ModelError::Read { what: what.to_owned(), source })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn array<const LENGTH: usize>(&mut self, what: &str) -> Result<[u8; LENGTH], ModelError> {
        let mut bytes = [0; LENGTH];
        self.fill(what, &mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, ModelError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, ModelError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn count(&mut self, what: &str) -> Result<u64, ModelError> {
        let at = self.at;
        let count = self.u64(what)?;
        if count > MOST_ENTRIES {
            let problem = format!("{count} is more than any model has");
            return Err(ModelError::Broken { what: what.to_owned(), at, problem });
        }
        Ok(count)
    }

    fn text(&mut self, what: &str) -> Result<String, ModelError> {
        let length = self.u64(what)?;
        self.need(what, length)?;
        let at = self.at;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.fill(what, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| ModelError::Broken {
            what: what.to_owned(),
            at,
            problem: "is no text in UTF-8".to_owned(),
        })
    }

    fn value(&mut self, key: &str) -> Result<Value, ModelError> {
        let what = format!("the value of `{key}`");
        let at = self.at;
        let kind = self.u32(&what)?;
        Ok(match kind {
            8 => Value::Text(self.text(&what)?),
            9 => self.list(&what, 0)?,
            7 => Value::Bool(self.array::<1>(&what)?[0] != 0),
            kind => match self.scalar(&what, kind)? {
                Some(value) => value,
                None => return Err(unknown_kind(&what, at, kind)),
            },
        })
    }

    /// An integer or a float; nothing where there is no such type.
    fn scalar(&mut self, what: &str, kind: u32) -> Result<Option<Value>, ModelError> {
        Ok(Some(match kind {
            0 => Value::Integer(i64::from(self.array::<1>(what)?[0])),
            1 => Value::Integer(i64::from(i8::from_le_bytes(self.array(what)?))),
            2 => Value::Integer(i64::from(u16::from_le_bytes(self.array(what)?))),
            3 => Value::Integer(i64::from(i16::from_le_bytes(self.array(what)?))),
            4 => Value::Integer(i64::from(self.u32(what)?)),
            5 => Value::Integer(i64::from(i32::from_le_bytes(self.array(what)?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array(what)?))),
            10 => Value::Integer(i64::try_from(self.u64(what)?).unwrap_or(i64::MAX)),
            11 => Value::Integer(i64::from_le_bytes(self.array(what)?)),
            12 => Value::Float(f64::from_le_bytes(self.array(what)?)),
            _ => return Ok(None),
        }))
    }

    fn list(&mut self, what: &str, depth: usize) -> Result<Value, ModelError> {
        let at = self.at;
        if depth > MOST_NESTED {
            let problem = format!("lists in lists, more than {MOST_NESTED} deep");
            return Err(ModelError::Broken { what: what.to_owned(), at, problem });
        }
        let kind = self.u32(what)?;
        let length = self.u64(what)?;
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => 12,
            _ => return Err(unknown_kind(what, at, kind)),
        };
        self.need(what, length.saturating_mul(least))?;
        match kind {
            8 => Ok(Value::Texts((0..length).map(|_| self.text(what)).collect::<Result<_, _>>()?)),
            9 => {
                // Nothing that this plugin reads: each of them is passed by.
                for _ in 0..length {
                    self.list(what, depth + 1)?;
                }
                Ok(Value::Nested)
            }
            _ => {
                let number = |value| match value {
                    Some(Value::Integer(number)) => number as f64,
                    Some(Value::Float(number)) => number,
                    _ => 0.0,
                };
                let numbers = (0..length).map(|_| match kind {
                    7 => Ok(f64::from(self.array::<1>(what)?[0])),
                    kind => Ok(number(self.scalar(what, kind)?)),
                });
                Ok(Value::Numbers(numbers.collect::<Result<_, ModelError>>()?))
            }
        }
    }

    fn tensor(&mut self, name: &str) -> Result<TensorInfo, ModelError> {
        let what = format!("the description of tensor `{name}`");
        let at = self.at;
        let dimensions = self.u32(&what)?;
        if !(1..=4).contains(&dimensions) {
            let problem = format!("{dimensions} dimensions, where one to four are possible");
            return Err(ModelError::Broken { what, at, problem });
        }
        let lengths = (0..dimensions).map(|_| self.u64(&what)).collect::<Result<_, _>>()?;
        Ok(TensorInfo { lengths, kind: self.u32(&what)?, begins: self.u64(&what)? })
    }
}

fn unknown_kind(what: &str, at: u64, kind: u32) -> ModelError {
    ModelError::Broken { what: what.to_owned(), at, problem: format!("there is no type {kind}") }
}
