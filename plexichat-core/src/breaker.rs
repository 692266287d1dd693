//! When to stop asking a plugin that keeps failing: a state machine over times it is given. Knows no clock and no plugin.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many failures in a row open it.
pub const FAILURES_IN_A_ROW: u32 = 5;
/// It looks back over so many calls.
pub const WINDOW: u32 = 20;
/// So many failures among them open it.
pub const FAILURES_IN_WINDOW: u32 = WINDOW / 2;
/// How long it stays open before one call may try.
pub const OPEN_FOR: Duration = Duration::from_secs(30);
/// So many openings within [`OPENINGS_WITHIN`] put the plugin into quarantine.
pub const OPENINGS_MAX: usize = 3;
/// See [`OPENINGS_MAX`].
pub const OPENINGS_WITHIN: Duration = Duration::from_secs(60 * 60);

/// A breaker: closed while all is well, open while the plugin is not asked, half open while one call tries.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: State,
    /// The last calls, the newest in the lowest bit; 1 is a failure.
    history: u32,
    openings: VecDeque<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    Probing,
}

/// Whether a call may go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Go,
    /// It may, and what becomes of it decides whether others may.
    Probe,
    /// It may not.
    Refused,
}

/// What a failure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trip {
    /// It opened.
    Opened,
    /// It opened too often: the plugin is to be quarantined.
    Quarantine,
}

impl Breaker {
    /// Whether a call may go through now.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Go,
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Admission::Probe
            }
            State::Open { .. } | State::Probing => Admission::Refused,
        }
    }

    /// A call went well.
    pub fn success(&mut self, probe: bool) {
        match self.state {
            State::Closed => self.record(0),
            State::Probing if probe => {
                self.state = State::Closed;
                self.history = 0;
            }
            // Calls that began before it opened say nothing new.
            State::Open { .. } | State::Probing => {}
        }
    }

    /// A call failed.
    pub fn failure(&mut self, probe: bool, now: Instant) -> Option<Trip> {
        match self.state {
            State::Closed => {
                self.record(1);
                let in_a_row = self.history.trailing_ones() >= FAILURES_IN_A_ROW;
                let in_window = self.history.count_ones() >= FAILURES_IN_WINDOW;
                (in_a_row || in_window).then(|| self.trip(now))
            }
            State::Probing if probe => Some(self.trip(now)),
            State::Open { .. } | State::Probing => None,
        }
    }

    /// The call that tried was dropped before anything came of it: another may try.
    pub fn probe_dropped(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    /// Opens it, whatever was before.
    pub fn trip(&mut self, now: Instant) -> Trip {
        self.state = State::Open { until: now + OPEN_FOR };
        self.history = 0;
        self.openings.push_back(now);
        while self.openings.front().is_some_and(|first| now.duration_since(*first) > OPENINGS_WITHIN) {
            self.openings.pop_front();
        }
        if self.openings.len() >= OPENINGS_MAX { Trip::Quarantine } else { Trip::Opened }
    }

    /// Whether it is closed and no call of its window failed: then a success changes nothing and need not be told.
    pub fn is_clean(&self) -> bool {
        self.state == State::Closed && self.history == 0
    }

    /// Whether calls are refused now.
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    fn record(&mut self, failed: u32) {
        self.history = (self.history << 1 | failed) & ((1 << WINDOW) - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a script: `.` a success, `x` a failure, digits seconds that pass, `?` asks and shows what is answered.
    fn check(script: &str, expected: &str) {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        let mut seen = String::new();
        let mut probe = false;
        for word in script.split_whitespace() {
            if let Ok(seconds) = word.parse() {
                now += Duration::from_secs(seconds);
                continue;
            }
            for step in word.chars() {
                match step {
                    '.' => breaker.success(probe),
                    'x' => match breaker.failure(probe, now) {
                        None => {}
                        Some(Trip::Opened) => seen.push('O'),
                        Some(Trip::Quarantine) => seen.push('Q'),
                    },
                    'd' => breaker.probe_dropped(now),
                    '?' => {
                        let admission = breaker.admit(now);
                        probe = admission == Admission::Probe;
                        seen.push(match admission {
                            Admission::Go => 'g',
                            Admission::Probe => 'p',
                            Admission::Refused => 'r',
                        });
                    }
                    other => panic!("no step {other}"),
                }
            }
        }
        assert_eq!(seen, expected, "{script}");
    }

    #[test]
    fn five_in_a_row_open_it() {
        check("xxxx?", "g");
        check("xxxxx?", "Or");
        check("xxxx.xxxx?", "g");
    }

    #[test]
    fn half_of_the_last_twenty_open_it() {
        check("x.x.x.x.x.x.x.x.x.?", "g");
        check("x.x.x.x.x.x.x.x.x.x?", "Or");
        // The first failures have left the window.
        check("xxxx................. xxxx.x?", "g");
    }

    #[test]
    fn one_call_tries_after_half_a_minute() {
        check("xxxxx 29 ? 1 ??", "Orpr");
        check("xxxxx 30 ?. ?", "Opg");
        check("xxxxx 30 ?x ? 30 ?", "OpOrp");
        check("xxxxx 30 ?d ?", "Opp");
    }

    #[test]
    fn three_openings_within_an_hour_quarantine() {
        check("xxxxx 30 ?x 30 ?x", "OpOpQ");
        check("xxxxx 3500 ?x 200 ?x", "OpOpO");
    }
}
