//! Text to tokens and back, by the vocabulary that stands in the model's file. Knows which tokens are commands to the
//! model; the two ways of cutting text are below.

mod byte_level;
mod join;
mod sentence_piece;

use std::collections::HashMap;

use crate::error::ModelError;
use crate::gguf::Head;
use byte_level::ByteLevel;
use sentence_piece::SentencePiece;

/// Stands within what people wrote, where it would else read as a command to the model. It is no character, so no text has
/// it for another reason; it leaves no trace in the tokens.
const SHIELD: char = '\u{fdd0}';

/// The numbers by which llama.cpp says what a token is.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const BYTE: i64 = 6;

/// Names of tokens that end an answer, where a file marks one only by `eos_token_id` and its template uses another.
const ENDS: [&str; 7] =
    ["<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>"];

/// A vocabulary.
pub struct Tokens {
    way: Way,
    texts: Vec<String>,
    kinds: Vec<i64>,
    /// Texts that are one token wherever they stand, by their first byte, the longest first.
    whole: HashMap<u8, Vec<(String, u32)>>,
    begin: Option<u32>,
    end: Option<u32>,
    ends: Vec<u32>,
    adds_begin: bool,
}

enum Way {
    SentencePiece(SentencePiece),
    ByteLevel(ByteLevel),
}

impl Tokens {
    /// Reads it.
    ///
    /// # Errors
    /// Where a key is missing, lists have different lengths, or text is cut in a way that is not known here.
    pub fn read(head: &Head) -> Result<Self, ModelError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let texts = head.texts(&key("tokens"))?.ok_or_else(|| ModelError::key(key("tokens"), "is missing"))?.to_vec();
        let kinds: Vec<i64> = match head.numbers(&key("token_type"))? {
            Some(kinds) => kinds.iter().map(|kind| *kind as i64).collect(),
            None => vec![1; texts.len()],
        };
        if kinds.len() != texts.len() {
            return Err(of_other_length(&key("token_type"), kinds.len(), texts.len()));
        }
        let model = head.text(&key("model"))?.ok_or_else(|| ModelError::key(key("model"), "is missing"))?;
        let way = match model {
            "llama" => Way::SentencePiece(SentencePiece::read(head, &texts, &kinds)?),
            "gpt2" => Way::ByteLevel(ByteLevel::read(head, &texts)?),
            other => {
                return Err(ModelError::key(key("model"), format!("is `{other}`; `llama` and `gpt2` are known")));
            }
        };
        let id = |name: &str| -> Result<Option<u32>, ModelError> {
            match head.count(&key(name))? {
                Some(number) if number < texts.len() => Ok(u32::try_from(number).ok()),
                Some(number) => Err(ModelError::key(key(name), format!("is {number}, and there is no such token"))),
                None => Ok(None),
            }
        };
        let (begin, end) = (id("bos_token_id")?, id("eos_token_id")?);
        let mut ends: Vec<u32> = [end, id("eot_token_id")?, id("eom_token_id")?].into_iter().flatten().collect();
        let mut whole: HashMap<u8, Vec<(String, u32)>> = HashMap::new();
        for (number, (text, kind)) in (0..).zip(texts.iter().zip(&kinds)) {
            if matches!(*kind, CONTROL | USER_DEFINED | UNKNOWN) && !text.is_empty() {
                whole.entry(text.as_bytes()[0]).or_default().push((text.clone(), number));
            }
            if *kind == CONTROL && ENDS.contains(&text.as_str()) {
                ends.push(number);
            }
        }
        for texts in whole.values_mut() {
            texts.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
        let adds_begin = head.flag(&key("add_bos_token"))?.unwrap_or(match &way {
            Way::SentencePiece(_) => true,
            Way::ByteLevel(byte_level) => byte_level.adds_begin,
        });
        Ok(Self { way, texts, kinds, whole, begin, end, ends, adds_begin })
    }

    /// The token that begins a text, as a template writes it.
    pub fn begin_text(&self) -> &str {
        self.begin.map_or("", |begin| &self.texts[begin as usize])
    }

    /// The token that ends one, as a template writes it.
    pub fn end_text(&self) -> &str {
        self.end.map_or("", |end| &self.texts[end as usize])
    }

    /// Whether an answer ends with this token.
    pub fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// What people wrote, such that no part of it is a command to the model.
    pub fn shielded(&self, text: &str) -> String {
        let bare = text.replace(SHIELD, "");
        let mut shielded = String::with_capacity(text.len());
        let mut rest = bare.as_str();
        while let Some(first) = rest.chars().next() {
            let command = self.whole_at(rest).filter(|(_, number)| self.kinds[*number as usize] == CONTROL);
            shielded.push(first);
            if command.is_some() {
                shielded.push(SHIELD);
            }
            rest = &rest[first.len_utf8()..];
        }
        shielded
    }

    /// The tokens of a prompt, in which the names of commands are commands.
    pub fn of_prompt(&self, prompt: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        tokens.extend(self.begin.filter(|_| self.adds_begin));
        let (mut plain, mut rest) = (0, prompt);
        // A text that follows a command is cut as one that begins.
        let mut begins = true;
        while let Some(first) = rest.chars().next() {
            let at = prompt.len() - rest.len();
            let Some((text, number)) = self.whole_at(rest) else {
                rest = &rest[first.len_utf8()..];
                continue;
            };
            self.cut(&prompt[plain..at], begins, &mut tokens);
            // Templates write it by themselves, as a rule.
            if !(at == 0 && self.adds_begin && Some(number) == self.begin) {
                tokens.push(number);
            }
            rest = &rest[text.len()..];
            (plain, begins) = (prompt.len() - rest.len(), true);
        }
        self.cut(&prompt[plain..], begins, &mut tokens);
        tokens
    }

    /// How many tokens a text has by itself.
    pub fn count(&self, text: &str) -> usize {
        let mut tokens = Vec::new();
        self.cut(text, true, &mut tokens);
        tokens.len()
    }

    fn cut(&self, text: &str, begins: bool, tokens: &mut Vec<u32>) {
        let text = text.replace(SHIELD, "");
        if text.is_empty() {
            return;
        }
        match &self.way {
            Way::SentencePiece(way) => way.cut(&text, begins, tokens),
            Way::ByteLevel(way) => way.cut(&text, tokens),
        }
    }

    /// The token that stands whole at the beginning of this text.
    fn whole_at(&self, text: &str) -> Option<(&str, u32)> {
        let candidates = self.whole.get(text.as_bytes().first()?)?;
        let (whole, number) = candidates.iter().find(|(whole, _)| text.starts_with(whole.as_str()))?;
        Some((whole, *number))
    }

    /// What a token adds to an answer; nothing where it is a command.
    pub fn bytes_of(&self, token: u32) -> Vec<u8> {
        let (text, kind) = (&self.texts[token as usize], self.kinds[token as usize]);
        match (&self.way, kind) {
            (_, CONTROL | UNKNOWN) => Vec::new(),
            (_, USER_DEFINED) => text.clone().into_bytes(),
            (Way::SentencePiece(_), BYTE) => sentence_piece::byte_of(text).into_iter().collect(),
            (Way::SentencePiece(_), _) => text.replace(sentence_piece::SPACE, " ").into_bytes(),
            (Way::ByteLevel(_), _) => byte_level::bytes_of(text),
        }
    }

    /// Whether an answer begins with a space that nobody means, as SentencePiece has it.
    pub fn begins_with_space(&self) -> bool {
        matches!(self.way, Way::SentencePiece(_))
    }
}

fn of_other_length(key: &str, length: usize, tokens: usize) -> ModelError {
    ModelError::key(key, format!("has {length} entries for {tokens} tokens"))
}

#[cfg(test)]
mod tests;
