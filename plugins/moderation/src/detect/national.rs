//! Finds national ids whose check digits and structure make them certain; one function each. Ids with one weak check digit,
//! or none, are left out.

use std::ops::RangeInclusive;

use super::{Detector, Found, begins_word, ends_word};

/// The fewest digits of any: an Italian tax code has seven.
pub(super) const DIGITS_MIN: usize = 7;

/// The shortest and the longest of all as they are written, with separators.
const LENGTHS: RangeInclusive<usize> = 11..=18;

/// Whether this word is one; its letters are upper-case.
type Is = fn(&[u8]) -> bool;

const KINDS: &[(&str, Is)] = &[
    ("brazilian_cpf", is_cpf),
    ("chinese_resident_id", is_resident_id),
    ("finnish_personal_id", is_hetu),
    ("french_social_security_number", is_nir),
    ("italian_tax_code", is_codice_fiscale),
];

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+');
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(|byte| is_part(*byte)) {
            at += 1;
        }
        let run = text[start..at].trim_end_matches(['-', '.', '+']);
        let end = start + run.len();
        if !LENGTHS.contains(&run.len()) || !begins_word(text, start) || !ends_word(text, end) {
            continue;
        }
        let word = run.to_ascii_uppercase();
        if let Some((name, _)) = KINDS.iter().find(|(_, is)| is(word.as_bytes())) {
            found.push(Found { detector: Detector::NationalId, name, range: start..end });
        }
    }
}

fn digits(word: &[u8]) -> Option<Vec<u32>> {
    word.iter().map(|byte| byte.is_ascii_digit().then(|| u32::from(byte - b'0'))).collect()
}

fn is_date(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// `000.000.000-00`: two check digits modulo 11. Without the separators it is any number of eleven digits.
fn is_cpf(word: &[u8]) -> bool {
    if word.len() != 14 || word[3] != b'.' || word[7] != b'.' || word[11] != b'-' {
        return false;
    }
    let plain: Vec<u8> = word.iter().copied().filter(u8::is_ascii_digit).collect();
    let Some(digits) = digits(&plain).filter(|digits| digits.len() == 11) else { return false };
    let check = |length: usize| {
        let sum: u32 =
            digits[..length].iter().zip((2..=length as u32 + 1).rev()).map(|(digit, weight)| digit * weight).sum();
        sum * 10 % 11 % 10 == digits[length]
    };
    digits.iter().any(|digit| *digit != digits[0]) && check(9) && check(10)
}

/// Eighteen characters: region, date of birth, number, and a check character modulo 11 (ISO 7064).
fn is_resident_id(word: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    if word.len() != 18 {
        return false;
    }
    let Some(digits) = digits(&word[..17]) else { return false };
    let number = |range: std::ops::Range<usize>| digits[range].iter().fold(0, |number, digit| number * 10 + digit);
    let born = (1900..=2099).contains(&number(6..10)) && is_date(number(10..12), number(12..14));
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    born && (11..=82).contains(&number(0..2)) && CHECKS[(sum % 11) as usize] == word[17]
}

/// `DDMMYY-NNNC`: the date of birth, a sign for the century, and a check character modulo 31.
fn is_hetu(word: &[u8]) -> bool {
    const CHECKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    if word.len() != 11 || !matches!(word[6], b'-' | b'+' | b'A'..=b'F' | b'U'..=b'Y') {
        return false;
    }
    let (Some(date), Some(number)) = (digits(&word[..6]), digits(&word[7..10])) else { return false };
    let whole = date.iter().chain(&number).fold(0, |whole, digit| whole * 10 + digit);
    is_date(date[2] * 10 + date[3], date[0] * 10 + date[1]) && CHECKS[(whole % 31) as usize] == word[10]
}

/// Fifteen characters: sex, year and month of birth, place, number, and two check digits modulo 97.
fn is_nir(word: &[u8]) -> bool {
    if word.len() != 15 || !matches!(word[0], b'1' | b'2') {
        return false;
    }
    // Corsica has letters for its two departments.
    let (place, less) = match &word[5..7] {
        b"2A" => (*b"19", 0),
        b"2B" => (*b"18", 0),
        other => ([other[0], other[1]], 0_u64),
    };
    let mut plain = word.to_vec();
    plain[5..7].copy_from_slice(&place);
    let Some(digits) = digits(&plain) else { return false };
    let month = digits[3] * 10 + digits[4];
    let whole = digits[..13].iter().fold(0_u64, |whole, digit| whole * 10 + u64::from(*digit)) - less;
    let check = u64::from(digits[13] * 10 + digits[14]);
    matches!(month, 1..=12 | 20 | 30..=42 | 50..=99) && 97 - whole % 97 == check
}

/// Sixteen characters: name, year, month and day of birth, place, and a check letter modulo 26.
fn is_codice_fiscale(word: &[u8]) -> bool {
    const SHAPE: &[u8; 16] = b"aaaaaanndnnannna";
    const MONTHS: &[u8] = b"ABCDEHLMPRST";
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let fits = |(byte, kind): (&u8, &u8)| match kind {
        b'a' => byte.is_ascii_uppercase(),
        b'd' => MONTHS.contains(byte),
        _ => byte.is_ascii_digit(),
    };
    if word.len() != 16 || !word.iter().zip(SHAPE).all(fits) {
        return false;
    }
    let value = |(place, byte): (usize, &u8)| {
        let value = u32::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' });
        // Places are counted from one.
        if place % 2 == 0 { ODD[value as usize] } else { value }
    };
    let sum: u32 = word[..15].iter().enumerate().map(value).sum();
    sum % 26 == u32::from(word[15] - b'A')
}

#[cfg(test)]
mod tests {
    use super::super::check as check_detector;
    use super::*;

    #[track_caller]
    fn found(text: &str, expected: &[(&str, &str)]) {
        check_detector(Detector::NationalId, text, expected);
    }

    /// The examples that authorities and encyclopedias publish.
    const EXAMPLES: [(&str, &str); 6] = [
        ("brazilian_cpf", "529.982.247-25"),
        ("chinese_resident_id", "11010519491231002X"),
        ("finnish_personal_id", "131052-308T"),
        ("french_social_security_number", "255081416802538"),
        ("italian_tax_code", "RSSMRA85T10A562S"),
        ("italian_tax_code", "MRTMTT91D08F205J"),
    ];

    #[test]
    fn ids_are_found() {
        for (name, id) in EXAMPLES {
            found(id, &[(name, id)]);
            found(&format!("my id: {id}, thanks."), &[(name, id)]);
        }
    }

    #[test]
    fn a_wrong_character_makes_it_another_thing() {
        for (_, id) in EXAMPLES {
            for place in [id.len() - 1, id.len() - 2] {
                let mut wrong = id.as_bytes().to_vec();
                wrong[place] = if wrong[place] == b'3' { b'4' } else { b'3' };
                found(std::str::from_utf8(&wrong).expect("ASCII"), &[]);
            }
            found(&format!("x{id}"), &[]);
            found(&format!("{id}9"), &[]);
        }
        found("111.111.111-11", &[]);
    }
}
