//! Who is it, and what may they. Knows tokens and the store, not the road by which somebody came in.

mod first;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use plexichat::id::UserId;
use plexichat::message::{Actor, Time};
use plexichat::secret::Secret;
use plexichat::store::StoreError;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

pub use first::{FirstAdministrator, FirstAdministratorError, GIVEN_TOKEN_MIN, first_administrator};
pub use token::{TOKEN_MAX, TOKEN_PREFIX};

use crate::store::rows::clean_name;
use crate::store::{CreateError, NewToken, Role, Scope, Store, TokenId, TokenInfo, User};

/// How many tokens are remembered, so that they need no look-up.
const REMEMBERED: usize = 10_000;

/// Somebody whose token was accepted.
#[derive(Debug)]
pub struct Principal {
    user: User,
    actor: Actor,
    token_id: TokenId,
    scopes: Vec<Scope>,
    expires_at: Option<Time>,
    hash: [u8; 32],
}

impl Principal {
    /// The person.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The person as an author.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What the person may do on this server.
    pub fn role(&self) -> Role {
        self.user.role
    }

    /// The token that was shown.
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }

    /// Whether both the token and the person's role allow it.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) && (scope != Scope::Admin || self.user.role == Role::Admin)
    }
}

/// Why a token was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There is no such token, or no more.
    #[error("the token is not known, or was revoked")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Nobody knows for now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a token was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateTokenError {
    /// It would allow what its owner may not.
    #[error("the scope `{}` is for administrators only", .0.as_str())]
    Scope(Scope),
    /// It would be of no use.
    #[error("a token needs at least one scope")]
    NoScope,
    /// It would be too late to use it.
    #[error("the token would have expired already")]
    Expired,
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// Its name cannot be one, or the store did not do it.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// What a token is to be.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for; all that its owner's role allows where nothing is said.
    pub scopes: Option<Vec<Scope>>,
    /// Until when it counts.
    pub expires_at: Option<Time>,
}

/// Accepts, makes and revokes tokens. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    remembered: RwLock<HashMap<[u8; 32], Arc<Principal>>>,
    /// Grows with each revocation. Whoever looks a token up while it is revoked must not remember it.
    revocations: watch::Sender<u64>,
}

impl Authenticator {
    /// Over this store.
    pub fn new(store: Store) -> Self {
        let inner = Inner { store, remembered: RwLock::default(), revocations: watch::Sender::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`AuthError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Principal>, AuthError> {
        if token.len() > TOKEN_MAX {
            return Err(AuthError::Unknown);
        }
        self.by_hash(token::hash(token)).await
    }

    /// Makes a token for a person. The secret is shown now and never again.
    ///
    /// # Errors
    /// [`CreateTokenError`].
    ///
    /// # Cancel safety
    /// A dropped call may have stored a token whose secret nobody has.
    pub async fn create(&self, owner: &User, request: TokenRequest) -> Result<(Secret, TokenInfo), CreateTokenError> {
        let name = clean_name("token", &request.name)?;
        let allowed = Scope::of_role(owner.role);
        let mut scopes = request.scopes.unwrap_or_else(|| allowed.clone());
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(CreateTokenError::NoScope);
        }
        if let Some(beyond) = scopes.iter().find(|scope| !allowed.contains(scope)) {
            return Err(CreateTokenError::Scope(*beyond));
        }
        if request.expires_at.is_some_and(|end| end <= Time::now()) {
            return Err(CreateTokenError::Expired);
        }
        let secret = token::generate().map_err(CreateTokenError::Random)?;
        let info = TokenInfo {
            id: TokenId::new(),
            user_id: owner.id,
            name,
            scopes,
            created_at: Time::now(),
            expires_at: request.expires_at,
        };
        let hash = token::hash(secret.expose());
        self.inner.store.create_token(NewToken { info: info.clone(), hash }).await?;
        Ok((secret, info))
    }

    /// Revokes a token, if it is this person's where one is named; whether it was there. Once this returns the token
    /// is accepted nowhere, and whoever waits in [`ended`](Self::ended) is told.
    ///
    /// # Errors
    /// [`StoreError`]: it still counts.
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn revoke(&self, id: TokenId, of: Option<UserId>) -> Result<bool, StoreError> {
        let inner = self.inner.clone();
        let revoked = tokio::spawn(async move {
            let removed = inner.store.remove_token(id, of).await?;
            if removed {
                inner.forget(id);
            }
            Ok(removed)
        });
        revoked.await.unwrap_or_else(|error| Err(StoreError::Failed(format!("revoking a token: {error}"))))
    }

    /// Waits until the token that somebody came in with counts no more: revoked, or expired.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn ended(&self, principal: &Principal) -> AuthError {
        let mut revocations = self.inner.revocations.subscribe();
        loop {
            revocations.mark_unchanged();
            match self.by_hash(principal.hash).await {
                Err(error @ (AuthError::Unknown | AuthError::Expired)) => return error,
                // A store that cannot answer is no reason to throw people out.
                Ok(_) | Err(AuthError::Store(_)) => {}
            }
            tokio::select! {
                // The sender lives in `self`: it cannot have gone.
                _ = revocations.changed() => {}
                () = until(principal.expires_at) => {}
            }
        }
    }

    async fn by_hash(&self, hash: [u8; 32]) -> Result<Arc<Principal>, AuthError> {
        let remembered = self.inner.remembered.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(principal) = remembered {
            return current(principal);
        }
        let before = *self.inner.revocations.borrow();
        let found = self.inner.store.token_by_hash(hash).await?.ok_or(AuthError::Unknown)?;
        // The index compared bytes one after the other; they are no secret, but it costs nothing to be sure.
        if !bool::from(found.hash.ct_eq(&hash)) {
            return Err(AuthError::Unknown);
        }
        let principal = current(Arc::new(Principal {
            actor: found.user.actor(),
            user: found.user,
            token_id: found.info.id,
            scopes: found.info.scopes,
            expires_at: found.info.expires_at,
            hash,
        }))?;
        self.inner.remember(principal.clone(), before);
        Ok(principal)
    }
}

impl Inner {
    fn remember(&self, principal: Arc<Principal>, before: u64) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if *self.revocations.borrow() != before {
            return;
        }
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(principal.hash, principal);
    }

    fn forget(&self, id: TokenId) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|_, principal| principal.token_id != id);
        // Under the lock, so that nobody remembers what was read before.
        self.revocations.send_modify(|revocations| *revocations += 1);
    }
}

fn current(principal: Arc<Principal>) -> Result<Arc<Principal>, AuthError> {
    match principal.expires_at {
        Some(end) if end <= Time::now() => Err(AuthError::Expired),
        _ => Ok(principal),
    }
}

/// Waits until about this time by the machine's clock, which may be set meanwhile.
async fn until(end: Option<Time>) {
    let Some(end) = end else { return std::future::pending().await };
    let left = u64::try_from(end.as_micros() - Time::now().as_micros()).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(left + 1_000).min(Duration::from_secs(30))).await;
}

#[cfg(test)]
mod tests;
