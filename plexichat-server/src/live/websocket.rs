//! What is spoken on one WebSocket: frames of JSON text in and out, each wait with an end. Knows no HTTP.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use plexichat::assistant::Assistants;
use plexichat::event::Event;
use plexichat::event::bus::Bus;
use plexichat::event::catalog::UserTyping;
use plexichat::id::{ReplyId, RoomId};
use plexichat::message::Origin;
use plexichat::pipeline::{Access, Announcer, Incoming, MessageStore, Outcome, Pipeline, Refusal};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::flood;
use super::frame::Frame;
use super::hub::{Hub, Subscriber};
use super::meter::{Metered, Progress};
use super::waiting::{BATCH, End, Sending, Sink, Socket, Step, Waiting, Watch};
pub(crate) use super::words::Server;
use super::words::{Attendance, ClientFrame, HelloLimits, SendFrame, ServerFrame, text};
use crate::auth::{Authenticator, Principal};
use crate::error::ApiError;
use crate::store::{Scope, Store};

/// The largest frame that is taken, in bytes.
const FRAME_MAX: usize = 64 * 1024;
/// How often a silent connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long a connection may give no sign of life.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// How long the other side may take to answer a closing.
const CLOSING: Duration = Duration::from_secs(1);

/// What one connection works with.
pub(crate) struct Session {
    /// The identifier of the request that opened it.
    pub(crate) id: String,
    /// Who speaks.
    pub(crate) principal: Arc<Principal>,
    pub(crate) authenticator: Authenticator,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) assistants: Arc<Assistants>,
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    /// Tells plugins what is not stored.
    pub(crate) bus: Bus,
    pub(crate) server: Server,
    /// The longest text that is stored.
    pub(crate) text_bytes: usize,
    /// Turns true when the server begins to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// The limits on what is buffered. `text_bytes` is the longest text of a message.
fn buffers(text_bytes: usize) -> WebSocketConfig {
    // Text grows at most sixfold where it is escaped; a frame must fit beside what waits already.
    let largest = text_bytes.saturating_mul(6).saturating_add(FRAME_MAX);
    WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(largest.max(512 * 1024))
        // A frame that is a little too large is told so; one that is much too large is not read.
        .max_frame_size(Some(2 * FRAME_MAX))
        .max_message_size(Some(2 * FRAME_MAX))
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
    pub(crate) async fn run(self, upgraded: Upgraded) {
        let _counted = Counted::new();
        let (metered, progress) = Metered::new(TokioIo::new(upgraded));
        let socket = Socket::from_raw_socket(metered, Role::Server, Some(buffers(self.text_bytes))).await;
        let (mut sink, mut stream) = socket.split();
        let end = self.speak(&mut sink, &mut stream, &progress).await;
        if let End::Close(code, reason) = end {
            tracing::debug!(request_id = self.id, %code, reason, "closing a WebSocket");
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

    async fn speak(&self, sink: &mut Sink, stream: &mut SplitStream<Socket>, progress: &Progress) -> End {
        let (subscriber, frames) = self.hub.connect(self.principal.user());
        let mut watch = Watch::new(&self.authenticator, &self.principal, self.stopping.clone());
        let Ok(change) = self.store.last_change().await else {
            return End::Close(CloseCode::Again, "the store cannot be read for now");
        };
        if let Err(end) = watch.send(sink.send(Message::text(self.hello(change)))).await {
            return end;
        }
        let mut speaker = Speaker { session: self, subscriber, typing: flood::Typing::default() };
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut flood = flood::Frames::new(heard.into_std());
        let batch = Vec::with_capacity(BATCH);
        let mut waiting = Waiting { watch, ping, sending: None, frames, batch, stream, in_a_row: 0 };
        loop {
            let step = waiting.next().await;
            let Waiting { watch, sending, batch, .. } = &mut waiting;
            let done = match step {
                Step::End(end) => Err(end),
                Step::Ping if heard.elapsed() > SILENCE_MAX => Err(End::Close(CloseCode::Policy, "no sign of life")),
                Step::Ping => watch.send(sink.send(Message::Ping(Default::default()))).await,
                Step::Sent(key, result) => {
                    *sending = None;
                    watch.send(sink.send(Message::text(self.answer(&key, result)))).await
                }
                Step::Filled => watch.send(flush(sink, batch)).await,
                Step::Heard(received) => {
                    heard = Instant::now();
                    match understand(received, progress) {
                        Err(end) => Err(end),
                        Ok(_) if !flood.take(heard.into_std()) => {
                            Err(End::Close(CloseCode::Policy, "too many frames a second"))
                        }
                        Ok(None) => Ok(()),
                        Ok(Some(text)) => match speaker.handle(&text).await {
                            Reaction::Nothing => Ok(()),
                            Reaction::Say(text) => watch.send(sink.send(Message::text(text))).await,
                            Reaction::Send(future) => {
                                *sending = Some(future);
                                Ok(())
                            }
                        },
                    }
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn hello(&self, change: u64) -> String {
        let limits = HelloLimits {
            frame_bytes: FRAME_MAX,
            text_bytes: self.text_bytes,
            frames_per_second: flood::FRAMES_PER_SECOND,
            frames_at_once: flood::FRAMES_AT_ONCE,
            rooms: super::hub::ROOMS,
            typing_seconds: flood::TYPING_EVERY.as_secs(),
        };
        text(&ServerFrame::Hello { user: self.principal.user(), server: &self.server, change, limits })
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

/// The client's side of a connection.
struct Speaker<'a> {
    session: &'a Session,
    subscriber: Subscriber,
    typing: flood::Typing,
}

impl Speaker<'_> {
    async fn handle(&mut self, frame: &str) -> Reaction {
        let frame = match serde_json::from_str(frame) {
            Ok(frame) => frame,
            Err(error) => {
                let error = ApiError::bad_request("bad_frame", format!("the frame cannot be read: {error}"));
                return Reaction::Say(self.session.error(None, None, &error));
            }
        };
        let (room, done) = match frame {
            ClientFrame::Unknown => return Reaction::Nothing,
            ClientFrame::Ping => return Reaction::Say(text(&ServerFrame::Pong)),
            ClientFrame::Send(send) => return self.send(send),
            ClientFrame::Subscribe { room_id, after_seq, after_change } => {
                (Some(room_id), self.subscribe(room_id, after_seq, after_change).await)
            }
            ClientFrame::Unsubscribe { room_id } => {
                self.subscriber.unsubscribe(room_id);
                (Some(room_id), Ok(()))
            }
            ClientFrame::Typing { room_id } => (Some(room_id), self.type_in(room_id).await),
            ClientFrame::Cancel { reply_id } => (None, self.cancel(reply_id).await),
            ClientFrame::Presence { status } => {
                self.subscriber.attend(status == Attendance::Away);
                (None, Ok(()))
            }
        };
        match done {
            Ok(()) => Reaction::Nothing,
            Err(error) => Reaction::Say(self.session.error(None, room, &error)),
        }
    }

    fn send(&self, send: SendFrame) -> Reaction {
        let SendFrame { room_id, text, key, reply_to, attachments } = send;
        if let Err(error) = self.may_write() {
            return Reaction::Say(self.session.error(Some(&key), None, &error));
        }
        let incoming = Incoming {
            author: self.session.principal.actor().clone(),
            room_id,
            text,
            reply_to,
            attachments,
            origin: Origin::Ws,
            key: Some(key.clone()),
            cause_id: None,
            cause_depth: 0,
        };
        let pipeline = self.session.pipeline.clone();
        Reaction::Send(async move { (key, pipeline.send(incoming).await) }.boxed())
    }

    async fn subscribe(&self, room: RoomId, after_seq: Option<u64>, after_change: Option<u64>) -> Result<(), ApiError> {
        match self.access(room).await? {
            Access::None => return Err(Refusal::NoRoom.into()),
            Access::Read | Access::Write | Access::Moderate => self
                .subscriber
                .subscribe(room, after_seq, after_change)
                .map_err(|error| ApiError::conflict("too_many_rooms", error.to_string()))?,
        }
        // Whoever was put out between the two was not listening yet, and nobody would end it.
        if self.access(room).await? == Access::None {
            self.subscriber.unsubscribe(room);
            return Err(Refusal::NoRoom.into());
        }
        Ok(())
    }

    /// Tells the room that its person is typing. What comes too often is passed over: a key press is no mistake.
    async fn type_in(&mut self, room: RoomId) -> Result<(), ApiError> {
        self.may_write()?;
        if !self.typing.take(room, Instant::now().into_std()) {
            return Ok(());
        }
        match self.access(room).await? {
            Access::None => Err(Refusal::NoRoom.into()),
            Access::Read => Err(ApiError::forbidden("you may read in this room, not write")),
            Access::Write | Access::Moderate => {
                let user = self.session.principal.user();
                self.session.hub.typing(room, user);
                let mut event = Event::new(UserTyping::new(room, user.id));
                event.actor = self.session.principal.actor().clone();
                event.origin = Origin::Ws;
                event.room_id = Some(room);
                self.session.bus.announce(event);
                Ok(())
            }
        }
    }

    async fn cancel(&self, reply: ReplyId) -> Result<(), ApiError> {
        self.may_write()?;
        Ok(self.session.assistants.cancel(reply, self.session.principal.actor()).await?)
    }

    async fn access(&self, room: RoomId) -> Result<Access, ApiError> {
        Ok(self.session.store.access(self.session.principal.actor(), room).await?)
    }

    fn may_write(&self) -> Result<(), ApiError> {
        if self.session.principal.may(Scope::Write) {
            return Ok(());
        }
        Err(ApiError::forbidden("this needs the scope `write`, which the token lacks"))
    }
}

/// What a client's frame leads to.
enum Reaction {
    Nothing,
    Say(String),
    Send(Sending),
}

/// Sends a burst with one flush: without it each frame would be a packet.
async fn flush(sink: &mut Sink, batch: &mut Vec<Frame>) -> Result<(), tungstenite::Error> {
    for frame in batch.drain(..) {
        sink.feed(Message::Text(frame.text)).await?;
    }
    sink.flush().await
}

/// The text of what came in; nothing where it is no frame of ours.
fn understand(
    received: Option<Result<Message, tungstenite::Error>>,
    progress: &Progress,
) -> Result<Option<Utf8Bytes>, End> {
    use tungstenite::Error;
    match received {
        None | Some(Ok(Message::Close(_))) => Err(End::Gone),
        Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
            progress.control(payload.len());
            Ok(None)
        }
        // The library gives these to nobody who reads.
        Some(Ok(Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(End::Close(CloseCode::Unsupported, "frames are JSON text")),
        Some(Ok(Message::Text(text))) if text.len() > FRAME_MAX => {
            Err(End::Close(CloseCode::Size, "the frame is too large"))
        }
        Some(Ok(Message::Text(text))) => {
            progress.reset();
            Ok(Some(text))
        }
        Some(Err(Error::Capacity(_))) => Err(End::Close(CloseCode::Size, "the frame is too large")),
        Some(Err(Error::Io(error))) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(End::Close(CloseCode::Size, "the frame does not end"))
        }
        Some(Err(error)) => {
            tracing::debug!(%error, "a WebSocket broke the protocol, or broke off");
            match error {
                Error::Utf8(_) => Err(End::Close(CloseCode::Invalid, "text is UTF-8")),
                Error::Protocol(_) => Err(End::Close(CloseCode::Protocol, "the protocol was broken")),
                _ => Err(End::Gone),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 75: whatever a client does, its connection holds less than a mebibyte.
    #[test]
    fn a_connection_is_bounded() {
        use crate::live::queue::{BATCH_BYTES, QUEUE_BYTES};
        let text = plexichat::pipeline::Limits::default().text_bytes;
        let frame = 6 * text;
        let buffers = buffers(text);
        let sent = QUEUE_BYTES + BATCH_BYTES + frame + buffers.write_buffer_size + frame;
        let read_from_the_store = crate::live::missed::PAGE as usize * text;
        // A message in pieces, and the piece that is being read.
        let received = buffers.read_buffer_size + 2 * buffers.max_message_size.expect("bounded");
        let all = sent + read_from_the_store + received;
        assert!(all < 1 << 20, "{all} bytes");
    }
}
