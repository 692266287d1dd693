//! The rules ready for use, and what they find in a text or a part of an answer. Knows no plugin, and no host but its words for
//! answers.

use std::ops::Range;

use plexichat::reply::ReplyView;

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

    /// How many characters of an answer may be between a word's first and last one: twice the longest pattern, for marks and
    /// invisible characters, and some more.
    pub(crate) fn span(&self) -> usize {
        2 * self.0.iter().map(|rule| rule.pattern.chars().count()).max().unwrap_or(0) + 32
    }

    /// Whether a rule has this action.
    pub(crate) fn has(&self, action: Action) -> bool {
        self.with(action).next().is_some()
    }

    /// The first rule with this action that a part of an answer breaks, by its label.
    pub(crate) fn broken_in_reply(&self, part: &Part<'_>, action: Action) -> Option<&str> {
        self.with(action).find(|rule| rule.is_in(part) || rule.may_be_behind(part)).map(|rule| &*rule.label)
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

/// A part of an answer: what was judged before, then what is new.
pub(crate) struct Part<'a> {
    text: &'a Folded,
    /// How many bytes the original has.
    length: usize,
    /// Where in the original what is new begins.
    new_at: usize,
    /// Whether nothing follows.
    last: bool,
    /// Where in the original begins what is shown again with what follows.
    kept_from: usize,
}

impl<'a> Part<'a> {
    /// `span` characters at its end are shown again with what follows, and what stands before a word with them.
    pub(crate) fn new(reply: &ReplyView<'_>, text: &'a Folded, span: usize) -> Self {
        let (original, last) = (reply.text(), reply.last);
        let kept_from = original.char_indices().rev().nth(span.saturating_sub(1)).map_or(0, |(at, _)| at);
        Self { text, length: original.len(), new_at: reply.seen().len(), last, kept_from }
    }
}

impl Ready {
    /// Whether the pattern stands in the part.
    fn is_in(&self, part: &Part<'_>) -> bool {
        let mut from = 0;
        while let Some(range) = self.find(part.text.text(), from) {
            from = range.end;
            let found = part.text.original(range);
            // What ended before was judged with what stands before it, which may be cut off here.
            let is_over = found.end < part.new_at;
            // A word that ends where the part does may go on.
            let may_go_on = self.whole_word && !part.last && found.end == part.length;
            let waits = may_go_on && found.start >= part.kept_from;
            if !(is_over || waits) {
                return true;
            }
        }
        false
    }

    /// Whether the part ends within the pattern, drawn out so far that its beginning would not be shown again with its end.
    fn may_be_behind(&self, part: &Part<'_>) -> bool {
        let text = part.text.text();
        let shortest = text.len().saturating_sub(self.pattern.len() - 1);
        !part.last
            && (shortest..text.len()).filter(|start| text.is_char_boundary(*start)).any(|start| {
                let range = start..text.len();
                part.text.original(range.clone()).start < part.kept_from
                    && self.pattern.starts_with(&text[range.clone()])
                    && (!self.whole_word || is_begin_of_word(text, range.start))
            })
    }

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
    is_begin_of_word(text, range.start) && !text[range.end..].starts_with(is_part_of_word)
}

fn is_begin_of_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(is_part_of_word)
}

fn is_part_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use plexichat::message::Actor;

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

    /// How much of an answer is shown before the first objection, as the host shows it: in windows of so many characters.
    fn shown(rules: &Rules, answer: &str, chars: usize) -> Option<String> {
        let (model, asker) = (Actor::plugin("model"), Actor::user("1", "ada"));
        let characters: Vec<char> = answer.chars().collect();
        let mut judged = 0;
        while judged < characters.len() {
            let kept = judged.saturating_sub(rules.span() + 8);
            let end = (judged + chars).min(characters.len());
            let seen: String = characters[kept..judged].iter().collect();
            let text: String = characters[kept..end].iter().collect();
            let view = ReplyView::new(&model, &asker, &text, seen.len());
            let view = if end < characters.len() { view.unfinished() } else { view };
            let folded = Folded::new(&text);
            if rules.broken_in_reply(&Part::new(&view, &folded, rules.span()), Action::Redact).is_some() {
                return Some(characters[..kept].iter().collect());
            }
            judged = end;
        }
        None
    }

    #[test]
    fn words_in_answers_are_found_wherever_windows_end() {
        let rules = Rules::new(&[rule("swordfish", true), rule("very bad day", true), rule("darn", false)]);
        let (hidden, blank) = ("\u{200B}".repeat(300), " \n".repeat(200));
        for chars in [1, 7, 64, 500] {
            for before in 0..90 {
                let words: String = "some words and ".chars().cycle().take(before).collect();
                for word in ["swordfish", "SWORD\u{AD}fish", "a very  bad\nday", "darned", "very bad day"] {
                    let shown = shown(&rules, &format!("{words} {word}, and more {words}{words}"), chars);
                    let shown = shown.unwrap_or_else(|| panic!("{word} behind {before} in windows of {chars}"));
                    assert!(words.starts_with(&shown), "{word}: {shown}");
                }
                for word in ["swordfishing", "a very bad daydream", "bad day", "my_swordfish", "very bad, day"] {
                    let answer = format!("{words} {word} {words}{words}");
                    assert_eq!(shown(&rules, &answer, chars), None, "{answer} in windows of {chars}");
                }
            }
            // However far a word is drawn out, it is not shown.
            for word in [format!("sword{hidden}fish"), format!("very{blank}bad day"), format!("swordfish{hidden}")] {
                let shown = shown(&rules, &format!("see {word} and more"), chars);
                assert!(shown.is_some_and(|shown| "see ".starts_with(&shown)), "{word:?} in windows of {chars}");
            }
            assert_eq!(shown(&rules, &format!("some{hidden} words{blank} and bad day"), chars), None);
        }
    }

    #[test]
    fn hidden_characters_go_with_the_word() {
        check(&[rule("bad", true)], "a b\u{200B}ａd\u{336} day", Some("a *** day"));
    }
}
