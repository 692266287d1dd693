//! What is wrong with a time that somebody wrote, and how to write it. Knows no parser.

use std::fmt;

use jiff::Zoned;

/// Why a line names no time to remind at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimeError {
    /// There is none in it.
    NoTime,
    /// There is nothing but a time in it.
    NoText,
    /// It has passed.
    Past(Zoned),
    /// It is more than a year away.
    TooFar,
    /// There is no such time of day.
    NoSuchTime(String),
    /// There is no such day.
    NoSuchDay(String),
    /// Day and month could be one or the other.
    Ambiguous(String),
    /// Nothing can be done every so often.
    Unknown(String),
    /// It comes again too soon.
    TooOften {
        /// The shortest there is, in minutes.
        shortest_minutes: u64,
    },
}

impl fmt::Display for TimeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTime => formatter.write_str(
                "I find no time in that. Write one like `in 2 hours`, `tomorrow at 9`, `on friday at 17:30`, \
                 `24 December at 18:00`, `2026-12-24 18:00` or `every monday at 10:00`",
            ),
            Self::NoText => formatter
                .write_str("what should I say then? Write it behind the time: `/remind me in 2 hours to call Ann`"),
            Self::Past(time) => write!(
                formatter,
                "{} has passed. Name a later time, such as `tomorrow at {}` or `in 10 minutes`",
                time.strftime("%-d %B %Y, %H:%M"),
                time.strftime("%H:%M")
            ),
            Self::TooFar => formatter.write_str("that is more than a year away, and I look at most a year ahead"),
            Self::NoSuchTime(word) => {
                write!(formatter, "`{word}` is no time of day. Write `9:30`, `17:30`, `9am`, `noon` or `midnight`")
            }
            Self::NoSuchDay(words) => {
                write!(formatter, "there is no `{words}`. Write a day like `24 December` or `2026-12-24`")
            }
            Self::Ambiguous(word) => write!(
                formatter,
                "`{word}` could be either of two days. Write the month as a word, `24 December`, or the date as `2026-12-24`"
            ),
            Self::Unknown(words) => write!(
                formatter,
                "I cannot come every `{words}`. I know `every day`, `every weekday`, `every monday and thursday`, \
                 `every month on the 1st`, `every 30 minutes` and `every 2 hours`, the days with `at 10:00` behind them"
            ),
            Self::TooOften { shortest_minutes } => {
                write!(
                    formatter,
                    "that is too often: there are {shortest_minutes} minutes or more between two reminders"
                )
            }
        }
    }
}
