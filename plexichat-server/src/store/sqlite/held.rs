//! What is read of single messages beside their rows: those that are held back, with what scanners found, and who reacted.

use plexichat::id::{MessageId, PluginName};
use plexichat::message::{Actor, Finding};
use plexichat::store::StoreError;

use super::Store;
use super::messages::{COLUMN_COUNT, COLUMNS, list, stored_row};
use super::values::{bound, count, time, word};
use crate::store::rows::{HeldFinding, HeldMessage, MessageScan, Reacted};

impl Store {
    /// At most so many messages that are held back, after this number, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn held(&self, after: u64, limit: u32) -> Result<Vec<HeldMessage>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, messages.findings, messages.number
                 FROM messages JOIN rooms ON rooms.number = messages.room
                 WHERE messages.state = 'quarantined' AND messages.number > ?1 ORDER BY messages.number LIMIT ?2"
            ))?;
            let held = statement.query_map((bound(after), limit), |row| {
                let findings: Vec<(PluginName, Finding)> = list(row, COLUMN_COUNT)?;
                Ok(HeldMessage {
                    message: stored_row(row)?,
                    scan: MessageScan::held(&findings),
                    findings: findings.into_iter().map(|(plugin, finding)| HeldFinding { plugin, finding }).collect(),
                    number: count(row, COLUMN_COUNT + 1)?,
                })
            })?;
            held.collect()
        })
        .await
    }

    /// Who reacted to a message, by emoji: at most so many, the first ones left out.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn reactions(
        &self,
        message: MessageId,
        emoji: Option<String>,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<Reacted>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT emoji, actor_kind, actor_id, actor_name, created_at FROM reactions
                 WHERE message = (SELECT number FROM messages WHERE id = ?1) AND (?2 IS NULL OR emoji = ?2)
                 ORDER BY emoji, actor_kind, actor_id LIMIT ?3 OFFSET ?4",
            )?;
            let reactions = statement.query_map((message.as_bytes(), emoji, limit, offset), |row| {
                Ok(Reacted {
                    emoji: row.get(0)?,
                    by: Actor { kind: word(row, 1)?, id: row.get(2)?, name: row.get(3)? },
                    created_at: time(row, 4)?,
                })
            })?;
            reactions.collect()
        })
        .await
    }
}
