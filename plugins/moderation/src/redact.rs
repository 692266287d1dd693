//! Takes out of a text what was found in it. Knows no detector's rules.

use crate::detect::{Detector, Found};
use crate::fold::Text;

/// What stands in place of what was taken out.
pub(crate) struct Redaction {
    /// `{kind}` stands for what it was.
    pub(crate) replacement: String,
    /// Whether card numbers and IBANs keep their last four characters.
    pub(crate) keep_last_four: bool,
}

/// What stands there where a long text would grow beyond what may be stored.
const SHORT: &str = "***";

/// From how many bytes on a text is long.
const LONG: usize = 2000;

impl Redaction {
    /// The text without everything that was found, in the order of the text.
    pub(crate) fn apply(&self, original: &str, text: &Text<'_>, found: &[Found]) -> String {
        let redacted = self.replace(original, text, found, false);
        match redacted.len() > original.len() && original.len() > LONG {
            true => self.replace(original, text, found, true),
            false => redacted,
        }
    }

    /// What stands in place of one.
    pub(crate) fn text(&self, detector: Detector, kept: &str) -> String {
        let kind = match kept {
            "" => detector.words().to_owned(),
            kept => format!("{} …{kept}", detector.words()),
        };
        self.replacement.replace("{kind}", &kind)
    }

    fn replace(&self, original: &str, text: &Text<'_>, found: &[Found], short: bool) -> String {
        let mut redacted = String::with_capacity(original.len());
        let mut done = 0;
        for found in found {
            let range = text.original(found.range.clone());
            // What begins inside the one before belongs to it.
            if range.start >= done {
                redacted.push_str(&original[done..range.start]);
                match short {
                    true => redacted.push_str(SHORT),
                    false => redacted.push_str(
                        &self.text(found.detector, &self.kept(&text.plain()[found.range.clone()], found.detector)),
                    ),
                }
            }
            done = done.max(range.end);
        }
        redacted.push_str(&original[done..]);
        redacted
    }

    /// The last four letters and digits of what people tell apart by them.
    fn kept(&self, content: &str, detector: Detector) -> String {
        if !self.keep_last_four || !matches!(detector, Detector::CardNumber | Detector::Iban) {
            return String::new();
        }
        let characters: Vec<char> = content.chars().filter(char::is_ascii_alphanumeric).collect();
        characters[characters.len().saturating_sub(4)..].iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Guess, Wanted, find};

    #[track_caller]
    fn check(keep_last_four: bool, original: &str, redacted: &str) {
        let redaction = Redaction { replacement: "[{kind} removed]".to_owned(), keep_last_four };
        let text = Text::new(original);
        let found = find(&text, Wanted::all(), Guess::default());
        assert_eq!(redaction.apply(original, &text, &found), redacted, "{original:?}");
        assert_eq!(find(&Text::new(redacted), Wanted::all(), Guess::default()), [], "{redacted:?}");
    }

    #[test]
    fn what_was_found_is_gone() {
        check(false, "pay with 4111 1111 1111 1111!", "pay with [card number removed]!");
        check(false, "4111111111111111, DE89370400440532013000", "[card number removed], [IBAN removed]");
        check(false, "ä ４１１１\u{200B} 1111 1111 111\u{AD}1 ö", "ä [card number removed] ö");
    }

    #[test]
    fn the_last_four_are_kept_where_asked_for() {
        check(true, "4111 1111 1111 1111", "[card number …1111 removed]");
        check(true, "MT84MALT011000012345MTLCAST001S", "[IBAN …001S removed]");
        check(true, "ada@lovelace.org", "[e-mail address removed]");
    }

    #[test]
    fn a_long_text_does_not_grow() {
        let long = "36227206271667,".repeat(200);
        check(false, &long, &"***,".repeat(200));
    }
}
