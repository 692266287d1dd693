//! What is spoken on one WebSocket: frames of JSON text in and out, each wait with an end. Knows no HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use futures_util::future::BoxFuture;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use plexichat::id::{MessageId, RoomId};
use plexichat::message::{Origin, StoredRow};
use plexichat::pipeline::{Access, Incoming, MessageStore, Outcome, Pipeline, Refusal};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::hub::{Frames, Hub, Subscriber};
use crate::auth::{Authenticator, Principal};
use crate::error::{ApiError, ErrorDetail};
use crate::stop::stopped;
use crate::store::{Store, User};

/// The largest frame that is taken, in bytes.
const FRAME_MAX: usize = 64 * 1024;
/// How often a silent connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long a connection may give no sign of life.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// How many frames go out with one flush.
const BATCH: usize = 64;
/// How long the other side may take to answer a closing.
const CLOSING: Duration = Duration::from_secs(1);
/// The pause before what a connection missed is read again, where the store could not.
const RETRY: Duration = Duration::from_secs(1);

/// The connection's close codes.
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
}

/// What one connection works with.
pub(crate) struct Session {
    /// The identifier of the request that opened it.
    pub(crate) id: String,
    /// Who speaks.
    pub(crate) principal: Arc<Principal>,
    pub(crate) authenticator: Authenticator,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    pub(crate) server: Server,
    /// The longest text that is stored.
    pub(crate) text_bytes: usize,
    /// Turns true when the server begins to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// What the server says of itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// What a client sends. Unknown types are ignored, and so are unknown members of known ones.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientFrame {
    Subscribe {
        room_id: RoomId,
        after_seq: Option<u64>,
    },
    Send {
        room_id: RoomId,
        text: String,
        key: String,
        reply_to: Option<MessageId>,
    },
    Ping,
    #[serde(other)]
    Unknown,
}

/// What the server sends, apart from what the hub writes.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerFrame<'a> {
    Hello {
        user: &'a User,
        server: &'a Server,
        limits: HelloLimits,
    },
    Ack {
        key: &'a str,
        message: &'a StoredRow,
    },
    Pong,
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        error: ErrorDetail,
    },
}

#[derive(Serialize)]
struct HelloLimits {
    frame_bytes: usize,
    text_bytes: usize,
}

/// Why a connection ends.
enum End {
    /// The other side closed, or cannot be reached.
    Gone,
    /// We close, and say why.
    Close(u16, &'static str),
}

type Sink = SplitSink<WebSocket, Message>;
type Sending = BoxFuture<'static, (String, Result<Outcome, Refusal>)>;

/// The upgrade with limits on what is buffered.
pub(crate) fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(8 * 1024)
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(2 * 1024 * 1024)
        // A frame that is a little too large is told so; one that is much too large is not read.
        .max_frame_size(2 * FRAME_MAX)
        .max_message_size(2 * FRAME_MAX)
}

/// Counts the connection for as long as it lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("plexichat_websocket_connections").increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("plexichat_websocket_connections").decrement(1);
    }
}

impl Session {
    /// Speaks until either side ends it.
    ///
    /// # Cancel safety
    /// A dropped call drops the connection. A message that was being stored may be stored.
    pub(crate) async fn run(self, socket: WebSocket) {
        let _counted = Counted::new();
        let (mut sink, mut stream) = socket.split();
        let end = self.speak(&mut sink, &mut stream).await;
        if let End::Close(code, reason) = end {
            tracing::debug!(request_id = self.id, code, reason, "closing a WebSocket");
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            let closing = async {
                if sink.send(Message::Close(Some(frame))).await.is_ok() {
                    // The other side's closing, so that ours is not lost in a reset.
                    while let Some(Ok(_)) = stream.next().await {}
                }
            };
            let _ = tokio::time::timeout(CLOSING, closing).await;
        }
    }

    async fn speak(&self, sink: &mut Sink, stream: &mut SplitStream<WebSocket>) -> End {
        let (subscriber, mut frames) = self.hub.connect();
        if let Err(end) = write(sink, &self.hello()).await {
            return end;
        }
        let mut stopping = self.stopping.clone();
        let mut ended = std::pin::pin!(self.authenticator.ended(&self.principal));
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut batch = Vec::with_capacity(BATCH);
        // One at a time, so that a connection's messages are stored in the order it sent them.
        let mut sending: Option<Sending> = None;
        loop {
            let step = tokio::select! {
                biased;
                () = stopped(&mut stopping) => Err(End::Close(code::GOING_AWAY, "the server is stopping")),
                _ = &mut ended => Err(End::Close(code::POLICY, "the token counts no more")),
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        Err(End::Close(code::POLICY, "no sign of life"))
                    } else {
                        sink.send(Message::Ping(Default::default())).await.map_err(|_| End::Gone)
                    }
                }
                (key, result) = sent(&mut sending), if sending.is_some() => {
                    sending = None;
                    write(sink, &self.answer(&key, result)).await
                }
                read = fill(&mut frames, &mut batch) => flush(sink, &mut batch, read).await,
                received = stream.next(), if sending.is_none() => {
                    heard = Instant::now();
                    match understand(received) {
                        Err(end) => Err(end),
                        Ok(None) => Ok(()),
                        Ok(Some(text)) => match self.handle(&text, &subscriber).await {
                            Reaction::Nothing => Ok(()),
                            Reaction::Say(text) => write(sink, &text).await,
                            Reaction::Send(future) => {
                                sending = Some(future);
                                Ok(())
                            }
                        },
                    }
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn hello(&self) -> String {
        let limits = HelloLimits { frame_bytes: FRAME_MAX, text_bytes: self.text_bytes };
        text(&ServerFrame::Hello { user: self.principal.user(), server: &self.server, limits })
    }

    async fn handle(&self, frame: &str, subscriber: &Subscriber) -> Reaction {
        let frame = match serde_json::from_str(frame) {
            Ok(frame) => frame,
            Err(error) => {
                let error = ApiError::bad_request("bad_frame", format!("the frame cannot be read: {error}"));
                return Reaction::Say(self.error(None, None, &error));
            }
        };
        match frame {
            ClientFrame::Unknown => Reaction::Nothing,
            ClientFrame::Ping => Reaction::Say(text(&ServerFrame::Pong)),
            ClientFrame::Subscribe { room_id, after_seq } => match self.subscribe(subscriber, room_id, after_seq).await
            {
                Ok(()) => Reaction::Nothing,
                Err(error) => Reaction::Say(self.error(None, Some(room_id), &error)),
            },
            ClientFrame::Send { room_id, text, key, reply_to } => {
                if !self.principal.may(crate::store::Scope::Write) {
                    let error = ApiError::forbidden("this needs the scope `write`, which the token lacks");
                    return Reaction::Say(self.error(Some(&key), None, &error));
                }
                let incoming = Incoming {
                    author: self.principal.actor().clone(),
                    room_id,
                    text,
                    reply_to,
                    attachments: Vec::new(),
                    origin: Origin::Ws,
                    key: Some(key.clone()),
                    cause_id: None,
                    cause_depth: 0,
                };
                let pipeline = self.pipeline.clone();
                Reaction::Send(async move { (key, pipeline.send(incoming).await) }.boxed())
            }
        }
    }

    async fn subscribe(&self, subscriber: &Subscriber, room: RoomId, after_seq: Option<u64>) -> Result<(), ApiError> {
        match self.store.access(self.principal.actor(), room).await? {
            Access::None => Err(Refusal::NoRoom.into()),
            Access::Read | Access::Write | Access::Moderate => subscriber
                .subscribe(room, after_seq)
                .map_err(|error| ApiError::conflict("too_many_rooms", error.to_string())),
        }
    }

    fn answer(&self, key: &str, result: Result<Outcome, Refusal>) -> String {
        match result {
            Ok(outcome) => text(&ServerFrame::Ack { key, message: &outcome.row }),
            Err(refusal) => self.error(Some(key), None, &refusal.into()),
        }
    }

    fn error(&self, key: Option<&str>, room_id: Option<RoomId>, error: &ApiError) -> String {
        text(&ServerFrame::Error { key, room_id, error: error.body(&self.id).error })
    }
}

/// What a client's frame leads to.
enum Reaction {
    Nothing,
    Say(String),
    Send(Sending),
}

/// Waits for the message that is being sent; for ever where there is none.
async fn sent(sending: &mut Option<Sending>) -> (String, Result<Outcome, Refusal>) {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

async fn fill(frames: &mut Frames, batch: &mut Vec<Utf8Bytes>) -> bool {
    match frames.next(batch, BATCH).await {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, "what a connection missed cannot be read for now");
            tokio::time::sleep(RETRY).await;
            false
        }
    }
}

/// Sends a burst with one flush: without it each frame would be a packet.
async fn flush(sink: &mut Sink, batch: &mut Vec<Utf8Bytes>, read: bool) -> Result<(), End> {
    if !read {
        return Ok(());
    }
    for frame in batch.drain(..) {
        sink.feed(Message::Text(frame)).await.map_err(|_| End::Gone)?;
    }
    sink.flush().await.map_err(|_| End::Gone)
}

async fn write(sink: &mut Sink, text: &str) -> Result<(), End> {
    sink.send(Message::Text(text.into())).await.map_err(|_| End::Gone)
}

/// The text of what came in; nothing where it is no frame of ours.
fn understand(received: Option<Result<Message, axum::Error>>) -> Result<Option<Utf8Bytes>, End> {
    match received {
        None | Some(Ok(Message::Close(_))) => Err(End::Gone),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(End::Close(code::UNSUPPORTED, "frames are JSON text")),
        Some(Ok(Message::Text(text))) if text.len() > FRAME_MAX => {
            Err(End::Close(code::TOO_BIG, "the frame is too large"))
        }
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        // The library's own error types are not ours to name; its words for this one are under test.
        Some(Err(error)) if error.to_string().contains("too long") => {
            Err(End::Close(code::TOO_BIG, "the frame is too large"))
        }
        Some(Err(error)) => {
            tracing::debug!(%error, "a WebSocket broke the protocol, or broke off");
            Err(End::Close(code::PROTOCOL, "the protocol was broken"))
        }
    }
}

fn text(frame: &ServerFrame<'_>) -> String {
    // Strings, numbers and derived shapes only: this cannot fail.
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match serde_json::from_str::<ClientFrame>(text) {
            Ok(frame) => format!("{frame:?}"),
            Err(error) => error.to_string(),
        };
        assert!(found.starts_with(expected), "{text}: {found}");
    }

    #[test]
    fn frames_of_clients() {
        let room = "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f";
        check(r#"{"type":"ping"}"#, "Ping");
        check(r#"{"type":"typing","room_id":"x"}"#, "Unknown");
        check(&format!(r#"{{"type":"subscribe","room_id":"{room}"}}"#), "Subscribe");
        check(&format!(r#"{{"room_id":"{room}","after_seq":3,"type":"subscribe","new":1}}"#), "Subscribe");
        check(&format!(r#"{{"type":"send","room_id":"{room}","text":"a"}}"#), "missing field `key`");
        check(r#"{"type":"subscribe","room_id":"x"}"#, "");
        check(r#"{"type":1}"#, "");
        check("{}", "missing field `type`");
        check("[", "EOF");
    }
}
