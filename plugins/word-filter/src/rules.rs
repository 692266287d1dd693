//! The rules ready for use, and what they find in a text. Knows no plugin and no host.

use std::ops::Range;

use crate::config::{Action, Rule};
use crate::fold::Folded;

/// The rules, each with its pattern in the form in which words are compared.
pub(crate) struct Rules(Vec<Ready>);

struct Ready {
    label: String,
    pattern: String,
    whole_word: bool,
    action: Action,
}

impl Rules {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let ready = |(index, rule): (usize, &Rule)| Ready {
            // The pattern itself may be a word that nobody wants to read in a log.
            label: rule.name.clone().unwrap_or_else(|| format!("rules/{index}")),
            pattern: fold_pattern(&rule.pattern),
            whole_word: rule.whole_word,
            action: rule.action,
        };
        Self(rules.iter().enumerate().map(ready).collect())
    }

    /// The first rule with this action that the text breaks, by its label.
    pub(crate) fn broken(&self, text: &Folded, action: Action) -> Option<&str> {
        self.with(action).find(|rule| rule.find(text.text(), 0).is_some()).map(|rule| &*rule.label)
    }

    /// The text with everything replaced that a rule wants redacted; nothing where there is nothing to redact.
    pub(crate) fn redact(&self, original: &str, text: &Folded, replacement: &str) -> Option<String> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for rule in self.with(Action::Redact) {
            let mut from = 0;
            while let Some(range) = rule.find(text.text(), from) {
                from = range.end;
                found.push(text.original(range));
            }
        }
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|range| range.start);
        let mut redacted = String::with_capacity(original.len());
        let mut done = 0;
        for range in found {
            // What begins inside the part before belongs to it.
            if range.start >= done {
                redacted.push_str(&original[done..range.start]);
                redacted.push_str(replacement);
            }
            done = done.max(range.end);
        }
        redacted.push_str(&original[done..]);
        Some(redacted)
    }

    fn with(&self, action: Action) -> impl Iterator<Item = &Ready> {
        self.0.iter().filter(move |rule| rule.action == action)
    }
}

impl Ready {
    /// The first place at or behind `from` where the pattern stands.
    fn find(&self, text: &str, mut from: usize) -> Option<Range<usize>> {
        loop {
            let start = from + text[from..].find(&self.pattern)?;
            let range = start..start + self.pattern.len();
            if !self.whole_word || is_whole_word(text, &range) {
                return Some(range);
            }
            from = start + text[start..].chars().next().map_or(1, char::len_utf8);
        }
    }
}

/// A pattern in the form in which words are compared; empty where nothing of it can be seen.
pub(crate) fn fold_pattern(pattern: &str) -> String {
    Folded::new(pattern).text().trim().to_owned()
}

fn is_whole_word(text: &str, range: &Range<usize>) -> bool {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    !text[..range.start].ends_with(part_of_word) && !text[range.end..].starts_with(part_of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, whole_word: bool) -> Rule {
        Rule { name: None, pattern: pattern.to_owned(), action: Action::Redact, whole_word }
    }

    #[track_caller]
    fn check(rules: &[Rule], text: &str, redacted: Option<&str>) {
        let found = Rules::new(rules).redact(text, &Folded::new(text), "***");
        assert_eq!(found.as_deref(), redacted, "{text:?}");
    }

    #[test]
    fn words_are_found_whole() {
        let rules = [rule("bad", true)];
        check(&rules, "a bad day", Some("a *** day"));
        check(&rules, "Bad, BAD. bad", Some("***, ***. ***"));
        check(&rules, "badly, forbad, bad_x", None);
        check(&rules, "badly bad", Some("badly ***"));
        check(&rules, "größer bad", Some("größer ***"));
    }

    #[test]
    fn parts_are_found_where_asked_for() {
        check(&[rule("bad", false)], "badly", Some("***ly"));
        check(&[rule("ß", false)], "größer", Some("grö***er"));
    }

    #[test]
    fn several_words_match_over_any_white_space() {
        check(&[rule("very  bad", true)], "a very \n bad day", Some("a *** day"));
    }

    #[test]
    fn overlapping_finds_are_one() {
        check(&[rule("very bad", true), rule("bad day", true)], "a very bad day!", Some("a ***!"));
        check(&[rule("bad", true), rule("very bad day", true)], "a very bad day!", Some("a ***!"));
    }

    #[test]
    fn hidden_characters_go_with_the_word() {
        check(&[rule("bad", true)], "a b\u{200B}ａd\u{336} day", Some("a *** day"));
    }
}
