//! Finds private keys by what stands around them: PEM, OpenSSH, PGP, PuTTY and age. Knows no cryptography.

use std::ops::Range;

use super::prefilter::Looked;
use super::{begins_word, run_end};

/// What each begins with.
pub(super) const BEGINNINGS: [(&str, &str); 3] = [
    ("pem_private_key", "-----BEGIN "),
    ("putty_private_key", "Private-Lines: "),
    ("age_secret_key", "AGE-SECRET-KEY-1"),
];

/// The longest label of a PEM block, such as `OPENSSH PRIVATE KEY`.
const LABEL_MAX: usize = 64;

/// The shortest beginning of a key's first line.
const LINE_MIN: usize = 16;

pub(super) fn at(text: &str, start: usize, beginning: usize) -> Looked {
    let (name, literal) = BEGINNINGS[beginning];
    let body = start + literal.len();
    if !text[start..].starts_with(literal) {
        return Looked::NOTHING;
    }
    let range = match beginning {
        0 => pem(text, start, body),
        1 => putty(text, start, body),
        _ => age(text, start, body),
    };
    match range {
        Some(range) => Looked { upto: range.end, found: Some((name, range)) },
        None => Looked::NOTHING,
    }
}

/// `-----BEGIN … PRIVATE KEY-----` to its end, or to the text's: half a key is bad enough.
fn pem(text: &str, start: usize, body: usize) -> Option<Range<usize>> {
    let label_end = run_end(text, body, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let label = &text[body..label_end];
    let is_private = label.ends_with("PRIVATE KEY") || label == "PGP PRIVATE KEY BLOCK";
    if !is_private || label.len() > LABEL_MAX || !text[label_end..].starts_with("-----") {
        return None;
    }
    let content = label_end + 5;
    if !has_content(&text[content..]) {
        return None;
    }
    let Some(end) = text[content..].find("-----END ") else { return Some(start..text.len()) };
    let end = content + end + "-----END ".len();
    let end = run_end(text, end, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    Some(start..run_end(text, end, |byte| byte == b'-'))
}

/// Whether the first line is a key's, in base64, or a header's (`Proc-Type: …`): else it is a sentence about keys.
fn has_content(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|character: char| character.is_whitespace() || character == '\\');
    // What an escape leaves of a line's end (`\n`) is no part of the key, and does no harm as one.
    let line = run_end(rest, 0, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-'));
    line >= LINE_MIN || (line > 0 && rest[line..].starts_with(':'))
}

/// `Private-Lines: 8` and so many lines of PuTTY's format, to its MAC or to the text's end.
fn putty(text: &str, start: usize, body: usize) -> Option<Range<usize>> {
    let count = run_end(text, body, |byte| byte.is_ascii_digit());
    if count == body || !has_content(&text[count..]) {
        return None;
    }
    let end = text[count..].find("Private-MAC:").map(|mac| count + mac + "Private-MAC:".len());
    let hex = |mac| run_end(text, run_end(text, mac, |byte| byte == b' '), |byte| byte.is_ascii_hexdigit());
    Some(start..end.map_or(text.len(), hex))
}

/// `AGE-SECRET-KEY-1` and 58 characters of Bech32.
fn age(text: &str, start: usize, body: usize) -> Option<Range<usize>> {
    let end = run_end(text, body, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    (begins_word(text, start) && end - body == 58).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, check as check_detector};

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        check_detector(Detector::PrivateKey, text, expected);
    }

    #[test]
    fn blocks_are_found_whole() {
        for label in
            ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]
        {
            let block = format!("-----~BEGIN {label}-----\nMIIEvQIBADANBgkqhkiG9w0+/\nxyz=\n-----~END {label}-----");
            check(&format!("here:\n{block}\nthanks"), &[("pem_private_key", &block)]);
        }
        let block =
            "-----~BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGVgabcdefghijkl\n-----~END PGP PRIVATE KEY BLOCK-----";
        check(block, &[("pem_private_key", block)]);
        let block = "-----~BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabc=\n-----~END RSA PRIVATE KEY-----";
        check(block, &[("pem_private_key", block)]);
    }

    #[test]
    fn half_a_block_and_one_in_a_string_are_found() {
        let half = "-----~BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG";
        check(&format!("x {half}"), &[("pem_private_key", half)]);
        let escaped = r"-----~BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n-----~END PRIVATE KEY-----";
        check(&format!("{{\"private_key\": \"{escaped}\\n\"}}"), &[("pem_private_key", escaped)]);
    }

    #[test]
    fn other_formats_are_found() {
        let putty = "Private-~Lines: 1\nAAAAgQDxYz0123456789abcdef=\nPrivate-MAC: 0011aaff";
        check(&format!("PuTTY-User-Key-File-3: ssh-ed25519\n{putty}\nbye"), &[("putty_private_key", putty)]);
        let age = format!("AGE-~SECRET-KEY-1{}", "Q3".repeat(29));
        check(&format!("key {age} end"), &[("age_secret_key", &age)]);
    }

    #[test]
    fn what_is_public_is_let_be() {
        check("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", &[]);
        check("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", &[]);
        check("the file begins with `-----BEGIN RSA PRIVATE KEY-----`", &[]);
        check("-----BEGIN -----BEGIN -----BEGIN ", &[]);
        check("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH me@host", &[]);
        check("-----BEGIN PRIVATE KEY-----, a line of base64, -----END PRIVATE KEY-----", &[]);
        check("AGE-SECRET-KEY-1ABC", &[]);
        check("PuTTY-User-Key-File-3: is the first line, Private-Lines: 8 comes later", &[]);
    }
}
