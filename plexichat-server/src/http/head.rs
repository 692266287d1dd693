//! Looks at a connection's bytes before hyper does, in heads only, and spoils what hyper would take and a proxy in front of us
//! might read otherwise: lines that end without CR, two lengths, a length beside an encoding. Knows no route and no socket.

/// How much of a header's line is kept: a name that matters, and a length.
const LINE_KEPT: usize = 64;

/// Follows one connection from request to request. What it does not like it replaces with NUL, which hyper answers with 400.
#[derive(Debug)]
pub(crate) struct HeadGuard {
    state: State,
    /// The last byte that was seen.
    before: u8,
    /// The beginning of the line that is being read, in lower case.
    kept: [u8; LINE_KEPT],
    /// The line's length until now, without its end.
    length: usize,
    body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a request's first line.
    Start,
    /// After the first line.
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// In the line that says how long a chunk is.
    ChunkSize,
    /// So many bytes of a chunk and its end are to come.
    Chunk(u64),
    /// In the lines after the last chunk.
    Trailers,
    /// The rest is nothing to us: the connection was handed over, or hyper will close it.
    Done,
}

/// What the head says of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
}

impl Default for HeadGuard {
    fn default() -> Self {
        Self { state: State::Start, before: 0, kept: [0; LINE_KEPT], length: 0, body: Body::None }
    }
}

impl HeadGuard {
    /// From now on it is another protocol.
    pub(crate) fn hand_over(&mut self) {
        self.state = State::Done;
    }

    /// Looks at what came next.
    pub(crate) fn look(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.state {
                State::Done => return,
                State::Body(left) | State::Chunk(left) => {
                    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    at += passed;
                    *left -= passed as u64;
                    if *left == 0 {
                        let next = if matches!(self.state, State::Body(_)) { State::Start } else { State::ChunkSize };
                        self.go_on(next);
                    }
                }
                State::Start | State::Head | State::ChunkSize | State::Trailers => {
                    let rest = &bytes[at..];
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    let line = &rest[..end.unwrap_or(rest.len())];
                    self.keep(line);
                    let Some(end) = end else { return };
                    at += end + 1;
                    if self.ends_badly() {
                        bytes[at - 1] = 0;
                        self.state = State::Done;
                        return;
                    }
                }
            }
        }
    }

    fn keep(&mut self, line: &[u8]) {
        for (place, byte) in self.kept.iter_mut().skip(self.length).zip(line) {
            *place = byte.to_ascii_lowercase();
        }
        self.length += line.len();
        self.before = line.last().copied().unwrap_or(self.before);
    }

    fn go_on(&mut self, state: State) {
        self.state = state;
        self.length = 0;
        self.before = 0;
    }

    /// At the end of a line: whether it is refused, else what comes next.
    fn ends_badly(&mut self) -> bool {
        if self.length == 0 || self.before != b'\r' {
            return true;
        }
        let length = self.length - 1;
        let next = match self.state {
            // hyper passes over empty lines before a request.
            State::Start if length == 0 => State::Start,
            State::Start => {
                self.body = Body::None;
                State::Head
            }
            State::Head if length == 0 => match self.body {
                Body::None | Body::Length(0) => State::Start,
                Body::Length(length) => State::Body(length),
                Body::Chunked => State::ChunkSize,
            },
            State::Head => match self.body_after(length) {
                Some(body) => {
                    self.body = body;
                    State::Head
                }
                None => return true,
            },
            // Digits that go on behind what is kept would be another number to whoever reads them all.
            State::ChunkSize if length > LINE_KEPT && !self.kept.contains(&b';') => return true,
            State::ChunkSize => match chunk_size(&self.kept[..length.min(LINE_KEPT)]) {
                Some(0) => State::Trailers,
                // The chunk's own end is two bytes.
                Some(size) => State::Chunk(size.saturating_add(2)),
                None => return true,
            },
            State::Trailers if length == 0 => State::Start,
            State::Trailers => State::Trailers,
            State::Body(_) | State::Chunk(_) | State::Done => return false,
        };
        self.go_on(next);
        false
    }

    /// What is known of the body after this header, or nothing where it contradicts one before.
    fn body_after(&self, length: usize) -> Option<Body> {
        let line = &self.kept[..length.min(LINE_KEPT)];
        let is = |name: &[u8]| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(b":"));
        if let Some(value) = is(b"content-length") {
            let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
            let digits = length <= LINE_KEPT && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            return match self.body {
                Body::None if digits => value.parse().ok().map(Body::Length),
                _ => None,
            };
        }
        if is(b"transfer-encoding").is_some() {
            return (self.body == Body::None).then_some(Body::Chunked);
        }
        Some(self.body)
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.split(';').next().unwrap_or("").trim_matches([' ', '\t']);
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is refused, however it comes in pieces.
    #[track_caller]
    fn check(text: &str, refused: bool) {
        for size in [1, 2, 7, text.len()] {
            let mut guard = HeadGuard::default();
            let mut seen = text.as_bytes().to_vec();
            seen.chunks_mut(size).for_each(|piece| guard.look(piece));
            assert_eq!(seen != text.as_bytes(), refused, "{text:?} in pieces of {size}");
            if refused {
                assert!(seen.contains(&0), "{text:?}");
            }
        }
    }

    const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// Fault 64: a size of a chunk whose digits go on behind those that are looked at.
    #[test]
    fn a_long_size_of_a_chunk_is_read_whole_or_not_at_all() {
        let post = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let zeros = "0".repeat(LINE_KEPT);
        check(&format!("{post}{zeros}5\r\nhello\r\n0\r\n\r\n"), true);
        check(&format!("{post}5;{zeros}\r\nhello\r\n0\r\n\r\n"), false);
        check(&format!("{post}5\r\nhello\r\n0\r\n\r\n{GET}"), false);
    }

    /// Fault 64: lines that end without CR.
    #[test]
    fn a_line_ends_with_both() {
        check(GET, false);
        check("\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", false);
        check("GET / HTTP/1.1\nhost: a\r\n\r\n", true);
        check("GET / HTTP/1.1\r\nhost: a\n\r\n", true);
        check("GET / HTTP/1.1\r\nhost: a\r\n\n", true);
        check("\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", true);
        check(&format!("{GET}GET / HTTP/1.1\nhost: a\r\n\r\n"), true);
    }

    /// Fault 64: what follows a body is a head again.
    #[test]
    fn bodies_are_passed_over_to_their_end() {
        let post = "POST / HTTP/1.1\r\nhost: a\r\n";
        check(&format!("{post}content-length: 3\r\n\r\na\nb{GET}"), false);
        check(&format!("{post}Content-Length:3\r\n\r\na\nbGET / HTTP/1.1\n\r\n"), true);
        check(&format!("{post}transfer-encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n{GET}"), false);
        check(&format!("{post}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\na\nb\r\n0\r\na: b\r\n\r\n{GET}"), false);
        check(&format!("{post}transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\n\r\n"), true);
        check(&format!("{post}transfer-encoding: chunked\r\n\r\n3\na\nb\r\n"), true);
        check(&format!("{post}transfer-encoding: chunked\r\n\r\n0\r\na: b\n\r\n"), true);
        check(&format!("{post}transfer-encoding: chunked\r\n\r\nx\r\n"), true);
    }

    /// Fault 64: two lengths, a length and an encoding, lengths that are none.
    #[test]
    fn a_body_has_one_length() {
        let post = "POST / HTTP/1.1\r\nhost: a\r\n";
        for lengths in [
            "content-length: 3\r\ncontent-length: 5\r\n",
            "content-length: 3\r\ncontent-length: 3\r\n",
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\nContent-Length: 3\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "content-length: +3\r\n",
            "content-length: 3, 3\r\n",
            "content-length: \r\n",
            "content-length: 0x3\r\n",
            "content-length: 99999999999999999999999\r\n",
        ] {
            check(&format!("{post}{lengths}\r\n"), true);
        }
        check(&format!("{post}content-length:{}3\r\n\r\n", " ".repeat(100)), true);
        check(&format!("{post}x-content-length: x\r\ncontent-length-x: y\r\n\r\n"), false);
    }

    #[test]
    fn another_protocol_is_none_of_its_business() {
        let mut guard = HeadGuard::default();
        guard.look(&mut GET.as_bytes().to_vec());
        guard.hand_over();
        let mut frame = b"\x81\n\n\n".to_vec();
        guard.look(&mut frame);
        assert_eq!(frame, b"\x81\n\n\n");
    }
}
