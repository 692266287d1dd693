//! Times as people write them in English: where one stands in a line, and which moments it means. A pure function of the line
//! and the moment at which it is read; knows no chat, no clock and no reminder.
//!
//! The crates that read English dates want a text that is a date and nothing else, know no `every`, and take the first three
//! letters for the word (`monkey` is Monday). Here the time stands before or behind what somebody wants to be told.

mod absolute;
mod error;
mod every;
mod relative;
mod words;

use jiff::civil;
use jiff::{Timestamp, ToSpan, Zoned};

pub(crate) use self::error::TimeError;
use self::words::Words;

/// When to remind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    /// At this moment.
    Once(Timestamp),
    /// At the times of a cron expression, in the zone in which it was read.
    Calendar {
        /// Five fields.
        expression: String,
        /// What it means, in English: `every Monday at 10:00`.
        meaning: String,
    },
    /// Every so many seconds.
    Every {
        /// How many.
        seconds: u64,
        /// What it means, in English: `every 2 hours`.
        meaning: String,
    },
}

/// What is known where a line is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// This moment, in the zone of whoever wrote the line.
    pub(crate) now: Zoned,
    /// What a day without a time means.
    pub(crate) morning: civil::Time,
    /// The shortest time between two of what comes again and again, in seconds.
    pub(crate) shortest: u64,
}

impl Reading {
    /// Takes a line apart: when, and what to tell then. The time stands first, or last.
    pub(crate) fn split<'a>(&self, line: &'a str) -> Result<(When, &'a str), TimeError> {
        let mut words = Words::new(line);
        if let Some(when) = self.when(&mut words)? {
            return with_text(when, words.rest());
        }
        let mut mistake = None;
        let mut behind = Words::new(line);
        while behind.next().is_some() {
            let mut words = behind;
            match self.when(&mut words) {
                Ok(Some(when)) if words.is_at_end() => return with_text(when, behind.before()),
                Ok(_) => {}
                Err(error) => mistake = mistake.or(Some(error)),
            }
        }
        Err(mistake.unwrap_or(TimeError::NoTime))
    }

    /// The time that stands here, if one does. Then the words go on behind it.
    fn when(&self, words: &mut Words<'_>) -> Result<Option<When>, TimeError> {
        if let Some(when) = every::read(self, words)? {
            return Ok(Some(when));
        }
        let moment = match relative::read(self, words)? {
            Some(moment) => Some(moment),
            None => absolute::read(self, words)?,
        };
        let Some(moment) = moment else { return Ok(None) };
        if moment <= self.now {
            return Err(TimeError::Past(moment));
        }
        match self.now.checked_add(1.year()) {
            Ok(latest) if moment <= latest => Ok(Some(When::Once(moment.timestamp()))),
            _ => Err(TimeError::TooFar),
        }
    }
}

fn with_text(when: When, text: &str) -> Result<(When, &str), TimeError> {
    let mut words = Words::new(text);
    words.eat(&["to", "that", "-", "–"]);
    let text = words.rest().trim();
    if text.is_empty() { Err(TimeError::NoText) } else { Ok((when, text)) }
}

#[cfg(test)]
mod tests;
