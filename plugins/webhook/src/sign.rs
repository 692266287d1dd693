//! What cannot be guessed or forged: tokens, their hashes, signatures. Knows no route.

use hmac::{Hmac, KeyInit, Mac};
use plexichat::error::{PluginError, Result};
use plexichat::secret::Secret;
use sha2::{Digest, Sha256};

/// How far the clock of a sender may be off, and how long a signed call can be sent again, in seconds.
pub(crate) const SKEW: i64 = 300;

/// This many random bytes, in hexadecimal.
pub(crate) fn random(bytes: usize) -> Result<String> {
    let mut found = vec![0; bytes];
    getrandom::fill(&mut found).map_err(|error| PluginError::transient(format!("no randomness: {error}")))?;
    Ok(hexadecimal(&found))
}

/// What is kept of a token: whoever reads it cannot use it.
pub(crate) fn digest(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// Whether a token is the one of this hash, in a time that tells nothing of it.
pub(crate) fn is_token(token: &str, digest_of_it: &str) -> bool {
    Secret::new(digest(token)) == Secret::new(digest_of_it)
}

/// The signature of these parts, one behind the other, in hexadecimal.
pub(crate) fn signature(secret: &str, parts: &[&[u8]]) -> String {
    // A key of any length will do, so there is nothing to go wrong.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    for part in parts {
        mac.update(part);
    }
    hexadecimal(&mac.finalize().into_bytes())
}

/// Whether one of the headers that senders use signs this body:
///
/// | header | what is signed | sent by |
/// |---|---|---|
/// | `X-PlexiChat-Signature: sha256=…` | `X-PlexiChat-Timestamp`, `.`, body | this plugin's outgoing hooks |
/// | `X-Hub-Signature-256: sha256=…` | body | GitHub and many others |
/// | `X-Grafana-Alerting-Signature: …` | body | Grafana |
pub(crate) fn is_signed<'a>(secret: &str, body: &[u8], now: i64, header: impl Fn(&str) -> Option<&'a str>) -> bool {
    let fits = |given: &str, parts: &[&[u8]]| {
        let given = given.trim().to_ascii_lowercase();
        let given = given.strip_prefix("sha256=").unwrap_or(&given);
        let expected = signature(secret, parts);
        !expected.is_empty() && Secret::new(given) == Secret::new(expected)
    };
    if let (Some(given), Some(time)) = (header("x-plexichat-signature"), header("x-plexichat-timestamp")) {
        let is_new = time.trim().parse::<i64>().is_ok_and(|time| now.saturating_sub(time).saturating_abs() <= SKEW);
        return is_new && fits(given, &[time.trim().as_bytes(), b".", body]);
    }
    ["x-hub-signature-256", "x-grafana-alerting-signature"]
        .into_iter()
        .find_map(header)
        .is_some_and(|given| fits(given, &[body]))
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello, World!";
    const SECRET: &str = "It's a Secret to Everybody";
    /// The value that GitHub's documentation gives for these two.
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: bool) {
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        assert_eq!(is_signed(SECRET, BODY, 1_000, header), expected, "{headers:?}");
    }

    #[test]
    fn signatures_of_three_kinds() {
        check(&[("x-hub-signature-256", &format!("sha256={SIGNATURE}"))], true);
        check(&[("x-hub-signature-256", &format!("sha256={}", SIGNATURE.to_uppercase()))], true);
        check(&[("x-grafana-alerting-signature", SIGNATURE)], true);
        check(&[("x-hub-signature-256", "sha256=757107")], false);
        check(&[("x-hub-signature-256", "")], false);
        check(&[], false);
        for (time, expected) in [("1000", true), ("701", true), ("699", false), ("1301", false), ("soon", false)] {
            let signed = format!("sha256={}", signature(SECRET, &[time.as_bytes(), b".", BODY]));
            check(&[("x-plexichat-signature", &signed), ("x-plexichat-timestamp", time)], expected);
        }
        // Whoever says a time must have signed it.
        check(&[("x-plexichat-signature", &format!("sha256={SIGNATURE}")), ("x-plexichat-timestamp", "1000")], false);
    }

    #[test]
    fn tokens_are_known_by_their_hash() {
        let token = random(24).unwrap();
        assert_eq!(token.len(), 48);
        assert_ne!(token, random(24).unwrap());
        assert!(is_token(&token, &digest(&token)) && !is_token("other", &digest(&token)));
    }
}
