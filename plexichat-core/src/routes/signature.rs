//! Whether a call is signed with the plugin's secret. Knows no request of HTTP and no clock.

use sha2::{Digest, Sha256};

use crate::plugin::interface::Signature;
use crate::secret::Secret;

/// How many bytes SHA-256 takes at a time.
const BLOCK: usize = 64;

/// Why a call counts as not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The header is not there.
    #[error("the request is not signed: the header `{0}` is missing")]
    Missing(&'static str),
    /// The header has another shape.
    #[error("the header `{0}` is no signature: `{1}` and 64 hexadecimal digits are expected")]
    Shape(&'static str, &'static str),
    /// The time is none.
    #[error("the header `{0}` is no time in seconds since 1970")]
    Time(&'static str),
    /// The time is too far from ours.
    #[error("the request was signed {0} s away from now, and {1} s are let pass")]
    Old(u64, u64),
    /// Another secret, or another text.
    #[error("the signature does not fit the request")]
    Wrong,
}

/// Checks a call with this body at this time, in seconds since 1970. The comparison takes the same time whatever differs.
///
/// # Errors
/// Why it counts as not signed.
pub fn check_signature<'h>(
    signature: &Signature,
    secret: &Secret,
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    let said = header(signature.header).ok_or(SignatureError::Missing(signature.header))?.trim();
    let shape = SignatureError::Shape(signature.header, signature.prefix);
    let said = said.strip_prefix(signature.prefix).and_then(digits).ok_or(shape)?;
    let expected = match signature.timestamp {
        None => hmac(secret.expose().as_bytes(), &[body]),
        Some(name) => {
            let time = header(name).ok_or(SignatureError::Missing(name))?.trim();
            let seconds: i64 = time.parse().map_err(|_| SignatureError::Time(name))?;
            let away = seconds.abs_diff(now);
            if away > signature.tolerance.as_secs() {
                return Err(SignatureError::Old(away, signature.tolerance.as_secs()));
            }
            let (before, after) = signature.text.split_once("{body}").unwrap_or((signature.text, ""));
            let (before, after) = (before.replace("{timestamp}", time), after.replace("{timestamp}", time));
            hmac(secret.expose().as_bytes(), &[before.as_bytes(), body, after.as_bytes()])
        }
    };
    let difference = expected.iter().zip(said).fold(0, |difference, (one, other)| difference | (one ^ other));
    if difference == 0 { Ok(()) } else { Err(SignatureError::Wrong) }
}

/// The bytes that 64 hexadecimal digits mean.
fn digits(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

/// HMAC (RFC 2104) with SHA-256 of these parts, one after the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    match key.len() > BLOCK {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let begin = |pad: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ pad));
    let mut inner = begin(0x36);
    parts.iter().for_each(|part| inner.update(part));
    begin(0x5c).chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn it_is_the_hmac_of_the_standard() {
        // RFC 4231, cases 2 and 6.
        let found = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&found), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let found = hmac(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(&found), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    const SIGNATURE: Signature = Signature::hmac_sha256("x-sign", "/secret").prefix("sha256=");

    #[track_caller]
    fn check(signature: &Signature, headers: &[(&str, &str)], expected: Result<(), SignatureError>) {
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let secret = Secret::new("It's a Secret to Everybody");
        assert_eq!(check_signature(signature, &secret, header, b"Hello, World!", 1_000), expected);
    }

    #[test]
    fn only_the_secret_makes_a_signature() {
        // GitHub's own example.
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        check(&SIGNATURE, &[("x-sign", good)], Ok(()));
        check(&SIGNATURE, &[], Err(SignatureError::Missing("x-sign")));
        let shape = Err(SignatureError::Shape("x-sign", "sha256="));
        check(&SIGNATURE, &[("x-sign", &good[7..])], shape.clone());
        check(&SIGNATURE, &[("x-sign", &good[..70])], shape.clone());
        check(&SIGNATURE, &[("x-sign", "sha256=")], shape);
        check(&SIGNATURE, &[("x-sign", &good.replace('7', "8"))], Err(SignatureError::Wrong));
    }

    #[test]
    fn an_old_signature_counts_no_more() {
        let signature = SIGNATURE.timestamp("x-time", "v0:{timestamp}:{body}");
        let signed = |time: &str| {
            let text = format!("v0:{time}:Hello, World!");
            format!("sha256={}", hex(&hmac(b"It's a Secret to Everybody", &[text.as_bytes()])))
        };
        check(&signature, &[("x-sign", &signed("1000")), ("x-time", "1000")], Ok(()));
        check(&signature, &[("x-sign", &signed("1300")), ("x-time", "1300")], Ok(()));
        check(&signature, &[("x-sign", &signed("699")), ("x-time", "699")], Err(SignatureError::Old(301, 300)));
        check(&signature, &[("x-sign", &signed("1000")), ("x-time", "1001")], Err(SignatureError::Wrong));
        check(&signature, &[("x-sign", &signed("1000"))], Err(SignatureError::Missing("x-time")));
        check(&signature, &[("x-sign", &signed("now")), ("x-time", "now")], Err(SignatureError::Time("x-time")));
    }
}
