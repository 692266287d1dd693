//! `in 2 hours`, `in 1h30m`, `in 3 days at 9`: so long after now. Days and longer go by the calendar of the zone, so that the
//! time of day stays over a change of the clocks; hours and shorter go by the clock. Knows no date.

use jiff::{Span, Zoned};

use super::words::{Words, number};
use super::{Reading, TimeError, absolute};

/// Something that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "month" | "months" => Self::Month,
            "y" | "year" | "years" => Self::Year,
            _ => return None,
        })
    }

    /// How many seconds it always has, if it always has as many.
    pub(super) const fn seconds(self) -> Option<i64> {
        match self {
            Self::Second => Some(1),
            Self::Minute => Some(60),
            Self::Hour => Some(3600),
            _ => None,
        }
    }
}

/// How long: a part by the calendar and a part by the clock.
#[derive(Debug, Default)]
struct Length {
    months: i64,
    days: i64,
    seconds: i64,
}

impl Length {
    fn add(&mut self, amount: Amount, unit: Unit) -> Option<()> {
        if let Some(seconds) = unit.seconds() {
            self.seconds += amount.tenths * seconds / 10;
            return Some(());
        }
        // There is no half of a month.
        let whole = (amount.tenths % 10 == 0).then_some(amount.tenths / 10)?;
        match unit {
            Unit::Day => self.days += whole,
            Unit::Week => self.days += whole * 7,
            Unit::Year => self.months += whole * 12,
            _ => self.months += whole,
        }
        Some(())
    }
}

/// A number with at most one place behind the point.
#[derive(Debug, Clone, Copy)]
struct Amount {
    tenths: i64,
}

impl Amount {
    fn read(word: &str) -> Option<Self> {
        let (whole, tenth) = word.split_once('.').unwrap_or((word, "0"));
        let tenth = (tenth.len() == 1).then(|| number(tenth)).flatten()?;
        Some(Self { tenths: i64::from(number(whole)?) * 10 + i64::from(tenth) })
    }
}

/// The moment that stands here, if one does.
pub(super) fn read(reading: &Reading, words: &mut Words<'_>) -> Result<Option<Zoned>, TimeError> {
    let mut ahead = *words;
    if !ahead.eat(&["in", "after"]) {
        return Ok(None);
    }
    let mut length = Length::default();
    if !part(&mut ahead, &mut length) {
        return Ok(None);
    }
    loop {
        let mut further = ahead;
        further.eat(&["and"]);
        if !part(&mut further, &mut length) {
            break;
        }
        ahead = further;
    }
    let day = if length.seconds == 0 { absolute::time_of_day(&mut ahead)? } else { None };
    *words = ahead;
    // What no calendar can hold is far away, too.
    let moment = later(&reading.now, &length).ok_or(TimeError::TooFar)?;
    match day {
        None => Ok(Some(moment)),
        Some(time) => Ok(Some(absolute::at(reading, moment.date(), time))),
    }
}

fn later(now: &Zoned, length: &Length) -> Option<Zoned> {
    let calendar = Span::new().try_months(length.months).ok()?.try_days(length.days).ok()?;
    let clock = Span::new().try_seconds(length.seconds).ok()?;
    now.checked_add(calendar).ok()?.checked_add(clock).ok()
}

/// `2 hours`, `half an hour`, `an hour`, `1h30m`.
fn part(words: &mut Words<'_>, length: &mut Length) -> bool {
    if words.eat_all(&["half", "an", "hour"]) {
        length.seconds += 1800;
        return true;
    }
    let spaced = words.attempt(|words| {
        let amount = Amount::read(&words.word()?)?;
        length.add(amount, Unit::named(words.word()?.trim_end_matches('\''))?)
    });
    spaced.or_else(|| words.attempt(|words| compact(&words.word()?, length))).is_some()
}

/// `1h30m`, `90min`, `2d`.
fn compact(word: &str, length: &mut Length) -> Option<()> {
    let mut found = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        let unit_at = rest.find(|character: char| character.is_ascii_alphabetic())?;
        let unit = &rest[unit_at..];
        let next_at = unit.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(unit.len());
        let amount = &rest[..unit_at];
        if !amount.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        found.push((Amount::read(amount)?, Unit::named(&unit[..next_at])?));
        rest = &unit[next_at..];
    }
    found.into_iter().try_for_each(|(amount, unit)| length.add(amount, unit))
}
