//! Brings text to the plain characters that detectors read, and remembers which bytes each came from. Knows no detector.

use std::borrow::Cow;
use std::ops::Range;

use plexichat::fold::{is_invisible, is_mark};
use unicode_normalization::UnicodeNormalization;

/// A text in the form that detectors read: `４` and `٤` as `4`, any dash as `-`, any space as ` `, compatible forms such as
/// `ｋ` as `k`, nothing invisible, no marks. Case stays, since keys and tokens live by it.
///
/// Most texts are plain already and are lent as they are.
pub(crate) struct Text<'a> {
    plain: Cow<'a, str>,
    /// For each byte of `plain`, where its character came from; empty where `plain` is the original.
    origin: Vec<Range<u32>>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(original: &'a str) -> Self {
        if is_plain(original.as_bytes()) {
            return Self { plain: Cow::Borrowed(original), origin: Vec::new() };
        }
        let mut folded = Folder { plain: String::with_capacity(original.len()), origin: Vec::new() };
        folded.origin.reserve(original.len());
        let mut at = 0;
        while at < original.len() {
            let plain = original.as_bytes()[at..].iter().take_while(|byte| !is_odd(**byte)).count();
            folded.push_plain(&original[at..at + plain], at);
            at += plain;
            if let Some(character) = original[at..].chars().next() {
                folded.push_folded(character, place(at)..place(at + character.len_utf8()));
                at += character.len_utf8();
            }
        }
        Self { plain: Cow::Owned(folded.plain), origin: folded.origin }
    }

    /// The plain text.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    /// The bytes of the original that this part of the plain text came from.
    pub(crate) fn original(&self, plain: Range<usize>) -> Range<usize> {
        if self.origin.is_empty() || plain.is_empty() {
            return plain;
        }
        self.origin[plain.start].start as usize..self.origin[plain.end - 1].end as usize
    }
}

/// A message is far shorter than 4 GiB; of anything longer the rest would map to its end.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

struct Folder {
    plain: String,
    origin: Vec<Range<u32>>,
}

impl Folder {
    fn push_folded(&mut self, character: char, origin: Range<u32>) {
        if character.is_ascii() {
            if !character.is_ascii_control() || character.is_ascii_whitespace() {
                self.push(character, origin);
            }
        } else if is_invisible(character) || is_mark(character) {
            // It hides between two digits and shows nothing there.
        } else if let Some(digit) = digit(character) {
            self.push(digit, origin);
        } else if is_dash(character) {
            self.push('-', origin);
        } else if character.is_whitespace() {
            self.push(if matches!(character, '\u{2028}' | '\u{2029}' | '\u{85}') { '\n' } else { ' ' }, origin);
        } else if matches!(character, '\u{3002}' | '\u{FF61}') {
            // Browsers take the ideographic full stop for a dot in names of hosts.
            self.push('.', origin);
        } else if character == '…' || has_no_plain_form(character) {
            // Three dots would belong to the number behind them.
            self.push(character, origin);
        } else {
            let forms = std::iter::once(character).nfkc();
            if !forms.clone().any(|form| form.is_ascii_graphic()) {
                // Detectors read ASCII; and a few characters are whole sentences.
                self.push(character, origin);
                return;
            }
            for plain in forms.filter(|plain| !is_mark(*plain)) {
                self.push(plain, origin.clone());
            }
        }
    }

    /// What stays as it is.
    fn push_plain(&mut self, plain: &str, at: usize) {
        self.plain.push_str(plain);
        self.origin.extend((at..at + plain.len()).map(|index| place(index)..place(index + 1)));
    }

    fn push(&mut self, character: char, origin: Range<u32>) {
        self.plain.push(character);
        self.origin.resize(self.plain.len(), origin);
    }
}

/// Whether folding would change nothing. Every byte is looked at, so that the loop is one the machine does in wide steps.
fn is_plain(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |odd, byte| odd | is_odd(*byte))
}

/// Whether this byte is no visible ASCII character and no white space.
fn is_odd(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte >= 0x7F
}

/// Letters and pictures of blocks in which nothing is a form of an ASCII character: most of what is written in the world,
/// spared the slow way. A test looks at each.
fn has_no_plain_form(character: char) -> bool {
    matches!(character,
        '\u{C0}'..='\u{131}' | '\u{370}'..='\u{373}' | '\u{386}'..='\u{3CF}' | '\u{400}'..='\u{52F}' | '\u{5D0}'..='\u{5EA}'
        | '\u{620}'..='\u{65F}' | '\u{900}'..='\u{DFF}' | '\u{3041}'..='\u{309A}' | '\u{30A1}'..='\u{30FA}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{1F300}'..='\u{1FAFF}')
}

/// The ASCII digit of a decimal digit in any script; those of compatible forms (`４`, `𝟜`) are left to normalisation.
fn digit(character: char) -> Option<char> {
    // The zeros of Unicode's decimal digits (Nd); nine digits follow each.
    const ZEROS: [u32; 59] = [
        0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
        0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
        0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136,
        0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0,
        0x16A60, 0x16AC0, 0x16B50, 0x1E140, 0x1E2F0, 0x1E950,
    ];
    let code = u32::from(character);
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

fn is_dash(character: char) -> bool {
    matches!(
        character,
        '\u{58A}' | '\u{5BE}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{2212}'
                | '\u{2E3A}'
                | '\u{2E3B}'
                | '\u{301C}'
                | '\u{3030}'
                | '\u{30FC}'
                | '\u{FE58}'
                | '\u{FE63}'
                | '\u{FF0D}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(original: &str, plain: &str) {
        assert_eq!(Text::new(original).plain(), plain, "{original:?}");
    }

    #[test]
    fn tricks_are_undone() {
        check("４１１１", "4111");
        check("٤١١١ ۴۱ ४१ 𝟜𝟙 ④①", "4111 41 41 41 41");
        check("4\u{AD}1\u{200B}1\u{FEFF}1\u{0}", "4111");
        check("41\u{2011}11\u{2013}22\u{A0}33\u{202F}44", "41-11-22 33 44");
        check("ｓｋ－ｌｉｖｅ", "sk-live");
        check("4\u{336}1\u{20E3}", "41");
        check("evil。com", "evil.com");
    }

    #[test]
    fn everything_else_stays() {
        for text in
            ["", "plain text\n\twith a tab", "Größe: 5 µm", "Привет, мир", "日本語です", "한국어", "👋🏽 ok", "ﷺ…"]
        {
            check(text, text);
        }
    }

    #[test]
    fn each_part_knows_where_it_came_from() {
        let original = "é ４\u{200B}1𝟙 x";
        let text = Text::new(original);
        let start = text.plain().find("411").expect("it is there");
        assert_eq!(&original[text.original(start..start + 3)], "４\u{200B}1𝟙");
        let plain = Text::new("abc");
        assert_eq!(plain.original(1..2), 1..2);
    }

    #[test]
    fn the_quick_way_skips_nothing_that_has_a_plain_form() {
        for character in (0x80..=0x10_FFFF).filter_map(char::from_u32).filter(|character| has_no_plain_form(*character))
        {
            let mut forms = std::iter::once(character).nfkc();
            assert!(!forms.any(|form| form.is_ascii()), "{character:?}");
        }
    }

    #[test]
    fn every_decimal_digit_is_known() {
        assert!((0x80..=0x10_FFFF).filter_map(char::from_u32).all(|character| {
            digit(character).is_none_or(|found| found.is_ascii_digit() && character.is_numeric())
        }));
        assert_eq!(digit('\u{1E950}'), Some('0'));
        assert_eq!(digit('\u{66A}'), None, "the Arabic percent sign follows the nine");
    }
}
