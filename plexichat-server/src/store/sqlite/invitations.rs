//! The rows of invitations. Knows hashes, not what is sent to people.

use plexichat::id::UserId;
use plexichat::message::Time;
use plexichat::store::StoreError;
use rusqlite::Row;
use serde_json::json;

use super::Store;
use super::values::{identifier, time, word};
use crate::store::Act;
use crate::store::id::InvitationId;
use crate::store::people::InvitationInfo;

impl Store {
    /// Stores an invitation with the SHA-256 of its secret. Those that are over go.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have stored it.
    pub async fn create_invitation(&self, info: InvitationInfo, hash: [u8; 32], act: Act) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM invitations WHERE expires_at <= ?1")?.execute([Time::now().as_micros()])?;
            tx.prepare_cached(
                "INSERT INTO invitations (id, hash, role, created_by, created_at, expires_at, uses_left)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                info.id.as_bytes(),
                hash,
                info.role.as_str(),
                info.created_by.as_bytes(),
                info.created_at.as_micros(),
                info.expires_at.map(Time::as_micros),
                info.uses_left,
            ))?;
            let detail = json!({ "role": info.role, "uses": info.uses_left, "expires_at": info.expires_at });
            tx.audit(&act.audit("invitation.create", info.id, detail))?;
            Ok(Ok(()))
        })
        .await
    }

    /// The invitations that count, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn invitations(&self) -> Result<Vec<InvitationInfo>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, role, created_by, created_at, expires_at, uses_left FROM invitations
                 WHERE expires_at IS NULL OR expires_at > ?1 ORDER BY id",
            )?;
            let invitations = statement.query_map([Time::now().as_micros()], invitation)?;
            invitations.collect()
        })
        .await
    }

    /// Takes an invitation back; whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub async fn remove_invitation(&self, id: InvitationId, act: Act) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let removed = tx.prepare_cached("DELETE FROM invitations WHERE id = ?1")?.execute([id.as_bytes()])?;
            if removed == 1 {
                tx.audit(&act.audit("invitation.revoke", id, json!({})))?;
            }
            Ok(Ok(removed == 1))
        })
        .await
    }
}

fn invitation(row: &Row<'_>) -> rusqlite::Result<InvitationInfo> {
    Ok(InvitationInfo {
        id: identifier(row, 0, InvitationId::from_bytes)?,
        role: word(row, 1)?,
        created_by: identifier(row, 2, UserId::from_bytes)?,
        created_at: time(row, 3)?,
        expires_at: row.get::<_, Option<i64>>(4)?.map(Time::from_micros),
        uses_left: row.get(5)?,
    })
}
