//! How much one connection may say: so many frames a second, one note of typing in a while for each room. Knows no socket.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use plexichat::id::RoomId;

/// How many frames a connection may send a second, and how many at once.
pub(super) const FRAMES_PER_SECOND: u32 = 200;
pub(super) const FRAMES_AT_ONCE: u32 = 1000;

/// How often somebody's typing is told to a room.
pub(super) const TYPING_EVERY: Duration = Duration::from_secs(3);

/// How many rooms' typing is remembered before the old ones are forgotten.
const TYPING_ROOMS: usize = 64;

/// The frames that a connection may send still.
pub(super) struct Frames {
    left: f64,
    at: Instant,
}

impl Frames {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: f64::from(FRAMES_AT_ONCE), at: now }
    }

    /// Takes one; whether there was one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * f64::from(FRAMES_PER_SECOND)).min(f64::from(FRAMES_AT_ONCE));
        self.at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

/// When a connection's typing was last told, by room.
#[derive(Default)]
pub(super) struct Typing(HashMap<RoomId, Instant>);

impl Typing {
    /// Whether it is to be told now; if so, it is remembered.
    pub(super) fn take(&mut self, room: RoomId, now: Instant) -> bool {
        if self.0.get(&room).is_some_and(|last| now.saturating_duration_since(*last) < TYPING_EVERY) {
            return false;
        }
        if self.0.len() >= TYPING_ROOMS {
            self.0.retain(|_, last| now.saturating_duration_since(*last) < TYPING_EVERY);
        }
        self.0.insert(room, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_seen_and_a_burst_is_not() {
        let mut now = Instant::now();
        let mut frames = Frames::new(now);
        let taken = (0..2 * FRAMES_AT_ONCE).filter(|_| frames.take(now)).count();
        assert_eq!(taken, FRAMES_AT_ONCE as usize);
        now += Duration::from_secs(1);
        let taken = (0..2 * FRAMES_AT_ONCE).filter(|_| frames.take(now)).count();
        assert_eq!(taken, FRAMES_PER_SECOND as usize);
        now += Duration::from_secs(3600);
        let taken = (0..2 * FRAMES_AT_ONCE).filter(|_| frames.take(now)).count();
        assert_eq!(taken, FRAMES_AT_ONCE as usize, "what was not used does not pile up");
    }

    #[test]
    fn typing_is_told_once_in_a_while_for_each_room() {
        let mut now = Instant::now();
        let mut typing = Typing::default();
        let (one, two) = (RoomId::new(), RoomId::new());
        assert!(typing.take(one, now) && !typing.take(one, now) && typing.take(two, now));
        now += TYPING_EVERY;
        assert!(typing.take(one, now));
        (0..10 * TYPING_ROOMS).for_each(|_| {
            now += TYPING_EVERY / 10;
            typing.take(RoomId::new(), now);
        });
        assert!(typing.0.len() <= TYPING_ROOMS);
    }
}
