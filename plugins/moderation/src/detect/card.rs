//! Finds card numbers: issuer's range, length, check digit (Luhn), and a shape in which people write them. Knows no bank.

use std::ops::RangeInclusive;

use super::{Detector, Found, begins_word, ends_word};

/// The fewest digits of a card number.
pub(super) const DIGITS_MIN: usize = 14;
/// The most.
const DIGITS_MAX: usize = 19;

/// The first six digits, and how many there are in all. Lengths that nobody issues any more are left out: thirteen digits
/// with a 4 in front are on every second article in a shop.
const ISSUERS: &[(RangeInclusive<u32>, &[usize])] = &[
    (400_000..=499_999, &[16]),             // Visa
    (510_000..=559_999, &[16]),             // Mastercard
    (222_100..=272_099, &[16]),             // Mastercard
    (340_000..=349_999, &[15]),             // American Express
    (370_000..=379_999, &[15]),             // American Express
    (601_100..=601_199, &[16]),             // Discover
    (644_000..=659_999, &[16]),             // Discover
    (300_000..=305_999, &[14, 16]),         // Diners Club
    (360_000..=369_999, &[14]),             // Diners Club
    (380_000..=399_999, &[14, 16]),         // Diners Club
    (352_800..=358_999, &[16]),             // JCB
    (620_000..=629_999, &[16, 17, 18, 19]), // UnionPay
    (810_000..=817_199, &[16, 17, 18, 19]), // UnionPay
    (220_000..=220_499, &[16]),             // Mir
    (500_000..=509_999, &[16]),             // Maestro, Elo, Verve
    (560_000..=589_999, &[16]),             // Maestro
    (606_000..=608_999, &[16]),             // RuPay, Hipercard
    (670_000..=679_999, &[16, 18, 19]),     // Maestro
    (979_200..=979_299, &[16]),             // Troy
];

/// How groups are written that stand among other numbers.
const SHAPES: &[&[usize]] = &[&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[6, 13], &[4, 4, 4, 2]];

/// Digits that stand together.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut run = Run::default();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if !run.is_followed_by(text, start) {
            run.find(text, found);
            run.clear();
        }
        run.push(Group { start, end: at });
    }
    run.find(text, found);
}

/// Groups of digits with one or two separators between each and the next.
#[derive(Default)]
struct Run {
    groups: Vec<Group>,
}

impl Run {
    fn push(&mut self, group: Group) {
        self.groups.push(group);
    }

    fn clear(&mut self) {
        self.groups.clear();
    }

    /// Whether what stands between the last group and this place keeps the run together.
    fn is_followed_by(&self, text: &str, start: usize) -> bool {
        let Some(last) = self.groups.last() else { return true };
        let between = &text.as_bytes()[last.end..start];
        (1..=2).contains(&between.len()) && between.iter().all(|byte| matches!(byte, b' ' | b'-' | b'.' | b'\t' | b'_'))
    }

    fn find(&self, text: &str, found: &mut Vec<Found>) {
        let groups = &self.groups[..];
        if self.is_spread(text) && is_bounded(text, groups) && is_card(text, groups) {
            found.push(card(groups));
            return;
        }
        let mut at = 0;
        while at < groups.len() {
            let taken = self.shape_at(text, at).unwrap_or(0);
            if taken > 0 {
                found.push(card(&groups[at..at + taken]));
            }
            at += taken.max(1);
        }
    }

    /// Whether the whole run is one number that is written in equal parts, the last one perhaps shorter: `4 1 1 1 …`.
    fn is_spread(&self, text: &str) -> bool {
        let groups = &self.groups[..];
        let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
        let size = first.end - first.start;
        let separator = |pair: &[Group]| &text[pair[0].end..pair[1].start];
        let is_even = groups[..groups.len() - 1].iter().all(|group| group.end - group.start == size);
        // More parts than a number has digits need not be looked at.
        groups.len() > 1
            && groups.len() <= DIGITS_MAX
            && is_even
            && last.end - last.start <= size
            && groups.windows(2).all(|pair| separator(pair) == separator(&groups[..2]))
    }

    /// How many groups from here on are a card number in a usual shape.
    fn shape_at(&self, text: &str, at: usize) -> Option<usize> {
        let rest = &self.groups[at..];
        let one = rest.get(..1).filter(|one| {
            let group = one[0];
            (DIGITS_MIN..=DIGITS_MAX).contains(&(group.end - group.start)) && stands_alone(text, group)
        });
        if let Some(one) = one.filter(|one| is_bounded(text, one) && is_card(text, one)) {
            return Some(one.len());
        }
        let fits = |shape: &&&[usize]| {
            let groups = rest.get(..shape.len())?;
            let is_shape = groups.iter().zip(**shape).all(|(group, size)| group.end - group.start == *size);
            (is_shape && is_bounded(text, groups) && is_card(text, groups)).then_some(shape.len())
        };
        SHAPES.iter().find_map(|shape| fits(&shape))
    }
}

fn card(groups: &[Group]) -> Found {
    let range = groups[0].start..groups[groups.len() - 1].end;
    Found { detector: Detector::CardNumber, name: "card_number", range }
}

/// Whether these digits are all that belongs to them: no letters at either end, and no identifier's hyphen.
fn is_bounded(text: &str, groups: &[Group]) -> bool {
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
    let bytes = text.as_bytes();
    let joins = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'-' | b'_'));
    let word_before = first.start >= 2
        && joins(bytes.get(first.start - 1))
        && super::is_word(bytes[first.start - 2])
        && !bytes[first.start - 2].is_ascii_digit();
    let word_behind = joins(bytes.get(last.end))
        && bytes.get(last.end + 1).is_some_and(|byte| super::is_word(*byte) && !byte.is_ascii_digit());
    begins_word(text, first.start) && ends_word(text, last.end) && !word_before && !word_behind
}

/// Whether a number without separators is neither a part of a path, of a decimal fraction, nor of an identifier.
fn stands_alone(text: &str, group: Group) -> bool {
    let bytes = text.as_bytes();
    let before = group.start.checked_sub(1).map(|index| bytes[index]);
    let is_digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let joins = |byte: Option<u8>| matches!(byte, Some(b'.' | b'-' | b'_'));
    let digit_before = joins(before) && group.start >= 2 && is_digit(group.start - 2);
    let digit_behind = joins(bytes.get(group.end).copied()) && is_digit(group.end + 1);
    !matches!(before, Some(b'/')) && !digit_before && !digit_behind
}

fn is_card(text: &str, groups: &[Group]) -> bool {
    let mut digits = [0_u8; DIGITS_MAX];
    let mut length = 0;
    for byte in groups.iter().flat_map(|group| &text.as_bytes()[group.start..group.end]) {
        let Some(place) = digits.get_mut(length) else { return false };
        *place = byte - b'0';
        length += 1;
    }
    let digits = &digits[..length];
    if length < DIGITS_MIN {
        return false;
    }
    let issuer = digits[..6].iter().fold(0, |number, digit| number * 10 + u32::from(*digit));
    ISSUERS.iter().any(|(range, lengths)| range.contains(&issuer) && lengths.contains(&length)) && has_luhn(digits)
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1).
pub(super) fn has_luhn(digits: &[u8]) -> bool {
    let weigh = |(place, digit): (usize, &u8)| match place % 2 {
        0 => u32::from(*digit),
        _ => u32::from(digit * 2 / 10 + digit * 2 % 10),
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::super::check as check_detector;
    use super::*;

    #[track_caller]
    fn found(text: &str, numbers: &[&str]) {
        let expected: Vec<(&str, &str)> = numbers.iter().map(|number| ("card_number", *number)).collect();
        check_detector(Detector::CardNumber, text, &expected);
    }

    /// The numbers that payment services publish for tests, one or more of each issuer.
    const NUMBERS: [&str; 14] = [
        "4111111111111111",
        "4242424242424242",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "30569309025904",
        "36227206271667",
        "3566002020360505",
        "6200000000000005",
        "2200000000000004",
        "6205500000000000004",
    ];

    #[test]
    fn numbers_are_found() {
        for number in NUMBERS {
            found(number, &[number]);
            found(&format!("my card is {number}, thanks"), &[number]);
            found(&format!("card={number};exp=12/29"), &[number]);
            found(&format!("\"{number}\"."), &[number]);
        }
    }

    #[test]
    fn groups_are_found() {
        for number in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111.1111.1111.1111",
            "4111  1111  1111  1111",
            "3782 822463 10005",
            "3056 930902 5904",
        ] {
            found(number, &[number]);
            found(&format!("pay 12 with {number} 12/29 123"), &[number]);
        }
        found("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", &["4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"]);
        found("41 11-11 11", &[]);
        found("41111 11111 11111 1", &["41111 11111 11111 1"]);
        found("5555 5555 5555 4444 4111 1111 1111 1111", &["5555 5555 5555 4444", "4111 1111 1111 1111"]);
    }

    #[test]
    fn wrong_digits_are_let_be() {
        for number in NUMBERS {
            let last = number.as_bytes()[number.len() - 1] - b'0';
            found(&format!("{}{}", &number[..number.len() - 1], (last + 1) % 10), &[]);
        }
        found("0000 0000 0000 0000", &[]);
        found("1234567812345670", &[]);
    }

    #[test]
    fn parts_of_other_things_are_let_be() {
        let number = NUMBERS[0];
        for text in [
            format!("a{number}"),
            format!("{number}b"),
            format!("0.{number}"),
            format!("{number}.5"),
            format!("1{number}"),
            format!("ORD-{number}"),
            format!("{number}-de"),
            format!("https://x.com/i/status/{number}"),
            format!("_{number}"),
            format!("é{number}"),
        ] {
            found(&text, &[]);
        }
    }

    #[test]
    fn each_issuer_has_six_digits_in_order() {
        for (range, lengths) in ISSUERS {
            assert!(*range.start() >= 100_000 && range.end() <= &999_999 && range.start() <= range.end());
            assert!(lengths.iter().all(|length| (DIGITS_MIN..=DIGITS_MAX).contains(length)));
        }
    }
}
