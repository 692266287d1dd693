//! `tomorrow at 9`, `on friday at 17:30`, `24 December`: a day, a time of it, or both in either order. Knows no duration.

use jiff::civil::{Date, Time, Weekday};
use jiff::{ToSpan, Zoned};

use super::words::{Words, digits, number, ordinal};
use super::{Reading, TimeError};

/// A day as somebody writes it.
#[derive(Debug, Clone, Copy)]
enum Day {
    /// This one.
    Exact(Date),
    /// The next of these in the week; today may be one where its time has not come.
    Weekday { day: Weekday, not_today: bool },
    /// This day of the next year that has it.
    OfYear { month: i8, day: i8 },
    /// This day of the next month that has it.
    OfMonth(i8),
}

/// A part of the day, for whoever names no hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Morning,
    Afternoon,
    Evening,
    Night,
}

impl Part {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "morning" => Self::Morning,
            "afternoon" => Self::Afternoon,
            "evening" => Self::Evening,
            "night" => Self::Night,
            _ => return None,
        })
    }

    fn time(self, morning: Time) -> Time {
        match self {
            Self::Morning => morning,
            Self::Afternoon => Time::constant(14, 0, 0, 0),
            Self::Evening => Time::constant(18, 0, 0, 0),
            Self::Night => Time::constant(20, 0, 0, 0),
        }
    }

    /// The hour that is meant by an hour in this part: 8 in the evening is 20.
    fn hour(self, time: Time) -> Time {
        match self {
            Self::Morning => time,
            _ if time.hour() < 12 && time.hour() > 0 => time.saturating_add(12.hours()),
            _ => time,
        }
    }
}

/// The moment that stands here, if one does.
pub(super) fn read(reading: &Reading, words: &mut Words<'_>) -> Result<Option<Zoned>, TimeError> {
    let (mut day, mut time, mut part) = (None, None, None);
    loop {
        if part.is_none() && time.is_none() && day.is_none() && words.eat(&["tonight"]) {
            (day, part) = (Some(Day::Exact(reading.now.date())), Some(Part::Night));
        } else if let (None, Some(found)) = (day, read_day(reading, words)?) {
            day = Some(found);
        } else if let (None, Some(found)) = (part, read_part(words, time.is_none())) {
            day = day.or((!found.1).then_some(Day::Exact(reading.now.date())));
            part = Some(found.0);
        } else if let (None, Some(found)) = (time, time_of_day(words)?) {
            time = Some(found);
        } else {
            break;
        }
    }
    let time = match (time, part) {
        (None, None) if day.is_none() => return Ok(None),
        (None, None) => reading.morning,
        (None, Some(part)) => part.time(reading.morning),
        (Some(time), None) => time,
        (Some(time), Some(part)) => part.hour(time),
    };
    resolve(reading, day, time).map(Some)
}

/// This time of this day. One that the clocks jump over is as much later; of one that comes twice the first is meant.
pub(super) fn at(reading: &Reading, date: Date, time: Time) -> Zoned {
    let zone = reading.now.time_zone();
    zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().unwrap_or_else(|_| reading.now.clone())
}

fn resolve(reading: &Reading, day: Option<Day>, time: Time) -> Result<Zoned, TimeError> {
    let today = reading.now.date();
    let first = |dates: &mut dyn Iterator<Item = Date>| {
        dates.map(|date| at(reading, date, time)).find(|moment| *moment > reading.now)
    };
    let far = |days: i32| (0..days).map_while(|ahead| today.checked_add(ahead.days()).ok());
    let found = match day {
        Some(Day::Exact(date)) => return Ok(at(reading, date, time)),
        None => first(&mut far(3)),
        Some(Day::Weekday { day, not_today }) => {
            first(&mut far(15).skip(usize::from(not_today)).filter(|date| date.weekday() == day))
        }
        Some(Day::OfMonth(day)) => first(&mut far(70).filter(|date| date.day() == day)),
        Some(Day::OfYear { month, day }) => {
            let years = (0..9).map(|ahead| today.year() + ahead);
            first(&mut years.filter_map(|year| Date::new(year, month, day).ok()))
        }
    };
    found.ok_or(TimeError::TooFar)
}

/// `morning`, or `in the morning`, `this evening`. The second says whether it may belong to another day than today.
fn read_part(words: &mut Words<'_>, alone: bool) -> Option<(Part, bool)> {
    words.attempt(|words| {
        let today = words.eat(&["this"]);
        let named = !today && words.eat_all(&["in", "the"]);
        let part = Part::named(&words.word()?)?;
        (alone || named || today).then_some((part, !today))
    })
}

/// A time of day: `at 9`, `17:30`, `9am`, `at noon`.
pub(super) fn time_of_day(words: &mut Words<'_>) -> Result<Option<Time>, TimeError> {
    let mut ahead = *words;
    let behind_at = ahead.eat(&["at", "@"]);
    let Some(word) = ahead.word() else { return Ok(None) };
    let named = match word.as_str() {
        "noon" | "midday" => Some(Time::constant(12, 0, 0, 0)),
        "midnight" => Some(Time::midnight()),
        _ => None,
    };
    if named.is_some() {
        *words = ahead;
        return Ok(named);
    }
    let (clock, mut half) = match word.strip_suffix("am").or_else(|| word.strip_suffix("a.m")) {
        Some(clock) => (clock, Some(0)),
        None => match word.strip_suffix("pm").or_else(|| word.strip_suffix("p.m")) {
            Some(clock) => (clock, Some(12)),
            None => (word.as_str(), None),
        },
    };
    let (hour, minute) = match clock.split_once(':').or_else(|| clock.split_once('.').filter(|_| behind_at)) {
        Some((hour, minute)) if minute.len() == 2 => (digits(hour), digits(minute)),
        Some(_) => (None, None),
        None => (number(clock).filter(|_| !matches!(clock, "a" | "an")), Some(0)),
    };
    let (Some(hour), Some(minute)) = (hour, minute) else { return Ok(None) };
    if half.is_none() {
        half = match () {
            () if ahead.eat(&["am", "a.m"]) => Some(0),
            () if ahead.eat(&["pm", "p.m"]) => Some(12),
            () => None,
        };
    }
    let spoken = ahead.eat(&["o'clock", "o’clock", "oclock"]);
    if !(behind_at || spoken || half.is_some() || clock.contains(':')) {
        return Ok(None);
    }
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => Some(hour % 12 + half),
        Some(_) => None,
        None => Some(hour),
    };
    let time = hour.and_then(|hour| Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok());
    *words = ahead;
    time.map(Some).ok_or(TimeError::NoSuchTime(word))
}

fn read_day(reading: &Reading, words: &mut Words<'_>) -> Result<Option<Day>, TimeError> {
    let today = reading.now.date();
    let ahead = |days: i32| Day::Exact(today.saturating_add(days.days()));
    if words.eat(&["today"]) {
        return Ok(Some(ahead(0)));
    }
    if words.eat(&["tomorrow"]) {
        return Ok(Some(ahead(1)));
    }
    if words.eat_all(&["the", "day", "after", "tomorrow"]) || words.eat_all(&["day", "after", "tomorrow"]) {
        return Ok(Some(ahead(2)));
    }
    if words.eat_all(&["next", "week"]) {
        return Ok(Some(ahead(7)));
    }
    if words.eat_all(&["next", "month"]) {
        return Ok(Some(Day::Exact(today.saturating_add(1.month()))));
    }
    if let Some(day) = words.attempt(weekday) {
        return Ok(Some(day));
    }
    let mut further = *words;
    further.eat(&["on"]);
    let date = calendar_day(&mut further)?;
    if date.is_some() {
        *words = further;
    }
    Ok(date)
}

/// `monday`, `on mon`, `next friday`.
fn weekday(words: &mut Words<'_>) -> Option<Day> {
    let not_today = words.eat(&["next"]);
    let led = not_today || words.eat(&["on", "this", "coming"]);
    let word = words.word()?;
    // A short one alone may be another word: `sun cream`.
    let day = weekday_named(&word).filter(|_| led || word.ends_with("day"))?;
    Some(Day::Weekday { day, not_today })
}

/// A day of the week by its name.
pub(super) fn weekday_named(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tue" | "tues" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thu" | "thur" | "thurs" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    })
}

fn month_named(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let found = MONTHS.iter().position(|month| *month == word || (word.len() == 3 && month.starts_with(word)));
    let found = found.or_else(|| (word == "sept").then_some(8))?;
    i8::try_from(found + 1).ok()
}

/// `2026-12-24`, `24.12.2026`, `24 December`, `December 24th 2026`, `the 24th`.
fn calendar_day(words: &mut Words<'_>) -> Result<Option<Day>, TimeError> {
    let mut ahead = *words;
    let Some(raw) = ahead.next() else { return Ok(None) };
    if let Some(parts) = numbers(raw.trim_end_matches([',', ';', ':']), '-')
        && let [year, month, day] = parts[..]
    {
        *words = ahead;
        return exact(year, month, day).map(Some).ok_or_else(|| TimeError::NoSuchDay(raw.to_owned()));
    }
    if let Some(parts) = numbers(raw.trim_end_matches([',', ';', ':']), '/')
        && matches!(parts.len(), 2 | 3)
    {
        return Err(TimeError::Ambiguous(raw.to_owned()));
    }
    if let Some(parts) = numbers(raw.trim_end_matches([',', ';', ':', '.']), '.') {
        let day = match parts[..] {
            [day, month, year] => exact(year, month, day),
            [day, month] if raw.ends_with('.') => of_year(day, month),
            _ => return Ok(None),
        };
        *words = ahead;
        return day.map(Some).ok_or_else(|| TimeError::NoSuchDay(raw.to_owned()));
    }
    let Some((month, day, the)) = words.attempt(month_and_day) else { return Ok(None) };
    let Some(month) = month else { return Ok(the.then_some(Day::OfMonth(day))) };
    let year = words.attempt(|words| {
        let word = words.word()?;
        (word.len() == 4).then(|| digits(&word)).flatten()
    });
    let shown = || {
        let year = year.map_or_else(String::new, |year| format!(" {year}"));
        TimeError::NoSuchDay(format!("day {day} of month {month}{year}"))
    };
    match year {
        Some(year) => {
            exact(year, u32::from(month.unsigned_abs()), u32::from(day.unsigned_abs())).map(Some).ok_or_else(shown)
        }
        None => of_year(u32::from(day.unsigned_abs()), u32::from(month.unsigned_abs())).map(Some).ok_or_else(shown),
    }
}

/// The month, the day in it, and whether the day can stand alone.
fn month_and_day(words: &mut Words<'_>) -> Option<(Option<i8>, i8, bool)> {
    let the = words.eat(&["the"]);
    let word = words.word()?;
    if let Some(month) = month_named(&word) {
        words.eat(&["the"]);
        let word = words.word()?;
        return Some((Some(month), ordinal(&word).or_else(|| plain_day(&word))?, false));
    }
    let is_ordinal = ordinal(&word);
    let day = is_ordinal.or_else(|| plain_day(&word))?;
    let month = words.attempt(|words| {
        words.eat(&["of"]);
        month_named(&words.word()?)
    });
    let alone = the && is_ordinal.is_some();
    (month.is_some() || alone).then_some((month, day, alone))
}

/// A number that may be a day of a month; whether the month has it shows later.
fn plain_day(word: &str) -> Option<i8> {
    digits(word).filter(|day| (1..=99).contains(day)).and_then(|day| i8::try_from(day).ok())
}

fn exact(year: u32, month: u32, day: u32) -> Option<Day> {
    let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    date.ok().map(Day::Exact)
}

fn of_year(day: u32, month: u32) -> Option<Day> {
    // A leap year has every day that any year has.
    let Some(Day::Exact(date)) = exact(2028, month, day) else { return None };
    Some(Day::OfYear { month: date.month(), day: date.day() })
}

/// Numbers with this between them, at least two.
fn numbers(word: &str, between: char) -> Option<Vec<u32>> {
    let parts: Vec<u32> = word.split(between).map(digits).collect::<Option<_>>()?;
    (parts.len() > 1).then_some(parts)
}
