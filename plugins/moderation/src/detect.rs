//! What can be found in a text: the table of detectors, and the one pass that asks only those that may find something.
//! Each detector has its own file. Knows no settings and no host.

mod assignment;
mod card;
mod email;
#[cfg(test)]
mod harmless;
#[cfg(test)]
mod hostile;
mod iban;
mod ip;
mod jwt;
mod national;
mod phone;
mod prefilter;
mod private_key;
mod token;

use std::ops::Range;

pub(crate) use self::prefilter::warm;
use crate::fold::Text;

/// A kind of thing that should not leave in chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detector {
    PrivateKey,
    Token,
    JsonWebToken,
    Assignment,
    CardNumber,
    Iban,
    EmailAddress,
    PhoneNumber,
    IpAddress,
    NationalId,
}

impl Detector {
    pub(crate) const ALL: [Self; 10] = [
        Self::PrivateKey,
        Self::Token,
        Self::JsonWebToken,
        Self::Assignment,
        Self::CardNumber,
        Self::Iban,
        Self::EmailAddress,
        Self::PhoneNumber,
        Self::IpAddress,
        Self::NationalId,
    ];

    /// The code of its findings.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Token => "token",
            Self::JsonWebToken => "json_web_token",
            Self::Assignment => "assigned_secret",
            Self::CardNumber => "card_number",
            Self::Iban => "iban",
            Self::EmailAddress => "email_address",
            Self::PhoneNumber => "phone_number",
            Self::IpAddress => "ip_address",
            Self::NationalId => "national_id",
        }
    }

    /// What people call it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::PrivateKey => "private key",
            Self::Token => "access token",
            Self::JsonWebToken => "JSON web token",
            Self::Assignment => "secret",
            Self::CardNumber => "card number",
            Self::Iban => "IBAN",
            Self::EmailAddress => "e-mail address",
            Self::PhoneNumber => "phone number",
            Self::IpAddress => "IP address",
            Self::NationalId => "national id",
        }
    }
}

/// The detectors that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted(u16);

impl Wanted {
    pub(crate) fn all() -> Self {
        Detector::ALL.into_iter().collect()
    }

    pub(crate) fn has(self, detector: Detector) -> bool {
        self.0 & (1 << detector as u16) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Detector> for Wanted {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        Self(detectors.into_iter().fold(0, |bits, detector| bits | 1 << detector as u16))
    }
}

/// A thing that was found, and where in the plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) detector: Detector,
    /// Which of its kind, such as `github_token`. Never a part of the text.
    pub(crate) name: &'static str,
    pub(crate) range: Range<usize>,
}

/// How sure a value behind `password=` must look before it counts as a secret.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Guess {
    /// Bits of entropy per character.
    pub(crate) min_entropy: f64,
    /// Characters.
    pub(crate) min_length: usize,
}

impl Default for Guess {
    fn default() -> Self {
        Self { min_entropy: 3.2, min_length: 10 }
    }
}

/// Everything that the wanted detectors find, in the order of the text.
pub(crate) fn find(text: &Text<'_>, wanted: Wanted, guess: Guess) -> Vec<Found> {
    let plain = text.plain();
    let mut found = Vec::new();
    if wanted.is_empty() || plain.len() < SHORTEST {
        return found;
    }
    prefilter::find(plain, wanted, guess, &mut found);
    let signals = Signals::of(plain.as_bytes());
    let mut ask = |detector, may_be, find: fn(&str, &mut Vec<Found>)| {
        if may_be && wanted.has(detector) {
            find(plain, &mut found);
        }
    };
    ask(Detector::CardNumber, signals.digits >= card::DIGITS_MIN, card::find);
    ask(Detector::Iban, signals.digits >= iban::DIGITS_MIN, iban::find);
    ask(Detector::EmailAddress, signals.ats > 0, email::find);
    ask(Detector::PhoneNumber, signals.digits >= phone::DIGITS_MIN, phone::find);
    ask(Detector::IpAddress, signals.dots >= 3 || signals.colons >= 2, ip::find);
    ask(Detector::NationalId, signals.digits >= national::DIGITS_MIN, national::find);
    found.sort_by_key(|found| (found.range.start, found.detector));
    found
}

/// The same in a text that goes on: also what cannot be whole yet and is known all the same.
pub(crate) fn find_unfinished(text: &Text<'_>, wanted: Wanted, guess: Guess) -> Vec<Found> {
    let mut found = find(text, wanted, guess);
    if wanted.has(Detector::JsonWebToken)
        && let Some(range) = jwt::unfinished(text.plain())
    {
        found.push(Found { detector: Detector::JsonWebToken, name: "json_web_token", range });
    }
    found
}

/// The shortest text in which anything can be found: `a@b.de`.
const SHORTEST: usize = 6;

/// How often a text has what some detectors live by: counted in one pass, so that ordinary text costs nothing else.
struct Signals {
    digits: usize,
    ats: usize,
    dots: usize,
    colons: usize,
}

impl Signals {
    fn of(bytes: &[u8]) -> Self {
        let count = |is: fn(u8) -> bool| bytes.iter().filter(|byte| is(**byte)).count();
        Self {
            digits: count(|byte| byte.is_ascii_digit()),
            ats: count(|byte| byte == b'@'),
            dots: count(|byte| byte == b'.'),
            colons: count(|byte| byte == b':'),
        }
    }
}

/// The byte before this place, if there is one.
fn before(text: &str, at: usize) -> Option<u8> {
    at.checked_sub(1).map(|index| text.as_bytes()[index])
}

/// Whether nothing that belongs to a word stands before this place. What an escape (`\n`) or a percent sign (`%3D`) hides is
/// no part of the word.
fn begins_word(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    match before(text, at) {
        Some(b'n' | b'r' | b't') if at >= 2 && bytes[at - 2] == b'\\' => true,
        Some(byte) if byte.is_ascii_hexdigit() && at >= 3 && bytes[at - 3] == b'%' => bytes[at - 2].is_ascii_hexdigit(),
        Some(byte) if byte.is_ascii() => !is_word(byte),
        Some(_) => !text[..at].ends_with(is_foreign_letter),
        None => true,
    }
}

/// Whether nothing that belongs to a word stands behind this place.
fn ends_word(text: &str, at: usize) -> bool {
    match text.as_bytes().get(at) {
        Some(byte) if byte.is_ascii() => !is_word(*byte),
        Some(_) => !text[at..].starts_with(is_foreign_letter),
        None => true,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Letters of scripts that set words apart by spaces: Latin, Greek, Cyrillic. Chinese and others do not, so there a number
/// begins right behind a letter.
fn is_foreign_letter(character: char) -> bool {
    !character.is_ascii() && character.is_alphabetic() && character < '\u{530}'
}

/// Where the run of such bytes ends that begins here.
fn run_end(text: &str, from: usize, is: impl Fn(u8) -> bool) -> usize {
    from + text.as_bytes()[from..].iter().take_while(|byte| is(**byte)).count()
}

/// Shannon's entropy of the bytes, in bits per byte.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u16; 256];
    // Enough to tell; and it bounds the counts.
    let bytes = &text.as_bytes()[..text.len().min(1024)];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let length = bytes.len() as f64;
    -counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|p| p * p.log2())
        .sum::<f64>()
}

/// What detectors are tested with: a text in which `~` holds a sample apart, so that no scanner of secrets objects to this
/// source, and what is found in it, by name and content.
#[cfg(test)]
#[track_caller]
fn check(detector: Detector, text: &str, expected: &[(&str, &str)]) {
    let text = text.replace('~', "");
    let plain = Text::new(&text);
    let found = find(&plain, [detector].into_iter().collect(), Guess::default());
    let found: Vec<(&str, &str)> =
        found.iter().map(|found| (found.name, &plain.plain()[found.range.clone()])).collect();
    let expected: Vec<(&str, String)> = expected.iter().map(|(name, part)| (*name, part.replace('~', ""))).collect();
    let expected: Vec<(&str, &str)> = expected.iter().map(|(name, part)| (*name, part.as_str())).collect();
    assert_eq!(found, expected, "{text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_behind_escapes() {
        for (text, at, begins) in [
            ("abc", 0, true),
            ("a bc", 2, true),
            ("abc", 1, false),
            (r"a\nbc", 3, true),
            ("%3Dbc", 3, true),
            ("号b", 3, true),
            ("äb", 2, false),
        ] {
            assert_eq!(begins_word(text, at), begins, "{text:?}");
        }
    }

    #[test]
    fn entropy_is_bits_per_character() {
        assert_eq!(entropy("aaaa"), 0.0);
        assert_eq!(entropy("abcd"), 2.0);
        assert!(entropy("0123456789abcdef") > 3.9);
    }

    #[test]
    fn each_detector_has_a_place_of_its_own() {
        for (index, detector) in Detector::ALL.into_iter().enumerate() {
            assert_eq!(detector as usize, index);
            assert!(Wanted::all().has(detector));
            assert!(!Wanted::default().has(detector));
        }
    }
}
