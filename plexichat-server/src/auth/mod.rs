//! Who is it, and what may they. Knows tokens, sessions, passwords and the store, not the road by which somebody came in.

mod attempts;
mod change;
mod first;
mod password;
mod session;
mod sign_in;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use plexichat::id::UserId;
use plexichat::message::{Actor, Time};
use plexichat::secret::Secret;
use plexichat::store::StoreError;
use subtle::ConstantTimeEq;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

pub use first::{FirstAdministrator, FirstAdministratorError, GIVEN_TOKEN_MIN, first_administrator};
pub use password::{PASSWORD_MAX, PASSWORD_MIN, PasswordError};
pub use session::{SESSION_PREFIX, SESSION_TIME};
pub(crate) use sign_in::{Registered, SignIn, SignInError, Visitor};
pub(crate) use token::generate as new_secret;
pub use token::{TOKEN_MAX, TOKEN_PREFIX};

use crate::store::rows::clean_name;
use crate::store::{Act, ChangeError, CreateError, Credential, NewToken, Role, Scope, Store, TokenId, TokenInfo, User};

/// How many tokens and sessions are remembered, so that they need no look-up.
const REMEMBERED: usize = 10_000;
/// How many tokens a person may have.
pub const TOKENS_MAX: u32 = 100;
/// How many endings a connection may be behind before it looks for itself.
const ENDINGS: usize = 256;
/// The pause before an open connection's credential is looked at again, where the store could not tell.
const RETRY: Duration = Duration::from_secs(1);

/// Somebody whose token or session was accepted.
#[derive(Debug)]
pub struct Principal {
    user: User,
    actor: Actor,
    credential: Credential,
    scopes: Vec<Scope>,
    expires_at: Option<Time>,
    /// When a session's secret is to be made anew.
    rotate_at: Option<Time>,
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

    /// By what the person came in.
    pub fn credential(&self) -> Credential {
        self.credential
    }

    /// Until when that counts.
    pub fn expires_at(&self) -> Option<Time> {
        self.expires_at
    }

    /// Whether both the token and the person's role allow it. A session allows all that the role does, and a token of an
    /// administrator that may do everything may ask models too, though it may be older than that scope.
    pub fn may(&self, scope: Scope) -> bool {
        let administers = self.scopes.contains(&Scope::Admin) && self.user.role == Role::Admin;
        match scope {
            Scope::Admin => administers,
            Scope::Ai => administers || self.scopes.contains(&scope),
            scope => self.scopes.contains(&scope),
        }
    }

    /// What the token may be used for.
    pub fn scopes(&self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.may(*scope)).collect()
    }
}

/// Why a token or a session was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There is no such token or session, or no more.
    #[error("the {what} is not known, or was revoked")]
    Unknown {
        /// `token` or `session`.
        what: &'static str,
    },
    /// Its time is over.
    #[error("the {what} has expired")]
    Expired {
        /// `token` or `session`.
        what: &'static str,
    },
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
    /// There are enough.
    #[error("the person has {TOKENS_MAX} tokens, and may not have more")]
    TooMany,
    /// The person may not come in.
    #[error("the account is disabled, or gone")]
    NoUser,
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// Its name cannot be one, or the store did not do it.
    #[error(transparent)]
    Create(#[from] CreateError),
}

impl From<StoreError> for CreateTokenError {
    fn from(error: StoreError) -> Self {
        Self::Create(error.into())
    }
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

/// Accepts, makes and ends tokens and sessions. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    remembered: RwLock<Remembered>,
    endings: broadcast::Sender<Ending>,
}

/// A session's secret is no token, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Road {
    Bearer,
    Cookie,
}

#[derive(Default)]
struct Remembered {
    principals: HashMap<(Road, [u8; 32]), Arc<Principal>>,
    /// How often something was forgotten. Whoever looks a token up while it is revoked must not remember it.
    forgotten: u64,
}

/// What counts no more.
#[derive(Debug, Clone, Copy)]
enum Ending {
    /// One token or session.
    Credential(Credential),
    /// All that a person had, but for one.
    Person(UserId, Option<Credential>),
    /// A person's role as it was; what they came in with counts on.
    Role(UserId),
}

impl Ending {
    fn ends(self, principal: &Principal) -> bool {
        match self {
            Self::Credential(credential) => principal.credential == credential,
            Self::Person(id, kept) => principal.user.id == id && Some(principal.credential) != kept,
            Self::Role(_) => false,
        }
    }
}

impl Authenticator {
    /// Over this store.
    pub fn new(store: Store) -> Self {
        let inner = Inner { store, remembered: RwLock::default(), endings: broadcast::Sender::new(ENDINGS) };
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
            return Err(AuthError::Unknown { what: "token" });
        }
        let hash = token::hash(token);
        let before = match self.inner.recall(Road::Bearer, &hash) {
            Ok(principal) => return current(principal),
            Err(before) => before,
        };
        let found = self.inner.store.token_by_hash(hash).await?.ok_or(AuthError::Unknown { what: "token" })?;
        // The index compared bytes one after the other; they are no secret, but it costs nothing to be sure.
        if !bool::from(found.hash.ct_eq(&hash)) {
            return Err(AuthError::Unknown { what: "token" });
        }
        let principal = current(Arc::new(Principal {
            actor: found.user.actor(),
            user: found.user,
            credential: Credential::Token(found.info.id),
            scopes: found.info.scopes,
            expires_at: found.info.expires_at,
            rotate_at: None,
            hash,
        }))?;
        self.inner.remember(Road::Bearer, principal.clone(), before);
        Ok(principal)
    }

    /// Makes a token for a person. The secret is shown now and never again.
    ///
    /// # Errors
    /// [`CreateTokenError`].
    ///
    /// # Cancel safety
    /// A dropped call may have stored a token whose secret nobody has.
    pub async fn create(
        &self,
        owner: &User,
        request: TokenRequest,
        act: Act,
    ) -> Result<(Secret, TokenInfo), CreateTokenError> {
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
        if self.inner.store.count_tokens(owner.id).await? >= TOKENS_MAX {
            return Err(CreateTokenError::TooMany);
        }
        let secret = token::generate(TOKEN_PREFIX).map_err(CreateTokenError::Random)?;
        let info = TokenInfo {
            id: TokenId::new(),
            user_id: owner.id,
            name,
            scopes,
            created_at: Time::now(),
            expires_at: request.expires_at,
        };
        let hash = token::hash(secret.expose());
        let stored = self.inner.store.create_token(NewToken { info: info.clone(), hash }, act).await;
        stored.map_err(|error| match error {
            ChangeError::Store(error) => error.into(),
            _ => CreateTokenError::NoUser,
        })?;
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
    pub async fn revoke(&self, id: TokenId, of: Option<UserId>, act: Act) -> Result<bool, StoreError> {
        self.to_the_end(move |inner| async move {
            let removed = inner.store.remove_token(id, of, act).await?;
            if removed {
                inner.end(Ending::Credential(Credential::Token(id)));
            }
            Ok(removed)
        })
        .await
    }

    /// Waits until what somebody came in with counts no more: revoked, or expired.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn ended(&self, principal: &Principal) -> AuthError {
        let what = match principal.credential {
            Credential::Token(_) => "token",
            Credential::Session(_) => "session",
        };
        let mut endings = self.inner.endings.subscribe();
        loop {
            // A session that is used lasts longer than it said.
            let expires_at = match self.inner.store.credential_end(principal.credential).await {
                Ok(None) => return AuthError::Unknown { what },
                Ok(Some(Some(end))) if end <= Time::now() => return AuthError::Expired { what },
                Ok(Some(end)) => end,
                // A store that cannot answer is no reason to throw people out.
                Err(_) => Some(Time::from_micros(Time::now().as_micros() + RETRY.as_micros() as i64)),
            };
            loop {
                tokio::select! {
                    ending = endings.recv() => match ending {
                        Ok(ending) if ending.ends(principal) => return AuthError::Unknown { what },
                        Ok(_) => {}
                        // The sender lives in `self`: it cannot have gone.
                        Err(RecvError::Lagged(_) | RecvError::Closed) => break,
                    },
                    () = until(expires_at) => if expires_at.is_some_and(|end| end <= Time::now()) { break },
                }
            }
        }
    }

    /// Waits until somebody has a lower role than they came in with, or no account.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn demoted(&self, principal: &Principal) {
        let id = principal.user.id;
        let mut endings = self.inner.endings.subscribe();
        loop {
            match self.inner.store.user(id).await {
                Ok(Some(user)) if user.role >= principal.role() => {}
                Ok(_) => return,
                // As in `ended`.
                Err(_) => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            loop {
                match endings.recv().await {
                    Ok(Ending::Role(whose)) if whose == id => break,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// Looks everything up again.
    #[cfg(test)]
    pub(crate) fn forget_all(&self) {
        self.inner.forget(|_| true);
    }

    /// Does something that must not be left half done where its caller goes.
    async fn to_the_end<T, E, F>(&self, work: impl FnOnce(Arc<Inner>) -> F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let done = tokio::spawn(work(self.inner.clone())).await;
        done.unwrap_or_else(|error| Err(StoreError::Failed(format!("changing an account: {error}")).into()))
    }
}

impl Inner {
    /// Who is remembered; else the count to remember somebody with.
    fn recall(&self, road: Road, hash: &[u8; 32]) -> Result<Arc<Principal>, u64> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        remembered.principals.get(&(road, *hash)).cloned().ok_or(remembered.forgotten)
    }

    fn remember(&self, road: Road, principal: Arc<Principal>, before: u64) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.forgotten != before {
            return;
        }
        if remembered.principals.len() >= REMEMBERED {
            remembered.principals.clear();
        }
        remembered.principals.insert((road, principal.hash), principal);
    }

    /// Forgets somebody who may look different now.
    fn forget(&self, who: impl Fn(&Principal) -> bool) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        remembered.principals.retain(|_, principal| !who(principal));
        remembered.forgotten += 1;
    }

    /// Has something count nowhere any more.
    fn end(&self, ending: Ending) {
        self.forget(|principal| ending.ends(principal));
        // Nobody may be waiting.
        let _ = self.endings.send(ending);
    }
}

fn current(principal: Arc<Principal>) -> Result<Arc<Principal>, AuthError> {
    match principal.expires_at {
        Some(end) if end <= Time::now() => Err(AuthError::Expired {
            what: match principal.credential {
                Credential::Token(_) => "token",
                Credential::Session(_) => "session",
            },
        }),
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
