//! The rows of people: made, found, changed, deleted. Knows no password, only what was made of it.

use async_trait::async_trait;
use plexichat::capability::users::{UserPort, UserView};
use plexichat::error::PluginError;
use plexichat::event::catalog::{UserCreated, UserDeleted, UserLoginFailed, UserRoleChanged, UserUpdated};
use plexichat::id::{PluginName, RoomId, UserId};
use plexichat::message::{Actor, StoredRow, Time};
use plexichat::pipeline::{Access, MessageStore};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::sessions::end_sessions;
use super::tokens::{end_tokens, insert_token};
use super::values::{identifier, time, word};
use super::{Store, Tx, approvals};
use crate::store::people::{ChangeError, Credential, NewUser, RegisterError};
use crate::store::rows::{CreateError, NewToken, Role, User, clean_name};
use crate::store::{Act, InvitationId};

/// The columns of a person, as [`user`] reads them.
pub(super) const USER: &str = "users.id, users.name, users.role, users.created_at, users.disabled_at";
/// How many columns these are.
pub(super) const USER_COLUMNS: usize = 5;

impl Store {
    /// Makes a person's account without a password, which nobody is told of.
    ///
    /// # Errors
    /// [`CreateError`]: the name is taken, or cannot be one.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made it.
    pub async fn create_user(&self, name: &str, role: Role) -> Result<User, CreateError> {
        let new = NewUser { id: UserId::new(), name: clean_name("user", name)?, role, password: None };
        self.write(move |tx| insert_user(tx, &new)).await
    }

    /// Makes a person's account.
    ///
    /// # Errors
    /// [`CreateError`]: the name is taken, or cannot be one.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made it.
    pub async fn add_user(&self, new: NewUser, act: Act) -> Result<User, CreateError> {
        let new = NewUser { name: clean_name("user", &new.name)?, ..new };
        self.write(move |tx| match insert_user(tx, &new)? {
            Ok(user) => {
                tell_of_new(tx, &user, &act, None)?;
                Ok(Ok(user))
            }
            Err(error) => Ok(Err(error)),
        })
        .await
    }

    /// Makes the account of somebody who asks for it. With an invitation, given as its SHA-256, it is used up by one, and
    /// its role counts.
    ///
    /// # Errors
    /// [`RegisterError`]: nothing was made, and the invitation is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made it.
    pub async fn register(&self, new: NewUser, invitation: Option<[u8; 32]>, act: Act) -> Result<User, RegisterError> {
        let mut new = NewUser { name: clean_name("user", &new.name)?, ..new };
        self.write(move |tx| {
            let mut invited = None;
            if let Some(hash) = invitation {
                let Some((id, role)) = use_invitation(tx, &hash)? else { return Ok(Err(RegisterError::Invitation)) };
                new.role = role;
                invited = Some(id);
            }
            match insert_user(tx, &new)? {
                Ok(user) => {
                    let act = act.done_by(user.actor());
                    tell_of_new(tx, &user, &act, invited)?;
                    Ok(Ok(user))
                }
                Err(error) => Ok(Err(error.into())),
            }
        })
        .await
    }

    /// Makes the first account and its token, both or neither; nothing where there is an account already.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made them.
    pub async fn create_first_user(
        &self,
        name: &str,
        role: Role,
        token: impl FnOnce(&User) -> NewToken + Send + 'static,
    ) -> Result<Option<User>, CreateError> {
        let new = NewUser { id: UserId::new(), name: clean_name("user", name)?, role, password: None };
        self.write(move |tx| {
            if tx.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0))? {
                return Ok(Ok(None));
            }
            let user = match insert_user(tx, &new)? {
                Ok(user) => user,
                Err(error) => return Ok(Err(error)),
            };
            insert_token(tx, &token(&user))?;
            Ok(Ok(Some(user)))
        })
        .await
    }

    /// Whether nobody has an account yet: the server's first start.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn has_no_users(&self) -> Result<bool, StoreError> {
        self.read(|connection| connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0)))
            .await
    }

    /// A person by identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(move |connection| find(connection, id)).await
    }

    /// A person by name; capital letters make no difference.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn user_by_name(&self, name: String) -> Result<Option<User>, StoreError> {
        Ok(self.user_and_password(name).await?.map(|(user, _)| user))
    }

    /// A person by name, and the PHC string of the password where there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn user_and_password(&self, name: String) -> Result<Option<(User, Option<String>)>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached(&format!("SELECT {USER}, users.password FROM users WHERE lower(name) = lower(?1)"))?
                .query_row([name], |row| Ok((user(row)?, row.get(USER_COLUMNS)?)))
                .optional()
        })
        .await
    }

    /// People by name, from after one on.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn users(&self, after: Option<String>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {USER} FROM users WHERE name > ?1 ORDER BY name LIMIT ?2"))?;
            let users = statement.query_map((after.unwrap_or_default(), limit), user)?;
            users.collect()
        })
        .await
    }

    /// Gives a person another role. Invitations end with the administrator who made them.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have changed it.
    pub async fn set_role(&self, id: UserId, role: Role, act: Act) -> Result<User, ChangeError> {
        self.write(move |tx| {
            let Some(user) = find(tx, id)? else { return Ok(Err(ChangeError::NoUser)) };
            if user.role == role {
                return Ok(Ok(user));
            }
            if is_last_administrator(tx, &user)? {
                return Ok(Err(ChangeError::LastAdministrator));
            }
            tx.prepare_cached("UPDATE users SET role = ?2 WHERE id = ?1")?.execute((id.as_bytes(), role.as_str()))?;
            if user.role == Role::Admin {
                end_invitations(tx, id, &act)?;
            }
            let (old, new) = (user.role.as_str(), role.as_str());
            let payload = UserRoleChanged::new(id, vec![old.to_owned()], vec![new.to_owned()], act.by().clone());
            tx.event(&act.event(None, payload))?;
            tx.audit(&act.audit("user.role", id, json!({ "name": user.name, "old": old, "new": new })))?;
            Ok(Ok(User { role, ..user }))
        })
        .await
    }

    /// Shuts a person out: sessions, tokens and invitations end.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn disable_user(&self, id: UserId, act: Act) -> Result<User, ChangeError> {
        self.write(move |tx| {
            let Some(user) = find(tx, id)? else { return Ok(Err(ChangeError::NoUser)) };
            if user.disabled_at.is_some() {
                return Ok(Ok(user));
            }
            if is_last_administrator(tx, &user)? {
                return Ok(Err(ChangeError::LastAdministrator));
            }
            let user = User { disabled_at: Some(Time::now()), ..user };
            set_disabled(tx, &user)?;
            let ended = end_credentials(tx, id, None, &act)?;
            end_invitations(tx, id, &act)?;
            tell_of_change(tx, &user, "user.disable", "disabled", ended, &act)?;
            Ok(Ok(user))
        })
        .await
    }

    /// Lets a person in again who was shut out. Sessions and tokens stay gone.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn enable_user(&self, id: UserId, act: Act) -> Result<User, ChangeError> {
        self.write(move |tx| {
            let Some(user) = find(tx, id)? else { return Ok(Err(ChangeError::NoUser)) };
            if user.disabled_at.is_none() {
                return Ok(Ok(user));
            }
            let user = User { disabled_at: None, ..user };
            set_disabled(tx, &user)?;
            tell_of_change(tx, &user, "user.enable", "disabled", Ended::default(), &act)?;
            Ok(Ok(user))
        })
        .await
    }

    /// Gives a person another password, as a PHC string. Where there was one before, sessions and tokens end, all but the
    /// one that is kept; whether there was one.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have changed it.
    pub async fn set_password(
        &self,
        id: UserId,
        password: String,
        keep: Option<Credential>,
        act: Act,
    ) -> Result<bool, ChangeError> {
        self.write(move |tx| {
            let Some(user) = find(tx, id)? else { return Ok(Err(ChangeError::NoUser)) };
            let had_one: bool = tx
                .prepare_cached("SELECT password IS NOT NULL FROM users WHERE id = ?1")?
                .query_row([id.as_bytes()], |row| row.get(0))?;
            tx.prepare_cached("UPDATE users SET password = ?2 WHERE id = ?1")?.execute((id.as_bytes(), password))?;
            let ended = if had_one { end_credentials(tx, id, keep, &act)? } else { Ended::default() };
            // A secret that a kept session had before has its minute no more.
            tx.prepare_cached("UPDATE sessions SET old_until = 0 WHERE user_id = ?1")?.execute([id.as_bytes()])?;
            tell_of_change(tx, &user, "user.password", "password", ended, &act)?;
            Ok(Ok(had_one))
        })
        .await
    }

    /// Tells that somebody did not sign in.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have told it.
    pub async fn tell_of_failed_login(
        &self,
        login: String,
        payload: UserLoginFailed,
        act: Act,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let detail = json!({ "reason": payload.reason, "count": payload.count });
            tx.audit(&act.audit("user.login_failed", login, detail))?;
            tx.event(&act.event(None, payload)).map(Ok)
        })
        .await
    }

    /// Deletes a person's account. What the person wrote stays, under the name that it had; the name is free.
    ///
    /// # Errors
    /// [`ChangeError`]: it is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have deleted it.
    pub async fn delete_user(&self, id: UserId, act: Act) -> Result<(), ChangeError> {
        self.write(move |tx| {
            let Some(user) = find(tx, id)? else { return Ok(Err(ChangeError::NoUser)) };
            if is_last_administrator(tx, &user)? {
                return Ok(Err(ChangeError::LastAdministrator));
            }
            let ended = end_credentials(tx, id, None, &act)?;
            // A room of two stays the room of these two.
            tx.prepare_cached(
                "DELETE FROM members WHERE user_id = ?1 AND room IN (SELECT number FROM rooms WHERE kind <> 'direct')",
            )?
            .execute([id.as_bytes()])?;
            for forget in [
                "DELETE FROM read_markers WHERE user_id = ?1",
                "DELETE FROM scheduled WHERE user_id = ?1",
                "DELETE FROM invitations WHERE created_by = ?1",
                "DELETE FROM users WHERE id = ?1",
            ] {
                tx.prepare_cached(forget)?.execute([id.as_bytes()])?;
            }
            approvals::drop_of_person(tx, &id.to_string())?;
            tx.event(&act.event(None, UserDeleted::new(id, act.by().clone())))?;
            let detail = json!({ "name": user.name, "sessions": ended.sessions, "tokens": ended.tokens });
            tx.audit(&act.audit("user.delete", id, detail))?;
            Ok(Ok(()))
        })
        .await
    }
}

/// How much of what somebody came in with has ended.
#[derive(Debug, Clone, Copy, Default)]
struct Ended {
    sessions: usize,
    tokens: usize,
}

fn end_credentials(tx: &mut Tx<'_>, of: UserId, keep: Option<Credential>, act: &Act) -> rusqlite::Result<Ended> {
    Ok(Ended { sessions: end_sessions(tx, of, keep, act)?, tokens: end_tokens(tx, of, keep)? })
}

/// Takes back what somebody invited others with, who is no administrator any more: else it would make administrators still.
fn end_invitations(tx: &mut Tx<'_>, of: UserId, act: &Act) -> rusqlite::Result<()> {
    let ended: Vec<InvitationId> = tx
        .prepare_cached("DELETE FROM invitations WHERE created_by = ?1 RETURNING id")?
        .query_map([of.as_bytes()], |row| identifier(row, 0, InvitationId::from_bytes))?
        .collect::<rusqlite::Result<_>>()?;
    for id in ended {
        tx.audit(&act.audit("invitation.revoke", id, json!({ "maker": of })))?;
    }
    Ok(())
}

fn set_disabled(connection: &Connection, user: &User) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("UPDATE users SET disabled_at = ?2 WHERE id = ?1")?
        .execute((user.id.as_bytes(), user.disabled_at.map(Time::as_micros)))
}

fn tell_of_new(tx: &mut Tx<'_>, user: &User, act: &Act, invited: Option<InvitationId>) -> rusqlite::Result<()> {
    tx.event(&act.event(None, UserCreated::new(user.id, act.by().clone())))?;
    let detail = match invited {
        Some(id) => json!({ "name": user.name, "role": user.role.as_str(), "invitation": id }),
        None => json!({ "name": user.name, "role": user.role.as_str() }),
    };
    tx.audit(&act.audit("user.create", user.id, detail))
}

fn tell_of_change(
    tx: &mut Tx<'_>,
    user: &User,
    action: &'static str,
    field: &str,
    ended: Ended,
    act: &Act,
) -> rusqlite::Result<()> {
    tx.event(&act.event(None, UserUpdated::new(user.id, vec![field.to_owned()], act.by().clone())))?;
    let detail = json!({ "name": user.name, "sessions": ended.sessions, "tokens": ended.tokens });
    tx.audit(&act.audit(action, user.id, detail))
}

/// Whether nobody who may come in would be an administrator without this one.
fn is_last_administrator(connection: &Connection, user: &User) -> rusqlite::Result<bool> {
    if user.role != Role::Admin || user.disabled_at.is_some() {
        return Ok(false);
    }
    connection
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM users WHERE role = ?2 AND disabled_at IS NULL AND id <> ?1)")?
        .query_row((user.id.as_bytes(), Role::Admin.as_str()), |row| row.get(0))
}

/// Uses an invitation up by one, while whoever made it still may make one: which it was, and the role that it gives.
fn use_invitation(connection: &Connection, hash: &[u8; 32]) -> rusqlite::Result<Option<(InvitationId, Role)>> {
    let found = connection
        .prepare_cached(
            "UPDATE invitations SET uses_left = uses_left - 1
             WHERE hash = ?1 AND uses_left > 0 AND (expires_at IS NULL OR expires_at > ?2)
               AND created_by IN (SELECT id FROM users WHERE role = ?3 AND disabled_at IS NULL)
             RETURNING id, role",
        )?
        .query_row((hash, Time::now().as_micros(), Role::Admin.as_str()), |row| {
            Ok((identifier(row, 0, InvitationId::from_bytes)?, word(row, 1)?))
        })
        .optional()?;
    if let Some((id, _)) = &found {
        connection
            .prepare_cached("DELETE FROM invitations WHERE id = ?1 AND uses_left = 0")?
            .execute([id.as_bytes()])?;
    }
    Ok(found)
}

fn find(connection: &Connection, id: UserId) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(&format!("SELECT {USER} FROM users WHERE id = ?1"))?
        .query_row([id.as_bytes()], user)
        .optional()
}

#[async_trait]
impl UserPort for Store {
    async fn user(&self, _: &PluginName, id: UserId) -> plexichat::error::Result<Option<UserView>> {
        let user = Self::user(self, id).await?;
        Ok(user.map(|user| UserView { id: user.id, name: user.name }))
    }

    async fn history(
        &self,
        plugin: &PluginName,
        room: RoomId,
        before: Option<u64>,
        limit: u32,
    ) -> plexichat::error::Result<Vec<StoredRow>> {
        if self.access(&Actor::plugin(plugin.as_str()), room).await? == Access::None {
            return Err(PluginError::not_found(format!("there is no room {room}")));
        }
        Ok(MessageStore::history(self, room, None, before, limit).await?)
    }
}

fn insert_user(connection: &Connection, new: &NewUser) -> rusqlite::Result<Result<User, CreateError>> {
    let taken: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM users WHERE lower(name) = lower(?1))")?
        .query_row([&new.name], |row| row.get(0))?;
    if taken {
        return Ok(Err(CreateError::Conflict { what: "user", name: new.name.clone() }));
    }
    let user = User { id: new.id, name: new.name.clone(), role: new.role, created_at: Time::now(), disabled_at: None };
    connection
        .prepare_cached("INSERT INTO users (id, name, role, created_at, password) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((user.id.as_bytes(), &user.name, user.role.as_str(), user.created_at.as_micros(), &new.password))?;
    Ok(Ok(user))
}

pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: identifier(row, 0, UserId::from_bytes)?,
        name: row.get(1)?,
        role: word(row, 2)?,
        created_at: time(row, 3)?,
        disabled_at: row.get::<_, Option<i64>>(4)?.map(Time::from_micros),
    })
}
