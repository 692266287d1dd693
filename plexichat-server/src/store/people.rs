//! Sessions, invitations and changes of accounts as the server stores and shows them, and why it refuses one. Knows no
//! engine and no password.

use plexichat::id::UserId;
use plexichat::message::Time;
use plexichat::store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{InvitationId, SessionId, TokenId};
use super::rows::{CreateError, Role, User};

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its identifier.
    pub id: UserId,
    /// The name to show.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// The password as a PHC string; without one nobody signs in with a password.
    pub password: Option<String>,
}

/// What is shown of a session: all but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// Its identifier.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When it began.
    pub created_at: Time,
    /// When its secret was made anew, at the latest a day before it was used last.
    pub rotated_at: Time,
    /// Until when it counts, unless it is used.
    pub expires_at: Time,
    /// From which address it began.
    pub ip: String,
    /// With which program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// A session to be stored.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// What is shown of it.
    pub info: SessionInfo,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
}

/// A session and the person it stands for, as found by its hash.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// What is shown of it.
    pub info: SessionInfo,
    /// SHA-256 of the secret that counts now.
    pub hash: [u8; 32],
    /// Whose it is.
    pub user: User,
}

/// What is shown of an invitation: all but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationInfo {
    /// Its identifier.
    pub id: InvitationId,
    /// What whoever uses it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Time,
    /// Until when it counts; for ever where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// How many accounts may still be made with it.
    pub uses_left: u32,
}

/// By what somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// An API token.
    Token(TokenId),
    /// A browser's session.
    Session(SessionId),
}

/// Why an account was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is no such person.
    #[error("there is no such person")]
    NoUser,
    /// Nobody could make another administrator.
    #[error("this is the last administrator who can act: the server needs one")]
    LastAdministrator,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why somebody did not get an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The invitation is not known, used up or over.
    #[error("the invitation is not known, was used, or has expired")]
    Invitation,
    /// The name is taken or cannot be one, or the store did not do it.
    #[error(transparent)]
    Create(#[from] CreateError),
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        Self::Create(error.into())
    }
}

/// Why a session did not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The account was changed since the password was looked at.
    #[error("the account changed meanwhile")]
    Changed,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_as_they_are_shown() {
        let id = SessionId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("x".parse::<InvitationId>().is_err());
    }
}
