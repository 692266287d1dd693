//! The first administrator: without one nobody could make the others.

use plexichat::message::Time;
use plexichat::secret::Secret;
use plexichat::store::StoreError;

use super::token::{self, TOKEN_MAX};
use crate::data_dir::{DataDir, DataDirError};
use crate::store::{CreateError, NewToken, Role, Scope, Store, TokenId, TokenInfo, User};

/// The shortest token that an operator may give.
pub const GIVEN_TOKEN_MIN: usize = 20;

/// What the first start came to.
#[derive(Debug)]
pub enum FirstAdministrator {
    /// It was no first start.
    There,
    /// The operator gave the token.
    Given(User),
    /// A token was made. It stands in `<data>/admin-token`.
    Generated(User, Secret),
}

/// Why there is no first administrator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirstAdministratorError {
    /// The operator's token cannot be one. It is not repeated.
    #[error(
        "PLEXICHAT_ADMIN_TOKEN has {length} characters or some that a header cannot carry: {GIVEN_TOKEN_MIN} to {TOKEN_MAX} visible ASCII characters are needed"
    )]
    Given {
        /// How long it is.
        length: usize,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// The generated token could not be written.
    #[error(transparent)]
    Write(#[from] DataDirError),
    /// The store did not do it.
    #[error(transparent)]
    Create(#[from] CreateError),
}

impl From<StoreError> for FirstAdministratorError {
    fn from(error: StoreError) -> Self {
        Self::Create(error.into())
    }
}

impl FirstAdministratorError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Given { .. } => {
                "give a longer one, `openssl rand -hex 32` say, or leave the variable out and read `<data>/admin-token`"
                    .into()
            }
            Self::Write(error) => error.hint(),
            Self::Random(_) => "the kernel's getrandom must work: see what restricts this process".into(),
            Self::Create(_) => "check the disk's free space, then start again".into(),
        }
    }
}

/// Makes the first administrator where nobody has an account yet: with the token that the operator gives, or with one
/// that is written to `<data>/admin-token`. Later starts look at neither.
///
/// # Errors
/// [`FirstAdministratorError`]; the next start tries again.
///
/// # Cancel safety
/// A dropped call may or may not have made the account; with a generated token, its file is there first.
pub async fn first_administrator(
    store: &Store,
    data_dir: &DataDir,
    given: Option<Secret>,
) -> Result<FirstAdministrator, FirstAdministratorError> {
    if !store.has_no_users().await? {
        return Ok(FirstAdministrator::There);
    }
    if let Some(given) = given {
        let text = given.expose();
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(GIVEN_TOKEN_MIN..=TOKEN_MAX).contains(&text.len()) {
            return Err(FirstAdministratorError::Given { length: text.chars().count() });
        }
        return Ok(create(store, &given).await?.map_or(FirstAdministrator::There, FirstAdministrator::Given));
    }
    let secret = token::generate(token::TOKEN_PREFIX).map_err(FirstAdministratorError::Random)?;
    // The file first: an account whose token nobody has would lock everyone out.
    data_dir.write_private("admin-token", format!("{}\n", secret.expose()).as_bytes())?;
    Ok(match create(store, &secret).await? {
        Some(user) => FirstAdministrator::Generated(user, secret),
        None => FirstAdministrator::There,
    })
}

async fn create(store: &Store, secret: &Secret) -> Result<Option<User>, CreateError> {
    let hash = token::hash(secret.expose());
    let token = move |user: &User| NewToken {
        info: TokenInfo {
            id: TokenId::new(),
            user_id: user.id,
            name: "first administrator".into(),
            scopes: Scope::of_role(Role::Admin),
            created_at: Time::now(),
            expires_at: None,
        },
        hash,
    };
    store.create_first_user("admin", Role::Admin, token).await
}
