//! Where a plugin's code runs, and the wrapper around each piece of it: no panic leaves it, and the watchdog sees it. Knows
//! no breaker and no limits.

pub(crate) mod inline;
pub(crate) mod runtime;
pub mod tasks;

use std::any::Any;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use crate::cause::Cause;
use crate::incident::Fault;
use crate::watchdog;

/// A panic's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panicked(pub(crate) String);

/// A plugin's future. Making it, polling it and dropping it are all the plugin's code: each is done where the watchdog
/// sees it, and none unwinds.
pub(crate) struct Contained<'a, R, F> {
    guard: u32,
    what: &'static str,
    cause: Option<Cause>,
    stage: Stage<'a, R, F>,
}

enum Stage<'a, R, F> {
    Begin(F),
    Running(BoxFuture<'a, R>),
    Done,
}

/// Nothing in it is pinned in place: the future has its own box.
impl<R, F> Unpin for Contained<'_, R, F> {}

impl<'a, R, F: FnOnce() -> BoxFuture<'a, R>> Contained<'a, R, F> {
    pub(crate) fn new(guard: u32, what: &'static str, cause: Option<Cause>, work: F) -> Self {
        Self { guard, what, cause, stage: Stage::Begin(work) }
    }
}

impl<R, F> Contained<'_, R, F> {
    /// Drops what is left of it.
    pub(crate) fn close(&mut self) -> Result<(), Panicked> {
        if matches!(self.stage, Stage::Done) {
            return Ok(());
        }
        let stage = mem::replace(&mut self.stage, Stage::Done);
        watchdog::polling(self.guard, &mut self.cause, || contain(|| drop(stage)))
    }
}

impl<'a, R, F: FnOnce() -> BoxFuture<'a, R>> Future for Contained<'a, R, F> {
    type Output = Result<R, Panicked>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { guard, cause, stage, .. } = self.get_mut();
        let polled = watchdog::polling(*guard, cause, || {
            let polled = contain(|| {
                if let Stage::Begin(_) = stage {
                    let Stage::Begin(work) = mem::replace(stage, Stage::Done) else { unreachable!("just seen") };
                    *stage = Stage::Running(work());
                }
                let Stage::Running(future) = stage else { panic!("polled after it was done") };
                let polled = future.as_mut().poll(context);
                if polled.is_ready() {
                    *stage = Stage::Done;
                }
                polled
            });
            if polled.is_err() {
                // Half-run: what is left may panic again.
                let stage = mem::replace(stage, Stage::Done);
                let _ = contain(|| drop(stage));
            }
            polled
        });
        match polled {
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

impl<R, F> Drop for Contained<'_, R, F> {
    fn drop(&mut self) {
        if let Err(panicked) = self.close()
            && let Some(guard) = watchdog::guard(self.guard)
        {
            guard.report(Fault::Panic, self.what, &format!("panicked while it was dropped: {}", panicked.0), 0);
        }
    }
}

/// Runs a plugin's code up to its end or its panic.
pub(crate) fn contain<R>(work: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = message(&*payload);
        // The payload is the plugin's too: its destructor may panic, with a payload whose destructor may panic …
        if let Err(nested) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(nested);
        }
        Panicked(message)
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    fn poll<R>(future: &mut (impl Future<Output = R> + Unpin)) -> Poll<R> {
        Pin::new(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[track_caller]
    fn check(work: impl FnOnce() -> BoxFuture<'static, u32>, expected: Result<u32, &str>) {
        let mut contained = Contained::new(0, "test", None, work);
        let Poll::Ready(result) = poll(&mut contained) else { panic!("it waits") };
        assert_eq!(result, expected.map_err(|message| Panicked(message.to_owned())));
    }

    #[test]
    fn no_panic_leaves_it() {
        check(|| Box::pin(async { 7 }), Ok(7));
        check(|| Box::pin(async { panic!("in poll") }), Err("in poll"));
        check(|| panic!("while it is made"), Err("while it is made"));
        check(|| Box::pin(async { std::panic::panic_any(PanicsOnDrop) }), Err("a panic without words"));
        check(
            || {
                let held = PanicsOnDrop;
                Box::pin(async move {
                    let _held = &held;
                    7
                })
            },
            Err("in drop"),
        );
    }

    #[test]
    fn a_panic_while_a_waiting_future_is_dropped_stays_inside() {
        let waiting = || -> BoxFuture<'static, u32> {
            Box::pin(async {
                let _held = PanicsOnDrop;
                std::future::pending().await
            })
        };
        let mut contained = Contained::new(0, "test", None, waiting);
        assert!(poll(&mut contained).is_pending());
        assert_eq!(contained.close(), Err(Panicked("in drop".to_owned())));
        let mut contained = Contained::new(0, "test", None, waiting);
        assert!(poll(&mut contained).is_pending());
        drop(contained);
    }
}
