//! Texts made to hide things, to cost time, or to break the positions: every detector against them, by seeded chance.

use std::time::{Duration, Instant};

use super::{Detector, Found, Guess, Wanted, find};
use crate::fold::Text;
use crate::redact::Redaction;

/// The samples that the host shows, of every detector.
fn samples() -> Vec<(Detector, String)> {
    Detector::ALL.into_iter().map(|detector| (detector, crate::samples::text(detector))).collect()
}

fn find_all(text: &Text<'_>) -> Vec<Found> {
    find(text, Wanted::all(), Guess::default())
}

fn redact(original: &str) -> String {
    let redaction = Redaction { replacement: "[{kind}]".to_owned(), keep_last_four: false };
    let text = Text::new(original);
    redaction.apply(original, &text, &find_all(&text))
}

/// Numbers by chance, the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

#[test]
fn each_sample_is_found_wherever_it_stands() {
    let around = [
        ("", ""),
        ("see ", " please"),
        ("\"", "\""),
        ("'", "'"),
        ("(", ")"),
        ("`", "`"),
        ("\n", "\n"),
        ("**", "**"),
        ("是", "。"),
        ("は", "です"),
        (">", "<"),
        ("=", ","),
        ("\u{200B}", "\u{FEFF}"),
        ("👍", "👍"),
        ("| ", " |"),
        ("…", "…"),
        ("„", "“"),
    ];
    for (detector, sample) in samples() {
        for (before, behind) in around {
            // Its name is the beginning of an assignment, its value must not run on.
            if detector == Detector::Assignment && !matches!(behind, "" | " please" | "\"" | "'" | "`" | "\n" | " |") {
                continue;
            }
            let text = format!("{before}{sample}{behind}");
            let plain = Text::new(&text);
            assert!(find_all(&plain).iter().any(|found| found.detector == detector), "{detector:?} in {text:?}");
        }
    }
}

#[test]
fn what_is_hidden_in_a_sample_does_not_hide_it() {
    let hidden =
        ['\u{AD}', '\u{200B}', '\u{200D}', '\u{2060}', '\u{FEFF}', '\u{FE0F}', '\u{336}', '\u{0}', '\u{E0061}'];
    for (detector, sample) in samples() {
        for hidden in hidden {
            let text: String = sample.chars().flat_map(|character| [character, hidden]).collect();
            let plain = Text::new(&text);
            assert!(find_all(&plain).iter().any(|found| found.detector == detector), "{detector:?} with {hidden:?}");
            let redacted = redact(&text);
            assert!(
                !redacted.contains(|character: char| character.is_ascii_digit()) || detector == Detector::PrivateKey,
                "{redacted:?}"
            );
        }
    }
}

#[test]
fn digits_of_any_script_are_digits() {
    for zero in ['０', '٠', '۰', '०', '๐', '𝟎', '𝟶', '𞥐'] {
        for (detector, sample) in samples() {
            if !matches!(detector, Detector::CardNumber | Detector::Iban | Detector::PhoneNumber | Detector::IpAddress)
            {
                continue;
            }
            let other = |digit: u32| char::from_u32(u32::from(zero) + digit).expect("a digit");
            let text: String =
                sample.chars().map(|character| character.to_digit(10).map_or(character, other)).collect();
            let found = find_all(&Text::new(&text));
            assert_eq!(found.iter().map(|found| found.detector).collect::<Vec<_>>(), [detector], "{text}");
            assert!(!redact(&text).chars().any(char::is_numeric), "{text}");
        }
    }
}

#[test]
fn a_long_text_costs_little_whatever_it_is() {
    const LENGTH: usize = 100_000;
    // Linear work takes milliseconds; work that grows with the square of the length would take minutes.
    const PATIENCE: Duration = Duration::from_secs(5);
    let pieces = [
        "4",
        "4 ",
        "41 ",
        "4111 ",
        "4111-",
        "4.",
        "4 1",
        "4111111111111111 ",
        "sk-",
        "sk-a",
        "sk_live_",
        "ghp_",
        "glpat-",
        "xoxb-",
        "AKIA",
        "SG.",
        "ya29.",
        "pypi-AgE",
        "hooks.slack.com/services/",
        "eyJ",
        "eyJ.",
        "eyJhbGciOiJIUzI1NiJ9.",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n",
        "Private-Lines: ",
        "Private-Lines: 1\nAAAAgQDxYz0123456789abcdef\n",
        "AGE-SECRET-KEY-1",
        "password=",
        "password='",
        "password=\"a",
        "password ",
        "password: ",
        "_token",
        "secret_",
        "a@",
        "@",
        "@a.",
        "a@b.de",
        "DE",
        "DE89",
        "DE89 ",
        "de 89 37 ",
        "+",
        "+4",
        "+49 ",
        "+1 2",
        ".",
        "1.",
        "1.1.1.1",
        ":",
        "a:",
        "::1",
        "1-",
        "A1",
        "RSSMRA",
        "\\n",
        "%3D",
        "４",
        "\u{200B}",
        "é",
        "号4",
        "a\u{301}",
        "ﷺ",
        "=",
        "-",
        "_",
        "\"",
        " ",
        "\n",
    ];
    for piece in pieces {
        for beginning in ["", "password=\""] {
            let text = format!("{beginning}{}", piece.repeat(LENGTH / piece.len()));
            let began = Instant::now();
            let redacted = redact(&text);
            let took = began.elapsed();
            assert!(took < PATIENCE, "{piece:?} behind {beginning:?} took {took:?}");
            assert!(redacted.len() <= text.len().max(2000), "{piece:?} grew");
        }
    }
}

#[test]
fn by_chance_nothing_breaks_and_nothing_is_left() {
    let samples: Vec<String> = samples().into_iter().map(|(_, sample)| sample).collect();
    let mut pieces: Vec<&str> = samples.iter().map(String::as_str).collect();
    pieces.extend([
        "4111",
        "1111",
        "４１１１",
        "٤",
        "0",
        "9",
        "sk-",
        "ghp_",
        "eyJ",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "password",
        "=",
        ":",
        "\"",
        "'",
        "\\",
        "\\n",
        "%3D",
        "@",
        ".",
        "-",
        " ",
        "  ",
        "\n",
        "\t",
        "\u{0}",
        "\u{7F}",
        "\u{AD}",
        "\u{200B}",
        "é",
        "号",
        "👍",
        "ﷺ",
        "½",
        "+",
        "+49",
        "DE89",
        "http://",
        "www.",
        "a",
        "Z",
    ]);
    for round in 0..3_000 {
        let seed = 0xC0FFEE ^ round;
        let mut chance = Chance(seed);
        let text: String = (0..=chance.below(24)).map(|_| chance.one(&pieces)).collect();
        let plain = Text::new(&text);
        for found in find_all(&plain) {
            assert!(
                !found.range.is_empty() && plain.plain().get(found.range.clone()).is_some(),
                "seed {seed}: {text:?}"
            );
            assert!(text.get(plain.original(found.range)).is_some(), "seed {seed}: {text:?}");
        }
        let mut left = redact(&text);
        // What was taken out may bring together what was apart; the third time nothing is left.
        for _ in 0..2 {
            left = redact(&left);
        }
        assert_eq!(find_all(&Text::new(&left)), [], "seed {seed}: {text:?} became {left:?}");
    }
}

#[test]
fn any_bytes_are_survived() {
    for seed in 0..2_000 {
        let mut chance = Chance(seed);
        let bytes: Vec<u8> = (0..chance.below(300)).map(|_| chance.next() as u8).collect();
        // Characters of every class too: those that the bytes name.
        let wide: String = bytes
            .chunks(3)
            .filter_map(|chunk| char::from_u32(chunk.iter().fold(0, |code, byte| code << 7 | u32::from(*byte))))
            .collect();
        for text in [String::from_utf8_lossy(&bytes).into_owned(), wide] {
            let redacted = redact(&text);
            assert!(redacted == text || redacted.contains('['), "seed {seed}: {text:?}");
        }
    }
}
