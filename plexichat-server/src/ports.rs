//! The ports of the host that are the machine's own: the clock. Store, hub and HTTP fill theirs where they are.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use plexichat::capability::clock::Clock;
use plexichat::message::Time;

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}
