//! Cuts text as byte-level byte-pair models do: a pattern cuts it into words, each byte of a word is a printable character,
//! and pairs are joined in the order of a list. Knows nothing of commands to the model.

use std::collections::HashMap;

use fancy_regex::Regex;

use super::join::{Neighbours, joined};
use crate::error::ModelError;
use crate::gguf::Head;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const ONE_DIGIT: &str = r"\p{N}";

/// A way to cut text into words, by the name that llama.cpp gives it.
struct Cut {
    names: &'static [&'static str],
    /// Each cuts what the one before it left.
    patterns: &'static [&'static str],
    /// Whether a word that is a token is taken whole, whatever pairs it is made of.
    whole_words: bool,
    adds_begin: bool,
}

const CUTS: &[Cut] = &[
    Cut { names: &["default", "gpt-2", "gpt2"], patterns: &[GPT2], whole_words: false, adds_begin: false },
    Cut { names: &["llama-bpe", "llama3", "llama-v3"], patterns: &[LLAMA3], whole_words: true, adds_begin: true },
    Cut { names: &["smaug-bpe"], patterns: &[LLAMA3], whole_words: false, adds_begin: false },
    Cut { names: &["smollm"], patterns: &[ONE_DIGIT, GPT2], whole_words: false, adds_begin: false },
    Cut { names: &["qwen2"], patterns: &[QWEN2], whole_words: false, adds_begin: false },
];

pub(super) struct ByteLevel {
    numbers: HashMap<String, u32>,
    /// For two neighbours: as which of all pairs they are joined.
    pairs: HashMap<(u32, u32), u32>,
    patterns: Vec<Regex>,
    whole_words: bool,
    pub(super) adds_begin: bool,
}

impl ByteLevel {
    pub(super) fn read(head: &Head, texts: &[String]) -> Result<Self, ModelError> {
        let key = "tokenizer.ggml.pre";
        let name = head.text(key)?.unwrap_or("default");
        let cut = CUTS.iter().find(|cut| cut.names.contains(&name)).ok_or_else(|| {
            let known: Vec<&str> = CUTS.iter().flat_map(|cut| cut.names).copied().collect();
            ModelError::key(key, format!("is `{name}`, a way to cut text that is not known here: {}", known.join(", ")))
        })?;
        let numbers: HashMap<String, u32> = texts.iter().cloned().zip(0..).collect();
        let key = "tokenizer.ggml.merges";
        let merges = head.texts(key)?.ok_or_else(|| ModelError::key(key, "is missing"))?;
        let mut pairs = HashMap::with_capacity(merges.len());
        for (rank, merge) in (0..).zip(merges) {
            let pair = merge.split_once(' ').and_then(|(left, right)| {
                numbers.get(&format!("{left}{right}"))?;
                Some((*numbers.get(left)?, *numbers.get(right)?))
            });
            let pair =
                pair.ok_or_else(|| ModelError::key(key, format!("joins `{merge}`, of which not all are tokens")))?;
            pairs.entry(pair).or_insert(rank);
        }
        let patterns = cut.patterns.iter().map(|pattern| Regex::new(pattern).expect("a pattern of this file compiles"));
        Ok(Self {
            numbers,
            pairs,
            patterns: patterns.collect(),
            whole_words: cut.whole_words,
            adds_begin: cut.adds_begin,
        })
    }

    pub(super) fn cut(&self, text: &str, tokens: &mut Vec<u32>) {
        let mut words = vec![text];
        for pattern in &self.patterns {
            words = words.into_iter().flat_map(|word| split(pattern, word)).collect();
        }
        for word in words {
            self.cut_word(word, tokens);
        }
    }

    fn cut_word(&self, word: &str, tokens: &mut Vec<u32>) {
        let printable: String = word.bytes().map(printable).collect();
        if self.whole_words
            && let Some(number) = self.numbers.get(&printable)
        {
            tokens.push(*number);
            return;
        }
        let order = |pair: Neighbours<'_>| {
            let pair = (*self.numbers.get(pair.left)?, *self.numbers.get(pair.right)?);
            Some(-f64::from(*self.pairs.get(&pair)?))
        };
        tokens.extend(joined(&printable, order).into_iter().filter_map(|part| self.numbers.get(part)));
    }
}

/// A text at the matches of a pattern: each match, and what stands between two.
fn split<'a>(pattern: &Regex, text: &'a str) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut end = 0;
    // A match fails only where it would need more steps than are allowed: what is left is then one word.
    for found in pattern.find_iter(text).map_while(Result::ok) {
        words.extend([&text[end..found.start()], found.as_str()]);
        end = found.end();
    }
    words.push(&text[end..]);
    words.retain(|word| !word.is_empty());
    words
}

/// The character that stands for a byte.
fn printable(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        // The others in their order, from the first letter that is no byte.
        0..=b' ' => from_256(u32::from(byte)),
        0x7f..=0xa0 => from_256(u32::from(byte) - 0x7f + 33),
        0xad => from_256(67),
    }
}

fn from_256(number: u32) -> char {
    char::from_u32(256 + number).expect("a letter of Latin Extended-A")
}

/// The bytes that a token stands for.
pub(super) fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        let number = u32::from(character);
        match number {
            256..=288 => bytes.push((number - 256) as u8),
            289..=322 => bytes.push((number - 289 + 0x7f) as u8),
            323 => bytes.push(0xad),
            // A character that stands for no byte means itself.
            324.. => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            _ => bytes.push(number as u8),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        let all: Vec<u8> = (0..=255).collect();
        let text: String = all.iter().copied().map(printable).collect();
        assert_eq!(bytes_of(&text), all);
        assert_eq!(printable(b' '), 'Ġ');
        assert_eq!(printable(b'\n'), 'Ċ');
    }

    #[track_caller]
    fn check(name: &str, text: &str, expected: &[&str]) {
        let cut = CUTS.iter().find(|cut| cut.names.contains(&name)).unwrap();
        let mut words = vec![text];
        for pattern in cut.patterns {
            let pattern = Regex::new(pattern).unwrap();
            words = words.into_iter().flat_map(|word| split(&pattern, word)).collect();
        }
        assert_eq!(words, expected, "{name}");
    }

    /// The first two are the vectors that candle's own tests have.
    #[test]
    fn text_is_cut_into_words_as_each_model_was_taught() {
        let text = "Hello'Ve world 123\n\n  foo";
        check("qwen2", text, &["Hello", "'Ve", " world", " ", "1", "2", "3", "\n\n", " ", " foo"]);
        check("llama-bpe", text, &["Hello", "'Ve", " world", " ", "123", "\n\n", " ", " foo"]);
        check("gpt-2", text, &["Hello", "'", "Ve", " world", " 123", "\n\n ", " foo"]);
        check("smollm", "a 12", &["a", " ", "1", "2"]);
        check(
            "llama-bpe",
            "1234567 été, naïve — 你好!?\n",
            &["123", "456", "7", " été", ",", " naïve", " —", " 你好", "!?\n"],
        );
    }
}
