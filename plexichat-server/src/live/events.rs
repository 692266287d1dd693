//! One room as server-sent events: the same frames as on a WebSocket, each with how far it brings the client as its `id`, so that a
//! browser goes on where it was. Knows no HTTP.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use plexichat::id::RoomId;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::frame::{Frame, Place};
use super::hub::{Frames, Hub, TooManyRooms};
use crate::auth::{AuthError, Authenticator, Principal};
use crate::stop::stopped;

/// How often a silent stream says that it lives: proxies end those that say nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many frames go out at once.
const BATCH: usize = 64;
/// The pause before what was missed is read again, where the store could not.
const RETRY: Duration = Duration::from_secs(1);

/// How far a client got in a room: the `seq` of the last message, and the number of the last change. As text `12.345`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) seq: u64,
    pub(crate) change: u64,
}

/// What is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not two numbers with a dot between them, such as `12.345`")]
pub(crate) struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (seq, change) = text.split_once('.').ok_or(NoPosition)?;
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten().ok_or(NoPosition)
        };
        Ok(Self { seq: number(seq)?, change: number(change)? })
    }
}

/// What a stream is of.
pub(crate) struct Listening {
    pub(crate) room: RoomId,
    /// What the client has already.
    pub(crate) from: Position,
    pub(crate) principal: Arc<Principal>,
    pub(crate) authenticator: Authenticator,
    pub(crate) hub: Hub,
    /// Turns true when the server begins to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

struct Speaking {
    frames: Frames,
    position: Position,
    begun: bool,
    /// The client was told that it is put out of the room.
    over: bool,
    batch: Vec<Frame>,
    keep_alive: Interval,
    ended: BoxFuture<'static, AuthError>,
    stopping: watch::Receiver<bool>,
}

/// Counts the stream for as long as it lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("plexichat_event_streams").increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("plexichat_event_streams").decrement(1);
    }
}

impl Listening {
    /// The events as they are sent. It ends when the server stops, when the token counts no more, and when
    /// its person may read the room no more.
    ///
    /// # Errors
    /// [`TooManyRooms`], which one room cannot be.
    pub(crate) fn stream(self) -> Result<impl Stream<Item = Bytes> + Send + 'static, TooManyRooms> {
        let (subscriber, frames) = self.hub.connect(self.principal.user());
        subscriber.subscribe(self.room, Some(self.from.seq), Some(self.from.change))?;
        let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (authenticator, principal) = (self.authenticator, self.principal);
        let speaking = Speaking {
            frames,
            position: self.from,
            begun: false,
            over: false,
            batch: Vec::new(),
            keep_alive,
            ended: Box::pin(async move { authenticator.ended(&principal).await }),
            stopping: self.stopping,
        };
        let counted = Counted::new();
        Ok(futures_util::stream::unfold((speaking, counted), |(mut speaking, counted)| async move {
            speaking.next().await.map(|bytes| (bytes, (speaking, counted)))
        }))
    }
}

impl Speaking {
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            // An identifier at once: who is cut off before the first event loses nothing either.
            return Some(format!("retry: 1000\n{}: listening\n\n", self.identifier()).into());
        }
        if self.over {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => return None,
                _ = &mut self.ended => return None,
                read = self.frames.next(&mut self.batch, BATCH) => match read {
                    Ok(()) => return Some(self.write()),
                    Err(error) => {
                        tracing::debug!(%error, "what a stream missed cannot be read for now");
                        tokio::time::sleep(RETRY).await;
                    }
                },
                _ = self.keep_alive.tick() => return Some(Bytes::from_static(b": alive\n\n")),
            }
        }
    }

    fn write(&mut self) -> Bytes {
        let mut text = String::with_capacity(self.batch.iter().map(|frame| frame.text.len() + 64).sum());
        for frame in std::mem::take(&mut self.batch) {
            match frame.place {
                Place::None => {}
                Place::Out => self.over = true,
                Place::Message(seq) => self.position.seq = seq,
                Place::Change(number) => self.position.change = number,
            }
            if matches!(frame.place, Place::Message(_) | Place::Change(_)) {
                text.push_str(&self.identifier());
            }
            // JSON has no line ends of its own, so that one line is enough.
            let _ = write!(text, "data: {}\n\n", frame.text.as_str());
        }
        text.into()
    }

    fn identifier(&self) -> String {
        format!("id: {}.{}\n", self.position.seq, self.position.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, u64)>) {
        let found = text.parse::<Position>().ok().map(|position| (position.seq, position.change));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn positions_are_two_numbers() {
        check("0.0", Some((0, 0)));
        check("12.345", Some((12, 345)));
        check("18446744073709551615.1", Some((u64::MAX, 1)));
        for wrong in ["", ".", "1", "1.", ".1", "1.2.3", "-1.2", "+1.2", " 1.2", "18446744073709551616.1", "a.b"] {
            check(wrong, None);
        }
    }
}
