//! What comes in over one WebSocket, measured before it is understood: so many bytes a second are read, and so many between
//! two whole messages. Frames that never become a message would otherwise never be seen. Knows no frame.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How many bytes are read a second, in the long run and at once. Who sends faster is read more slowly.
const BYTES_PER_SECOND: u64 = 256 * 1024;
const BYTES_AT_ONCE: u64 = 1024 * 1024;

/// How many bytes may come without a whole message among them: the largest one of ours in rather small pieces.
const BYTES_PER_MESSAGE: u64 = 512 * 1024;

/// The head of a control frame: two bytes and the mask.
const CONTROL_HEAD: usize = 6;

/// Told of each whole message.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// A message is whole.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// A ping or pong came, which may stand amid a message's pieces: only its own bytes are made up for.
    pub(super) fn control(&self, payload: usize) {
        let bytes = (payload + CONTROL_HEAD) as u64;
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |since| Some(since.saturating_sub(bytes)));
    }
}

/// A stream that is read within limits.
pub(super) struct Metered<S> {
    stream: S,
    since_message: Progress,
    per_message: u64,
    left: u64,
    at: Instant,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S) -> (Self, Progress) {
        Self::with_messages(stream, 0)
    }

    /// The same where messages may be as large as this.
    pub(super) fn with_messages(stream: S, largest: u64) -> (Self, Progress) {
        let (progress, per_message) = (Progress::default(), BYTES_PER_MESSAGE.max(largest.saturating_mul(2)));
        let since_message = progress.clone();
        let (left, at, pause) = (BYTES_AT_ONCE, Instant::now(), None);
        (Self { stream, since_message, per_message, left, at, pause }, progress)
    }

    /// Ready once something may be read.
    fn poll_allowed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            if self.left > 0 {
                return Poll::Ready(());
            }
            let now = Instant::now();
            let since = u64::try_from((now - self.at).as_millis()).unwrap_or(u64::MAX);
            self.left = (since.saturating_mul(BYTES_PER_SECOND) / 1000).min(BYTES_AT_ONCE);
            self.at = now;
            if self.left == 0 {
                self.pause = Some(Box::pin(tokio::time::sleep(Duration::from_millis(100))));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_allowed(context));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        self.left = self.left.saturating_sub(read);
        if self.since_message.0.fetch_add(read, Ordering::Relaxed) + read > self.per_message {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a message that does not end")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, repeat};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_too_fast_is_read_more_slowly() {
        let began = Instant::now();
        let (mut metered, progress) = Metered::new(repeat(0));
        let mut buffer = vec![0; 4096];
        for _ in 0..1024 {
            metered.read_exact(&mut buffer).await.unwrap();
            progress.reset();
        }
        let took = began.elapsed();
        assert!((11..14).contains(&took.as_secs()), "4 MiB took {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_becomes_a_message_ends() {
        let (mut metered, progress) = Metered::new(repeat(0));
        let mut buffer = vec![0; BYTES_PER_MESSAGE as usize];
        metered.read_exact(&mut buffer).await.unwrap();
        progress.reset();
        metered.read_exact(&mut buffer).await.unwrap();
        progress.control(94);
        metered.read_exact(&mut buffer[..100]).await.unwrap();
        let error = metered.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
