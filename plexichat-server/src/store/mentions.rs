//! Which names a text mentions. Knows no people and no rooms.

use unicode_normalization::UnicodeNormalization;

/// How many names one message mentions at most: what follows is text.
const MENTIONS_MAX: usize = 50;

/// The names that a text mentions, in small letters, each once: `@ann`, and `@"Ada Lovelace"` where a name has blanks.
///
/// An address such as `ann@example.org` mentions nobody, and what ends a sentence is no part of a name.
pub(crate) fn mentions(text: &str) -> Vec<String> {
    // As names are stored: one letter is one character.
    let text: String = text.nfc().collect();
    let mut names = Vec::new();
    let mut before = None;
    for (at, sign) in text.char_indices() {
        let begins = sign == '@' && !before.is_some_and(is_of_name);
        before = Some(sign);
        if !begins {
            continue;
        }
        let name = named(&text[at + 1..]).to_lowercase();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
        if names.len() == MENTIONS_MAX {
            break;
        }
    }
    names
}

fn named(rest: &str) -> &str {
    if let Some(quoted) = rest.strip_prefix('"') {
        // Without an end on the same line it is no name but the beginning of a quotation.
        return quoted.lines().next().and_then(|line| line.split_once('"')).map_or("", |(name, _)| name.trim());
    }
    let end = rest.find(|sign| !is_of_name(sign)).unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', '-'])
}

fn is_of_name(sign: char) -> bool {
    sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, names: &[&str]) {
        assert_eq!(mentions(text), names, "{text:?}");
    }

    #[test]
    fn names_are_found_where_somebody_is_meant() {
        check("@ann", &["ann"]);
        check("hello @Ann, and @bob.", &["ann", "bob"]);
        check("@ann @ANN", &["ann"]);
        check("(@word-filter)", &["word-filter"]);
        check("@Jörg_2: look", &["jörg_2"]);
        check("@Jo\u{308}rg", &["jörg"]);
        check("@\"Ada Lovelace\" and @\"no end", &["ada lovelace"]);
        check("@\"over\nlines\"", &[]);
        check("ann@example.org", &[]);
        check("@ ann", &[]);
        check("@", &[]);
        check("@@ann", &["ann"]);
        check("no one", &[]);
    }

    #[test]
    fn a_text_mentions_a_bounded_number() {
        let text: String = (0..1000).map(|number| format!("@a{number} ")).collect();
        assert_eq!(mentions(&text).len(), MENTIONS_MAX);
    }
}
