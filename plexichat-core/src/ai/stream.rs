//! An answer on its way: pieces that come one after the other. Dropping it cancels the request. Knows no host.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::future::{Either, select};
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

    /// What becomes of this request, where that is known before the patience ends: the stream, or why the service refused.
    /// Later it is a stream that goes on to wait. So the host learns of a refusal at once, and a service that is slow to begin
    /// (it loads the model first) has all the time that a first piece may take.
    ///
    /// ```
    /// # use plexichat::ai::{AiDelta, AiError, AiStream, FinishReason};
    /// # futures_util::future::FutureExt::now_or_never(async {
    /// let opening = async { Ok(AiStream::of([AiDelta::text("Hi"), AiDelta::finish(FinishReason::Stop)])) };
    /// let patience = std::future::pending::<()>(); // `context.sleep(..)`
    /// assert_eq!(AiStream::opening(opening, patience).await?.collect().await?.text, "Hi");
    /// # Ok::<(), AiError>(()) }).unwrap().unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the request within the patience; later ones are the stream's.
    ///
    /// # Cancel safety
    /// Dropping the call drops the request.
    pub async fn opening(
        request: impl Future<Output = Result<Self, AiError>> + Send + 'static,
        patience: impl Future<Output = ()> + Send,
    ) -> Result<Self, AiError> {
        let patience = pin!(patience);
        match select(Box::pin(request), patience).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), request)) => {
                let opened = stream::once(request).map(|answer| match answer {
                    Ok(stream) => stream.left_stream(),
                    Err(error) => stream::iter([Err(error)]).right_stream(),
                });
                Ok(Self::new(opened.flatten()))
            }
        }
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
    fn a_request_that_takes_its_time_goes_on_as_a_stream() {
        let answers = || {
            let down = AiError::new(AiErrorKind::Unavailable, "it is down");
            [Ok(AiStream::of([AiDelta::text("a"), AiDelta::finish(FinishReason::Stop)])), Err(down)]
        };
        for (answer, expected) in answers().into_iter().zip(answers()) {
            let (mut reply, replied) = (Some(answer), std::cell::Cell::new(false));
            // Ready only when it is polled for the second time.
            let slow = std::future::poll_fn(move |context| match replied.replace(true) {
                true => Poll::Ready(reply.take().unwrap()),
                false => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            });
            let stream = AiStream::opening(slow, std::future::ready(())).now_or_never().unwrap().unwrap();
            let waker = futures_util::task::noop_waker();
            let mut stream = pin!(stream.collect());
            let mut context = Context::from_waker(&waker);
            let polled = stream.as_mut().poll(&mut context);
            let seen = match polled {
                Poll::Ready(seen) => seen,
                Poll::Pending => stream.now_or_never().unwrap(),
            };
            match expected {
                Ok(stream) => assert_eq!(seen, stream.collect().now_or_never().unwrap()),
                Err(error) => assert_eq!(seen, Err(error)),
            }
        }
        let down = AiError::new(AiErrorKind::Unavailable, "it is down");
        let refused = std::future::ready(Err(down.clone()));
        assert_eq!(AiStream::opening(refused, std::future::pending()).now_or_never().unwrap().unwrap_err(), down);
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
