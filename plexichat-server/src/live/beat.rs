//! Tells listeners and plugins, on a beat, who came and who went. Knows no socket.

use std::time::{Duration, Instant};

use plexichat::event::Event;
use plexichat::event::catalog::PresenceChanged;
use plexichat::id::UserId;
use plexichat::pipeline::Announcer;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::hub::Hub;
use super::presence::Status;
use crate::stop::stopped;

/// How often it is looked, and of how many people is told at once: a hundred a second.
const EVERY: Duration = Duration::from_millis(250);
const AT_ONCE: usize = 25;

/// Tells who came and who went until the server stops.
///
/// # Cancel safety
/// A dropped call tells nobody any more.
pub(crate) async fn tell_presence(hub: Hub, announcer: impl Announcer, mut stopping: watch::Receiver<bool>) {
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            _ = beat.tick() => {
                let news = hub.tell_presence(Instant::now(), AT_ONCE);
                news.into_iter().for_each(|(user, status)| announcer.announce(event(user, status)));
            }
        }
    }
}

fn event(user: UserId, status: Status) -> Event {
    Event::new(PresenceChanged::new(user, status.as_str().to_owned()))
}
