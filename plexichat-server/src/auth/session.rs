//! Browsers' sessions: begun, accepted, given another secret, ended. Knows no cookie.

use std::sync::Arc;
use std::time::Duration;

use plexichat::id::UserId;
use plexichat::message::Time;
use plexichat::secret::Secret;
use plexichat::store::StoreError;
use subtle::ConstantTimeEq;

use super::{AuthError, Authenticator, Ending, Principal, Road, TOKEN_MAX, current, token};
use crate::store::{Act, Credential, NewSession, Rotation, Scope, SessionError, SessionId, SessionInfo, User};

/// What every session's secret begins with, so that people and scanners of secrets know one when they see it.
pub const SESSION_PREFIX: &str = "pls_";
/// How long a session lasts that is not used.
pub const SESSION_TIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a session's secret lasts.
const ROTATE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the secret before counts still: requests that were under way have it.
const OLD_SECRET: Duration = Duration::from_secs(60);

/// From where a session begins.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) ip: String,
    pub(super) user_agent: Option<String>,
}

impl Authenticator {
    /// Whose session it is.
    ///
    /// # Errors
    /// [`AuthError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn authenticate_session(&self, secret: &str) -> Result<Arc<Principal>, AuthError> {
        const UNKNOWN: AuthError = AuthError::Unknown { what: "session" };
        if secret.len() > TOKEN_MAX {
            return Err(UNKNOWN);
        }
        let hash = token::hash(secret);
        let before = match self.inner.recall(Road::Cookie, &hash) {
            Ok(principal) => return current(principal),
            Err(before) => before,
        };
        let found = self.inner.store.session_by_hash(hash).await?.ok_or(UNKNOWN)?;
        let is_current = bool::from(found.hash.ct_eq(&hash));
        let principal = current(Arc::new(Principal {
            actor: found.user.actor(),
            scopes: Scope::of_role(found.user.role),
            user: found.user,
            credential: Credential::Session(found.info.id),
            expires_at: Some(found.info.expires_at),
            rotate_at: is_current.then(|| later(found.info.rotated_at, ROTATE_AFTER)),
            hash,
        }))?;
        // The secret before counts for a moment only: it is looked up each time.
        if is_current {
            self.inner.remember(Road::Cookie, principal.clone(), before);
        }
        Ok(principal)
    }

    /// Begins a session; the oldest ends where there would be too many. `password` is the PHC string that was looked at: nothing begins where it is another by now.
    ///
    /// # Errors
    /// [`SessionError`].
    ///
    /// # Cancel safety
    /// A dropped call may have begun a session whose secret nobody has.
    pub(super) async fn open_session(
        &self,
        of: &User,
        password: Option<String>,
        place: Place,
        act: Act,
    ) -> Result<(Secret, SessionInfo), SessionError> {
        let secret = generate()?;
        let now = Time::now();
        let info = SessionInfo {
            id: SessionId::new(),
            user_id: of.id,
            created_at: now,
            rotated_at: now,
            expires_at: later(now, SESSION_TIME),
            ip: place.ip,
            user_agent: place.user_agent,
        };
        let hash = token::hash(secret.expose());
        let session = NewSession { info: info.clone(), hash };
        self.to_the_end(move |inner| async move {
            for id in inner.store.open_session(session, password, act).await? {
                inner.end(Ending::Credential(Credential::Session(id)));
            }
            Ok::<_, SessionError>(())
        })
        .await?;
        Ok((secret, info))
    }

    /// A session of somebody, whoever asks.
    #[cfg(test)]
    pub(crate) async fn session_of(&self, user: &User) -> Secret {
        let place = Place { ip: "192.0.2.1".into(), user_agent: None };
        self.open_session(user, None, place, Act::system()).await.expect("begins").0
    }

    /// Another secret for the session that somebody came in with, where it is time for one and nobody was faster.
    ///
    /// # Errors
    /// [`StoreError`]: the one that it has counts on.
    ///
    /// # Cancel safety
    /// A dropped call may have given the session a secret that nobody has: it ends within a minute.
    pub async fn rotate_in_time(&self, principal: &Principal) -> Result<Option<Secret>, StoreError> {
        match principal.rotate_at {
            Some(time) if time <= Time::now() => self.another_secret(principal, OLD_SECRET).await,
            _ => Ok(None),
        }
    }

    /// Another secret for the session that somebody came in with, unless somebody was faster. The one before counts no
    /// more from now on: who changes a password may do so because somebody else has it.
    ///
    /// # Errors
    /// [`StoreError`]: the one that it has counts on.
    ///
    /// # Cancel safety
    /// A dropped call may have given the session a secret that nobody has: it has ended for whoever had it.
    pub async fn rotate(&self, principal: &Principal) -> Result<Option<Secret>, StoreError> {
        self.another_secret(principal, Duration::ZERO).await
    }

    async fn another_secret(&self, principal: &Principal, old_lasts: Duration) -> Result<Option<Secret>, StoreError> {
        let (Credential::Session(id), Some(_)) = (principal.credential, principal.rotate_at) else { return Ok(None) };
        let secret = generate()?;
        let now = Time::now();
        let rotation = Rotation {
            id,
            from: principal.hash,
            to: token::hash(secret.expose()),
            old_until: later(now, old_lasts),
            expires_at: later(now, SESSION_TIME),
        };
        let rotated = self
            .to_the_end(move |inner| async move {
                let rotated = inner.store.rotate_session(rotation).await?;
                inner.forget(|principal| principal.credential == Credential::Session(id));
                Ok::<_, StoreError>(rotated)
            })
            .await?;
        Ok(rotated.then_some(secret))
    }

    /// Ends a person's session; whether it was there. Whoever waits in [`ended`](Self::ended) is told.
    ///
    /// # Errors
    /// [`StoreError`]: it still counts.
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn close_session(&self, id: SessionId, of: UserId, act: Act) -> Result<bool, StoreError> {
        self.to_the_end(move |inner| async move {
            let closed = inner.store.close_session(id, of, act).await?;
            if closed {
                inner.end(Ending::Credential(Credential::Session(id)));
            } else {
                // Its row had gone some other way, or it is somebody else's, which must go on.
                inner.forget(|principal| principal.credential == Credential::Session(id) && principal.user.id == of);
            }
            Ok(closed)
        })
        .await
    }
}

fn generate() -> Result<Secret, StoreError> {
    // As rare as a machine without random numbers, and as little to be done about it.
    token::generate(SESSION_PREFIX).map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))
}

pub(super) fn later(time: Time, span: Duration) -> Time {
    let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Time::from_micros(time.as_micros().saturating_add(span))
}
