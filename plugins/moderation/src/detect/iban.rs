//! Finds IBANs: country, length and structure of that country's account numbers, and the check digits (ISO 13616, mod 97).

use super::{Detector, Found, begins_word, ends_word};

/// The fewest digits of any: two of the check, and those of the shortest account number.
pub(super) const DIGITS_MIN: usize = 8;

/// The structure behind country and check digits, as the registry writes it: `4a14n` for four letters and fourteen digits,
/// `c` for either.
const COUNTRIES: &[(&str, &str)] = &[
    ("AD", "8n12c"),
    ("AE", "19n"),
    ("AL", "8n16c"),
    ("AT", "16n"),
    ("AZ", "4a20c"),
    ("BA", "16n"),
    ("BE", "12n"),
    ("BG", "4a6n8c"),
    ("BH", "4a14c"),
    ("BR", "23n1a1c"),
    ("BY", "4c4n16c"),
    ("CH", "5n12c"),
    ("CR", "18n"),
    ("CY", "8n16c"),
    ("CZ", "20n"),
    ("DE", "18n"),
    ("DK", "14n"),
    ("DO", "4c20n"),
    ("EE", "16n"),
    ("EG", "25n"),
    ("ES", "20n"),
    ("FI", "14n"),
    ("FO", "14n"),
    ("FR", "10n11c2n"),
    ("GB", "4a14n"),
    ("GE", "2a16n"),
    ("GI", "4a15c"),
    ("GL", "14n"),
    ("GR", "7n16c"),
    ("GT", "4c20c"),
    ("HR", "17n"),
    ("HU", "24n"),
    ("IE", "4a14n"),
    ("IL", "19n"),
    ("IQ", "4a15n"),
    ("IS", "22n"),
    ("IT", "1a10n12c"),
    ("JO", "4a4n18c"),
    ("KW", "4a22c"),
    ("KZ", "3n13c"),
    ("LB", "4n20c"),
    ("LC", "4a24c"),
    ("LI", "5n12c"),
    ("LT", "16n"),
    ("LU", "3n13c"),
    ("LV", "4a13c"),
    ("MC", "10n11c2n"),
    ("MD", "20c"),
    ("ME", "18n"),
    ("MK", "3n10c2n"),
    ("MR", "23n"),
    ("MT", "4a5n18c"),
    ("MU", "4a19n3a"),
    ("NL", "4a10n"),
    ("NO", "11n"),
    ("PK", "4a16c"),
    ("PL", "24n"),
    ("PS", "4a21c"),
    ("PT", "21n"),
    ("QA", "4a21c"),
    ("RO", "4a16c"),
    ("RS", "18n"),
    ("SA", "2n18c"),
    ("SC", "4a20n3a"),
    ("SE", "20n"),
    ("SI", "15n"),
    ("SK", "20n"),
    ("SM", "1a10n12c"),
    ("ST", "21n"),
    ("SV", "4a20n"),
    ("TL", "19n"),
    ("TN", "20n"),
    ("TR", "5n1n16c"),
    ("UA", "6n19c"),
    ("VA", "18n"),
    ("VG", "4a16n"),
    ("XK", "16n"),
];

/// The longest of all.
const LENGTH_MAX: usize = 34;

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let mut done = 0;
    for (at, start) in text.as_bytes().windows(4).enumerate() {
        let [first, second, third, fourth] = start else { continue };
        // The check digits first: most of what people write has none.
        let is_start = fourth.is_ascii_digit()
            && third.is_ascii_digit()
            && second.is_ascii_alphabetic()
            && first.is_ascii_alphabetic();
        if is_start
            && at >= done
            && let Some(end) = iban_at(text, at)
        {
            found.push(Found { detector: Detector::Iban, name: "iban", range: at..end });
            done = end;
        }
    }
}

/// Where the IBAN ends that begins here.
fn iban_at(text: &str, start: usize) -> Option<usize> {
    if !begins_word(text, start) {
        return None;
    }
    let bytes = text.as_bytes();
    let country = [bytes[start].to_ascii_uppercase(), bytes[start + 1].to_ascii_uppercase()];
    let index = COUNTRIES.binary_search_by(|(name, _)| name.as_bytes().cmp(&country)).ok()?;
    let mut characters = [0; LENGTH_MAX];
    let wanted = 4 + structure(COUNTRIES[index].1).map(|(count, _)| count).sum::<usize>();
    let (mut at, mut length) = (start, 0);
    while length < wanted {
        match *bytes.get(at)? {
            byte if byte.is_ascii_alphanumeric() => {
                characters[length] = byte.to_ascii_uppercase();
                length += 1;
            }
            // One separator between groups.
            b' ' | b'-' | b'.' if bytes[at - 1].is_ascii_alphanumeric() => {}
            _ => return None,
        }
        at += 1;
    }
    let characters = &characters[..wanted];
    let fits = ends_word(text, at) && has_structure(&characters[2..], COUNTRIES[index].1) && remainder(characters) == 1;
    fits.then_some(at)
}

/// The parts of a structure: how many, of what.
fn structure(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut count = 0;
    text.bytes().filter_map(move |byte| {
        if byte.is_ascii_digit() {
            count = count * 10 + usize::from(byte - b'0');
            return None;
        }
        Some((std::mem::take(&mut count), byte))
    })
}

/// Whether the check digits are digits and what follows has the country's structure.
fn has_structure(characters: &[u8], country: &str) -> bool {
    let mut kinds =
        [(2, b'n')].into_iter().chain(structure(country)).flat_map(|(count, kind)| std::iter::repeat_n(kind, count));
    characters.iter().all(|character| match kinds.next() {
        Some(b'n') => character.is_ascii_digit(),
        Some(b'a') => character.is_ascii_uppercase(),
        Some(_) => true,
        None => false,
    })
}

/// The number that the characters make, those of country and check behind the others and letters as 10 to 35, modulo 97.
fn remainder(characters: &[u8]) -> u32 {
    characters[4..].iter().chain(&characters[..4]).fold(0, |remainder, character| match character {
        b'0'..=b'9' => (remainder * 10 + u32::from(character - b'0')) % 97,
        _ => (remainder * 100 + u32::from(character - b'A') + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::super::check as check_detector;
    use super::*;

    #[track_caller]
    fn found(text: &str, ibans: &[&str]) {
        let expected: Vec<(&str, &str)> = ibans.iter().map(|iban| ("iban", *iban)).collect();
        check_detector(Detector::Iban, text, &expected);
    }

    /// The registry's examples.
    const EXAMPLES: &[&str] = &[
        "AD1200012030200359100100",
        "AE070331234567890123456",
        "AT611904300234573201",
        "BE68539007547034",
        "BG80BNBG96611020345678",
        "BR1800360305000010009795493C1",
        "CH9300762011623852957",
        "CY17002001280000001200527600",
        "CZ6508000000192000145399",
        "DE89370400440532013000",
        "DK5000400440116243",
        "EE382200221020145685",
        "ES9121000418450200051332",
        "FI2112345600000785",
        "FR1420041010050500013M02606",
        "GB29NWBK60161331926819",
        "GI75NWBK000000007099453",
        "GR1601101250000000012300695",
        "HR1210010051863000160",
        "HU42117730161111101800000000",
        "IE29AIBK93115212345678",
        "IL620108000000099999999",
        "IS140159260076545510730339",
        "IT60X0542811101000000123456",
        "KW81CBKU0000000000001234560101",
        "KZ86125KZT5004100100",
        "LB62099900000001001901229114",
        "LI21088100002324013AA",
        "LT121000011101001000",
        "LU280019400644750000",
        "LV80BANK0000435195001",
        "MC5811222000010123456789030",
        "ME25505000012345678951",
        "MT84MALT011000012345MTLCAST001S",
        "NL91ABNA0417164300",
        "NO9386011117947",
        "PL61109010140000071219812874",
        "PT50000201231234567890154",
        "RO49AAAA1B31007593840000",
        "RS35260005601001611379",
        "SA0380000000608010167519",
        "SE4550000000058398257466",
        "SI56263300012039086",
        "SK3112000000198742637541",
        "SM86U0322509800000000270100",
        "TN5910006035183598478831",
        "TR330006100519786457841326",
        "UA213223130000026007233566001",
    ];

    fn grouped(iban: &str, separator: &str) -> String {
        let groups: Vec<&str> =
            iban.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).expect("ASCII")).collect();
        groups.join(separator)
    }

    #[test]
    fn ibans_are_found() {
        for iban in EXAMPLES {
            found(iban, &[iban]);
            found(&format!("to {iban}, please"), &[iban]);
            for separator in [" ", "-"] {
                let grouped = grouped(iban, separator);
                found(&format!("IBAN: {grouped}\nBIC: X"), &[&grouped]);
            }
            let lower = iban.to_lowercase();
            found(&format!("to {lower}."), &[&lower]);
        }
        found(
            "DE89 3704 0044 0532 0130 00 and GB29 NWBK 6016 1331 9268 19",
            &["DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19"],
        );
    }

    #[test]
    fn others_are_let_be() {
        found("DE88370400440532013000", &[]);
        found("DE8937040044053201300", &[]);
        found("DE893704004405320130001", &[]);
        found("XDE89370400440532013000", &[]);
        found("GB2912346016133192681900", &[]);
        found("de89 and so on, at 12 34 56", &[]);
        found("ZZ89370400440532013000", &[]);
    }

    #[test]
    fn the_table_is_in_order_and_fits() {
        assert!(COUNTRIES.is_sorted());
        for (country, text) in COUNTRIES {
            let length = 4 + structure(text).map(|(count, _)| count).sum::<usize>();
            assert!((15..=LENGTH_MAX).contains(&length), "{country}");
        }
    }
}
