//! Finds what looks like a secret behind a name that says so: `DB_PASSWORD=…`, `"api_key": "…"`. A guess, so a careful one:
//! the value must look random, and what looks like words, code or a placeholder is let be.

use std::ops::Range;

use super::prefilter::Looked;
use super::{Guess, entropy, run_end};

/// The ends of names whose value is a secret, in lower case.
pub(super) const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "kennwort",
    "secret",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "secret_key",
    "secret-key",
    "secretkey",
    "private_key",
    "auth_token",
    "auth-token",
    "authtoken",
    "access_token",
    "access-token",
    "accesstoken",
    "refresh_token",
    "bearer_token",
    "api_token",
    "api-token",
    "apitoken",
    "_token",
    "_pwd",
    "client_secret",
];

/// The longest value that is looked at.
const VALUE_MAX: usize = 512;

pub(super) fn at(text: &str, name: Range<usize>, guess: Guess) -> Looked {
    let Some(value) = value(text, name.end) else { return Looked::NOTHING };
    let content = &text[value.range.clone()];
    let upto = value.range.end;
    let long_enough = content.len() >= guess.min_length && content.len() <= VALUE_MAX;
    if !long_enough || !is_random(content, value.quoted, guess.min_entropy) {
        return Looked { found: None, upto };
    }
    Looked { found: Some(("assigned_secret", value.range)), upto }
}

struct Value {
    range: Range<usize>,
    quoted: bool,
}

/// What is assigned to the name that ends here: `name = value`, `"name": "value"`, `name=>'value'`, `name := value`.
fn value(text: &str, name_end: usize) -> Option<Value> {
    let bytes = text.as_bytes();
    let spaces = |from| run_end(text, from, |byte| matches!(byte, b' ' | b'\t')).min(from + 20);
    let quote = |at: usize| bytes.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    // A closing quote of the name, with the backslash of a JSON text inside a JSON text.
    let mut at = name_end + usize::from(bytes.get(name_end) == Some(&b'\\'));
    at += usize::from(quote(at).is_some());
    at = spaces(at);
    let operator = [":=", "=>", "=", ":"].into_iter().find(|operator| bytes[at..].starts_with(operator.as_bytes()))?;
    at = spaces(at + operator.len());
    at += usize::from(bytes.get(at) == Some(&b'\\'));
    let quoted = quote(at);
    let begin = at + usize::from(quoted.is_some());
    let is_part = |byte: u8| match quoted {
        Some(quote) => byte != quote && byte != b'\\' && byte >= b' ',
        None => byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b',' | b';' | b'&'),
    };
    // More than the longest value is as good as all: then the next name may stand in it.
    let end = begin + bytes[begin..].iter().take(VALUE_MAX + 1).take_while(|byte| is_part(**byte)).count();
    let end = match quoted {
        Some(_) => end,
        None => begin + text[begin..end].trim_end_matches(['.', '!', '?', ')', ']', '}', '>', ':']).len(),
    };
    // Of a value in a language that is not English only what is before its first letter is looked at, which is too short.
    let begin_of_character = (begin..=end).rev().find(|index| text.is_char_boundary(*index))?;
    Some(Value { range: begin..begin_of_character, quoted: quoted.is_some() })
}

fn is_random(value: &str, quoted: bool, min_entropy: f64) -> bool {
    !is_placeholder(value)
        && !is_code(value, quoted)
        && !is_worded(value)
        && is_mixed(value)
        && entropy(value) >= min_entropy
}

/// What manuals and configuration files write where the secret would stand, or where it is to be found.
fn is_placeholder(value: &str) -> bool {
    const BEGINNINGS: [&str; 8] = ["<", "$", "{", "%", "[", "(", "*", "#"];
    const PARTS: [&str; 15] = [
        "://",
        "your",
        "example",
        "changeme",
        "change_me",
        "change-me",
        "placeholder",
        "redacted",
        "removed",
        "xxxx",
        "****",
        "....",
        "${",
        "{{",
        "todo",
    ];
    let lower = value.to_ascii_lowercase();
    BEGINNINGS.iter().any(|beginning| value.starts_with(beginning)) || PARTS.iter().any(|part| lower.contains(part))
}

/// A call, an index or a path of names: `get_token(user)`, `config.apiKey2`, `std::env::var`. In quotes it is a value.
fn is_code(value: &str, quoted: bool) -> bool {
    if quoted {
        return false;
    }
    let opens = value.contains(['(', '[', '<', '{'])
        && value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    opens || value.contains("::") || value.contains("->")
}

/// Words, names and numbers that hyphens, dots, slashes or underlines join: `meeting-2024-at-noon`, `config.apiKey2`.
fn is_worded(value: &str) -> bool {
    let mut parts = value.split(['-', '_', '.', '/', ':', ' ', '@', '+']).filter(|part| !part.is_empty());
    let is_word = |part: &str| {
        let letters = part.trim_end_matches(|character: char| character.is_ascii_digit());
        let digits = part.len() - letters.len();
        let turns = letters
            .as_bytes()
            .windows(2)
            .filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
            .count();
        // `getAccessToken` has few humps for its length, `aBcDeFgH` has many.
        letters.chars().all(char::is_alphabetic) && digits <= 4 && turns * 4 <= letters.len()
    };
    let joined = value.contains(['-', '_', '.', '/', ':', ' ', '@', '+']);
    joined && parts.all(is_word)
}

/// Three kinds of characters, or a long run of letters and digits such as hexadecimal.
fn is_mixed(value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.bytes().any(|byte| is(&byte));
    let digits = has(u8::is_ascii_digit);
    let symbols =
        value.bytes().any(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'-' | b'_' | b'.' | b'/' | b':'));
    let kinds = [has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase), digits, symbols];
    let letters = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    digits && letters && (kinds.into_iter().filter(|kind| *kind).count() >= 3 || value.len() >= 20)
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, check as check_detector};

    #[track_caller]
    fn found(text: &str, value: &str) {
        check_detector(Detector::Assignment, text, &[("assigned_secret", value)]);
    }

    #[track_caller]
    fn harmless(text: &str) {
        check_detector(Detector::Assignment, text, &[]);
    }

    #[test]
    fn assignments_are_found() {
        found("DB_PASSWORD=q7R!m2Zx~9Lw4", "q7R!m2Zx~9Lw4");
        found("password: q7R!m2Zx~9Lw4.", "q7R!m2Zx~9Lw4");
        found("Passwort = 'q7R m2Zx~9Lw4#'", "q7R m2Zx~9Lw4#");
        found(r#"{"api_key": "9f86d081884c~7d659a2feaa0c55ad015"}"#, "9f86d081884c~7d659a2feaa0c55ad015");
        found(r#""{\"client_secret\":\"aZ3kQ9~pLm2Xw7\"}""#, "aZ3kQ9~pLm2Xw7");
        found(
            "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/~bPxRfiCYzQ8tK9mKEY",
            "wJalrXUtnFEMI/K7MDENG/~bPxRfiCYzQ8tK9mKEY",
        );
        found("secret := `aZ3kQ9~pLm2Xw7`", "aZ3kQ9~pLm2Xw7");
        found("https://x/?access_token=aZ3kQ9~pLm2Xw7&b=c", "aZ3kQ9~pLm2Xw7");
        found("apiKey=123e4567-e89b-~42d3-a456-426614174000", "123e4567-e89b-~42d3-a456-426614174000");
    }

    #[test]
    fn each_value_is_found_once() {
        check_detector(
            Detector::Assignment,
            "client_secret=aZ3kQ9~pLm2Xw7 secret_key=bY4jR8~qKn3Vu6",
            &[("assigned_secret", "aZ3kQ9~pLm2Xw7"), ("assigned_secret", "bY4jR8~qKn3Vu6")],
        );
    }

    #[test]
    fn words_are_let_be() {
        harmless("the password: see the wiki");
        harmless("password: hunter2");
        harmless("secret: meeting-2024-at-noon");
        harmless("Our secret: https://example.com/a1B2c3D4e5F6");
        harmless("the secret = correct horse battery staple");
        harmless("password: Grüße1234567!");
        harmless("access_token: expired at 2024-11-23T01:50:00Z");
    }

    #[test]
    fn code_and_placeholders_are_let_be() {
        harmless("password = os.environ['DB_PASSWORD_2']");
        harmless("api_key = config.apiKey2");
        harmless("let secret = Secret::new(token2);");
        harmless("password: get_password(user1, Vault2)");
        harmless("password=${DB_PASSWORD_1a}");
        harmless("API_KEY=<your-key-1A2b3C>");
        harmless("api_key: YOUR_API_KEY_123abc");
        harmless("password=xxxxxxxxXX12");
        harmless("password: string; secret: Option<Secret2>");
        harmless("password == other_password1A");
    }
}
