//! The rows of people and of their API tokens. Knows hashes, not tokens, and no sign-in.

use async_trait::async_trait;
use plexichat::capability::users::{UserPort, UserView};
use plexichat::error::PluginError;
use plexichat::id::{PluginName, RoomId, UserId};
use plexichat::message::{Actor, StoredRow, Time};
use plexichat::pipeline::{Access, MessageStore};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Store;
use super::values::{identifier, json, time, word};
use crate::store::rows::{CreateError, NewToken, Role, StoredToken, TokenId, TokenInfo, User, clean_name};

impl Store {
    /// Makes a person's account.
    ///
    /// # Errors
    /// [`CreateError`]: the name is taken, or cannot be one.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made it.
    pub async fn create_user(&self, name: &str, role: Role) -> Result<User, CreateError> {
        let name = clean_name("user", name)?;
        self.write(move |connection| insert_user(connection, name, role)).await
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
        let name = clean_name("user", name)?;
        self.write(move |connection| {
            if connection.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0))? {
                return Ok(Ok(None));
            }
            let user = match insert_user(connection, name, role)? {
                Ok(user) => user,
                Err(error) => return Ok(Err(error)),
            };
            insert_token(connection, &token(&user))?;
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
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT id, name, role, created_at FROM users WHERE id = ?1")?
                .query_row([id.as_bytes()], user)
                .optional()
        })
        .await
    }

    /// A person by name.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn user_by_name(&self, name: String) -> Result<Option<User>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT id, name, role, created_at FROM users WHERE name = ?1")?
                .query_row([name], user)
                .optional()
        })
        .await
    }

    /// Stores a token.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have stored it.
    pub async fn create_token(&self, token: NewToken) -> Result<(), CreateError> {
        self.write(move |connection| insert_token(connection, &token).map(Ok)).await
    }

    /// The tokens of one person, or of all, oldest first; expired ones too.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn tokens(&self, of: Option<UserId>) -> Result<Vec<TokenInfo>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, user_id, name, scopes, created_at, expires_at FROM tokens
                 WHERE ?1 IS NULL OR user_id = ?1 ORDER BY id",
            )?;
            let tokens = statement.query_map([of.map(|user| *user.as_bytes())], token)?;
            tokens.collect()
        })
        .await
    }

    /// Removes a token, if it is this person's where one is named; whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed it.
    pub async fn remove_token(&self, id: TokenId, of: Option<UserId>) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let removed = connection
                .prepare_cached("DELETE FROM tokens WHERE id = ?1 AND (?2 IS NULL OR user_id = ?2)")?
                .execute((id.as_bytes(), of.map(|user| *user.as_bytes())))?;
            Ok(Ok(removed == 1))
        })
        .await
    }

    /// The token with this SHA-256, and whose it is; expired ones too.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn token_by_hash(&self, hash: [u8; 32]) -> Result<Option<StoredToken>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT users.id, users.name, users.role, users.created_at, tokens.id, tokens.user_id, tokens.name,
                            tokens.scopes, tokens.created_at, tokens.expires_at, tokens.hash
                     FROM tokens JOIN users ON users.id = tokens.user_id WHERE tokens.hash = ?1",
                )?
                .query_row([hash], |row| {
                    Ok(StoredToken { user: user(row)?, info: token_at(row, 4)?, hash: row.get(10)? })
                })
                .optional()
        })
        .await
    }
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

fn insert_user(connection: &Connection, name: String, role: Role) -> rusqlite::Result<Result<User, CreateError>> {
    let user = User { id: UserId::new(), name, role, created_at: Time::now() };
    let inserted = connection
        .prepare_cached(
            "INSERT INTO users (id, name, role, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
        )?
        .execute((user.id.as_bytes(), &user.name, role.as_str(), user.created_at.as_micros()))?;
    Ok(if inserted == 1 { Ok(user) } else { Err(CreateError::Conflict { what: "user", name: user.name }) })
}

fn insert_token(connection: &Connection, token: &NewToken) -> rusqlite::Result<()> {
    let NewToken { info, hash } = token;
    let scopes: Vec<&str> = info.scopes.iter().map(|scope| scope.as_str()).collect();
    let scopes = serde_json::json!(scopes).to_string();
    connection
        .prepare_cached(
            "INSERT INTO tokens (id, user_id, name, hash, scopes, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            info.id.as_bytes(),
            info.user_id.as_bytes(),
            &info.name,
            hash,
            scopes,
            info.created_at.as_micros(),
            info.expires_at.map(Time::as_micros),
        ))
        .map(|_| ())
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: identifier(row, 0, UserId::from_bytes)?,
        name: row.get(1)?,
        role: word(row, 2)?,
        created_at: time(row, 3)?,
    })
}

fn token(row: &Row<'_>) -> rusqlite::Result<TokenInfo> {
    token_at(row, 0)
}

fn token_at(row: &Row<'_>, first: usize) -> rusqlite::Result<TokenInfo> {
    Ok(TokenInfo {
        id: identifier(row, first, TokenId::from_bytes)?,
        user_id: identifier(row, first + 1, UserId::from_bytes)?,
        name: row.get(first + 2)?,
        scopes: json(row, first + 3)?,
        created_at: time(row, first + 4)?,
        expires_at: row.get::<_, Option<i64>>(first + 5)?.map(Time::from_micros),
    })
}
