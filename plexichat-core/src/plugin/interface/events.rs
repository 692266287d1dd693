//! Server-sent events that a plugin writes. Knows no connection.

use std::fmt;

use futures_util::stream::{BoxStream, Stream, StreamExt};
use serde::Serialize;

use super::answer::IntoAnswer;
use super::call::RouteAnswer;
use super::handler::{AnswerShape, RouteShape};
use crate::error::Result;

/// The type of a body of server-sent events.
pub(super) const CONTENT_TYPE: &str = "text/event-stream";

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamEvent {
    /// What the browser sends as `Last-Event-ID` when it comes back.
    pub id: Option<String>,
    /// Which kind of event; `message` where nothing is said.
    pub name: Option<String>,
    /// What it says.
    pub data: String,
}

impl StreamEvent {
    /// An event with this text.
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// An event with JSON.
    ///
    /// # Errors
    /// `Internal` where the value cannot be written as JSON.
    pub fn json(data: &impl Serialize) -> Result<Self> {
        Ok(Self::new(serde_json::to_string(data)?))
    }

    /// The same with an identifier. Line ends in it are left out.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// The same as an event of this kind. Line ends in it are left out.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    fn encoded(&self) -> Vec<u8> {
        let one_line = |text: &str| text.replace(['\r', '\n', '\0'], "");
        let mut text = String::new();
        if let Some(id) = &self.id {
            text.push_str(&format!("id: {}\n", one_line(id)));
        }
        if let Some(name) = &self.name {
            text.push_str(&format!("event: {}\n", one_line(name)));
        }
        let data = self.data.replace("\r\n", "\n").replace('\r', "\n");
        for line in data.split('\n') {
            text.push_str(&format!("data: {line}\n"));
        }
        text.push('\n');
        text.into_bytes()
    }
}

/// Events without end: what a handler of [`Routes::events`](super::Routes::events) answers. It is dropped when the other side
/// goes away, and ends when the plugin stops. The host sends a comment every 15 s while there is nothing else.
pub struct EventStream(BoxStream<'static, Result<StreamEvent>>);

impl EventStream {
    /// These events, as they come. An error breaks the connection off.
    pub fn new(events: impl Stream<Item = Result<StreamEvent>> + Send + 'static) -> Self {
        Self(events.boxed())
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EventStream")
    }
}

impl IntoAnswer for EventStream {
    fn into_answer(self) -> Result<RouteAnswer> {
        let pieces = self.0.map(|event| event.map(|event| event.encoded()));
        Ok(RouteAnswer::stream(200, CONTENT_TYPE, pieces)
            .header("cache-control", "no-store")
            .header("x-accel-buffering", "no"))
    }

    fn describe(shape: &mut RouteShape) {
        shape.answers.push(AnswerShape { status: 200, content_type: Some(CONTENT_TYPE), schema: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: StreamEvent, expected: &str) {
        assert_eq!(String::from_utf8(event.encoded()).unwrap(), expected);
    }

    #[test]
    fn an_event_keeps_its_lines_and_no_other() {
        check(StreamEvent::new("a"), "data: a\n\n");
        check(StreamEvent::new("a\r\nb\rc\n"), "data: a\ndata: b\ndata: c\ndata: \n\n");
        check(StreamEvent::new("a").id("1\n2").name("x\r\nevent: y"), "id: 12\nevent: xevent: y\ndata: a\n\n");
        check(StreamEvent::json(&7).unwrap(), "data: 7\n\n");
    }
}
