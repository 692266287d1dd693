//! When a trigger that waits for a time is due: the ticks of cron expressions in time zones, of intervals, of moments. Knows no
//! clock and no store.
//!
//! Where clocks are put forward, an expression with fixed minutes and hours whose time is left out is due at the moment they are
//! put forward, once. Where they are put back, it is due at the first of two equal times. One whose minute or hour begins with `*`
//! follows real time: nothing is made up for, and an hour that comes twice counts twice.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::cron::Cron;
use crate::error::{PluginError, Result};
use crate::message::Time;
use crate::problem::nearest;
use crate::trigger::{Misfire, On};

/// The most ticks that are caught up with.
pub(crate) const CATCH_UP_MAX: u32 = 1_000;

const SECOND: i64 = 1_000_000;

/// How far a tick is looked for, in seconds: as far as an expression looks.
const HORIZON: i64 = 41 * 366 * 86_400;

/// When a trigger is due.
#[derive(Debug, Clone)]
pub(super) enum Calendar {
    /// At the times of an expression.
    Cron(Cron, TimeZone),
    /// Every so many seconds since then.
    Every(i64, Time),
    /// Once.
    At(Time),
}

/// What is wrong with the time that a trigger waits for, if it waits for one.
pub(crate) fn check(on: &On) -> Result<()> {
    Calendar::of(on, Time::from_micros(0)).map(drop)
}

impl Calendar {
    /// The calendar of a trigger that there is since then; nothing for one that waits for no time.
    pub(super) fn of(on: &On, since: Time) -> Result<Option<Self>> {
        let (calendar, misfire) = match on {
            On::Cron { expression, zone, misfire } => {
                let cron = Cron::parse(expression)
                    .map_err(|reason| PluginError::input(format!("`on.expression` is `{expression}` and {reason}")))?;
                (Self::Cron(cron, find_zone(zone)?), *misfire)
            }
            On::Every { seconds, misfire } => {
                let seconds = i64::try_from(*seconds).ok().filter(|seconds| (1..=HORIZON).contains(seconds));
                let seconds =
                    seconds.ok_or_else(|| PluginError::input("`on.seconds` is 1 at least and 40 years at most"))?;
                (Self::Every(seconds, since), *misfire)
            }
            On::At { time } => (Self::At(*time), Misfire::RunOnce),
            _ => return Ok(None),
        };
        match misfire {
            Misfire::CatchUp(most) if !(1..=CATCH_UP_MAX).contains(&most) => {
                Err(PluginError::input(format!("`on.misfire.catch_up` is {most}: it is 1 to {CATCH_UP_MAX}")))
            }
            _ => Ok(Some(calendar)),
        }
    }

    /// When it is due first, for one that is new now.
    pub(super) fn first(&self, now: Time) -> Option<Time> {
        match self {
            Self::At(time) => Some(*time),
            _ => self.next(now),
        }
    }

    /// The first tick after this time.
    pub(super) fn next(&self, after: Time) -> Option<Time> {
        match self {
            Self::Cron(cron, zone) => {
                let tick = next_in(cron, zone, after.as_micros().div_euclid(SECOND))?;
                Some(Time::from_micros(tick.checked_mul(SECOND)?))
            }
            Self::Every(seconds, since) => {
                let (period, since) = (seconds.checked_mul(SECOND)?, since.as_micros());
                let passed = after.as_micros().checked_sub(since)?.div_euclid(period).max(0);
                Some(Time::from_micros(period.checked_mul(passed + 1)?.checked_add(since)?))
            }
            Self::At(time) => (*time > after).then_some(*time),
        }
    }

    /// The last ticks after the first time and up to the second, in their order, and no more than so many.
    pub(super) fn last(&self, after: Time, until: Time, most: usize) -> Vec<Time> {
        let mut window = SECOND.saturating_mul(64).saturating_mul(i64::try_from(most).unwrap_or(i64::MAX));
        if let Self::Every(seconds, _) = self {
            window = window.saturating_mul(*seconds);
        }
        loop {
            let begin = after.max(Time::from_micros(until.as_micros().saturating_sub(window)));
            let mut ticks = VecDeque::new();
            let mut tick = self.next(begin);
            while let Some(found) = tick.filter(|tick| *tick <= until) {
                ticks.push_back(found);
                if ticks.len() > most {
                    ticks.pop_front();
                }
                tick = self.next(found);
            }
            if ticks.len() >= most || begin == after {
                return ticks.into();
            }
            window = window.saturating_mul(8);
        }
    }
}

/// The first tick after this second.
fn next_in(cron: &Cron, zone: &TimeZone, after: i64) -> Option<i64> {
    let mut at = after.checked_add(1)?;
    let limit = at.checked_add(HORIZON)?;
    let mut offset = offset_at(zone, at)?;
    let mut civil = at + offset;
    // The zone's last change before this second counts where it was put back, and at the change itself.
    let changed = zone.preceding(Timestamp::from_second(at + 1).ok()?).next();
    if let Some(change) = changed.map(|change| change.timestamp().as_second())
        && !cron.by_real_time
    {
        let before = offset_at(zone, change - 1)?;
        if change == at && before < offset && cron.next(at + before, at + offset).is_some() {
            return Some(at);
        }
        if before > offset {
            civil = civil.max(change + before);
        }
    }
    loop {
        let change = zone.following(Timestamp::from_second(at).ok()?).next();
        let end = change.as_ref().map_or(limit, |change| change.timestamp().as_second()).min(limit);
        if let Some(found) = cron.next(civil, end + offset) {
            return Some(found - offset);
        }
        let change = change.filter(|_| end < limit)?;
        let new = i64::from(change.offset().seconds());
        civil = end + new;
        if !cron.by_real_time {
            if new > offset && cron.next(end + offset, end + new).is_some() {
                return Some(end);
            }
            civil = civil.max(end + offset);
        }
        (at, offset) = (end, new);
    }
}

fn offset_at(zone: &TimeZone, second: i64) -> Option<i64> {
    Some(i64::from(zone.to_offset(Timestamp::from_second(second).ok()?).seconds()))
}

/// The zone of this name, from the database that the program brings with it.
fn find_zone(name: &str) -> Result<TimeZone> {
    let zones = TimeZoneDatabase::bundled();
    zones.get(name).map_err(|_| {
        let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
        let is_city = |zone: &&String| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
        let near = names.iter().find(is_city).map(String::as_str);
        let near = near.or_else(|| nearest(name, names.iter().map(String::as_str)));
        let hint = near.map_or_else(
            || "names are such as `Europe/Berlin` or `UTC`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        PluginError::input(format!("`on.zone` is `{name}`, which is no time zone; {hint}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        let time: Timestamp = text.parse().expect("a time");
        Time::from_micros(time.as_microsecond())
    }

    fn cron(expression: &str, zone: &str) -> Calendar {
        let (expression, zone) = (expression.to_owned(), zone.to_owned());
        let on = On::Cron { expression, zone, misfire: Misfire::Skip };
        Calendar::of(&on, Time::from_micros(0)).expect("a calendar").expect("a time")
    }

    #[track_caller]
    fn check(expression: &str, zone: &str, after: &str, expected: &[&str]) {
        let calendar = cron(expression, zone);
        let mut after = time(after);
        for wanted in expected {
            let found = calendar.next(after).expect("a tick");
            let shown = Timestamp::from_microsecond(found.as_micros()).expect("in range").to_string();
            assert_eq!(shown, *wanted, "{expression} {zone}");
            after = found;
        }
    }

    #[test]
    fn a_time_that_is_left_out_comes_once_right_after() {
        let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        check("30 2 * * *", "Europe/Berlin", "2026-03-28T01:00:00Z", &expected);
        check("30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:59Z", &expected[1..]);
        check(
            "15,30,45 2 * * *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"],
        );
        check("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
        let york = ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"];
        check("30 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", &york);
        // Half an hour is left out there.
        let howe = ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"];
        check("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", &howe);
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        let expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        check("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &expected);
        check("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", &expected[1..]);
        check("30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", &expected[1..]);
        check("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", &expected[1..]);
        check("0 3 * * *", "Europe/Berlin", "2026-10-25T00:59:59Z", &["2026-10-25T02:00:00Z"]);
        check(
            "30 1 * * *",
            "America/New_York",
            "2026-11-01T00:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        );
        check(
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T12:00:00Z",
            &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
        );
    }

    #[test]
    fn stars_follow_real_time() {
        check(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            &["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        );
        check(
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T23:59:00Z",
            &["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"],
        );
        check(
            "15 * * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:20:00Z",
            &["2026-04-04T15:45:00Z", "2026-04-04T16:45:00Z"],
        );
    }

    #[test]
    fn a_tick_is_the_same_from_wherever_it_is_looked_for() {
        for (expression, zone) in [
            ("30 2 * * *", "Europe/Berlin"),
            ("*/20 1-3 * * *", "America/New_York"),
            ("15 1,2 * * *", "Australia/Lord_Howe"),
        ] {
            let calendar = cron(expression, zone);
            let (begin, end) = (time("2026-01-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
            let all = calendar.last(begin, end, usize::from(u16::MAX));
            for pair in all.windows(2) {
                let middle = Time::from_micros(i64::midpoint(pair[0].as_micros(), pair[1].as_micros()));
                for after in [pair[0], middle, Time::from_micros(pair[1].as_micros() - 1)] {
                    assert_eq!(calendar.next(after), Some(pair[1]), "{expression} {zone}");
                }
            }
            assert!(all.len() >= 365, "{expression} {zone}: {}", all.len());
        }
    }

    #[test]
    fn the_last_ticks_are_found_over_long_times() {
        let calendar = cron("* * * * * *", "UTC");
        let ticks = calendar.last(time("2016-01-01T00:00:00Z"), time("2026-01-01T00:00:00Z"), 3);
        let seconds: Vec<i64> = ticks.iter().map(|tick| tick.as_micros() / SECOND % 60).collect();
        assert_eq!(seconds, [58, 59, 0]);
        let yearly = cron("0 0 1 1 *", "UTC").last(time("2016-01-01T00:00:00Z"), time("2026-06-01T00:00:00Z"), 2);
        assert_eq!(yearly, [time("2025-01-01T00:00:00Z"), time("2026-01-01T00:00:00Z")]);
        assert_eq!(cron("0 0 1 1 *", "UTC").last(time("2026-01-01T00:00:00Z"), time("2026-06-01T00:00:00Z"), 2), []);
    }

    #[test]
    fn intervals_count_from_where_they_began() {
        let every = Calendar::Every(10, Time::from_micros(3));
        let tick = |after| every.next(Time::from_micros(after)).expect("a tick").as_micros();
        assert_eq!(
            [tick(-100), tick(3), tick(10_000_002), tick(10_000_003)],
            [10_000_003, 10_000_003, 10_000_003, 20_000_003]
        );
        assert_eq!(every.last(Time::from_micros(0), Time::from_micros(30_000_003), 2).len(), 2);
    }

    #[track_caller]
    fn wrong(on: On, expected: &str) {
        let error = check_on(&on).expect_err("an error").to_string();
        assert!(error.contains(expected), "{error}");
    }

    fn check_on(on: &On) -> Result<()> {
        super::check(on)
    }

    #[test]
    fn what_is_wrong_is_named() {
        let misfire = Misfire::default();
        let cron =
            |expression: &str, zone: &str| On::Cron { expression: expression.into(), zone: zone.into(), misfire };
        wrong(cron("0 25 * * *", "UTC"), "`on.expression` is `0 25 * * *` and has a wrong hour at column 3");
        wrong(cron("0 9 * * *", "Berlin"), "did you mean `Europe/Berlin`?");
        wrong(cron("0 9 * * *", "Europe/Belrin"), "did you mean `Europe/Berlin`?");
        wrong(cron("0 9 * * *", ""), "which is no time zone");
        wrong(On::Every { seconds: 5, misfire: Misfire::CatchUp(0) }, "it is 1 to 1000");
        assert!(check_on(&On::Manual).is_ok());
    }
}
