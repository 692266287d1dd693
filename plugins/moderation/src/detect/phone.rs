//! Finds telephone numbers in the international form (E.164): `+`, a country that exists, and digits. Numbers without a
//! country are let be: nobody can tell them from other numbers.

use super::{Detector, Found, ends_word};

/// The fewest digits with the country's.
pub(super) const DIGITS_MIN: usize = 8;
/// The most.
const DIGITS_MAX: usize = 15;

/// The calling codes of one, two and three digits.
const ONE: &[u16] = &[1, 7];
const TWO: &[u16] = &[
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62,
    63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];
/// Each of these tens is given to countries of three digits, as a whole or nearly.
const THREE_TENS: &[u16] =
    &[21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99];

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    for start in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'+').map(|(index, _)| index) {
        if let Some(end) = number_at(text, start) {
            found.push(Found { detector: Detector::PhoneNumber, name: "phone_number", range: start..end });
        }
    }
}

fn number_at(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    // `1+1`, `C++11`, `a+b`.
    let joins = |byte: u8| super::is_word(byte) || matches!(byte, b'+' | b')' | b'$');
    if super::before(text, start).is_some_and(joins) {
        return None;
    }
    let mut digits = [0_u8; DIGITS_MAX];
    let (mut length, mut end, mut separators) = (0, start, 0);
    for (index, byte) in bytes.iter().enumerate().skip(start + 1) {
        match byte {
            b'0'..=b'9' => {
                // A longer number is another thing.
                *digits.get_mut(length)? = byte - b'0';
                (length, end, separators) = (length + 1, index + 1, 0);
            }
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' if separators < 2 && length > 0 => separators += 1,
            _ => break,
        }
    }
    let digits = &digits[..length];
    let distinct = digits.iter().fold(0_u16, |seen, digit| seen | 1 << digit).count_ones();
    (length >= DIGITS_MIN && distinct >= 3 && has_country(digits) && ends_word(text, end)).then_some(end)
}

fn has_country(digits: &[u8]) -> bool {
    let number = |length: usize| digits[..length].iter().fold(0_u16, |number, digit| number * 10 + u16::from(*digit));
    if digits[0] == 1 {
        // The North American plan: areas and exchanges begin with 2 to 9.
        return digits.len() == 11 && digits[1] >= 2 && digits[4] >= 2;
    }
    ONE.contains(&number(1)) && digits.len() == 11 || TWO.contains(&number(2)) || THREE_TENS.contains(&number(2))
}

#[cfg(test)]
mod tests {
    use super::super::check as check_detector;
    use super::*;

    #[track_caller]
    fn found(text: &str, numbers: &[&str]) {
        let expected: Vec<(&str, &str)> = numbers.iter().map(|number| ("phone_number", *number)).collect();
        check_detector(Detector::PhoneNumber, text, &expected);
    }

    #[test]
    fn numbers_are_found() {
        for number in [
            "+4930901820",
            "+49 30 901820",
            "+49 (0)30 901820",
            "+1 212-555-0123",
            "+1 (212) 555-0123",
            "+33 1 23 45 67 89",
            "+358 9 1234567",
            "+7 495 123-45-67",
        ] {
            found(&format!("call {number}, please"), &[number]);
            found(&format!("tel:{number}"), &[number]);
        }
    }

    #[test]
    fn others_are_let_be() {
        for text in [
            "1+4930901820",
            "C++4930901820",
            "+100000000",
            "+1 000 000 0000",
            "+12345678",
            "+4930901820123456",
            "+49",
            "+ 49 30 901820",
            "030 901820",
            "+0123456789",
            "+4930901820a",
            "+1 point, +2 points",
            "+99 % in 2024",
            "+ + + +",
        ] {
            found(text, &[]);
        }
    }
}
