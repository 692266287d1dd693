//! What a WebSocket waits for, and what ends it whatever it is doing. Knows no frame of ours.

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{SplitSink, SplitStream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use plexichat::pipeline::{Outcome, Refusal};
use tokio::sync::watch;
use tokio::time::Interval;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::frame::Frame;
use super::hub::Frames;
use super::meter::Metered;
use crate::auth::{Authenticator, Principal};
use crate::stop::stopped;

/// How long the other side may leave us unable to send.
const SEND_PATIENCE: Duration = Duration::from_secs(10);
/// How many batches go out before anything else is looked at.
const IN_A_ROW: u32 = 4;
/// How many frames go out with one flush.
pub(super) const BATCH: usize = 64;
/// The pause before what a connection missed is read again, where the store could not.
const RETRY: Duration = Duration::from_secs(1);

/// What ends a connection whatever it is doing. One future for as long as it lasts: to begin to wait anew with every frame
/// would cost more than the frame.
pub(super) struct Watch<'a> {
    end: Pin<Box<dyn Future<Output = End> + Send + 'a>>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        authenticator: &'a Authenticator,
        principal: &'a Principal,
        mut stopping: watch::Receiver<bool>,
    ) -> Self {
        let end = async move {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => End::Close(CloseCode::Away, "the server is stopping"),
                _ = authenticator.ended(principal) => {
                    End::Close(CloseCode::Policy, "the token counts no more")
                }
            }
        };
        Self { end: Box::pin(end) }
    }

    /// Of a connection of nobody in particular.
    pub(super) fn of_anybody(mut stopping: watch::Receiver<bool>) -> Self {
        let end = async move {
            stopped(&mut stopping).await;
            End::Close(CloseCode::Away, "the server is stopping")
        };
        Self { end: Box::pin(end) }
    }

    /// Waits until the connection has to end.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn ended(&mut self) -> End {
        self.end.as_mut().await
    }

    /// Sends, for as long as the connection may last and the other side takes what it is sent.
    pub(super) async fn send(
        &mut self,
        sending: impl Future<Output = Result<(), tungstenite::Error>>,
    ) -> Result<(), End> {
        const TOO_SLOW: End = End::Close(CloseCode::Again, "the client does not read");
        tokio::select! {
            biased;
            sent = sending => sent.map_err(|error| match error {
                tungstenite::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => TOO_SLOW,
                _ => End::Gone,
            }),
            end = &mut self.end => Err(end),
            () = tokio::time::sleep(SEND_PATIENCE) => {
                metrics::counter!("plexichat_live_cut_off_total").increment(1);
                Err(TOO_SLOW)
            }
        }
    }
}

/// Why a connection ends.
pub(super) enum End {
    /// The other side closed, or cannot be reached.
    Gone,
    /// We close, and say why.
    Close(CloseCode, &'static str),
}

pub(super) type Socket = WebSocketStream<Metered<TokioIo<Upgraded>>>;
pub(super) type Sink = SplitSink<Socket, Message>;
pub(super) type Sending = BoxFuture<'static, (String, Result<Outcome, Refusal>)>;

/// What a connection waits for.
pub(super) struct Waiting<'a> {
    pub(super) watch: Watch<'a>,
    pub(super) ping: Interval,
    /// One at a time, so that a connection's messages are stored in the order it sent them.
    pub(super) sending: Option<Sending>,
    pub(super) frames: Frames,
    pub(super) batch: Vec<Frame>,
    pub(super) stream: &'a mut SplitStream<Socket>,
    /// How many times in a row there was something to send.
    pub(super) in_a_row: u32,
}

/// What comes next on a connection.
pub(super) enum Step {
    End(End),
    Ping,
    /// The message that the client sent is stored, or refused.
    Sent(String, Result<Outcome, Refusal>),
    /// There is something in the batch, or nothing for now.
    Filled,
    /// The client said something, or is gone.
    Heard(Option<Result<Message, tungstenite::Error>>),
}

impl Waiting<'_> {
    /// Waits for what comes next. What is to be sent is looked at first, and alone where there is some, but not for ever.
    pub(super) async fn next(&mut self) -> Step {
        let Self { watch, ping, sending, frames, batch, stream, in_a_row } = self;
        if *in_a_row < IN_A_ROW {
            *in_a_row += 1;
            return tokio::select! {
                biased;
                () = fill(frames, batch) => Step::Filled,
                end = &mut watch.end => Step::End(end),
                _ = ping.tick() => Step::Ping,
                (key, result) = sent(sending), if sending.is_some() => Step::Sent(key, result),
                received = stream.next(), if sending.is_none() => Step::Heard(received),
            };
        }
        *in_a_row = 0;
        tokio::select! {
            biased;
            end = &mut watch.end => Step::End(end),
            _ = ping.tick() => Step::Ping,
            (key, result) = sent(sending), if sending.is_some() => Step::Sent(key, result),
            received = stream.next(), if sending.is_none() => Step::Heard(received),
            () = fill(frames, batch) => Step::Filled,
        }
    }
}

/// Waits for the message that is being sent; for ever where there is none.
async fn sent(sending: &mut Option<Sending>) -> (String, Result<Outcome, Refusal>) {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

async fn fill(frames: &mut Frames, batch: &mut Vec<Frame>) {
    if let Err(error) = frames.next(batch, BATCH).await {
        tracing::debug!(%error, "what a connection missed cannot be read for now");
        tokio::time::sleep(RETRY).await;
    }
}
