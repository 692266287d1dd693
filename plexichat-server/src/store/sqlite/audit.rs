//! The audit log: who did what. Rows are only ever added, and each row's hash covers the one before it.

use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Store, Tx};

/// What somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb`: `user.login`, `token.create`, `plugin.enable`, `room.policy`.
    pub action: &'static str,
    /// To what: an identifier or a name.
    pub subject: String,
    /// More; never a secret, never what somebody wrote.
    pub detail: Value,
    /// From which address.
    pub ip: Option<String>,
    /// By which request.
    pub request_id: Option<String>,
}

impl Tx<'_> {
    /// Adds a row to the audit log, in the transaction of what it tells.
    pub(super) fn audit(&self, audit: &Audit) -> rusqlite::Result<()> {
        append(self, Time::now(), audit)
    }
}

impl Store {
    /// Adds a row to the audit log for something that no transaction of the store stands for.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have added it.
    pub async fn audit(&self, audit: Audit) -> Result<(), StoreError> {
        self.write(move |tx| tx.audit(&audit).map(Ok)).await
    }
}

fn append(connection: &Connection, time: Time, audit: &Audit) -> rusqlite::Result<()> {
    let last = connection
        .prepare_cached("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))
        .optional()?;
    let (last, before) = last.unwrap_or((0, [0; 32]));
    let actor =
        serde_json::to_string(&audit.actor).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let detail = audit.detail.to_string();
    let number = last + 1;
    let hash = chained(&before, number, time, &actor, &detail, audit);
    connection
        .prepare_cached(
            "INSERT INTO audit (number, time, actor, action, subject, detail, ip, request_id, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(rusqlite::params![
            number,
            time.as_micros(),
            actor,
            audit.action,
            audit.subject,
            detail,
            audit.ip,
            audit.request_id,
            hash,
        ])
        .map(|_| ())
}

/// The hash of a row: SHA-256 over the hash before it and every field, each behind its length, so that no two rows read the
/// same.
fn chained(before: &[u8; 32], number: i64, time: Time, actor: &str, detail: &str, audit: &Audit) -> [u8; 32] {
    let (number, time) = (number.to_be_bytes(), time.as_micros().to_be_bytes());
    let optional =
        |text: &'_ Option<String>| text.as_ref().map_or_else(Vec::new, |text| [b"+", text.as_bytes()].concat());
    let (ip, request_id) = (optional(&audit.ip), optional(&audit.request_id));
    let fields: [&[u8]; 9] = [
        before,
        &number,
        &time,
        actor.as_bytes(),
        audit.action.as_bytes(),
        audit.subject.as_bytes(),
        detail.as_bytes(),
        &ip,
        &request_id,
    ];
    let mut hasher = Sha256::new();
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    hasher.finalize().into()
}
