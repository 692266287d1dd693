//! Signing in with a password, making an account, changing a password: with limits on how often somebody may try. Knows no
//! cookie and no route.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plexichat::event::catalog::UserLoginFailed;
use plexichat::id::UserId;
use plexichat::login::{LoginAttempt, LoginMethod};
use plexichat::message::Time;
use plexichat::pipeline::{Pipeline, Refusal};
use plexichat::secret::Secret;
use plexichat::settings::{AccountSettings, Registration};
use plexichat::store::StoreError;

use super::attempts::{Attempts, Sampler, network_of};
use super::change::SetPasswordError;
use super::password::Passwords;
use super::session::{Place, later};
use super::{Authenticator, PasswordError, Principal, TOKEN_MAX, password, token};
use crate::store::rows::clean_name;
use crate::store::{
    Act, ChangeError, CreateError, InvitationId, InvitationInfo, NewUser, RegisterError, Role, SessionError,
    SessionInfo, Store, User,
};

/// What every invitation begins with.
pub(crate) const INVITATION_PREFIX: &str = "inv_";
/// How often a password of one account may be tried from one address in a minute.
const PER_ACCOUNT: usize = 5;
/// How often passwords may be tried from one address in a minute.
const PER_ADDRESS: usize = 30;
/// How many failures at most are told to plugins and the audit log: one in this time.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How many failures at most are logged: one in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// The longest name of a program that is kept, in characters.
const USER_AGENT_MAX: usize = 200;

/// Somebody who is not known yet, and by which request.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// From where; requests that came over a socket say so.
    pub(crate) address: Option<IpAddr>,
    /// With which program.
    pub(crate) user_agent: Option<String>,
    /// By which request. Who does it is not known yet.
    pub(crate) act: Act,
}

impl Visitor {
    fn network(&self) -> IpAddr {
        network_of(self.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()))
    }

    fn place(&self) -> Place {
        let ip = self.act.ip().unwrap_or("unknown").to_owned();
        let user_agent = self.user_agent.as_ref().map(|agent| {
            let plain = agent.chars().filter(|character| !character.is_control());
            plain.take(USER_AGENT_MAX).collect()
        });
        Place { ip, user_agent }
    }
}

/// Somebody who has signed in.
#[derive(Debug)]
pub(crate) struct Registered {
    /// The person.
    pub(crate) user: User,
    /// What is shown of the session.
    pub(crate) session: SessionInfo,
    /// What the browser keeps.
    pub(crate) secret: Secret,
}

/// Why somebody did not sign in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// It was tried too often.
    #[error("too many attempts")]
    TooMany {
        /// How long to wait.
        retry_after: Duration,
    },
    /// There is no such account, or it has another password, or none.
    #[error("the name or the password is wrong")]
    Wrong,
    /// The person may not come in.
    #[error("the account is disabled")]
    Disabled,
    /// A scanner objects. What and why is the operator's to know.
    #[error("you are not let in")]
    Rejected,
    /// A scanner whose word is needed gives none.
    #[error("nobody can sign in with a password for now: what judges that is not available")]
    ScannerUnavailable,
    /// Nobody may make an account.
    #[error("nobody can register here: an administrator makes the accounts")]
    RegistrationOff,
    /// An invitation is needed.
    #[error("an invitation is needed to register here")]
    InvitationNeeded,
    /// The invitation does not count.
    #[error("the invitation is not known, was used, or has expired")]
    Invitation,
    /// The name is taken, or cannot be one.
    #[error(transparent)]
    Create(CreateError),
    /// The password cannot be one, or was not looked at.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The account is gone.
    #[error("the account is gone")]
    Gone,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs people in.
pub(crate) struct SignIn {
    store: Store,
    authenticator: Authenticator,
    pipeline: Arc<Pipeline>,
    passwords: Passwords,
    registration: Registration,
    per_account: Attempts<(String, IpAddr)>,
    per_address: Attempts<IpAddr>,
    bad_tokens: Attempts<IpAddr>,
    told: Sampler,
    logged: Sampler,
}

impl SignIn {
    pub(crate) fn new(
        store: Store,
        authenticator: Authenticator,
        pipeline: Arc<Pipeline>,
        settings: AccountSettings,
    ) -> Self {
        let bad_tokens = usize::try_from(NonZeroU32::get(settings.bad_tokens_per_minute)).unwrap_or(usize::MAX);
        Self {
            store,
            authenticator,
            pipeline,
            passwords: Passwords::default(),
            registration: settings.registration,
            per_account: Attempts::new(PER_ACCOUNT),
            per_address: Attempts::new(PER_ADDRESS),
            bad_tokens: Attempts::new(bad_tokens),
            told: Sampler::default(),
            logged: Sampler::default(),
        }
    }

    /// Begins a session for whoever knows the password.
    ///
    /// # Errors
    /// [`SignInError`].
    ///
    /// # Cancel safety
    /// A dropped call may have begun a session whose secret nobody has. The attempt counts.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        password: &Secret,
        visitor: &Visitor,
    ) -> Result<Registered, SignInError> {
        let attempt = self.attempt(name, visitor)?;
        let found = match clean_name("user", name) {
            Ok(name) => self.store.user_and_password(name).await?,
            // It is nobody's name; it takes as long as if it were.
            Err(_) => None,
        };
        let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
        // Before the password is looked at: what is answered then tells nothing of it, and costs no work.
        self.judge(name, user.as_ref(), LoginMethod::Password, visitor).await?;
        let right = self.passwords.verify(hash.clone(), password).await?;
        let (Some(user), true) = (user.as_ref(), right) else {
            self.tell_of_failure(user.as_ref(), "wrong_password", visitor).await?;
            return Err(SignInError::Wrong);
        };
        if user.disabled_at.is_some() {
            self.tell_of_failure(Some(user), "disabled", visitor).await?;
            return Err(SignInError::Disabled);
        }
        let registered = self.open(user.clone(), hash, visitor).await?;
        self.succeeded(&attempt);
        Ok(registered)
    }

    /// Makes an account for whoever asks, where that is allowed, and begins a session.
    ///
    /// # Errors
    /// [`SignInError`].
    ///
    /// # Cancel safety
    /// A dropped call may have made the account.
    pub(crate) async fn register(
        &self,
        name: &str,
        password: &Secret,
        invitation: Option<&Secret>,
        visitor: &Visitor,
    ) -> Result<Registered, SignInError> {
        let invitation = match (self.registration, invitation) {
            (Registration::Off, _) => return Err(SignInError::RegistrationOff),
            (_, Some(invitation)) => Some(invitation),
            (Registration::Open, None) => None,
            (_, None) => return Err(SignInError::InvitationNeeded),
        };
        self.per_address.take(&visitor.network(), Instant::now()).map_err(|wait| self.too_many(wait, visitor))?;
        let name = clean_name("user", name).map_err(SignInError::Create)?;
        // Before the slow part; what is true then is decided in the store.
        password::check(&name, password)?;
        if self.store.user_by_name(name.clone()).await?.is_some() {
            return Err(SignInError::Create(CreateError::Conflict { what: "user", name }));
        }
        let invitation = invitation.map(|invitation| match invitation.expose() {
            text if text.len() > TOKEN_MAX => Err(SignInError::Invitation),
            text => Ok(token::hash(text)),
        });
        let invitation = invitation.transpose()?;
        self.judge(&name, None, LoginMethod::Registration, visitor).await?;
        let hash = self.passwords.hash(&name, password).await?;
        let new = NewUser { id: UserId::new(), name, role: Role::User, password: Some(hash.clone()) };
        let user = self.store.register(new, invitation, visitor.act.clone()).await?;
        self.open(user, Some(hash), visitor).await
    }

    /// Gives somebody who knows the old password another one. What the person had come in with ends, but for this.
    ///
    /// # Errors
    /// [`SignInError`].
    ///
    /// # Cancel safety
    /// A dropped call may have changed it.
    pub(crate) async fn change_password(
        &self,
        principal: &Principal,
        old: &Secret,
        new: &Secret,
        visitor: &Visitor,
    ) -> Result<(), SignInError> {
        let user = principal.user();
        password::check(&user.name, new)?;
        let attempt = self.attempt(&user.name, visitor)?;
        let hash = self.store.user_and_password(user.name.clone()).await?.and_then(|(_, hash)| hash);
        if !self.passwords.verify(hash, old).await? {
            self.tell_of_failure(Some(user), "wrong_password", visitor).await?;
            return Err(SignInError::Wrong);
        }
        self.set_password(user, new, Some(principal), visitor.act.done_by(principal.actor().clone())).await?;
        self.succeeded(&attempt);
        Ok(())
    }

    /// Gives a person another password, as an administrator does. What the person had come in with ends, but for what is
    /// kept.
    ///
    /// # Errors
    /// [`SignInError`].
    ///
    /// # Cancel safety
    /// A dropped call may have changed it.
    pub(crate) async fn set_password(
        &self,
        user: &User,
        new: &Secret,
        keep: Option<&Principal>,
        act: Act,
    ) -> Result<(), SignInError> {
        let keep = keep.filter(|keep| keep.user().id == user.id).map(Principal::credential);
        let set = self.authenticator.set_password(user, new, keep, &self.passwords, act).await;
        set.map_err(|error| match error {
            SetPasswordError::Password(error) => error.into(),
            SetPasswordError::Change(ChangeError::Store(error)) => error.into(),
            SetPasswordError::Change(_) => SignInError::Gone,
        })
    }

    /// Makes an account, as an administrator does.
    ///
    /// # Errors
    /// [`SignInError`].
    ///
    /// # Cancel safety
    /// A dropped call may have made it.
    pub(crate) async fn add_user(
        &self,
        name: &str,
        role: Role,
        password: Option<&Secret>,
        act: Act,
    ) -> Result<User, SignInError> {
        let name = clean_name("user", name).map_err(SignInError::Create)?;
        let password = match password {
            Some(password) => Some(self.passwords.hash(&name, password).await?),
            None => None,
        };
        let new = NewUser { id: UserId::new(), name, role, password };
        self.store.add_user(new, act).await.map_err(of_create)
    }

    /// Makes an invitation. The secret is shown now and never again.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may have stored one whose secret nobody has.
    pub(crate) async fn invite(
        &self,
        by: UserId,
        role: Role,
        uses: u32,
        lasts: Duration,
        act: Act,
    ) -> Result<(Secret, InvitationInfo), StoreError> {
        let secret = token::generate(INVITATION_PREFIX)
            .map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?;
        let now = Time::now();
        let info = InvitationInfo {
            id: InvitationId::new(),
            role,
            created_by: by,
            created_at: now,
            expires_at: Some(later(now, lasts)),
            uses_left: uses,
        };
        self.store.create_invitation(info.clone(), token::hash(secret.expose()), act).await?;
        Ok((secret, info))
    }

    /// Counts a token or session that was not accepted; how long to wait where there were too many from there.
    pub(crate) fn token_failed(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        metrics::counter!("plexichat_auth_failures_total", "what" => "token").increment(1);
        let network = network_of(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
        let taken = self.bad_tokens.take(&network, Instant::now());
        if taken.is_err()
            && let Some(count) = self.logged.sample(LOG_EVERY, Instant::now())
        {
            tracing::warn!(%network, count, "tokens that are none keep coming");
        }
        taken
    }

    /// Asks the scanners that judge who may sign in.
    async fn judge(
        &self,
        name: &str,
        user: Option<&User>,
        method: LoginMethod,
        visitor: &Visitor,
    ) -> Result<(), SignInError> {
        let attempt = LoginAttempt::new(name.trim(), method)
            .of(user.map(|user| user.id))
            .from(visitor.address, visitor.place().user_agent.as_deref());
        match self.pipeline.check_login(attempt).await {
            Ok(()) => Ok(()),
            Err(Refusal::LoginRejected { .. }) => {
                self.tell_of_failure(user, "rejected", visitor).await?;
                Err(SignInError::Rejected)
            }
            Err(refusal) => {
                metrics::counter!("plexichat_auth_failures_total", "what" => "scanner").increment(1);
                if let Some(count) = self.logged.sample(LOG_EVERY, Instant::now()) {
                    tracing::warn!(%refusal, count, "nobody can sign in with a password; tokens and sessions count still");
                }
                Err(SignInError::ScannerUnavailable)
            }
        }
    }

    fn attempt(&self, name: &str, visitor: &Visitor) -> Result<(String, IpAddr), SignInError> {
        let network = visitor.network();
        // What is too long to be a name is one name.
        let name: String = name.trim().chars().take(100).flat_map(char::to_lowercase).collect();
        let key = (name, network);
        let now = Instant::now();
        self.per_address.take(&network, now).map_err(|wait| self.too_many(wait, visitor))?;
        self.per_account.take(&key, now).map_err(|wait| self.too_many(wait, visitor))?;
        Ok(key)
    }

    fn too_many(&self, retry_after: Duration, visitor: &Visitor) -> SignInError {
        metrics::counter!("plexichat_auth_failures_total", "what" => "limited").increment(1);
        if let Some(count) = self.logged.sample(LOG_EVERY, Instant::now()) {
            tracing::warn!(network = %visitor.network(), count, "passwords are tried too often");
        }
        SignInError::TooMany { retry_after }
    }

    fn succeeded(&self, attempt: &(String, IpAddr)) {
        self.per_account.forget(attempt);
        self.per_address.give_back(&attempt.1);
    }

    async fn open(&self, user: User, hash: Option<String>, visitor: &Visitor) -> Result<Registered, SignInError> {
        let act = visitor.act.done_by(user.actor());
        let opened = self.authenticator.open_session(&user, hash, visitor.place(), act).await;
        let (secret, session) = opened.map_err(|error| match error {
            SessionError::Changed => SignInError::Wrong,
            SessionError::Store(error) => error.into(),
        })?;
        Ok(Registered { user, session, secret })
    }

    /// Tells plugins and the audit log, not of each where there are many. The name is told only where there is such an
    /// account: people type passwords into the wrong field.
    async fn tell_of_failure(
        &self,
        user: Option<&User>,
        reason: &'static str,
        visitor: &Visitor,
    ) -> Result<(), StoreError> {
        metrics::counter!("plexichat_auth_failures_total", "what" => "password").increment(1);
        let Some(count) = self.told.sample(TELL_EVERY, Instant::now()) else { return Ok(()) };
        let login = user.map_or_else(|| "unknown".to_owned(), |user| user.name.clone());
        let ip = visitor.place().ip;
        let payload = UserLoginFailed::new(login.clone(), ip, reason.to_owned(), count);
        self.store.tell_of_failed_login(login, payload, visitor.act.clone()).await
    }
}

fn of_create(error: CreateError) -> SignInError {
    match error {
        CreateError::Store(error) => error.into(),
        error => SignInError::Create(error),
    }
}

impl From<RegisterError> for SignInError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Invitation => Self::Invitation,
            RegisterError::Create(error) => of_create(error),
        }
    }
}
