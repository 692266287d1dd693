//! The time, so that tests can set it.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::message::Time;

/// A clock. The host's is the machine's; a test's stands still until it is moved.
pub trait Clock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> Time;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Waits like [`sleep`](Self::sleep), for the host's own rounds: a clock of tests that counts who sleeps leaves it out.
    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep(duration)
    }
}
