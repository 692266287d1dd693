//! A call on the caller's own task. One that does not wait allocates nothing, reads no clock and takes no lock; all else goes
//! into a box.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use super::calls::Slot;
use super::{Admitted, Blame, Call, CallError, Guard};
use crate::isolation::Contained;
use crate::isolation::inline::{self, Lost};
use crate::watchdog;

/// A guarded call that runs where it is awaited.
pub(crate) struct Here<'a, R, F>(State<'a, R, F>);

enum State<'a, R, F> {
    /// Not polled yet; nothing once it was taken into the box.
    New(Option<New<'a, R, F>>),
    Waiting(BoxFuture<'a, Result<R, CallError>>),
}

struct New<'a, R, F> {
    guard: &'a Guard,
    timeout: std::time::Duration,
    what: &'static str,
    work: Contained<'a, R, F>,
}

/// Nothing in it is pinned in place.
impl<R, F> Unpin for Here<'_, R, F> {}

impl<'a, R, F> Here<'a, R, F>
where
    F: FnOnce() -> BoxFuture<'a, R>,
{
    pub(super) fn new(guard: &'a Guard, call: Call, work: F) -> Self {
        let Call { what, timeout, cause } = call;
        let work = Contained::new(guard.id, what, cause, work);
        Self(State::New(Some(New { guard, timeout, what, work })))
    }
}

impl<'a, R, F> Future for Here<'a, R, F>
where
    R: Blame + Send + 'a,
    F: FnOnce() -> BoxFuture<'a, R> + Send + 'a,
{
    type Output = Result<R, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let state = &mut self.get_mut().0;
        let slot = match state {
            State::Waiting(waiting) => return waiting.as_mut().poll(context),
            State::New(None) => panic!("polled after it was done"),
            State::New(Some(New { guard, what, work, .. })) => {
                let guard: &'a Guard = guard;
                if guard.is_clean() && guard.calls.try_begin() {
                    let slot = Slot::new(guard);
                    let began = watchdog::now();
                    match Pin::new(work).poll(context) {
                        // The way of nearly every call.
                        Poll::Ready(Ok(result)) if result.blame().is_none() && guard.is_clean() => {
                            return Poll::Ready(Ok(result));
                        }
                        Poll::Ready(result) => {
                            let result = result.map_err(Lost::from);
                            return Poll::Ready(guard.settle(Admitted { probe: None }, what, began, result));
                        }
                        Poll::Pending => {}
                    }
                    Some((slot, began))
                } else {
                    None
                }
            }
        };
        let State::New(new) = state else { unreachable!("just seen") };
        let new = new.take().expect("just seen");
        let mut waiting: BoxFuture<'a, _> = match slot {
            Some((slot, began)) => Box::pin(new.go_on(slot, began)),
            None => Box::pin(new.begin()),
        };
        let polled = waiting.as_mut().poll(context);
        *state = State::Waiting(waiting);
        polled
    }
}

impl<'a, R, F> New<'a, R, F>
where
    R: Blame,
    F: FnOnce() -> BoxFuture<'a, R>,
{
    /// It has been polled once, and waits.
    async fn go_on(self, slot: Slot<&'a Guard>, began: u64) -> Result<R, CallError> {
        let Self { guard, timeout, what, work } = self;
        let result = inline::wait(work, timeout).await;
        drop(slot);
        guard.settle(Admitted { probe: None }, what, began, result)
    }

    /// The breaker has to be asked, or there is no place.
    async fn begin(self) -> Result<R, CallError> {
        let Self { guard, timeout, what, work } = self;
        let admitted = guard.admit(timeout).await?;
        let slot = Slot::new(guard);
        let began = watchdog::now();
        let result = inline::run(work, timeout).await;
        drop(slot);
        guard.settle(admitted, what, began, result)
    }
}
