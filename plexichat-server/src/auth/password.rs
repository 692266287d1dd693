//! Passwords: what may be one, and the slow hash of it, off the threads that serve. Knows no account.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use plexichat::secret::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

/// The fewest characters of a password.
pub const PASSWORD_MIN: usize = 8;
/// The most characters of a password.
pub const PASSWORD_MAX: usize = 256;

/// Memory in KiB, passes and lanes of argon2id: what OWASP asks for at least.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// How long somebody waits for a place: each takes a core and 19 MiB.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the password of somebody who has none is held against, so that it takes as long. Nothing hashes to it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyBpdCA6KQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password was not taken or not looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")]
    Length,
    /// Everybody would try it first.
    #[error("a password is not the name of its account")]
    IsName,
    /// Too many wait.
    #[error("too many passwords are being looked at")]
    Busy,
    /// The machine does not do it.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
}

/// Hashes passwords, as many at a time as there are cores.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { places: Arc::new(Semaphore::new(cores)) }
    }
}

impl Passwords {
    /// The PHC string of a password for an account of this name.
    ///
    /// # Errors
    /// [`PasswordError`].
    ///
    /// # Cancel safety
    /// Cancel safe; a hash that was begun keeps its core until it is done.
    pub(super) async fn hash(&self, name: &str, password: &Secret) -> Result<String, PasswordError> {
        check(name, password)?;
        let password = normal(password);
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| PasswordError::Failed(error.to_string()))?;
        self.off_the_threads(move || {
            let hash = argon2().and_then(|argon2| argon2.hash_password_with_salt(password.expose().as_bytes(), &salt));
            hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Failed(error.to_string()))
        })
        .await
    }

    /// Whether it is the password of this PHC string. Without one the answer is no, and takes as long.
    ///
    /// # Errors
    /// [`PasswordError::Busy`], and where the string is none.
    ///
    /// # Cancel safety
    /// Cancel safe; a hash that was begun keeps its core until it is done.
    pub(super) async fn verify(&self, hash: Option<String>, password: &Secret) -> Result<bool, PasswordError> {
        // What cannot be anybody's password costs nothing to refuse, and its length says nothing of anybody.
        if password.expose().chars().count() > PASSWORD_MAX {
            return Ok(false);
        }
        let password = normal(password);
        self.off_the_threads(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
            let verified = argon2().and_then(|argon2| argon2.verify_password(password.expose().as_bytes(), &*hash));
            match verified {
                Ok(()) => Ok(known),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(PasswordError::Failed(error.to_string())),
            }
        })
        .await
    }

    async fn off_the_threads<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.place().await?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        });
        done.await.unwrap_or_else(|error| Err(PasswordError::Failed(error.to_string())))
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        match tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(PasswordError::Busy),
        }
    }
}

/// Whether it may be the password of an account of this name.
pub(super) fn check(name: &str, password: &Secret) -> Result<(), PasswordError> {
    let password = password.expose();
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    if password.trim().to_lowercase() == name.trim().to_lowercase() {
        return Err(PasswordError::IsName);
    }
    Ok(())
}

/// Keyboards write one letter in several ways: in its normal form it is one.
fn normal(password: &Secret) -> Secret {
    Secret::new(password.expose().nfkc().collect::<String>())
}

fn argon2() -> argon2::password_hash::Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[track_caller]
    fn check_rule(name: &str, password: &str, expected: Result<(), PasswordError>) {
        assert_eq!(check(name, &Secret::new(password)), expected, "{password:?}");
    }

    #[test]
    fn what_may_be_a_password() {
        check_rule("ann", "12345678", Ok(()));
        check_rule("ann", "1234567", Err(PasswordError::Length));
        check_rule("ann", "pässwört", Ok(()));
        check_rule("ann", &"ü".repeat(256), Ok(()));
        check_rule("ann", &"ü".repeat(257), Err(PasswordError::Length));
        check_rule("annabella", "AnnaBella", Err(PasswordError::IsName));
        check_rule("annabella", " annabella ", Err(PasswordError::IsName));
    }

    #[tokio::test]
    async fn a_hash_says_how_it_was_made_and_knows_its_password() {
        let passwords = Passwords::default();
        let password = Secret::new("correct horse");
        let hash = passwords.hash("ann", &password).await.expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("ann", &password).await.expect("hashes"), "each has its own salt");
        assert_eq!(passwords.verify(Some(hash.clone()), &password).await, Ok(true));
        assert_eq!(passwords.verify(Some(hash.clone()), &Secret::new("correct horsf")).await, Ok(false));
        assert_eq!(passwords.verify(None, &password).await, Ok(false));
        // A letter and its accent, or both in one.
        let hash = passwords.hash("ann", &Secret::new("u\u{308}berall!")).await.expect("hashes");
        assert_eq!(passwords.verify(Some(hash), &Secret::new("überall!")).await, Ok(true));
        let broken = passwords.verify(Some("$argon2id$".to_owned()), &password).await;
        assert!(matches!(broken, Err(PasswordError::Failed(_))));
    }

    /// Fault 71: how long a refusal takes does not say whether there is such an account.
    #[tokio::test]
    async fn an_unknown_name_takes_the_same_work() {
        let parameters = |hash: &str| hash.split('$').nth(3).map(str::to_owned);
        let passwords = Passwords::default();
        let hash = passwords.hash("ann", &Secret::new("correct horse")).await.expect("hashes");
        assert_eq!(parameters(NOBODYS), parameters(&hash));
        let lengths = |hash: &str| hash.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(lengths(NOBODYS), lengths(&hash));
        let began = Instant::now();
        assert_eq!(passwords.verify(None, &Secret::new("x")).await, Ok(false));
        assert!(began.elapsed() > Duration::from_millis(2), "it was not hashed");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_so() {
        let passwords = Passwords { places: Arc::new(Semaphore::new(0)) };
        assert_eq!(passwords.verify(None, &Secret::new("correct horse")).await, Err(PasswordError::Busy));
    }
}
