//! Hosts as a browser reads them, and which of them look like another. Knows no message.

use unicode_normalization::UnicodeNormalization;

/// A host in the form in which hosts are compared: lower case, compatible forms and percent signs resolved, nothing invisible,
/// `xn--` decoded, no dot at the end. Nothing where it can be no host.
pub(crate) fn normal(text: &str) -> Option<String> {
    let decoded = percent_decoded(text)?;
    let folded: String = decoded
        .nfkc()
        .flat_map(char::to_lowercase)
        .filter(|character| !is_invisible(*character))
        .map(|character| if matches!(character, '。' | '．' | '｡') { '.' } else { character })
        .collect();
    let name = folded.strip_suffix('.').unwrap_or(&folded);
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok().then(|| name.to_owned());
    }
    let mut labels = Vec::new();
    for label in name.split('.') {
        let fits =
            |character: char| character.is_alphanumeric() || matches!(character, '-' | '_') || is_mark(character);
        if label.is_empty() || !label.chars().all(fits) {
            return None;
        }
        let decoded = label.strip_prefix("xn--").map(|code| punycode(code).unwrap_or_else(|| label.to_owned()));
        labels.push(decoded.unwrap_or_else(|| label.to_owned()));
    }
    Some(labels.join("."))
}

/// Why a host looks like another one; nothing where it does not. `host` and `protected` are [`normal`].
pub(crate) fn lookalike<'a>(host: &str, mut protected: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    let likeness = skeleton(host);
    let imitated = protected.any(|real| {
        let is_real = host == real || host.strip_suffix(real).is_some_and(|rest| rest.ends_with('.'));
        let looks = likeness == skeleton(real);
        // `bank.example.other.example` is read as far as the first screen is wide.
        let begins = host.strip_prefix(real).is_some_and(|rest| rest.starts_with('.'));
        !is_real && (looks || begins || host.contains(&format!(".{real}.")))
    });
    if imitated {
        return Some("a host that looks like a protected one");
    }
    if host.is_ascii() {
        return None;
    }
    let last = host.rsplit('.').next().unwrap_or("");
    for label in host.split('.').filter(|label| !label.is_ascii()) {
        let alphabets = label.chars().filter_map(alphabet);
        let (first, mut rest) = {
            let mut alphabets = alphabets;
            (alphabets.next(), alphabets)
        };
        if rest.any(|other| Some(other) != first) {
            return Some("a host with letters of several alphabets in one word");
        }
        let imitates =
            label.chars().all(|character| character.is_ascii_digit() || character == '-' || twin(character).is_some());
        if imitates && last.is_ascii() {
            return Some("a host with letters of another alphabet that look like Latin ones");
        }
    }
    None
}

/// A name with everything replaced that people read as something else.
fn skeleton(host: &str) -> String {
    let plain: String = host
        .nfkd()
        .filter(|character| !is_mark(*character))
        .map(|character| match character {
            '0' => 'o',
            '1' | 'ı' | 'i' => 'l',
            '5' => 's',
            character => twin(character).map_or(character, |twin| if twin == 'i' { 'l' } else { twin }),
        })
        .collect();
    plain.replace("rn", "m").replace("vv", "w")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Cherokee,
}

/// The alphabets that are mixed to deceive; others are mixed by those who write them.
fn alphabet(character: char) -> Option<Alphabet> {
    match character {
        'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Some(Alphabet::Latin),
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Some(Alphabet::Greek),
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}' => Some(Alphabet::Cyrillic),
        '\u{530}'..='\u{58f}' => Some(Alphabet::Armenian),
        '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => Some(Alphabet::Cherokee),
        _ => None,
    }
}

/// The Latin letter that a letter of another alphabet is taken for.
fn twin(character: char) -> Option<char> {
    Some(match character {
        'а' | 'α' => 'a',
        'ь' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ҽ' => 'e',
        'ց' => 'g',
        'һ' | 'հ' => 'h',
        'і' | 'ι' => 'i',
        'ј' | 'ϳ' => 'j',
        'к' | 'κ' => 'k',
        'ӏ' => 'l',
        'м' => 'm',
        'п' | 'ո' | 'η' => 'n',
        'о' | 'ο' | 'օ' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ս' => 'u',
        'ѵ' | 'ν' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        _ => return None,
    })
}

fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
        || (!character.is_ascii() && !character.is_alphanumeric() && is_joined(character))
}

/// Vowel signs and the like, without which words of their script cannot be written.
fn is_joined(character: char) -> bool {
    matches!(character, '\u{900}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3099}'..='\u{309a}' | '\u{b7}' | '\u{30fb}')
}

/// Characters that show nothing; browsers drop them from hosts.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| (digit as char).to_digit(16));
        bytes.push(match byte {
            b'%' => (digit()? * 16 + digit()?) as u8,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Decodes what stands behind `xn--` (RFC 3492).
fn punycode(code: &str) -> Option<String> {
    const BASE: u32 = 36;
    let (basic, extended) = code.rsplit_once('-').unwrap_or(("", code));
    let mut output: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = extended.chars();
    while !digits.as_str().is_empty() {
        let before = i;
        let (mut weight, mut k) = (1_u32, BASE);
        loop {
            let digit = match digits.next()? {
                letter @ 'a'..='z' => u32::from(letter) - u32::from('a'),
                digit @ '0'..='9' => u32::from(digit) - u32::from('0') + 26,
                _ => return None,
            };
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            k += BASE;
        }
        let length = u32::try_from(output.len()).ok()? + 1;
        let mut delta = if before == 0 { i / 700 } else { (i - before) / 2 };
        delta += delta / length;
        let mut shift = 0;
        while delta > 455 {
            delta /= BASE - 1;
            shift += BASE;
        }
        bias = shift + 36 * delta / (delta + 38);
        n = n.checked_add(i / length)?;
        i %= length;
        output.insert(i as usize, char::from_u32(n)?);
        i += 1;
    }
    Some(output.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_normal(text: &str, expected: Option<&str>) {
        assert_eq!(normal(text).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn hosts_are_compared_as_browsers_read_them() {
        check_normal("Example.ORG.", Some("example.org"));
        check_normal("ｅｘａｍｐｌｅ。org", Some("example.org"));
        check_normal("ex%61mple.org", Some("example.org"));
        check_normal("exa\u{ad}mple.org", Some("example.org"));
        check_normal("xn--mnchen-3ya.de", Some("münchen.de"));
        check_normal("xn--80ak6aa92e.com", Some("аррӏе.com"));
        check_normal("xn--fiqs8s", Some("中国"));
        check_normal("xn--!!", None);
        check_normal("127.0.0.1", Some("127.0.0.1"));
        check_normal("[::1]", Some("[::1]"));
        for bad in ["", "a..b", "*.a.org", "https", "a b", "a/b", "[x]", "%zz"] {
            assert!(bad == "https" || normal(bad).is_none(), "{bad:?}");
        }
    }

    #[track_caller]
    fn check(host: &str, expected: Option<&str>) {
        let host = normal(host).expect("a host");
        let found = lookalike(&host, ["paypal.com", "münze.de"].into_iter());
        assert_eq!(found.is_some(), expected.is_some(), "{host}: {found:?}");
        if let Some(part) = expected {
            assert!(found.is_some_and(|found| found.contains(part)), "{host}: {found:?}");
        }
    }

    #[test]
    fn lookalikes_are_seen_through() {
        check("xn--80ak6aa92e.com", Some("look like Latin"));
        check("аррӏе.com", Some("look like Latin"));
        check("gооgle.com", Some("several alphabets"));
        check("xn--ggle-55da.com", Some("several alphabets"));
        check("раураl.com", Some("protected"));
        check("paypa1.com", Some("protected"));
        check("pаypal.com", Some("protected"));
        check("paypal.com.evil.example", Some("protected"));
        check("login.paypal.com.evil.example", Some("protected"));
        check("munze.de", Some("protected"));
    }

    #[test]
    fn honest_hosts_pass() {
        for host in [
            "paypal.com",
            "www.paypal.com",
            "münze.de",
            "example.org",
            "xn--mnchen-3ya.de",
            "президент.рф",
            "почта.com",
            "ελλάδα.gr",
            "中国.cn",
            "ばあ.jp",
            "한국.kr",
            "हिन्दी.in",
            "notpaypal.com",
            "127.0.0.1",
        ] {
            check(host, None);
        }
    }
}
