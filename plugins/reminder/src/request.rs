//! What somebody writes behind `/remind`, taken apart. Knows no storage and no trigger.

use crate::time::{Reading, TimeError, When};

/// What somebody wants of the reminders.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// A new one.
    New {
        /// Whom it is for.
        whom: Whom,
        /// When.
        when: When,
        /// What to say.
        text: &'a str,
    },
    /// Which ones there are.
    List,
    /// One, or all, to go.
    Cancel(Which),
    /// Which zone counts, or another one to count.
    Zone(Option<&'a str>),
    /// How all this is written.
    Help,
}

/// Whom a reminder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Whoever asks.
    Me,
    /// Everybody in the room.
    Room,
}

/// Which reminders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one with this number.
    Number(u32),
    /// All of whoever asks.
    All,
}

/// Why a line is no request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Its time.
    Time(TimeError),
    /// The number of what to cancel.
    Number(String),
}

impl<'a> Request<'a> {
    /// Takes a line apart.
    pub(crate) fn read(line: &'a str, reading: &Reading) -> Result<Self, Mistake> {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let new = |whom, line| {
            let (when, text) = reading.split(line).map_err(Mistake::Time)?;
            Ok(Self::New { whom, when, text })
        };
        match first.to_lowercase().as_str() {
            "" | "help" => Ok(Self::Help),
            "list" if rest.is_empty() => Ok(Self::List),
            "cancel" | "delete" | "remove" => match rest.strip_prefix('#').unwrap_or(rest) {
                "all" => Ok(Self::Cancel(Which::All)),
                number => match number.parse() {
                    Ok(number) => Ok(Self::Cancel(Which::Number(number))),
                    Err(_) => Err(Mistake::Number(rest.chars().take(40).collect())),
                },
            },
            "zone" | "timezone" => Ok(Self::Zone(Some(rest).filter(|zone| !zone.is_empty()))),
            "me" => new(Whom::Me, rest),
            "here" | "us" => new(Whom::Room, rest),
            // `/remind in 2 hours …` can mean nobody else.
            _ => new(Whom::Me, line),
        }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(error) => write!(formatter, "{error}"),
            Self::Number(given) if given.is_empty() => formatter.write_str(
                "which one? `/remind list` shows their numbers: `/remind cancel 2`, or `/remind cancel all`",
            ),
            Self::Number(given) => {
                write!(formatter, "`{given}` is no reminder's number. `/remind list` shows them: `/remind cancel 2`")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let now = "2026-11-23T10:30:00+00:00[UTC]".parse().unwrap();
        let reading = Reading { now, morning: jiff::civil::time(9, 0, 0, 0), shortest: 300 };
        let found = match Request::read(line, &reading) {
            Ok(Request::New { whom, text, .. }) => format!("{whom:?}: {text}"),
            Ok(request) => format!("{request:?}"),
            Err(mistake) => mistake.to_string(),
        };
        assert!(found.starts_with(expected), "{line:?}: {found}");
    }

    #[test]
    fn lines_are_taken_apart() {
        check("", "Help");
        check("help", "Help");
        check(" list ", "List");
        check("cancel 3", "Cancel(Number(3))");
        check("cancel #3", "Cancel(Number(3))");
        check("cancel all", "Cancel(All)");
        check("cancel", "which one?");
        check("cancel the tea", "`the tea` is no reminder's number");
        check("zone", "Zone(None)");
        check("zone Europe/Berlin", "Zone(Some(\"Europe/Berlin\"))");
        check("me in 2 hours to call Ann", "Me: call Ann");
        check("me to call Ann in 2 hours", "Me: call Ann");
        check("in 2 hours call Ann", "Me: call Ann");
        check("Here at 17:30 stand-up", "Room: stand-up");
        check("list the files tomorrow", "Me: list the files");
        check("Bob to work", "I find no time in that");
    }
}
