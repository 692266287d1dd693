//! Small helpers for text that people read. Knows no payload.

/// The parts that say something, one below the other.
pub(crate) fn joined(parts: impl IntoIterator<Item = String>) -> String {
    separated(parts, "\n")
}

/// The parts that say something, with this between them.
pub(crate) fn separated(parts: impl IntoIterator<Item = String>, between: &str) -> String {
    let told: Vec<String> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
    told.join(between)
}

/// The beginning of a text, at most this many characters, and a sign where some are missing.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

/// The beginning of a text, at most this many bytes with the sign that some are missing.
pub(crate) fn fitted(text: &str, most: usize) -> String {
    const CUT: &str = "\n… (shortened)";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(CUT.len()));
    format!("{}{CUT}", text[..end].trim_end())
}

/// A text on one line, without characters that steer terminals.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("größer", 3), "grö…");
        assert_eq!(shortened("gr", 3), "gr");
        assert_eq!(fitted("äöüäöüäöüäöü", 24), "äöüäöüäöüäöü");
        assert_eq!(fitted("äöüäöüäöüäöüx", 24), "äöüä\n… (shortened)".to_owned());
        assert_eq!(one_line(" a\r\n\tb\u{7}c "), "a b c");
        assert_eq!(joined(["a".into(), " ".into(), "b".into()]), "a\nb");
    }
}
