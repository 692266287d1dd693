//! Dice as people write them: `6`, `d20`, `2d6`. Knows no chat and no source of chance.

use std::fmt;
use std::str::FromStr;

/// The most dice in one roll.
const COUNT_MAX: u32 = 100;
/// The most sides of a die.
const SIDES_MAX: u32 = 1_000_000;

/// Some dice of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dice {
    count: u32,
    sides: u32,
}

/// The text names no dice that can be rolled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoDice;

impl Dice {
    /// Rolls the dice and writes the roll out: `2d6: 3 + 5 = 8`. `chance` gives any number with equal probability.
    pub(crate) fn roll(self, mut chance: impl FnMut() -> u64) -> String {
        let rolls: Vec<u64> = (0..self.count).map(|_| chance() % u64::from(self.sides) + 1).collect();
        let sum: u64 = rolls.iter().sum();
        if let [only] = rolls[..] {
            return format!("{self}: {only}");
        }
        let rolls: Vec<String> = rolls.iter().map(ToString::to_string).collect();
        format!("{self}: {} = {sum}", rolls.join(" + "))
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self { count: 1, sides: 6 }
    }
}

impl FromStr for Dice {
    type Err = NoDice;

    fn from_str(text: &str) -> Result<Self, NoDice> {
        // `6` is a die's sides; before a `d` stands how many, one where nothing does.
        let (count, sides) = text.split_once(['d', 'D']).unwrap_or(("", text));
        let number = |text: &str, most: u32| match text.parse::<u32>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(NoDice),
        };
        let count = if count.is_empty() { 1 } else { number(count, COUNT_MAX)? };
        Ok(Self { count, sides: number(sides, SIDES_MAX)? })
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(formatter, "d{}", self.sides),
            count => write!(formatter, "{count}d{}", self.sides),
        }
    }
}

impl fmt::Display for NoDice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "give a die's sides or some dice, such as 6, d20 or 2d6: at most {COUNT_MAX} dice of {SIDES_MAX} sides"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, rolled: Result<&str, NoDice>) {
        let mut next = 10;
        let chance = || {
            next += 1;
            next
        };
        let found = text.parse::<Dice>().map(|dice| dice.roll(chance));
        assert_eq!(found.as_deref(), rolled.as_ref().map(|rolled| *rolled), "{text:?}");
    }

    #[test]
    fn dice_are_read_and_rolled() {
        check("6", Ok("d6: 6"));
        check("d20", Ok("d20: 12"));
        check("2d6", Ok("2d6: 6 + 1 = 7"));
        check("3D1", Ok("3d1: 1 + 1 + 1 = 3"));
    }

    #[test]
    fn what_cannot_be_rolled_is_refused() {
        for text in ["", "0", "d", "0d6", "101d6", "2d0", "-1", "2d6d6", "six", "1000001", "99999999999", "2d 6"] {
            check(text, Err(NoDice));
        }
    }
}
