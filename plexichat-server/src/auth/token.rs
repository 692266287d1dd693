//! What a token is made of: 256 random bits that are shown once, and the hash that is kept.

use std::fmt::Write;

use plexichat::secret::Secret;
use sha2::{Digest, Sha256};

/// What each generated token begins with, so that people and scanners of secrets know one when they see it.
pub const TOKEN_PREFIX: &str = "plx_";

/// The longest text that is looked at as a token, in bytes.
pub const TOKEN_MAX: usize = 256;

/// A new token, or another secret that begins so.
///
/// # Errors
/// Where the system gives no random numbers.
pub(crate) fn generate(prefix: &str) -> Result<Secret, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    let mut text = String::with_capacity(prefix.len() + 64);
    text.push_str(prefix);
    for byte in bits {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Secret::new(text))
}

/// What is stored of a token. A slow hash would add nothing: nobody guesses 256 bits.
pub(super) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_after_its_prefix() {
        let token = generate(TOKEN_PREFIX).expect("random numbers");
        let bits = token.expose().strip_prefix("plx_").expect("the prefix");
        assert_eq!(bits.len(), 64);
        assert!(bits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(token.expose(), generate(TOKEN_PREFIX).expect("random numbers").expose());
    }

    #[test]
    fn the_hash_is_sha_256() {
        let hex = hash("abc").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
