//! Runs a plugin's call on the caller's own task. It is polled once before a timer is made: a call that does not wait costs
//! no clock read.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Contained, Panicked};

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    Panicked(String),
    TimedOut,
    /// The plugin's runtime is gone.
    Stopped,
}

impl From<Panicked> for Lost {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked(panicked.0)
    }
}

/// Runs it here.
pub(crate) async fn run<'a, R, F>(mut call: Contained<'a, R, F>, timeout: Duration) -> Result<R, Lost>
where
    F: FnOnce() -> BoxFuture<'a, R>,
{
    let first = poll_fn(|context| Poll::Ready(Pin::new(&mut call).poll(context))).await;
    match first {
        Poll::Ready(result) => Ok(result?),
        Poll::Pending => wait(call, timeout).await,
    }
}

async fn wait<'a, R, F>(mut call: Contained<'a, R, F>, timeout: Duration) -> Result<R, Lost>
where
    F: FnOnce() -> BoxFuture<'a, R>,
{
    // Outside tokio's budget: a call that uses it up must not keep its own timer from being looked at.
    let mut timer = pin!(tokio::task::coop::unconstrained(tokio::time::sleep(timeout)));
    let mut waited = false;
    let result = poll_fn(|context| {
        // It was polled a moment ago with the same waker.
        if waited && let Poll::Ready(result) = Pin::new(&mut call).poll(context) {
            return Poll::Ready(Some(result));
        }
        waited = true;
        timer.as_mut().poll(context).map(|()| None)
    })
    .await;
    match result {
        Some(result) => Ok(result?),
        None => {
            call.close()?;
            Err(Lost::TimedOut)
        }
    }
}
