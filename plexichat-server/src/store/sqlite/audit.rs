//! The audit log: who did what. Rows are only ever added, and each row's hash covers the one before it.

use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use rusqlite::Connection;
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

/// Adds a row in the transaction that the connection is in.
pub(super) fn append(connection: &Connection, time: Time, audit: &Audit) -> rusqlite::Result<()> {
    // From here and not from the last row: where somebody cut the end off, the hole stays to be seen.
    let (last, before) = connection
        .prepare_cached("SELECT head, head_hash FROM audit_chain")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Hash>(1)?)))?;
    let actor =
        serde_json::to_string(&audit.actor).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let detail = audit.detail.to_string();
    let number = last + 1;
    let fields = Fields {
        number,
        time: time.as_micros(),
        texts: [&actor, audit.action, &audit.subject, &detail].map(str::as_bytes),
        optional: [&audit.ip, &audit.request_id].map(|text| text.as_deref().map(str::as_bytes)),
    };
    let hash = fields.chained(&before);
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
        ])?;
    connection.prepare_cached("UPDATE audit_chain SET head = ?1, head_hash = ?2")?.execute((number, hash)).map(|_| ())
}

/// The hash of a row.
pub(super) type Hash = [u8; 32];

/// A row as it is stored, without its hash.
pub(super) struct Fields<'a> {
    pub(super) number: i64,
    pub(super) time: i64,
    /// Actor, action, subject, detail.
    pub(super) texts: [&'a [u8]; 4],
    /// Address, request.
    pub(super) optional: [Option<&'a [u8]>; 2],
}

impl Fields<'_> {
    /// The hash of this row behind the one with that hash: SHA-256 over it and every field, each behind its length, so that
    /// no two rows read the same.
    pub(super) fn chained(&self, before: &Hash) -> Hash {
        let mut hasher = Sha256::new();
        let mut put = |field: &[u8]| {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        };
        put(before);
        put(&self.number.to_be_bytes());
        put(&self.time.to_be_bytes());
        self.texts.iter().for_each(|text| put(text));
        for text in self.optional {
            put(&text.map_or_else(Vec::new, |text| [b"+", text].concat()));
        }
        hasher.finalize().into()
    }
}
