//! A clock that stands still until a test moves it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::capability::clock::Clock;
use crate::message::Time;

/// A clock that stands still until [`advance`](Self::advance) moves it. It begins when it is made.
pub struct TestClock(Mutex<State>);

struct State {
    now: Time,
    sleepers: Vec<Sleeper>,
}

struct Sleeper {
    until: Time,
    wake: oneshot::Sender<()>,
    /// Whether it is the host's own, which nobody who tests a plugin asks for.
    own: bool,
}

impl TestClock {
    /// A clock that shows this moment.
    pub fn at(now: Time) -> Self {
        Self(Mutex::new(State { now, sleepers: Vec::new() }))
    }

    /// Puts the clock, before anybody sleeps.
    pub(super) fn put(&self, now: Time) {
        self.state().now = now;
    }

    /// Moves the clock and wakes everyone who has slept long enough, the earliest first.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        let now = later(state.now, by);
        state.now = now;
        let (mut due, waiting) =
            std::mem::take(&mut state.sleepers).into_iter().partition::<Vec<_>, _>(|sleeper| sleeper.until <= now);
        state.sleepers = waiting;
        drop(state);
        due.sort_by_key(|sleeper| sleeper.until);
        for sleeper in due {
            // A sleeper that was dropped does not wait any more.
            let _ = sleeper.wake.send(());
        }
    }

    /// How many sleep by this clock, the host's own rounds aside.
    pub fn sleepers(&self) -> usize {
        self.count(false)
    }

    /// How many of the host's own rounds wait by this clock, such as the hourly trial of scanners.
    pub fn pauses(&self) -> usize {
        self.count(true)
    }

    fn count(&self, own: bool) -> usize {
        let mut state = self.state();
        state.sleepers.retain(|sleeper| !sleeper.wake.is_closed());
        state.sleepers.iter().filter(|sleeper| sleeper.own == own).count()
    }

    fn wait(&self, duration: Duration, own: bool) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.state();
        let until = later(state.now, duration);
        if until <= state.now {
            return Box::pin(std::future::ready(()));
        }
        state.sleepers.push(Sleeper { until, wake, own });
        Box::pin(async move {
            if woken.await.is_err() {
                // The clock is gone, so its time never comes.
                std::future::pending::<()>().await;
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::at(Time::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        self.state().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.wait(duration, false)
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.wait(duration, true)
    }
}

fn later(time: Time, by: Duration) -> Time {
    Time::from_micros(time.as_micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn sleepers_wake_when_their_time_has_come() {
        let clock = TestClock::at(Time::from_micros(0));
        let mut short = clock.sleep(Duration::from_secs(1));
        let mut long = clock.sleep(Duration::from_secs(10));
        assert_eq!((&mut short).now_or_never(), None);
        clock.advance(Duration::from_secs(2));
        assert_eq!((&mut short).now_or_never(), Some(()));
        assert_eq!((&mut long).now_or_never(), None);
        assert_eq!(clock.sleepers(), 1);
        assert_eq!(clock.now(), Time::from_micros(2_000_000));
        drop(long);
        let _round = clock.pause(Duration::from_secs(1));
        assert_eq!((clock.sleepers(), clock.pauses()), (0, 1), "the host's own rounds are apart");
    }
}
