//! What somebody looks for: their words as a query that the engine always understands, and what is found. Knows no engine
//! but the form of its queries.

use plexichat::id::{RoomId, UserId};
use plexichat::message::StoredRow;
use plexichat::store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The longest text that is looked for, in characters.
pub const QUERY_MAX: usize = 200;

/// How many words and phrases are looked for at once.
const TERMS_MAX: usize = 8;

/// How many letters a beginning has at least: with one, most words of the index would have to be gone through.
const BEGINNING_MIN: usize = 2;

/// Words and phrases, all of which a message has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    text: String,
    /// Whether words that begin so count, too.
    prefix: bool,
}

impl Term {
    /// How many letters its last word has, which is the one that a `*` is about.
    fn last_word_length(&self) -> usize {
        let mut words = self.text.rsplit(|sign: char| !sign.is_alphanumeric());
        words.find(|word| !word.is_empty()).map_or(0, |word| word.chars().count())
    }
}

/// Why a text cannot be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWords {
    /// It is too long.
    #[error("`q` has at most {QUERY_MAX} characters")]
    TooLong,
    /// It has nothing to look for.
    #[error("`q` has no word to look for")]
    Empty,
    /// It has too much to look for.
    #[error("`q` has at most {TERMS_MAX} words and phrases")]
    TooMany,
    /// So many words begin so that they cannot all be looked for.
    #[error("a beginning in `q`, such as `be*`, has at least {BEGINNING_MIN} letters before the `*`")]
    Beginning,
}

/// Why nothing was found, nor known not to be there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Others look for something.
    #[error("too many people search just now")]
    Busy,
    /// There is too much to look through.
    #[error("the search took too long, and was given up")]
    TooLong,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Words {
    /// Reads what somebody typed: words, all of which count; `"several words"` in this order; `begin*` for words that
    /// begin so. Nothing else has a meaning, so that nothing that is typed can be wrong.
    ///
    /// # Errors
    /// [`InvalidWords`].
    pub fn parse(text: &str) -> Result<Self, InvalidWords> {
        if text.chars().count() > QUERY_MAX {
            return Err(InvalidWords::TooLong);
        }
        // As it is typed on one keyboard or the other, a letter is one character.
        let text: String = text.nfc().collect();
        let mut terms = Vec::new();
        // Every second part stands within quotes; one that is not closed reaches to the end.
        for (number, part) in text.split('"').enumerate() {
            if number % 2 == 1 {
                terms.push(Term { text: part.to_owned(), prefix: false });
                continue;
            }
            terms.extend(part.split_whitespace().map(|word| {
                let prefix = word.ends_with('*');
                Term { text: word.trim_end_matches('*').to_owned(), prefix }
            }));
        }
        // The index has letters and digits only: the rest parts them.
        terms.retain(|term| term.text.chars().any(char::is_alphanumeric));
        if terms.iter().any(|term| term.prefix && term.last_word_length() < BEGINNING_MIN) {
            return Err(InvalidWords::Beginning);
        }
        match terms.len() {
            0 => Err(InvalidWords::Empty),
            1..=TERMS_MAX => Ok(Self(terms)),
            _ => Err(InvalidWords::TooMany),
        }
    }

    /// The same in the words of FTS5: quoted strings only, so that no word is taken for an operator.
    pub(super) fn to_match(&self) -> String {
        let term = |term: &Term| {
            let text: String = term.text.chars().map(|sign| if sign.is_alphanumeric() { sign } else { ' ' }).collect();
            format!("\"{}\"{}", text.trim(), if term.prefix { " *" } else { "" })
        };
        self.0.iter().map(term).collect::<Vec<_>>().join(" AND ")
    }
}

/// What is looked for, and where.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// The words.
    pub words: Words,
    /// Who looks: only rooms that they may read are looked through.
    pub viewer: UserId,
    /// Only in this room; in public rooms and one's own where none is named. Whether the viewer may read it was asked.
    pub room: Option<RoomId>,
    /// Only what this person (by identifier) or plugin (by name) wrote.
    pub author: Option<String>,
    /// Only messages before this place.
    pub before: Option<u64>,
    /// How many are found at most.
    pub limit: u32,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The message.
    pub message: StoredRow,
    /// The part of its text around what was looked for, as plain text in pieces: joined they are the part.
    pub snippet: Vec<Piece>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Piece {
    /// Plain text: it is to be escaped like any other that people wrote.
    pub text: String,
    /// Whether it is what was looked for.
    #[serde(rename = "match")]
    pub matches: bool,
}

/// What was found, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchPage {
    /// The messages. A page may have fewer than were asked for and yet a `next`: so much is looked through at once.
    pub results: Vec<Hit>,
    /// What `before` must be to look further back; missing where everything was looked through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidWords>) {
        let found = Words::parse(text).map(|words| words.to_match());
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{text:?}");
    }

    #[test]
    fn words_are_quoted_and_joined() {
        check("hello", Ok(r#""hello""#));
        check("hello world", Ok(r#""hello" AND "world""#));
        check(r#"a "b c" d"#, Ok(r#""a" AND "b c" AND "d""#));
        check("Jo\u{308}rg", Ok("\"Jörg\""));
        check("foo-bar", Ok(r#""foo bar""#));
        check("rom*", Ok(r#""rom" *"#));
        check(r#""not closed"#, Ok(r#""not closed""#));
    }

    #[test]
    fn operators_are_words() {
        check("a OR b NOT c NEAR(d)", Ok(r#""a" AND "OR" AND "b" AND "NOT" AND "c" AND "NEAR d""#));
        check("text:x ^y -z {a}", Ok(r#""text x" AND "y" AND "z" AND "a""#));
        check("a\0b", Ok(r#""a b""#));
        check("* ** \"\" - 🦀", Err(InvalidWords::Empty));
        check("", Err(InvalidWords::Empty));
    }

    #[test]
    fn what_is_looked_for_is_bounded() {
        check(&"ü".repeat(201), Err(InvalidWords::TooLong));
        check(&"a ".repeat(9), Err(InvalidWords::TooMany));
        assert!(Words::parse(&"a ".repeat(8)).is_ok());
        check("a*", Err(InvalidWords::Beginning));
        check("words-e* and", Err(InvalidWords::Beginning));
        check("be*", Ok(r#""be" *"#));
    }
}
