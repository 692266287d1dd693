//! The words of a line, one after the other, with places to come back to. Knows no time.

/// What may stand behind a word without belonging to it.
const TRAILING: &[char] = &[',', ';', ':', '!', '.'];

/// A place between two words of a line. A copy of it is a place to come back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    /// What stands from here on.
    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    /// What stands before this place.
    pub(super) fn before(&self) -> &'a str {
        &self.line[..self.at]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().trim().is_empty()
    }

    /// The next word as it stands there.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let word = rest.split_whitespace().next()?;
        let start = rest.len() - rest.trim_start().len();
        self.at += start + word.len();
        Some(word)
    }

    /// The next word in small letters, without what stands behind it.
    pub(super) fn word(&mut self) -> Option<String> {
        self.next().map(|word| word.trim_end_matches(TRAILING).to_lowercase())
    }

    /// Goes behind the next word if it is one of these.
    pub(super) fn eat(&mut self, wanted: &[&str]) -> bool {
        let mut ahead = *self;
        let found = ahead.word().is_some_and(|word| wanted.contains(&word.as_str()));
        if found {
            *self = ahead;
        }
        found
    }

    /// Goes behind the next words if they are these.
    pub(super) fn eat_all(&mut self, wanted: &[&str]) -> bool {
        let mut ahead = *self;
        let found = wanted.iter().all(|word| ahead.eat(&[word]));
        if found {
            *self = ahead;
        }
        found
    }

    /// Reads something here; where nothing fits, the words stay where they are.
    pub(super) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut ahead = *self;
        let found = read(&mut ahead);
        if found.is_some() {
            *self = ahead;
        }
        found
    }
}

/// A small number as a word or in digits; `a` and `an` are one.
pub(super) fn number(word: &str) -> Option<u32> {
    const WORDS: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    if matches!(word, "a" | "an") {
        return Some(1);
    }
    if let Some(at) = WORDS.iter().position(|known| *known == word) {
        return u32::try_from(at + 1).ok();
    }
    digits(word)
}

/// A number in at most six digits.
pub(super) fn digits(word: &str) -> Option<u32> {
    let all = (1..=6).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| word.parse().ok()).flatten()
}

/// A day of a month with its ending: `1st`, `22nd`.
pub(super) fn ordinal(word: &str) -> Option<i8> {
    let number = ["st", "nd", "rd", "th"].iter().find_map(|ending| word.strip_suffix(ending))?;
    let day = digits(number)?;
    (1..=31).contains(&day).then(|| i8::try_from(day).ok()).flatten()
}
