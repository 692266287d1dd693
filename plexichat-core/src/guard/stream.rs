//! What a plugin gives piece by piece: made, polled and dropped where the plugin runs, read by the host through a bounded
//! channel. Knows nothing of the pieces.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::calls::Slot;
use super::{Blame, CallError, PluginHandle};
use crate::cause::Cause;
use crate::descriptor::Instance;
use crate::incident::Fault;
use crate::isolation::Contained;

/// How many pieces may wait for the host. Then the plugin's stream is not polled.
const WAITING_MAX: usize = 64;

/// A plugin's stream as the host reads it. Dropping it drops the plugin's own, on the plugin's thread.
#[derive(Debug)]
pub struct GuardedStream<T> {
    pieces: mpsc::Receiver<Piece<T>>,
    /// What `ready` found and `next` is to tell.
    held: Option<Piece<T>>,
    ended: bool,
    /// Where it ends with the plugin: told once that stops.
    closing: Option<watch::Receiver<bool>>,
}

#[derive(Debug)]
enum Piece<T> {
    Item(T),
    End,
    Lost(CallError),
}

impl<T> GuardedStream<T> {
    /// The next piece; nothing at the end, and after an error.
    ///
    /// # Errors
    /// The plugin panicked or was stopped.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Result<T, CallError>> {
        if self.ended {
            return None;
        }
        let piece = match (self.held.take(), &mut self.closing) {
            (Some(held), _) => Some(held),
            (None, None) => self.pieces.recv().await,
            (None, Some(closing)) => {
                tokio::select! {
                    // A plugin that always has a piece ready does not put the end off.
                    biased;
                    _ = closing.wait_for(|closing| *closing) => Some(Piece::End),
                    piece = self.pieces.recv() => piece,
                }
            }
        };
        self.ended = !matches!(piece, Some(Piece::Item(_)));
        match piece {
            Some(Piece::Item(item)) => Some(Ok(item)),
            Some(Piece::End) => None,
            Some(Piece::Lost(error)) => Some(Err(error)),
            None => Some(Err(CallError::Stopped)),
        }
    }

    /// The next piece, if it is there already.
    pub fn ready(&mut self) -> Option<T> {
        // What is no piece ends the stream, and is told by `next`.
        match self.held.is_none().then(|| self.pieces.try_recv())? {
            Ok(Piece::Item(item)) => Some(item),
            Ok(other) => {
                self.held = Some(other);
                None
            }
            Err(_) => None,
        }
    }
}

impl PluginHandle {
    /// Calls the plugin for a stream. The call itself has the time limit; how long the pieces may take is the reader's to
    /// watch. While the stream lives it holds one of the plugin's places.
    ///
    /// # Errors
    /// [`CallError`] where the call gives no result; what the plugin's own error is, within.
    ///
    /// # Cancel safety
    /// The plugin's call, or its stream, is dropped with this one, on the plugin's own thread.
    pub async fn stream<T, E, F>(
        &self,
        cause: Option<Cause>,
        what: &'static str,
        timeout: Duration,
        work: F,
    ) -> Result<Result<GuardedStream<T>, E>, CallError>
    where
        T: Send + 'static,
        E: Send + 'static,
        Result<BoxStream<'static, T>, E>: Blame,
        F: FnOnce(Arc<dyn Instance>) -> BoxFuture<'static, Result<BoxStream<'static, T>, E>> + Send + 'static,
    {
        let stream = match self.call_for(cause, what, timeout, work).await? {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error)),
        };
        self.pump(cause, what, timeout, stream).await.map(Ok)
    }

    /// Has a plugin's stream polled where the plugin runs. While it lives it holds one of the plugin's places.
    pub(super) async fn pump<T: Send + 'static>(
        &self,
        cause: Option<Cause>,
        what: &'static str,
        timeout: Duration,
        stream: BoxStream<'static, T>,
    ) -> Result<GuardedStream<T>, CallError> {
        let guard = self.guard().clone();
        if tokio::time::timeout(timeout, guard.calls.begin()).await.is_err() {
            return Err(CallError::Busy);
        }
        let slot = Slot::new(guard.clone());
        self.polled(cause, what, stream, slot)
    }

    /// The same for a stream without end: it holds a place of its own, and ends when the plugin stops.
    pub(super) fn pump_until_closed<T: Send + 'static>(
        &self,
        what: &'static str,
        place: OwnedSemaphorePermit,
        stream: BoxStream<'static, T>,
    ) -> Result<GuardedStream<T>, CallError> {
        let mut pumped = self.polled(None, what, stream, place)?;
        pumped.closing = Some(self.guard().closing.subscribe());
        Ok(pumped)
    }

    fn polled<T: Send + 'static>(
        &self,
        cause: Option<Cause>,
        what: &'static str,
        stream: BoxStream<'static, T>,
        place: impl Send + 'static,
    ) -> Result<GuardedStream<T>, CallError> {
        let guard = self.guard().clone();
        let handle = guard.handle()?.clone();
        let (sender, pieces) = mpsc::channel(WAITING_MAX);
        handle.spawn(async move {
            let to_reader = sender.clone();
            let pumped = Contained::new(guard.id(), what, cause, move || Box::pin(pump(stream, to_reader))).await;
            if let Err(panicked) = pumped {
                guard.failed_later(Fault::Panic, what, &panicked.0);
                let _ = sender.send(Piece::Lost(CallError::Panicked(panicked.0))).await;
            }
            drop(place);
        });
        Ok(GuardedStream { pieces, held: None, ended: false, closing: None })
    }
}

/// Hands one piece after the other over, until the stream ends or nobody reads any more.
async fn pump<T>(mut stream: BoxStream<'static, T>, reader: mpsc::Sender<Piece<T>>) {
    loop {
        let next = tokio::select! {
            biased;
            () = reader.closed() => return,
            next = stream.next() => next,
        };
        let ended = next.is_none();
        if reader.send(next.map_or(Piece::End, Piece::Item)).await.is_err() || ended {
            return;
        }
    }
}
