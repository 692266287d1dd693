//! Lengths of time as people write them. Knows no workflow.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in whole seconds, written as `90s`, `15m`, `2h`, `7d` or put together: `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    /// As the standard library has it.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// What a text says.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no length of time: write `90s`, `15m`, `2h`, `7d` or `1h 30m`", cut(text));
        let mut rest = text.trim();
        let mut seconds = 0_u64;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "s" => 1,
                "m" | "min" => 60,
                "h" => 3600,
                "d" => 24 * 3600,
                "w" => 7 * 24 * 3600,
                _ => return Err(wrong()),
            };
            rest = rest[letters..].trim_start();
            seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        }
        match seconds <= 10 * 366 * 24 * 3600 {
            true => Ok(Self(seconds)),
            false => Err(format!("`{}` is longer than ten years", cut(text))),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut first = true;
        for (unit, seconds) in [("d", 24 * 3600), ("h", 3600), ("m", 60), ("s", 1)] {
            let count = rest / seconds;
            rest %= seconds;
            if count > 0 || (unit == "s" && first) {
                let gap = if first { "" } else { " " };
                write!(formatter, "{gap}{count}{unit}")?;
                first = false;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^\\s*([0-9]+(s|m|min|h|d|w)\\s*)+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(u64, &str), &str>) {
        match (Span::parse(text), expected) {
            (Ok(span), Ok((seconds, shown))) => assert_eq!((span.0, span.to_string().as_str()), (seconds, shown)),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn lengths_of_time() {
        check("90s", Ok((90, "1m 30s")));
        check("15m", Ok((900, "15m")));
        check("1h 30m", Ok((5400, "1h 30m")));
        check("1h30m", Ok((5400, "1h 30m")));
        check("2w", Ok((14 * 86_400, "14d")));
        check("0s", Ok((0, "0s")));
        check("", Err("no length of time"));
        check("5", Err("no length of time"));
        check("m", Err("no length of time"));
        check("5 m", Err("no length of time"));
        check("99999999999999999999d", Err("no length of time"));
        check("99999d", Err("ten years"));
    }
}
