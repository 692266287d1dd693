//! Changes of accounts that decide what counts: whoever was remembered is forgotten, and open connections hear of it.

use plexichat::id::UserId;
use plexichat::secret::Secret;

use super::password::Passwords;
use super::{Authenticator, Ending, PasswordError};
use crate::store::{AccessChange, Act, ChangeError, Credential, Role, User};

impl Authenticator {
    /// Gives a person another role. It counts from the next request on.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn set_role(&self, id: UserId, role: Role, act: Act) -> Result<User, ChangeError> {
        self.to_the_end(move |inner| async move {
            let user = inner.store.set_role(id, role, act).await?;
            inner.forget(|principal| principal.user.id == id);
            // Nobody may be waiting.
            let _ = inner.endings.send(Ending::Role(id));
            inner.store.access_changed(AccessChange { room: None, user: Some(id) });
            Ok(user)
        })
        .await
    }

    /// Shuts a person out, or lets the person in again. Who is shut out loses sessions and tokens at once.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn set_disabled(&self, id: UserId, disabled: bool, act: Act) -> Result<User, ChangeError> {
        self.to_the_end(move |inner| async move {
            if !disabled {
                let user = inner.store.enable_user(id, act).await?;
                inner.store.access_changed(AccessChange { room: None, user: Some(id) });
                return Ok(user);
            }
            let user = inner.store.disable_user(id, act).await?;
            inner.end(Ending::Person(id, None));
            inner.store.access_changed(AccessChange { room: None, user: Some(id) });
            Ok(user)
        })
        .await
    }

    /// Gives a person another password. What the person had come in with ends at once, all but what is kept.
    ///
    /// # Errors
    /// [`SetPasswordError`]: it is as it was.
    ///
    /// # Cancel safety
    /// Once the password is hashed it goes on even if the call is dropped.
    pub(super) async fn set_password(
        &self,
        user: &User,
        password: &Secret,
        keep: Option<Credential>,
        passwords: &Passwords,
        act: Act,
    ) -> Result<(), SetPasswordError> {
        let id = user.id;
        let hash = passwords.hash(&user.name, password).await?;
        self.to_the_end(move |inner| async move {
            let had_one = inner.store.set_password(id, hash, keep, act).await?;
            if had_one {
                inner.end(Ending::Person(id, keep));
            }
            Ok(())
        })
        .await
    }

    /// Deletes a person's account. What the person had come in with ends at once.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// Once begun it goes on even if the call is dropped.
    pub async fn delete_user(&self, id: UserId, act: Act) -> Result<(), ChangeError> {
        self.to_the_end(move |inner| async move {
            inner.store.delete_user(id, act).await?;
            inner.end(Ending::Person(id, None));
            inner.store.access_changed(AccessChange { room: None, user: Some(id) });
            Ok(())
        })
        .await
    }
}

/// Why somebody has the password from before.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetPasswordError {
    /// The new one cannot be one, or was not hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The account was not changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<plexichat::store::StoreError> for SetPasswordError {
    fn from(error: plexichat::store::StoreError) -> Self {
        Self::Change(error.into())
    }
}
