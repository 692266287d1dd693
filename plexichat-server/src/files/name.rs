//! The names that senders give files: which are taken, and how they travel in headers. A name is shown and never opened.

use std::fmt::Write as _;

/// The longest name, in bytes of UTF-8: what file systems take, so that whoever saves it can.
pub(crate) const NAME_MAX: usize = 255;

/// Why a text cannot be a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadName {
    #[error("is empty")]
    Empty,
    #[error("is longer than {NAME_MAX} bytes")]
    Long,
    #[error("is a path: a name has no `/` and no `\\`, and is neither `.` nor `..`")]
    Path,
    #[error("has a control character")]
    Control,
    #[error("has an invisible character or one that turns the direction of writing")]
    Invisible,
}

/// The name without blanks around it.
///
/// # Errors
/// [`BadName`]: nothing is mended, so that nobody finds another name than they gave.
pub(crate) fn clean(name: &str) -> Result<String, BadName> {
    let name = name.trim();
    match name {
        "" => Err(BadName::Empty),
        "." | ".." => Err(BadName::Path),
        name if name.len() > NAME_MAX => Err(BadName::Long),
        name if name.contains(['/', '\\']) => Err(BadName::Path),
        name if name.chars().any(char::is_control) => Err(BadName::Control),
        name if name.chars().any(is_invisible) => Err(BadName::Invisible),
        name => Ok(name.to_owned()),
    }
}

/// What makes `exe.txt` of `txt.exe`, or two names that look alike. Joiners stay: scripts and emoji need them.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The `Content-Disposition` under which a file is handed out (RFC 6266, RFC 5987).
pub(crate) fn disposition(kind: &str, name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|character| match character {
            '"' | '\\' | '%' => '_',
            character if character.is_ascii() && !character.is_ascii_control() => character,
            _ => '_',
        })
        .collect();
    let mut text = format!("{kind}; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(byte as char);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// The name in a `Content-Disposition` that a sender gave: the one with an encoding where there are two.
pub(crate) fn of_disposition(header: &[u8]) -> Option<String> {
    let mut plain = None;
    for parameter in parameters(header).into_iter().skip(1) {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (parameter[..equals].trim_ascii(), parameter[equals + 1..].trim_ascii());
        if key.eq_ignore_ascii_case(b"filename*") {
            let encoded = value.splitn(3, |byte| *byte == b'\'').collect::<Vec<_>>();
            if let [charset, _, text] = encoded[..]
                && charset.eq_ignore_ascii_case(b"utf-8")
            {
                return String::from_utf8(decode(text)).ok();
            }
        } else if key.eq_ignore_ascii_case(b"filename") {
            plain = String::from_utf8(unquote(value)).ok();
        }
    }
    plain
}

/// The parts between semicolons that stand outside of quotes.
fn parameters(header: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in header.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push(&header[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&header[begin..]);
    parts
}

fn unquote(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")) else {
        return value.to_vec();
    };
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            // A backslash hides what follows it. Programs of Windows forget that, and a path is refused anyway.
            b'\\' => text.extend(bytes.next().filter(|next| matches!(next, b'"' | b'\\')).or(Some(&b'\\'))),
            byte => text.push(*byte),
        }
    }
    text
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let hex = (*byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match hex {
            Some(value) => {
                decoded.push(value);
                rest = &after[2..];
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Result<&str, BadName>) {
        assert_eq!(clean(name), expected.map(str::to_owned), "{name:?}");
    }

    /// Fault 69: a name is never a path. Fault 67: nor does it hide or turn around what it is.
    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        check(" report 2026.pdf ", Ok("report 2026.pdf"));
        check("Überraschung 🧑‍💻.txt", Ok("Überraschung 🧑‍💻.txt"));
        check("...", Ok("..."));
        check("", Err(BadName::Empty));
        check(" \t ", Err(BadName::Empty));
        for path in [".", "..", "../x", "/etc/passwd", "a/b", "..\\x", "C:\\x"] {
            check(path, Err(BadName::Path));
        }
        for control in ["a\0b", "a\nb", "a\u{7f}", "a\u{85}b"] {
            check(control, Err(BadName::Control));
        }
        for invisible in ["gpj\u{202e}exe.txt", "a\u{200b}b", "\u{feff}a", "a\u{2066}b", "a\u{e0041}b"] {
            check(invisible, Err(BadName::Invisible));
        }
        check(&"a".repeat(NAME_MAX), Ok(&"a".repeat(NAME_MAX)));
        check(&"a".repeat(NAME_MAX + 1), Err(BadName::Long));
        check(&"ü".repeat(128), Err(BadName::Long));
    }

    #[track_caller]
    fn check_header(name: &str, expected: &str) {
        let header = disposition("attachment", name);
        assert_eq!(header, expected);
        assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{header:?}");
        assert_eq!(of_disposition(header.as_bytes()).as_deref(), Some(name), "{header}");
    }

    #[test]
    fn a_name_survives_the_header() {
        check_header("a b.txt", r#"attachment; filename="a b.txt""#);
        check_header("ä.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A4.txt");
        check_header("a\"; x=\"b", "attachment; filename=\"a_; x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b");
        check_header("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt");
    }

    #[track_caller]
    fn check_read(header: &str, expected: Option<&str>) {
        assert_eq!(of_disposition(header.as_bytes()).as_deref(), expected, "{header}");
    }

    #[test]
    fn what_senders_write_is_read() {
        check_read("attachment", None);
        check_read("attachment; filename=plain.txt", Some("plain.txt"));
        check_read("form-data; name=\"file\"; FileName=\"a;b.txt\"", Some("a;b.txt"));
        check_read("attachment; filename=\"a\\\"b\"", Some("a\"b"));
        check_read("attachment; filename=\"x\"; filename*=utf-8'de'%e2%82%ac%20rates", Some("€ rates"));
        check_read("attachment; filename*=latin1''%e4; filename=x", Some("x"));
        check_read("attachment; filename*=UTF-8''%ff", None);
        check_read("attachment; filename=\"ü.txt\"", Some("ü.txt"));
        check_read("attachment; filename=\"..\\\\..\\\\x\"", Some("..\\..\\x"));
        check_read("attachment; filename", None);
    }
}
