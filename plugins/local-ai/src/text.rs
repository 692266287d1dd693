//! The answer's text as it grows: whole characters only, and nothing that may yet turn out to be where it has to stop. Knows
//! no tokens.

/// Bytes in, text out.
pub struct Growing {
    bytes: Vec<u8>,
    stops: Vec<String>,
    /// Whether a space at the very beginning is left out.
    drops_space: bool,
}

/// What another piece has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Grown {
    /// Text that can be shown; may be empty.
    Text(String),
    /// The last text: what followed was one of the stops.
    Stopped(String),
}

impl Growing {
    /// An answer that ends before any of these.
    pub fn new(stops: &[String], drops_space: bool) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { bytes: Vec::new(), stops, drops_space }
    }

    /// Takes in the bytes of another token.
    pub fn push(&mut self, bytes: &[u8]) -> Grown {
        self.bytes.extend(bytes);
        if self.drops_space && !self.bytes.is_empty() {
            self.drops_space = false;
            if self.bytes[0] == b' ' {
                self.bytes.remove(0);
            }
        }
        let found = self.stops.iter().filter_map(|stop| find(&self.bytes, stop.as_bytes())).min();
        if let Some(at) = found {
            self.bytes.truncate(at);
            return Grown::Stopped(self.rest());
        }
        let certain = self.bytes.len() - self.held_back();
        let whole = whole_characters(&self.bytes[..certain]);
        let text = String::from_utf8_lossy(&self.bytes[..whole]).into_owned();
        self.bytes.drain(..whole);
        Grown::Text(text)
    }

    /// What was held back, when nothing follows. Bytes that are no character become the sign for that.
    pub fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned()
    }

    /// How many bytes at the end may be the beginning of a stop.
    fn held_back(&self) -> usize {
        let begun = |stop: &String| {
            let most = (stop.len() - 1).min(self.bytes.len());
            (1..=most).rev().find(|length| self.bytes.ends_with(&stop.as_bytes()[..*length])).unwrap_or(0)
        };
        self.stops.iter().map(begun).max().unwrap_or(0)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// How many bytes are left without a character at the end that is not whole yet.
fn whole_characters(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => return bytes.len(),
            Err(error) => match error.error_len() {
                Some(broken) => rest = &rest[error.valid_up_to() + broken..],
                None => return bytes.len() - rest.len() + error.valid_up_to(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stops: &[&str], pieces: &[&[u8]], expected: &[&str], stopped: bool) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut growing = Growing::new(&stops, false);
        let mut texts = Vec::new();
        let mut has_stopped = false;
        for piece in pieces {
            match growing.push(piece) {
                Grown::Text(text) => texts.push(text),
                Grown::Stopped(text) => {
                    texts.push(text);
                    has_stopped = true;
                    break;
                }
            }
        }
        if !has_stopped {
            texts.push(growing.rest());
        }
        assert_eq!(texts, expected);
        assert_eq!(has_stopped, stopped);
    }

    #[test]
    fn only_whole_characters_come_out() {
        check(&[], &[b"a", b"b"], &["a", "b", ""], false);
        check(&[], &[b"\xe2\x82", b"\xac!"], &["", "€!", ""], false);
        check(&[], &[b"\xff", b"a\xe2"], &["\u{fffd}", "a", "\u{fffd}"], false);
    }

    #[test]
    fn it_ends_before_a_stop_and_shows_nothing_of_it() {
        check(&["END"], &[b"one E", b"N", b"D two"], &["one ", "", ""], true);
        check(&["END"], &[b"one E", b"N", b"x"], &["one ", "", "ENx", ""], false);
        check(&["END"], &[b"one EN"], &["one ", "EN"], false);
        check(&["b", "ab"], &[b"xaby"], &["x"], true);
        check(&["\n\n", ""], &[b"a\n", b"\n"], &["a", ""], true);
        check(&["aab"], &[b"aa", b"a", b"b"], &["", "a", ""], true);
    }

    #[test]
    fn the_space_before_the_first_word_is_left_out() {
        let mut growing = Growing::new(&[], true);
        let texts = [growing.push(b""), growing.push(b" Hel"), growing.push(b" lo")];
        assert_eq!(texts, ["", "Hel", " lo"].map(|text| Grown::Text(text.to_owned())));
    }
}
