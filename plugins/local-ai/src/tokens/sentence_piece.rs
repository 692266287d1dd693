//! Cuts text as SentencePiece's byte-pair models do: from single characters, the pair with the highest score is joined
//! first; what is no token then falls back to its bytes. Knows nothing of commands to the model.

use std::collections::HashMap;

use super::join::{Neighbours, joined};
use super::{BYTE, of_other_length};
use crate::error::ModelError;
use crate::gguf::Head;

/// What stands for a space within tokens.
pub(super) const SPACE: char = '▁';

pub(super) struct SentencePiece {
    numbers: HashMap<String, u32>,
    scores: Vec<f64>,
    /// The token of each byte.
    bytes: HashMap<u8, u32>,
    unknown: Option<u32>,
    begins_with_space: bool,
}

impl SentencePiece {
    pub(super) fn read(head: &Head, texts: &[String], kinds: &[i64]) -> Result<Self, ModelError> {
        let key = "tokenizer.ggml.scores";
        let scores = head.numbers(key)?.ok_or_else(|| ModelError::key(key, "is missing"))?.to_vec();
        if scores.len() != texts.len() {
            return Err(of_other_length(key, scores.len(), texts.len()));
        }
        let (mut numbers, mut bytes) = (HashMap::new(), HashMap::new());
        for (number, (text, kind)) in (0..).zip(texts.iter().zip(kinds)) {
            numbers.entry(text.clone()).or_insert(number);
            if let (BYTE, Some(byte)) = (*kind, byte_of(text)) {
                bytes.entry(byte).or_insert(number);
            }
        }
        let unknown = head.count("tokenizer.ggml.unknown_token_id")?.and_then(|number| u32::try_from(number).ok());
        let begins_with_space = head.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        Ok(Self { numbers, scores, bytes, unknown, begins_with_space })
    }

    pub(super) fn cut(&self, text: &str, begins: bool, tokens: &mut Vec<u32>) {
        let mut spaced = String::with_capacity(text.len() + SPACE.len_utf8());
        if begins && self.begins_with_space {
            spaced.push(SPACE);
        }
        spaced.extend(text.chars().map(|character| if character == ' ' { SPACE } else { character }));
        let score = |pair: Neighbours<'_>| Some(self.scores[*self.numbers.get(pair.both)? as usize]);
        for part in joined(&spaced, score) {
            match self.numbers.get(part) {
                Some(number) => tokens.push(*number),
                None => tokens.extend(part.bytes().filter_map(|byte| self.bytes.get(&byte).copied().or(self.unknown))),
            }
        }
    }
}

/// The byte that `<0x0A>` stands for.
pub(super) fn byte_of(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}
