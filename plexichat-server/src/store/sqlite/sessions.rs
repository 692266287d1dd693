//! The rows of browsers' sessions. Knows hashes, not secrets, and no cookie.

use plexichat::event::catalog::{UserLogin, UserLogout};
use plexichat::id::UserId;
use plexichat::message::Time;
use plexichat::store::StoreError;
use rusqlite::{OptionalExtension, Row};
use serde_json::json;

use super::accounts::{USER, USER_COLUMNS, user};
use super::values::{identifier, time};
use super::{Store, Tx};
use crate::store::Act;
use crate::store::id::SessionId;
use crate::store::people::{Credential, NewSession, SessionError, SessionInfo, StoredSession};

/// How many sessions a person may have; the oldest end.
const SESSIONS_MAX: u32 = 50;

const SESSION: &str = "sessions.id, sessions.user_id, sessions.created_at, sessions.rotated_at, sessions.expires_at,
                       sessions.ip, sessions.user_agent";

impl Store {
    /// Begins a session of a person who may come in and still has the password, as a PHC string, that was looked at.
    /// Sessions that are over, and the oldest where there are too many, end: which these are.
    ///
    /// # Errors
    /// [`SessionError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have stored it.
    pub async fn open_session(
        &self,
        session: NewSession,
        password: Option<String>,
        act: Act,
    ) -> Result<Vec<SessionId>, SessionError> {
        self.write(move |tx| {
            let NewSession { info, hash } = &session;
            let may: bool = tx
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND disabled_at IS NULL AND password IS ?2)",
                )?
                .query_row((info.user_id.as_bytes(), &password), |row| row.get(0))?;
            if !may {
                return Ok(Err(SessionError::Changed));
            }
            let ended = make_room(tx, info.user_id, &act)?;
            tx.prepare_cached(
                "INSERT INTO sessions (id, user_id, hash, created_at, rotated_at, seen_at, expires_at, ip, user_agent)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                info.id.as_bytes(),
                info.user_id.as_bytes(),
                hash,
                info.created_at.as_micros(),
                info.expires_at.as_micros(),
                &info.ip,
                &info.user_agent,
            ))?;
            let session_id = info.id.to_string();
            let (ip, user_agent) = (info.ip.clone(), info.user_agent.clone());
            let payload = UserLogin::new(info.user_id, "password".to_owned(), ip, user_agent, None, session_id);
            tx.event(&act.event(None, payload))?;
            tx.audit(&act.audit("user.login", info.user_id, json!({ "session": info.id })))?;
            Ok(Ok(ended))
        })
        .await
    }

    /// The session with this SHA-256, and whose it is; also by the secret before, while that counts.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn session_by_hash(&self, hash: [u8; 32]) -> Result<Option<StoredSession>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {USER}, {SESSION}, sessions.hash FROM sessions JOIN users ON users.id = sessions.user_id
                     WHERE (sessions.hash = ?1 OR sessions.old_hash = ?1 AND sessions.old_until > ?2)
                       AND users.disabled_at IS NULL"
                ))?
                .query_row((hash, Time::now().as_micros()), |row| {
                    let info = session(row, USER_COLUMNS)?;
                    Ok(StoredSession { user: user(row)?, info, hash: row.get(USER_COLUMNS + 7)? })
                })
                .optional()
        })
        .await
    }

    /// Gives a session another secret, unless somebody was faster; whether it was given.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have given it.
    pub async fn rotate_session(&self, rotation: Rotation) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let Rotation { id, from, to, old_until, expires_at } = rotation;
            let rotated = tx
                .prepare_cached(
                    "UPDATE sessions SET hash = ?3, old_hash = ?2, old_until = ?4, rotated_at = ?5, seen_at = ?5,
                                         expires_at = ?6
                     WHERE id = ?1 AND hash = ?2",
                )?
                .execute((
                    id.as_bytes(),
                    from,
                    to,
                    old_until.as_micros(),
                    Time::now().as_micros(),
                    expires_at.as_micros(),
                ))?;
            Ok(Ok(rotated == 1))
        })
        .await
    }

    /// Has every session begun so many seconds before it did.
    #[cfg(test)]
    pub(crate) async fn age_sessions(&self, seconds: i64) {
        let aged = self.write(move |tx| {
            tx.execute("UPDATE sessions SET rotated_at = rotated_at - ?1", [seconds * 1_000_000])
                .map(Ok::<_, StoreError>)
        });
        aged.await.expect("ages");
    }

    /// The sessions of a person, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn sessions(&self, of: UserId) -> Result<Vec<SessionInfo>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {SESSION} FROM sessions WHERE user_id = ?1 AND expires_at > ?2 ORDER BY id DESC"
            ))?;
            let sessions = statement.query_map((of.as_bytes(), Time::now().as_micros()), |row| session(row, 0))?;
            sessions.collect()
        })
        .await
    }

    /// Ends a person's session; whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have ended it.
    pub async fn close_session(&self, id: SessionId, of: UserId, act: Act) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let removed = tx
                .prepare_cached("DELETE FROM sessions WHERE id = ?1 AND user_id = ?2")?
                .execute((id.as_bytes(), of.as_bytes()))?;
            if removed == 0 {
                return Ok(Ok(false));
            }
            tx.event(&act.event(None, UserLogout::new(of, id.to_string(), "asked".to_owned())))?;
            tx.audit(&act.audit("user.logout", of, json!({ "session": id })))?;
            Ok(Ok(true))
        })
        .await
    }
}

/// Another secret for a session.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// Which session.
    pub id: SessionId,
    /// SHA-256 of the secret that counts now.
    pub from: [u8; 32],
    /// SHA-256 of the new one.
    pub to: [u8; 32],
    /// Until when the one before counts still.
    pub old_until: Time,
    /// Until when the session counts from now on.
    pub expires_at: Time,
}

/// Ends a person's sessions but the one that is kept; how many.
pub(super) fn end_sessions(
    tx: &mut Tx<'_>,
    of: UserId,
    keep: Option<Credential>,
    act: &Act,
) -> rusqlite::Result<usize> {
    let keep = match keep {
        Some(Credential::Session(id)) => Some(*id.as_bytes()),
        _ => None,
    };
    let ended: Vec<SessionId> = tx
        .prepare_cached("DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2 RETURNING id")?
        .query_map((of.as_bytes(), keep), |row| identifier(row, 0, SessionId::from_bytes))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &ended {
        tx.event(&act.event(None, UserLogout::new(of, id.to_string(), "revoked".to_owned())))?;
    }
    Ok(ended.len())
}

/// Ends what is over, and the oldest sessions where another one would be too many: which these are.
fn make_room(tx: &mut Tx<'_>, of: UserId, act: &Act) -> rusqlite::Result<Vec<SessionId>> {
    let over: Vec<SessionId> = tx
        .prepare_cached(
            "DELETE FROM sessions WHERE user_id = ?1 AND (expires_at <= ?2 OR id NOT IN
                 (SELECT id FROM sessions WHERE user_id = ?1 AND expires_at > ?2 ORDER BY id DESC LIMIT ?3))
             RETURNING id",
        )?
        .query_map((of.as_bytes(), Time::now().as_micros(), SESSIONS_MAX - 1), |row| {
            identifier(row, 0, SessionId::from_bytes)
        })?
        .collect::<rusqlite::Result<_>>()?;
    for id in &over {
        tx.event(&act.event(None, UserLogout::new(of, id.to_string(), "expired".to_owned())))?;
    }
    Ok(over)
}

fn session(row: &Row<'_>, first: usize) -> rusqlite::Result<SessionInfo> {
    Ok(SessionInfo {
        id: identifier(row, first, SessionId::from_bytes)?,
        user_id: identifier(row, first + 1, UserId::from_bytes)?,
        created_at: time(row, first + 2)?,
        rotated_at: time(row, first + 3)?,
        expires_at: time(row, first + 4)?,
        ip: row.get(first + 5)?,
        user_agent: row.get(first + 6)?,
    })
}
