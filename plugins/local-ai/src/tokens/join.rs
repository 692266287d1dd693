//! Joins neighbours, the most urgent pair first, until none is left to be joined: what both ways of cutting text have in
//! common. Takes n log n steps, however long a word somebody writes. Knows no vocabulary.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Two parts that stand side by side.
pub(super) struct Neighbours<'a> {
    pub(super) left: &'a str,
    pub(super) right: &'a str,
    /// Both as one.
    pub(super) both: &'a str,
}

/// The parts of a text, from single characters on. `urgency` says of two neighbours how soon they are joined, the higher the
/// sooner, or that they are not; among equals the leftmost are first.
pub(super) fn joined<'a>(text: &'a str, urgency: impl Fn(Neighbours<'a>) -> Option<f64>) -> Vec<&'a str> {
    let mut parts = Parts::new(text);
    let pair = |parts: &Parts<'a>, left: usize, right: usize| {
        let (one, other) = (parts.list[left], parts.list[right]);
        let (left_text, right_text) = (&text[one.begins..one.ends], &text[other.begins..other.ends]);
        let urgency = urgency(Neighbours { left: left_text, right: right_text, both: &text[one.begins..other.ends] })?;
        Some(Pair { urgency, left, right, length: other.ends - one.begins })
    };
    let mut pairs = BinaryHeap::new();
    for right in 1..parts.list.len() {
        pairs.extend(pair(&parts, right - 1, right));
    }
    while let Some(found) = pairs.pop() {
        if !parts.join(&found) {
            continue;
        }
        let joined = parts.list[found.left];
        pairs.extend(joined.before.and_then(|before| pair(&parts, before, found.left)));
        pairs.extend(joined.after.and_then(|after| pair(&parts, found.left, after)));
    }
    parts.left().collect()
}

struct Parts<'a> {
    text: &'a str,
    list: Vec<Part>,
}

#[derive(Clone, Copy)]
struct Part {
    begins: usize,
    ends: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl<'a> Parts<'a> {
    /// Every character by itself.
    fn new(text: &'a str) -> Self {
        let count = text.chars().count();
        let list = text.char_indices().enumerate().map(|(at, (begins, character))| Part {
            begins,
            ends: begins + character.len_utf8(),
            before: at.checked_sub(1),
            after: Some(at + 1).filter(|after| *after < count),
        });
        Self { text, list: list.collect() }
    }

    /// Joins two neighbours, unless one of them was joined to another meanwhile.
    fn join(&mut self, pair: &Pair) -> bool {
        let (left, right) = (self.list[pair.left], self.list[pair.right]);
        // A part that was taken in has no length any more; one that took another in, a greater one.
        if left.begins == left.ends || right.begins == right.ends || right.ends - left.begins != pair.length {
            return false;
        }
        self.list[pair.left] = Part { ends: right.ends, after: right.after, ..left };
        self.list[pair.right].ends = right.begins;
        if let Some(after) = right.after {
            self.list[after].before = Some(pair.left);
        }
        true
    }

    fn left(&self) -> impl Iterator<Item = &'a str> {
        let text = self.text;
        self.list.iter().filter(|part| part.ends > part.begins).map(move |part| &text[part.begins..part.ends])
    }
}

struct Pair {
    urgency: f64,
    left: usize,
    right: usize,
    length: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.urgency.total_cmp(&other.urgency).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_pair_is_joined_first_and_the_leftmost_of_equals() {
        let urgency = |pair: Neighbours<'_>| match (pair.left, pair.right) {
            ("b", "c") => Some(2.0),
            ("a", "b") | ("a", "bc") | ("x", "x") => Some(1.0),
            _ => None,
        };
        assert_eq!(joined("abcab", urgency), ["abc", "ab"]);
        assert_eq!(joined("xxx", urgency), ["xx", "x"]);
        assert_eq!(joined("", urgency), Vec::<&str>::new());
        assert_eq!(joined("éa", urgency), ["é", "a"]);
    }

    #[test]
    fn a_word_without_end_takes_no_time_without_end() {
        let word = "x".repeat(100_000);
        let began = std::time::Instant::now();
        assert_eq!(joined(&word, |pair| (pair.left == pair.right).then_some(1.0)).concat(), word);
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
