//! An answer on its way: pieces that come one after the other. Dropping it cancels the request. Knows no host.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use super::error::AiError;
use super::response::{AiDelta, AiResponse, FinishReason};

/// An answer on its way. Its last item is one [`AiDelta::Finish`] or one error, whatever the stream it was made from does:
/// where that ends without a word, the answer is [`FinishReason::Incomplete`]. Dropping it cancels the request upstream.
///
/// ```
/// # use plexichat::ai::{AiDelta, AiStream, FinishReason};
/// # futures_util::future::FutureExt::now_or_never(async {
/// let stream = AiStream::of([AiDelta::text("Hel"), AiDelta::text("lo"), AiDelta::finish(FinishReason::Stop)]);
/// assert_eq!(stream.collect().await.unwrap().text, "Hello");
/// # }).unwrap();
/// ```
pub struct AiStream {
    inner: BoxStream<'static, Result<AiDelta, AiError>>,
    ended: bool,
}

impl AiStream {
    /// What this stream gives.
    pub fn new(stream: impl Stream<Item = Result<AiDelta, AiError>> + Send + 'static) -> Self {
        Self { inner: stream.boxed(), ended: false }
    }

    /// These pieces.
    pub fn of<I>(deltas: I) -> Self
    where
        I: IntoIterator<Item = AiDelta>,
        I::IntoIter: Send + 'static,
    {
        Self::new(stream::iter(deltas.into_iter().map(Ok)))
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    /// The one that the stream ends with; what came before it is lost.
    ///
    /// # Cancel safety
    /// Dropping the call cancels the request.
    pub async fn collect(mut self) -> Result<AiResponse, AiError> {
        let mut response = AiResponse::default();
        while let Some(delta) = self.next().await {
            response.push(delta?);
        }
        Ok(response)
    }
}

impl Stream for AiStream {
    type Item = Result<AiDelta, AiError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.inner.as_mut().poll_next(context);
        Poll::Ready(Some(match polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(delta))) => {
                self.ended = matches!(delta, AiDelta::Finish { .. });
                Ok(delta)
            }
            Poll::Ready(Some(Err(error))) => {
                self.ended = true;
                Err(error)
            }
            Poll::Ready(None) => {
                self.ended = true;
                Ok(AiDelta::finish(FinishReason::Incomplete))
            }
        }))
    }
}

impl fmt::Debug for AiStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AiStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::ai::AiErrorKind;

    #[track_caller]
    fn check(given: Vec<Result<AiDelta, AiError>>, expected: Vec<Result<AiDelta, AiError>>) {
        let stream = AiStream::new(stream::iter(given));
        let seen: Vec<_> = StreamExt::collect(stream).now_or_never().expect("nothing here waits");
        assert_eq!(seen, expected);
    }

    #[test]
    fn it_ends_with_one_finish_or_one_error() {
        let (text, stop) = (|| Ok(AiDelta::text("a")), || Ok(AiDelta::finish(FinishReason::Stop)));
        let down = || Err(AiError::new(AiErrorKind::Unavailable, "it is down"));
        check(vec![text(), stop()], vec![text(), stop()]);
        check(vec![text(), stop(), text(), stop()], vec![text(), stop()]);
        check(vec![text(), down(), stop()], vec![text(), down()]);
        check(vec![text()], vec![text(), Ok(AiDelta::finish(FinishReason::Incomplete))]);
        check(vec![], vec![Ok(AiDelta::finish(FinishReason::Incomplete))]);
    }
}
