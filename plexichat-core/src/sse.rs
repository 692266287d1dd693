//! Server-sent events, read from a body that comes in pieces: what AI services stream. Knows no service and what its events
//! mean.

use std::collections::VecDeque;

use crate::capability::http::HttpStream;
use crate::error::{ErrorKind, PluginError, Result};

/// The largest event that is read, in bytes of its lines.
pub const EVENT_MAX: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its `event:` field; empty where it has none.
    pub name: String,
    /// Its `data:` fields, joined by line ends.
    pub data: String,
}

/// Reads events out of bytes, wherever those are cut.
///
/// It follows the HTML standard (lines end in LF, CR or both; a byte order mark at the start and comments count for
/// nothing), but for one thing: what stands after the last empty line is an event too, since services forget that line.
///
/// ```
/// use plexichat::sse::SseReader;
/// let mut reader = SseReader::default();
/// reader.push(b"event: greeting\nda")?;
/// assert_eq!(reader.pop(), None);
/// reader.push(b"ta: hello\n\n")?;
/// let event = reader.pop().unwrap();
/// assert_eq!((event.name.as_str(), event.data.as_str()), ("greeting", "hello"));
/// # Ok::<(), plexichat::error::PluginError>(())
/// ```
#[derive(Debug, Default)]
pub struct SseReader {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The first line is over, before which a byte order mark may stand.
    begun: bool,
    ready: VecDeque<SseEvent>,
}

impl SseReader {
    /// Takes the next bytes in.
    ///
    /// # Errors
    /// `Upstream` where an event is larger than [`EVENT_MAX`].
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                return self.check_size(0);
            };
            self.after_cr = bytes[end] == b'\r';
            match self.line.is_empty() {
                // As a rule a line comes whole.
                true => self.take_line(&bytes[..end])?,
                false => {
                    let mut line = std::mem::take(&mut self.line);
                    line.extend_from_slice(&bytes[..end]);
                    self.take_line(&line)?;
                }
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The next event that is complete.
    pub fn pop(&mut self) -> Option<SseEvent> {
        self.ready.pop_front()
    }

    /// Says that no more bytes come: what is there counts as complete.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn end(&mut self) -> Result<()> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.take_line(&line)?;
        }
        self.dispatch();
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> Result<()> {
        self.check_size(line.len())?;
        let line = match std::mem::replace(&mut self.begun, true) {
            true => line,
            false => line.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(line),
        };
        if line.is_empty() {
            self.dispatch();
            return Ok(());
        }
        let text = String::from_utf8_lossy(line);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // Comments, `id`, `retry` and what nobody knows.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        let event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.has_data) {
            self.ready.push_back(event);
        }
    }

    fn check_size(&self, more: usize) -> Result<()> {
        match self.line.len() + self.event.data.len() + more > EVENT_MAX {
            true => Err(PluginError::new(
                ErrorKind::Upstream { retry_after: None },
                format!("the service sent an event of more than {EVENT_MAX} bytes"),
            )),
            false => Ok(()),
        }
    }
}

/// The events of a response. Dropping it closes the connection.
#[derive(Debug)]
pub struct SseStream {
    body: HttpStream,
    reader: SseReader,
    ended: bool,
}

impl SseStream {
    /// The events of this response's body.
    pub fn new(body: HttpStream) -> Self {
        Self { body, reader: SseReader::default(), ended: false }
    }

    /// The next event; nothing at the end.
    ///
    /// # Errors
    /// `Upstream` where the service broke the body off, or an event is larger than [`EVENT_MAX`].
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call takes no event.
    pub async fn next(&mut self) -> Result<Option<SseEvent>> {
        loop {
            if let Some(event) = self.reader.pop() {
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.next().await? {
                Some(piece) => self.reader.push(&piece)?,
                None => {
                    self.ended = true;
                    self.reader.end()?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut reader = SseReader::default();
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece).unwrap();
            events.extend(std::iter::from_fn(|| reader.pop()));
        }
        reader.end().unwrap();
        events.extend(std::iter::from_fn(|| reader.pop()));
        events.into_iter().map(|event| (event.name, event.data)).collect()
    }

    /// Wherever the text is cut, in two or in three or byte by byte, the events are the same.
    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let bytes = text.as_bytes();
        let expected: Vec<_> = expected.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(read(&pieces), expected, "{text:?} cut at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), expected, "{text:?} byte by byte");
    }

    #[test]
    fn lines_end_in_three_ways() {
        for end in ["\n", "\r", "\r\n"] {
            let text = ["event: a", "data: 1", "", "data: 2", "data: 3", "", ""].join(end);
            check(&text, &[("a", "1"), ("", "2\n3")]);
        }
        check("data: 1\r\n\ndata: 2\n\r\n", &[("", "1"), ("", "2")]);
        check("data: 1\r\rdata: 2\r\n\r", &[("", "1"), ("", "2")]);
    }

    #[test]
    fn what_is_no_data_is_no_event() {
        check(": a comment\n\nevent: a\n\nid: 7\nretry: 3\nodd\n\ndata: 1\n\n", &[("", "1")]);
        check("\n\n\n", &[]);
        check("", &[]);
    }

    #[test]
    fn fields_are_written_in_odd_ways() {
        check("data\n\n", &[("", "")]);
        check("data\ndata\n\n", &[("", "\n")]);
        check("data:1\ndata:  2\nDATA: 3\n\n", &[("", "1\n 2")]);
        check("data: {\"a\": \"b: c\"}\n\n", &[("", "{\"a\": \"b: c\"}")]);
    }

    #[test]
    fn a_byte_order_mark_counts_at_the_start_only() {
        check("\u{FEFF}data: 1\n\n\u{FEFF}data: 2\n\n", &[("", "1")]);
    }

    #[test]
    fn letters_of_many_bytes_are_put_together() {
        check("data: grüße 👋🏽 日本\n\n", &[("", "grüße 👋🏽 日本")]);
    }

    #[test]
    fn the_last_empty_line_may_be_missing() {
        check("data: 1\n\ndata: [DONE]", &[("", "1"), ("", "[DONE]")]);
        check("data: 1\n", &[("", "1")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(read(&[b"data: a\xFFb\n\n"]), [(String::new(), "a\u{FFFD}b".to_owned())]);
    }

    #[test]
    fn an_event_is_bounded() {
        let mut reader = SseReader::default();
        reader.push(b"data: ").unwrap();
        let piece = vec![b'a'; 65_536];
        let refused = (0..200).find_map(|_| reader.push(&piece).err()).expect("an endless line is refused");
        assert!(refused.to_string().contains("more than 4194304 bytes"), "{refused}");
        let mut reader = SseReader::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        assert!((0..200).any(|_| reader.push(&line).is_err()), "an event of endless lines is refused");
        assert_eq!(reader.pop(), None);
    }
}
