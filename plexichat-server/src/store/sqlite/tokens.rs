//! The rows of API tokens. Knows hashes, not tokens.

use plexichat::id::UserId;
use plexichat::message::Time;
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::Store;
use super::accounts::{USER, USER_COLUMNS, user};
use super::values::{identifier, json as read_json, time};
use crate::store::Act;
use crate::store::id::TokenId;
use crate::store::people::{ChangeError, Credential};
use crate::store::rows::{NewToken, StoredToken, TokenInfo};

impl Store {
    /// Stores a token of a person who may come in.
    ///
    /// # Errors
    /// [`ChangeError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have stored it.
    pub async fn create_token(&self, token: NewToken, act: Act) -> Result<(), ChangeError> {
        self.write(move |tx| {
            let info = &token.info;
            let may: bool = tx
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND disabled_at IS NULL)")?
                .query_row([info.user_id.as_bytes()], |row| row.get(0))?;
            if !may {
                return Ok(Err(ChangeError::NoUser));
            }
            insert_token(tx, &token)?;
            let detail = json!({ "of": info.user_id, "scopes": info.scopes, "expires_at": info.expires_at });
            tx.audit(&act.audit("token.create", info.id, detail))?;
            Ok(Ok(()))
        })
        .await
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
            let tokens = statement.query_map([of.map(|user| *user.as_bytes())], |row| token(row, 0))?;
            tokens.collect()
        })
        .await
    }

    /// How many tokens a person has.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn count_tokens(&self, of: UserId) -> Result<u32, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT count(*) FROM tokens WHERE user_id = ?1")?
                .query_row([of.as_bytes()], |row| row.get(0))
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
    pub async fn remove_token(&self, id: TokenId, of: Option<UserId>, act: Act) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let removed = tx
                .prepare_cached("DELETE FROM tokens WHERE id = ?1 AND (?2 IS NULL OR user_id = ?2) RETURNING user_id")?
                .query_row((id.as_bytes(), of.map(|user| *user.as_bytes())), |row| {
                    identifier(row, 0, UserId::from_bytes)
                })
                .optional()?;
            let Some(owner) = removed else { return Ok(Ok(false)) };
            tx.audit(&act.audit("token.revoke", id, json!({ "of": owner })))?;
            Ok(Ok(true))
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
                .prepare_cached(&format!(
                    "SELECT {USER}, tokens.id, tokens.user_id, tokens.name, tokens.scopes, tokens.created_at,
                            tokens.expires_at, tokens.hash
                     FROM tokens JOIN users ON users.id = tokens.user_id
                     WHERE tokens.hash = ?1 AND users.disabled_at IS NULL"
                ))?
                .query_row([hash], |row| {
                    let info = token(row, USER_COLUMNS)?;
                    Ok(StoredToken { user: user(row)?, info, hash: row.get(USER_COLUMNS + 6)? })
                })
                .optional()
        })
        .await
    }

    /// Until when something that somebody came in with counts; nothing where it is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn credential_end(&self, credential: Credential) -> Result<Option<Option<Time>>, StoreError> {
        self.read(move |connection| {
            let (question, id) = match &credential {
                Credential::Token(id) => ("SELECT expires_at FROM tokens WHERE id = ?1", *id.as_bytes()),
                Credential::Session(id) => ("SELECT expires_at FROM sessions WHERE id = ?1", *id.as_bytes()),
            };
            connection
                .prepare_cached(question)?
                .query_row([id], |row| Ok(row.get::<_, Option<i64>>(0)?.map(Time::from_micros)))
                .optional()
        })
        .await
    }
}

/// Removes a person's tokens but the one that is kept; how many.
pub(super) fn end_tokens(connection: &Connection, of: UserId, keep: Option<Credential>) -> rusqlite::Result<usize> {
    let keep = match keep {
        Some(Credential::Token(id)) => Some(*id.as_bytes()),
        _ => None,
    };
    connection.prepare_cached("DELETE FROM tokens WHERE user_id = ?1 AND id IS NOT ?2")?.execute((of.as_bytes(), keep))
}

pub(super) fn insert_token(connection: &Connection, token: &NewToken) -> rusqlite::Result<()> {
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

fn token(row: &Row<'_>, first: usize) -> rusqlite::Result<TokenInfo> {
    Ok(TokenInfo {
        id: identifier(row, first, TokenId::from_bytes)?,
        user_id: identifier(row, first + 1, UserId::from_bytes)?,
        name: row.get(first + 2)?,
        scopes: read_json(row, first + 3)?,
        created_at: time(row, first + 4)?,
        expires_at: row.get::<_, Option<i64>>(first + 5)?.map(Time::from_micros),
    })
}
