//! Cron expressions: what they say, and which moment on a calendar is the next that fits. Knows no time zone and no clock.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// The seconds of a day.
const DAY: i64 = 86_400;

/// No expression that is ever true waits longer: 29 February on a given day of the week comes within 40 years.
const NEVER: i64 = 41 * 366 * DAY;

/// A cron expression. Times are civil: seconds since 1970 as if clocks were never put forward or back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day fits that fits either of its fields, as it does where neither begins with `*`.
    either: bool,
    /// Whether minute or hour begins with `*`: it then follows real time when clocks are put forward or back.
    pub(super) by_real_time: bool,
}

struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// Names of the values from `min` on.
    words: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field { name: "second", min: 0, max: 59, words: &[] },
    Field { name: "minute", min: 0, max: 59, words: &[] },
    Field { name: "hour", min: 0, max: 23, words: &[] },
    Field { name: "day of month", min: 1, max: 31, words: &[] },
    Field {
        name: "month",
        min: 1,
        max: 12,
        words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    // 7 is Sunday, too.
    Field { name: "day of week", min: 0, max: 7, words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] },
];

impl Cron {
    /// Reads an expression of five fields, or of six with seconds first.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let words = words(expression);
        let first = match words.len() {
            5 => 1,
            6 => 0,
            count => {
                return Err(format!(
                    "has {count} fields; there are five (minute, hour, day of month, month, day of week) or six with \
                     seconds first"
                ));
            }
        };
        let mut sets = [1; 6];
        for (field, (column, word)) in (first..).zip(&words) {
            sets[field] = FIELDS[field].read(word, *column)?;
        }
        let begins = |field: usize| words[field - first].1.starts_with('*');
        let [seconds, minutes, hours, days, months, mut weekdays] = sets;
        weekdays |= weekdays >> 7 & 1;
        let (either, by_real_time) = (!begins(3) && !begins(5), begins(1) || begins(2));
        let cron = Self { seconds, minutes, hours, days, months, weekdays, either, by_real_time };
        match cron.next(0, NEVER) {
            Some(_) => Ok(cron),
            None => Err("never comes: no month has that day".to_owned()),
        }
    }

    /// The first time that fits, from this one on and before the other.
    pub(super) fn next(&self, from: i64, before: i64) -> Option<i64> {
        let mut day = from.div_euclid(DAY);
        let mut time = from.rem_euclid(DAY);
        while day.checked_mul(DAY)? < before {
            let date = date(day)?;
            if self.months >> date.month() & 1 == 0 {
                day = first_of_next_month(date)?;
            } else {
                if self.fits(date)
                    && let Some(found) = self.time(time)
                {
                    return Some(day * DAY + found).filter(|found| *found < before);
                }
                day += 1;
            }
            time = 0;
        }
        None
    }

    fn fits(&self, date: Date) -> bool {
        let day = self.days >> date.day() & 1 == 1;
        let weekday = self.weekdays >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        if self.either { day || weekday } else { day && weekday }
    }

    /// The first second of a day that fits, from this one on.
    fn time(&self, from: i64) -> Option<i64> {
        let (mut hour, mut minute, mut second) = (from / 3600, from / 60 % 60, from % 60);
        while let Some(found) = next_bit(self.hours, hour) {
            if found > hour {
                (hour, minute, second) = (found, 0, 0);
            }
            while let Some(found) = next_bit(self.minutes, minute) {
                if found > minute {
                    (minute, second) = (found, 0);
                }
                if let Some(second) = next_bit(self.seconds, second) {
                    return Some(hour * 3600 + minute * 60 + second);
                }
                (minute, second) = (minute + 1, 0);
            }
            (hour, minute, second) = (hour + 1, 0, 0);
        }
        None
    }
}

/// The lowest bit that is set, from this one on.
fn next_bit(set: u64, from: i64) -> Option<i64> {
    let rest = u32::try_from(from).ok().and_then(|from| set.checked_shr(from))?;
    (rest != 0).then(|| from + i64::from(rest.trailing_zeros()))
}

fn date(day: i64) -> Option<Date> {
    let midnight = Timestamp::from_second(day.checked_mul(DAY)?).ok()?;
    Some(Offset::UTC.to_datetime(midnight).date())
}

fn first_of_next_month(date: Date) -> Option<i64> {
    let first = date.last_of_month().tomorrow().ok()?;
    Some(Offset::UTC.to_timestamp(first.at(0, 0, 0, 0)).ok()?.as_second().div_euclid(DAY))
}

/// The words of a text, each with its column from 1.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        // Both are parts of one text.
        let at = word.as_ptr() as usize - text.as_ptr() as usize;
        words.push((text[..at].chars().count() + 1, word));
    }
    words
}

impl Field {
    fn read(&self, word: &str, column: usize) -> Result<u64, String> {
        let mut set = 0;
        let mut column = column;
        for item in word.split(',') {
            set |= self.item(item).map_err(|reason| {
                format!(
                    "has a wrong {} at column {column}: {}",
                    self.name,
                    if item.is_empty() { "nothing stands there".to_owned() } else { reason }
                )
            })?;
            column += item.chars().count() + 1;
        }
        Ok(set)
    }

    fn item(&self, item: &str) -> Result<u64, String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (low, high) = if range == "*" {
            (self.min, self.top())
        } else if let Some((low, high)) = range.split_once('-') {
            (self.value(low)?, self.value(high)?)
        } else {
            let low = self.value(range)?;
            (low, if step.is_some() { self.top() } else { low })
        };
        // `FRI-SUN` ends with the week.
        let high = if self.max == 7 && high == 0 && low > 0 { 7 } else { high };
        if low > high {
            return Err(format!("`{range}` runs backwards; write it as two ranges with a comma"));
        }
        let step = match step.map(str::parse::<u8>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(_) => return Err(format!("`{item}` has no step: a number from 1 stands behind the `/`")),
        };
        Ok((low..=high).step_by(step.into()).fold(0, |set, value| set | 1 << value))
    }

    /// The last value that `*` means.
    const fn top(&self) -> u8 {
        if self.max == 7 { 6 } else { self.max }
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        if let Some(value) = word.and_then(|at| u8::try_from(at).ok()) {
            return Ok(self.min + value);
        }
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u8>().ok()).flatten();
        number.filter(|number| (self.min..=self.max).contains(number)).ok_or_else(|| {
            let Self { min, max, words, .. } = self;
            let names = match words {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!("`{text}` is not {min} to {max}{names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(text: &str) -> i64 {
        let time: jiff::civil::DateTime = text.parse().expect("a time");
        Offset::UTC.to_timestamp(time).expect("in range").as_second()
    }

    #[track_caller]
    fn check(expression: &str, from: &str, expected: &[&str]) {
        let cron = Cron::parse(expression).expect("an expression");
        let mut from = civil(from);
        for wanted in expected {
            let found = cron.next(from, i64::MAX / 2).expect("a time");
            assert_eq!(Offset::UTC.to_datetime(Timestamp::from_second(found).expect("a time")).to_string(), *wanted);
            from = found + 1;
        }
    }

    #[test]
    fn times_fit() {
        check("0 9 * * MON-FRI", "2026-01-02T09:00:01", &["2026-01-05T09:00:00", "2026-01-06T09:00:00"]);
        check("*/15 8-9 1 jan,Jul *", "2026-02-01T00:00:00", &["2026-07-01T08:00:00", "2026-07-01T08:15:00"]);
        check("*/20 * * * * *", "2026-02-28T23:59:41", &["2026-03-01T00:00:00", "2026-03-01T00:00:20"]);
        check("30 59 23 31 12 *", "2026-12-31T23:59:31", &["2027-12-31T23:59:30"]);
        check("0 0 29 2 *", "2096-02-29T00:00:01", &["2104-02-29T00:00:00"]);
        check("5/20 0 * * *", "2026-01-01T00:00:00", &["2026-01-01T00:05:00", "2026-01-01T00:25:00"]);
        // Days of either field where neither begins with `*`, of both otherwise.
        check("0 0 13 * FRI", "2026-02-01T00:00:00", &["2026-02-06T00:00:00", "2026-02-13T00:00:00"]);
        check("0 0 */2 * 0", "2026-02-01T00:00:00", &["2026-02-01T00:00:00", "2026-02-15T00:00:00"]);
        check("0 0 * * 7", "2026-02-02T00:00:00", &["2026-02-08T00:00:00"]);
        check(
            "0 0 * * FRI-SUN",
            "2026-02-06T00:00:00",
            &["2026-02-06T00:00:00", "2026-02-07T00:00:00", "2026-02-08T00:00:00"],
        );
        check("0 0 1 1 *", "1969-06-01T00:00:00", &["1970-01-01T00:00:00"]);
    }

    #[track_caller]
    fn wrong(expression: &str, expected: &str) {
        assert_eq!(Cron::parse(expression).expect_err("an error"), expected);
    }

    #[test]
    fn errors_name_field_and_column() {
        wrong("0 25 * * *", "has a wrong hour at column 3: `25` is not 0 to 23");
        wrong("0 9 * * MON,FRO", "has a wrong day of week at column 13: `FRO` is not 0 to 7 or SUN to SAT");
        wrong("0  9 * 13 *", "has a wrong month at column 8: `13` is not 1 to 12 or JAN to DEC");
        wrong(
            "*/0 * * * *",
            "has a wrong minute at column 1: `*/0` has no step: a number from 1 stands behind the `/`",
        );
        wrong(
            "0 22-6 * * *",
            "has a wrong hour at column 3: `22-6` runs backwards; write it as two ranges with a comma",
        );
        wrong("0 9, * * *", "has a wrong hour at column 5: nothing stands there");
        wrong("60 0 9 * * *", "has a wrong second at column 1: `60` is not 0 to 59");
        wrong("0 +9 * * *", "has a wrong hour at column 3: `+9` is not 0 to 23");
        wrong("0 0 30 2 *", "never comes: no month has that day");
        assert!(Cron::parse("* * * *").expect_err("an error").starts_with("has 4 fields"));
        assert!(Cron::parse("").expect_err("an error").starts_with("has 0 fields"));
    }
}
