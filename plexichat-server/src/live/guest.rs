//! What is spoken on a WebSocket that a plugin opened: messages handed to and fro between the client and the plugin, each wait
//! with an end. Knows no HTTP and no frame of ours.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::SplitStream;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use plexichat::guard::{SocketEnd, SocketInbox, SocketOut, SocketOutbox};
use plexichat::id::PluginName;
use plexichat::plugin::interface::SocketMessage;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::meter::{Metered, Progress};
use super::waiting::{End, Sink, Socket, Watch};
use crate::auth::{Authenticator, Principal};

/// How often a silent connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long a connection may give no sign of life.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// How long the other side may take to answer a closing.
const CLOSING: Duration = Duration::from_secs(1);
/// The longest reason that fits into a closing, in bytes.
const REASON_MAX: usize = 120;

/// One connection.
pub(crate) struct Guest {
    /// Whose it is.
    pub(crate) plugin: PluginName,
    /// The identifier of the request that opened it.
    pub(crate) request_id: String,
    /// Who speaks, where that is known.
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) authenticator: Authenticator,
    /// The largest message that is taken, in bytes.
    pub(crate) message_max: usize,
    /// Turns true when the server begins to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Why it ends, in words that may be the plugin's.
enum Closing {
    Ours(End),
    Plugins(CloseCode, String),
}

impl Guest {
    /// Hands messages to and fro until either side ends it.
    ///
    /// # Cancel safety
    /// A dropped call drops the connection; the plugin is told that the other side is gone.
    pub(crate) async fn run(self, upgraded: Upgraded, inbox: SocketInbox, outbox: SocketOutbox) {
        let largest = u64::try_from(self.message_max).unwrap_or(u64::MAX);
        let (metered, progress) = Metered::with_messages(TokioIo::new(upgraded), largest);
        // A message that is a little too large is told so; one that is much too large is not read.
        let most = self.message_max.saturating_mul(2);
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024)
            .write_buffer_size(16 * 1024)
            .max_frame_size(Some(most))
            .max_message_size(Some(most));
        let socket = Socket::from_raw_socket(metered, Role::Server, Some(config)).await;
        let (mut sink, mut stream) = socket.split();
        let closing = self.speak(&mut sink, &mut stream, &progress, inbox, outbox).await;
        let (code, reason) = match closing {
            Closing::Ours(End::Gone) => return,
            Closing::Ours(End::Close(code, reason)) => (code, reason.to_owned()),
            Closing::Plugins(code, reason) => (code, reason),
        };
        tracing::debug!(request_id = self.request_id, plugin = %self.plugin, %code, reason, "closing a plugin's WebSocket");
        let end = reason.floor_char_boundary(REASON_MAX);
        let frame = CloseFrame { code, reason: Utf8Bytes::from(&reason[..end]) };
        let closing = async {
            if sink.send(Message::Close(Some(frame))).await.is_ok() {
                // The other side's closing, so that ours is not lost in a reset.
                while let Some(Ok(_)) = stream.next().await {}
            }
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }

    async fn speak(
        &self,
        sink: &mut Sink,
        stream: &mut SplitStream<Socket>,
        progress: &Progress,
        inbox: SocketInbox,
        mut outbox: SocketOutbox,
    ) -> Closing {
        let mut watch = match &self.principal {
            Some(principal) => Watch::new(&self.authenticator, principal, self.stopping.clone()),
            None => Watch::of_anybody(self.stopping.clone()),
        };
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        // What the plugin has no room for yet: nothing more is read meanwhile.
        let mut putting: Option<BoxFuture<'_, bool>> = None;
        loop {
            let sent = tokio::select! {
                end = watch.ended() => return Closing::Ours(end),
                // Whose pongs are not read because the plugin has no room is not silent.
                _ = ping.tick() => match putting.is_none() && heard.elapsed() > SILENCE_MAX {
                    true => return Closing::Ours(End::Close(CloseCode::Policy, "no sign of life")),
                    false => watch.send(sink.send(Message::Ping(Default::default()))).await,
                },
                out = outbox.next() => match out {
                    SocketOut::Message(message) => watch.send(sink.send(to_frame(message))).await,
                    SocketOut::End(end) => return why(end),
                },
                // What nobody takes any more is answered by the plugin's own end.
                _ = async { putting.as_mut().expect("asked first").await }, if putting.is_some() => {
                    putting = None;
                    heard = Instant::now();
                    Ok(())
                }
                received = stream.next(), if putting.is_none() => {
                    heard = Instant::now();
                    self.understand(received, progress).map(|message| {
                        putting = message.map(|message| inbox.put(message).boxed());
                    })
                }
            };
            if let Err(end) = sent {
                return Closing::Ours(end);
            }
        }
    }

    /// The message that came in; nothing where it is none of the plugin's.
    fn understand(
        &self,
        received: Option<Result<Message, tungstenite::Error>>,
        progress: &Progress,
    ) -> Result<Option<SocketMessage>, End> {
        const TOO_LARGE: End = End::Close(CloseCode::Size, "the message is too large");
        let message = match received {
            None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
            Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                progress.control(payload.len());
                return Ok(None);
            }
            // The library gives these to nobody who reads.
            Some(Ok(Message::Frame(_))) => return Ok(None),
            Some(Ok(message)) => message,
            Some(Err(tungstenite::Error::Capacity(_))) => return Err(TOO_LARGE),
            Some(Err(tungstenite::Error::Io(error))) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(End::Close(CloseCode::Size, "the message does not end"));
            }
            Some(Err(tungstenite::Error::Utf8(_))) => return Err(End::Close(CloseCode::Invalid, "text is UTF-8")),
            Some(Err(tungstenite::Error::Protocol(_))) => {
                return Err(End::Close(CloseCode::Protocol, "the protocol was broken"));
            }
            Some(Err(_)) => return Err(End::Gone),
        };
        if message.len() > self.message_max {
            return Err(TOO_LARGE);
        }
        progress.reset();
        Ok(match message {
            Message::Text(text) => Some(SocketMessage::Text(text.as_str().to_owned())),
            Message::Binary(bytes) => Some(SocketMessage::Binary(bytes.into())),
            _ => None,
        })
    }
}

fn to_frame(message: SocketMessage) -> Message {
    match message {
        SocketMessage::Text(text) => Message::text(text),
        SocketMessage::Binary(bytes) => Message::binary(bytes),
    }
}

fn why(end: SocketEnd) -> Closing {
    match end {
        SocketEnd::Done => Closing::Plugins(CloseCode::Normal, String::new()),
        SocketEnd::Refused(message) => Closing::Plugins(CloseCode::Policy, message),
        SocketEnd::Failed => Closing::Plugins(CloseCode::Error, "the plugin failed".to_owned()),
        SocketEnd::Stopped => Closing::Plugins(CloseCode::Away, "the plugin was stopped".to_owned()),
    }
}
