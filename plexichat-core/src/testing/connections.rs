//! WebSockets and event streams of a plugin, opened by a test: through the guard, past the listener.

use std::fmt;

use futures_util::future::BoxFuture;

use super::TestResult;
use super::running::RunningPlugin;
use crate::descriptor::Registered;
use crate::error::Result;
use crate::guard::{GuardedBody, GuardedStream, SocketEnd, SocketInbox, SocketOut, SocketOutbox};
use crate::plugin::interface::{RouteCall, SocketMessage, StreamEvent};

impl<P: Registered> RunningPlugin<P> {
    /// Opens the WebSocket of the plugin that this call's path fits. Dropping what is given back tells the plugin that the
    /// other side is gone.
    ///
    /// # Errors
    /// The plugin's own, and where there is no such WebSocket or the call gives nothing.
    ///
    /// # Cancel safety
    /// A dropped call opens nothing.
    pub async fn socket(&self, call: RouteCall) -> TestResult<TestSocket> {
        let (route, call) = self.found(call)?;
        let open = self.running()?.socket(route.index, call, route.spec.timeout).await??;
        let (inbox, outbox) = open.begin()?;
        Ok(TestSocket { inbox, outbox })
    }

    /// Opens the stream of events of the plugin that this call's path fits.
    ///
    /// # Errors
    /// The plugin's own, and where there is no such stream or the call gives nothing.
    ///
    /// # Cancel safety
    /// A dropped call opens nothing.
    pub async fn event_stream(&self, call: RouteCall) -> TestResult<TestEvents> {
        let (route, call) = self.found(call)?;
        let answer = self.running()?.events(route.index, call, route.spec.timeout).await??;
        match answer.body {
            GuardedBody::Stream(pieces) => Ok(TestEvents(pieces)),
            GuardedBody::Whole(_) => Err(format!("`{}` answers no stream of events", route.spec.path).into()),
        }
    }
}

/// A WebSocket of a plugin, from the other side.
pub struct TestSocket {
    inbox: SocketInbox,
    outbox: SocketOutbox,
}

impl TestSocket {
    /// Sends a message to the plugin. Whether it takes it.
    ///
    /// # Cancel safety
    /// A dropped call sends nothing.
    pub async fn send(&self, message: impl Into<SocketMessage>) -> bool {
        self.inbox.put(message.into()).await
    }

    /// What the plugin says next.
    ///
    /// # Errors
    /// How the plugin ended it, where it did.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub fn recv(&mut self) -> BoxFuture<'_, Result<SocketMessage, SocketEnd>> {
        Box::pin(async move {
            match self.outbox.next().await {
                SocketOut::Message(message) => Ok(message),
                SocketOut::End(end) => Err(end),
            }
        })
    }
}

impl fmt::Debug for TestSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TestSocket")
    }
}

/// A stream of events of a plugin, from the other side.
pub struct TestEvents(GuardedStream<Result<Vec<u8>>>);

impl TestEvents {
    /// The next event; nothing where the stream ended.
    ///
    /// # Errors
    /// The plugin broke it off.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> TestResult<Option<StreamEvent>> {
        let Some(piece) = self.0.next().await else { return Ok(None) };
        // Each piece of such a stream is one event.
        Ok(Some(decoded(&String::from_utf8(piece??)?)))
    }
}

fn decoded(piece: &str) -> StreamEvent {
    let fields = |name: &str| {
        let name = format!("{name}: ");
        piece.lines().filter_map(move |line| line.strip_prefix(name.as_str()).map(str::to_owned)).collect::<Vec<_>>()
    };
    let mut event = StreamEvent::new(fields("data").join("\n"));
    event.id = fields("id").pop();
    event.name = fields("event").pop();
    event
}

impl fmt::Debug for TestEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TestEvents")
    }
}
