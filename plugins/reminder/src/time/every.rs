//! `every monday at 10:00`, `every 2 hours`, `daily at 9`: what comes again and again, as a cron expression or an interval.
//! Knows no moment.

use jiff::civil::{Time, Weekday};

use super::absolute::{time_of_day, weekday_named};
use super::relative::Unit;
use super::words::{Words, number, ordinal};
use super::{Reading, TimeError, When};

/// Which days.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    All,
    Working,
    Weekend,
    Weekdays(Vec<Weekday>),
    OfMonth(i8),
}

/// What stands here, if it comes again and again.
pub(super) fn read(reading: &Reading, words: &mut Words<'_>) -> Result<Option<When>, TimeError> {
    let mut ahead = *words;
    let today = reading.now.date();
    let led = ahead.eat(&["every", "each"]);
    let before = ahead;
    let days = if led {
        if let Some((seconds, meaning)) = ahead.attempt(interval) {
            *words = ahead;
            return often_enough(reading, seconds).map(|()| Some(When::Every { seconds, meaning }));
        }
        days(&mut ahead, today.weekday(), today.day())
    } else {
        adverb(&mut ahead, today.weekday(), today.day())
    };
    let Some((days, time)) = days else {
        return if led { Err(TimeError::Unknown(shown(before))) } else { Ok(None) };
    };
    let time = match time_of_day(&mut ahead)? {
        Some(time) => time,
        None => time.unwrap_or(reading.morning),
    };
    *words = ahead;
    Ok(Some(days.at(time)))
}

fn shown(mut words: Words<'_>) -> String {
    let found: Vec<String> = (0..2).filter_map(|_| words.word()).collect();
    if found.is_empty() { "…".to_owned() } else { found.join(" ").chars().take(40).collect() }
}

fn often_enough(reading: &Reading, seconds: u64) -> Result<(), TimeError> {
    if seconds < reading.shortest {
        return Err(TimeError::TooOften { shortest_minutes: reading.shortest / 60 });
    }
    // A year has no more.
    if seconds > 366 * 24 * 3600 { Err(TimeError::TooFar) } else { Ok(()) }
}

/// `hour`, `2 hours`, `30 minutes`, `90min`.
fn interval(words: &mut Words<'_>) -> Option<(u64, String)> {
    let word = words.word()?;
    let (count, unit) = match Unit::named(&word) {
        Some(unit) => (1, unit),
        None => match number(&word) {
            Some(count) => (count, Unit::named(&words.word()?)?),
            None => {
                let at = word.find(|character: char| !character.is_ascii_digit())?;
                (number(&word[..at])?, Unit::named(&word[at..])?)
            }
        },
    };
    let seconds = u64::from(count) * u64::try_from(unit.seconds()?).ok()?;
    let name = match unit {
        Unit::Second => "second",
        Unit::Minute => "minute",
        _ => "hour",
    };
    let meaning = if count == 1 { format!("every {name}") } else { format!("every {count} {name}s") };
    Some((seconds, meaning))
}

/// What may stand behind `every`, with the time of day that it says itself.
fn days(words: &mut Words<'_>, today: Weekday, day: i8) -> Option<(Days, Option<Time>)> {
    if words.eat(&["day"]) {
        return Some((Days::All, None));
    }
    if words.eat(&["morning"]) {
        return Some((Days::All, None));
    }
    if words.eat(&["evening"]) {
        return Some((Days::All, Some(Time::constant(18, 0, 0, 0))));
    }
    if words.eat(&["weekday", "workday"]) || words.eat_all(&["working", "day"]) {
        return Some((Days::Working, None));
    }
    if words.eat(&["weekend"]) {
        return Some((Days::Weekend, None));
    }
    if words.eat(&["week"]) {
        words.eat(&["on"]);
        return Some((Days::Weekdays(weekdays(words).unwrap_or_else(|| vec![today])), None));
    }
    if words.eat(&["month"]) {
        let named = words.attempt(|words| {
            words.eat(&["on"]);
            words.eat(&["the"]);
            ordinal(&words.word()?)
        });
        return Some((Days::OfMonth(named.unwrap_or(day)), None));
    }
    if let Some(day) = words.attempt(|words| ordinal(&words.word()?)) {
        words.eat_all(&["of", "the", "month"]);
        return Some((Days::OfMonth(day), None));
    }
    weekdays(words).map(|days| (Days::Weekdays(days), None))
}

fn adverb(words: &mut Words<'_>, today: Weekday, day: i8) -> Option<(Days, Option<Time>)> {
    let days = words.attempt(|words| {
        Some(match words.word()?.as_str() {
            "daily" => Days::All,
            "weekly" => Days::Weekdays(vec![today]),
            "monthly" => Days::OfMonth(day),
            _ => return None,
        })
    })?;
    Some((days, None))
}

/// `monday`, `mon and thu`, `mondays, wednesdays and fridays`.
fn weekdays(words: &mut Words<'_>) -> Option<Vec<Weekday>> {
    let mut found = vec![words.attempt(a_weekday)?];
    while let Some(day) = words.attempt(|words| {
        words.eat(&["and", "or", "&"]);
        a_weekday(words)
    }) {
        if !found.contains(&day) {
            found.push(day);
        }
    }
    found.sort_by_key(|day| day.to_monday_zero_offset());
    Some(found)
}

fn a_weekday(words: &mut Words<'_>) -> Option<Weekday> {
    let word = words.word()?;
    weekday_named(&word).or_else(|| weekday_named(word.strip_suffix('s')?))
}

impl Days {
    fn at(self, time: Time) -> When {
        let (of_month, of_week, meaning) = match self {
            Self::All => ("*".to_owned(), "*".to_owned(), "every day".to_owned()),
            Self::Working => ("*".to_owned(), "MON-FRI".to_owned(), "every weekday".to_owned()),
            Self::Weekend => ("*".to_owned(), "SAT,SUN".to_owned(), "every Saturday and Sunday".to_owned()),
            Self::Weekdays(days) => {
                let short: Vec<String> = days.iter().map(|day| format!("{day:?}")[..3].to_uppercase()).collect();
                let long: Vec<String> = days.iter().map(|day| format!("{day:?}")).collect();
                ("*".to_owned(), short.join(","), format!("every {}", joined(&long)))
            }
            Self::OfMonth(day) => {
                let rare = if day > 28 { ", in the months that have it," } else { "" };
                (day.to_string(), "*".to_owned(), format!("on day {day} of every month{rare}"))
            }
        };
        let expression = format!("{} {} {of_month} * {of_week}", time.minute(), time.hour());
        When::Calendar { expression, meaning: format!("{meaning} at {}", time.strftime("%H:%M")) }
    }
}

/// `Monday, Tuesday and Friday`.
fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}
