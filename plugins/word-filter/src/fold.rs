//! Brings text to the form in which words are compared, and remembers which bytes each piece came from. Knows no rules.

use std::ops::Range;

use plexichat::fold::{is_invisible, is_mark};
use unicode_normalization::UnicodeNormalization;

/// A text in the form in which words are compared: lower case, compatible forms such as `ｂ` or `𝐛` as `b`, no invisible
/// characters, one space for any white space.
///
/// Letters keep the accents they are written with everywhere, so that `schön` is not `schon`; marks that make no letter
/// (`b̶a̶d̶`) are dropped.
pub(crate) struct Folded {
    text: String,
    /// For each byte of `text`, where it came from in the original.
    origin: Vec<Range<usize>>,
}

impl Folded {
    pub(crate) fn new(original: &str) -> Self {
        let mut folded =
            Self { text: String::with_capacity(original.len()), origin: Vec::with_capacity(original.len()) };
        let mut rest = original.char_indices().peekable();
        while let Some((start, first)) = rest.next() {
            // One cluster: a character and the marks upon it, since only together do they make `e` and `´` an `é`.
            let mut end = start + first.len_utf8();
            while let Some((index, next)) = rest.next_if(|(_, next)| is_mark(*next) || is_invisible(*next)) {
                end = index + next.len_utf8();
            }
            folded.push_cluster(&original[start..end], start..end);
        }
        folded
    }

    /// The folded text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the original that this part of the folded text came from.
    pub(crate) fn original(&self, folded: Range<usize>) -> Range<usize> {
        self.origin[folded.start].start..self.origin[folded.end - 1].end
    }

    fn push_cluster(&mut self, cluster: &str, origin: Range<usize>) {
        let visible = cluster.chars().filter(|character| !is_invisible(*character));
        for character in visible.nfkc().filter(|character| !is_mark(*character)).flat_map(char::to_lowercase) {
            if character.is_whitespace() {
                if self.text.ends_with(' ') {
                    continue;
                }
                self.push(' ', &origin);
            } else {
                self.push(character, &origin);
            }
        }
    }

    fn push(&mut self, character: char, origin: &Range<usize>) {
        self.text.push(character);
        self.origin.resize(self.text.len(), origin.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(original: &str, folded: &str) {
        assert_eq!(Folded::new(original).text(), folded, "{original:?}");
    }

    #[test]
    fn tricks_do_not_change_a_word() {
        check("BAD", "bad");
        check("ｂａｄ", "bad");
        check("𝐛𝓪𝖉", "bad");
        check("ⓑⓐⓓ", "bad");
        check("b\u{200B}a\u{00AD}d\u{FEFF}", "bad");
        check("\u{202E}bad\u{202C}", "bad");
        check("b\u{336}a\u{336}d\u{336}", "bad");
        check("b\u{0}a\u{7}d", "bad");
        check("a \u{a0}\t\n b", "a b");
        check("ﬁne", "fine");
    }

    #[test]
    fn letters_stay_what_they_are() {
        check("schön", "schön");
        check("scho\u{308}n", "schön");
        check("ÉTÉ", "été");
        check("हिन्दी", "हिन्दी");
        check("한국어", "한국어");
        check("", "");
    }

    #[test]
    fn each_part_knows_where_it_came_from() {
        let original = "x ｂ\u{200B}ad\u{301} y";
        let folded = Folded::new(original);
        let start = folded.text().find("ba").expect("the word is there");
        assert_eq!(&original[folded.original(start..start + 3)], "ｂ\u{200B}ad\u{301}");
    }
}
