//! Finds JSON web tokens (RFC 7519 in compact form): three parts, of which the first decodes to a header with an algorithm.

use std::ops::Range;

use super::prefilter::Looked;
use super::{begins_word, run_end};

/// How every header begins: `{"` in base64url.
pub(super) const PREFIX: &str = "eyJ";

/// The longest header that is decoded.
const HEADER_MAX: usize = 2048;

/// The shortest signature, of 16 bytes.
const SIGNATURE_MIN: usize = 22;

pub(super) fn at(text: &str, start: usize) -> Looked {
    if !text[start..].starts_with(PREFIX) || !begins_word(text, start) {
        return Looked::NOTHING;
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let header_end = run_end(text, start, is_part);
    let rest = &text[header_end..];
    let nothing = Looked { found: None, upto: header_end };
    if header_end - start > HEADER_MAX || !rest.starts_with('.') || !has_algorithm(&text[start..header_end]) {
        return nothing;
    }
    let claims_end = run_end(text, header_end + 1, is_part);
    if claims_end - header_end < 4 || !text[claims_end..].starts_with('.') {
        return nothing;
    }
    let end = run_end(text, claims_end + 1, is_part);
    if end - claims_end <= SIGNATURE_MIN {
        return nothing;
    }
    Looked { found: Some(("json_web_token", start..end)), upto: end }
}

/// The shortest claims of a token whose end has not come yet: no sentence goes on so.
const CLAIMS_MIN: usize = 16;

/// A token at the end of a text that goes on: its header and the beginning of its claims, with what has come of the rest.
pub(super) fn unfinished(text: &str) -> Option<Range<usize>> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let run = text.bytes().rev().take_while(|byte| is_part(*byte)).count();
    let start = text.len() - run;
    let mut parts = text[start..].splitn(3, '.');
    let (header, claims) = (parts.next()?, parts.next()?);
    let is_token = header.starts_with(PREFIX)
        && header.len() <= HEADER_MAX
        && claims.len() >= CLAIMS_MIN
        && parts.next().is_none_or(|signature| signature.len() < SIGNATURE_MIN)
        && has_algorithm(header);
    is_token.then_some(start..text.len())
}

fn has_algorithm(header: &str) -> bool {
    let decoded = decode(header);
    decoded.windows(5).any(|window| window == b"\"alg\"")
}

/// base64url without padding; what cannot be decoded is not there.
fn decode(text: &str) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    };
    let mut decoded = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        let bits =
            chunk.iter().filter_map(|byte| sextet(*byte)).fold(0_u32, |bits, sextet| bits << 6 | u32::from(sextet));
        let bits = bits << (6 * (4 - chunk.len()));
        decoded.extend(&bits.to_be_bytes()[1..chunk.len().max(1)]);
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, Guess, Wanted, check as check_detector};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        check_detector(Detector::JsonWebToken, text, expected);
    }

    // The header is {"alg":"HS256","typ":"JWT"}.
    const TOKEN: &str = "ey~JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.ey~JzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

    #[test]
    fn tokens_are_found() {
        check(TOKEN, &[("json_web_token", TOKEN)]);
        check(&format!("Authorization: Bearer {TOKEN}\n"), &[("json_web_token", TOKEN)]);
        check(&format!("http://x/?token={TOKEN}&a=b"), &[("json_web_token", TOKEN)]);
        check(&format!("{TOKEN}."), &[("json_web_token", TOKEN)]);
    }

    #[test]
    fn others_are_let_be() {
        check("eyJhbGciOiJIUzI1NiJ9 is a header", &[]);
        check("eyJhbGciOiJIUzI1NiJ9.e30.", &[]);
        check("eyJmb28iOiJiYXIifQ.eyJmb28iOiJiYXIifQ.aaaaaaaaaaaaaaaaaaaaaaaaaaaa", &[]);
        check("eyJ.eyJ.eyJ.eyJ", &[]);
        check("keyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.aaaaaaaaaaaaaaaaaaaaaaaaaaaa", &[]);
    }

    #[test]
    fn a_token_is_known_before_it_ends() {
        let token = TOKEN.replace('~', "");
        let claims = token.find('.').expect("two dots") + 1;
        for end in 1..token.len() {
            let text = format!("here: {}", &token[..end]);
            let mut found = Vec::new();
            super::super::prefilter::find(&text, Wanted::all(), Guess::default(), &mut found);
            let is_known =
                unfinished(&text).is_some() || found.iter().any(|found| found.detector == Detector::JsonWebToken);
            assert_eq!(is_known, end >= claims + CLAIMS_MIN, "{text}");
        }
    }

    #[test]
    fn decodes() {
        for (text, decoded) in [("", ""), ("YQ", "a"), ("YWI", "ab"), ("YWJj", "abc"), ("eyJhIjoxfQ", "{\"a\":1}")] {
            assert_eq!(decode(text), decoded.as_bytes(), "{text}");
        }
    }
}
