//! Reads the audit log, and verifies its chain: that no row was changed, removed, put elsewhere or cut off. Writes nothing
//! but the removal of what is too old.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::audit::{Fields, Hash};
use super::open::{self, OpenError};
use super::values::{bound, count, json, time};
use super::{Store, migrations};

/// How many rows one look at the store verifies, so that it holds no reader for long.
const STRIDE: usize = 2000;

/// How many findings are told: whoever rewrote the whole log need not be told a million times.
const FINDINGS: usize = 20;

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AuditRow {
    /// Its number: 1, 2, 3, ….
    pub number: u64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb`.
    pub action: String,
    /// To what: an identifier or a name.
    pub subject: String,
    /// More.
    pub detail: Value,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// By which request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Which rows are asked for, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only rows before this number.
    pub before: Option<u64>,
    /// Only what this person or plugin did, by identifier or name.
    pub actor: Option<String>,
    /// Only this action, or with a `noun.` all actions on it.
    pub action: Option<String>,
    /// Only what was done to this.
    pub subject: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// A row by its number and its hash, written `12:9f86d0…`: whoever has noted it elsewhere can tell later whether the log up
/// to it is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The row's number.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditReport {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// How many rows were verified.
    pub rows: u64,
    /// How many older rows were removed by retention.
    pub removed: u64,
    /// The last row's number and hash. Noted elsewhere, it shows later whether the log up to it was written anew.
    pub head: String,
    /// What is wrong, the first twenty.
    pub findings: Vec<AuditFinding>,
}

/// One thing that is wrong with the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditFinding {
    /// At which row.
    pub number: u64,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Anchor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.number)?;
        self.hash.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The text is no number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not written like 12:9f86d081… with all 64 digits of the hash")]
pub struct InvalidAnchor;

impl FromStr for Anchor {
    type Err = InvalidAnchor;

    fn from_str(text: &str) -> Result<Self, InvalidAnchor> {
        let (number, digits) = text.trim().split_once(':').ok_or(InvalidAnchor)?;
        let number = number.parse().map_err(|_| InvalidAnchor)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(InvalidAnchor);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidAnchor)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidAnchor)?;
        }
        Ok(Self { number, hash })
    }
}

impl Store {
    /// A page of the audit log, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn audit_rows(&self, query: AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, time, actor, action, subject, detail, ip, request_id FROM audit
                 WHERE number < ?1
                   AND (?2 IS NULL OR actor ->> 'id' = ?2 OR actor ->> 'name' = ?2)
                   AND (?3 IS NULL OR action = ?3 OR substr(?3, -1) = '.' AND substr(action, 1, length(?3)) = ?3)
                   AND (?4 IS NULL OR subject = ?4)
                 ORDER BY number DESC LIMIT ?5",
            )?;
            let before = query.before.map_or(i64::MAX, bound);
            let rows =
                statement.query_map((before, query.actor, query.action, query.subject, query.limit), audit_row)?;
            rows.collect()
        })
        .await
    }

    /// Verifies the audit log's chain, and that the row which somebody noted is still the same.
    ///
    /// # Errors
    /// [`StoreError`] where it could not be read; what is wrong with the log is in the report.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn verify_audit(&self, expected: Option<Anchor>) -> Result<AuditReport, StoreError> {
        let mut walk = Walk::new(expected);
        loop {
            let (walked, done) = self.read(move |connection| walk.stride(connection)).await?;
            if done {
                return Ok(walked.report());
            }
            walk = walked;
        }
    }

    /// The last row of the audit log, for whoever notes it.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn audit_head(&self) -> Result<Anchor, StoreError> {
        self.read(|connection| Ok(ends(connection)?.1)).await
    }
}

/// Verifies the audit log in a database file that no server need have open. The file is only read.
///
/// # Errors
/// [`OpenError`] where it is no database of ours, or cannot be read.
pub fn verify_audit_file(path: &Path, expected: Option<Anchor>) -> Result<AuditReport, OpenError> {
    let connection = open::open_file_to_look(path)?;
    if migrations::pending(&connection, path)? > 0 {
        return Err(OpenError::Older { path: path.to_path_buf() });
    }
    let reading = |source| OpenError::reading(path, source);
    let mut walk = Walk::new(expected);
    loop {
        let (walked, done) = walk.stride(&connection).map_err(reading)?;
        if done {
            return Ok(walked.report());
        }
        walk = walked;
    }
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        number: count(row, 0)?,
        time: time(row, 1)?,
        actor: json(row, 2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        detail: json(row, 5)?,
        ip: row.get(6)?,
        request_id: row.get(7)?,
    })
}

/// Where the chain says that it begins and ends.
fn ends(connection: &Connection) -> rusqlite::Result<(Anchor, Anchor)> {
    connection.prepare_cached("SELECT base, base_hash, head, head_hash FROM audit_chain")?.query_row([], |row| {
        let anchor =
            |number, hash| Ok::<_, rusqlite::Error>(Anchor { number: count(row, number)?, hash: row.get(hash)? });
        Ok((anchor(0, 1)?, anchor(2, 3)?))
    })
}

/// A verification under way.
struct Walk {
    expected: Option<Anchor>,
    /// The last row that was looked at; nothing before the first.
    last: Option<Anchor>,
    removed: u64,
    rows: u64,
    findings: Vec<AuditFinding>,
    head: Anchor,
}

impl Walk {
    fn new(expected: Option<Anchor>) -> Self {
        let head = Anchor { number: 0, hash: [0; 32] };
        Self { expected, last: None, removed: 0, rows: 0, findings: Vec::new(), head }
    }

    /// Looks at the next rows; whether those were the last.
    fn stride(mut self, connection: &Connection) -> rusqlite::Result<(Self, bool)> {
        // One transaction, so that the end that is read belongs to the rows that are read.
        let transaction = connection.unchecked_transaction()?;
        let (base, head) = match ends(&transaction) {
            Ok(ends) => ends,
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                self.find(
                    0,
                    "where the log begins and ends is not told any more: `audit_chain` was emptied".to_owned(),
                );
                return Ok((self, true));
            }
            Err(error) => return Err(error),
        };
        // Retention may have removed, meanwhile, rows that this walk had not come to.
        if self.last.is_none_or(|last| last.number < base.number) {
            self = Self { last: Some(base), removed: base.number, ..Self::new(self.expected) };
            self.expect_base(base);
        }
        let after = self.last.unwrap_or(base).number;
        let mut statement = transaction.prepare_cached(
            "SELECT number, time, actor, action, subject, detail, ip, request_id, hash FROM audit
             WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?;
        let mut rows = statement.query((bound(after), STRIDE as i64))?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            seen += 1;
            self.row(row)?;
        }
        drop(rows);
        drop(statement);
        if seen == STRIDE {
            return Ok((self, false));
        }
        self.end(head);
        Ok((self, true))
    }

    fn expect_base(&mut self, base: Anchor) {
        match self.expected {
            Some(expected) if expected.number == base.number && base.number > 0 && expected.hash != base.hash => {
                self.find(expected.number, "is not the row that was noted: the log was written anew".to_owned());
            }
            Some(expected) if expected.number < base.number => {
                let message = "was removed as too old: whether it is the row that was noted cannot be told any more";
                self.find(expected.number, message.to_owned());
            }
            _ => {}
        }
    }

    fn row(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let number: i64 = row.get(0)?;
        let Some(before) = self.last else { return Ok(()) };
        self.rows += 1;
        let shown = number.max(0) as u64;
        // What somebody put there may be of any type.
        let text = |column| match row.get_ref(column)? {
            ValueRef::Text(bytes) => Ok(Some(bytes)),
            _ => Ok::<_, rusqlite::Error>(None),
        };
        let stored = row.get::<_, Hash>(8).unwrap_or_default();
        let next = before.number + 1;
        let texts = (text(2)?, text(3)?, text(4)?, text(5)?);
        if shown != next {
            self.find(
                next,
                match shown - next {
                    1 => "is missing".to_owned(),
                    _ => format!("and all rows up to {} are missing", shown - 1),
                },
            );
        } else if let ((Some(actor), Some(action), Some(subject), Some(detail)), Ok(time)) =
            (texts, row.get::<_, i64>(1))
        {
            let fields =
                Fields { number, time, texts: [actor, action, subject, detail], optional: [text(6)?, text(7)?] };
            if fields.chained(&before.hash) != stored {
                self.find(shown, "is not as it was written, or does not stand where it stood".to_owned());
            }
        } else {
            self.find(shown, "has a value of a type that was never written".to_owned());
        }
        let here = Anchor { number: shown, hash: stored };
        if self.expected.is_some_and(|expected| expected.number == shown && expected != here) {
            self.find(shown, "is not the row that was noted: the log was written anew".to_owned());
        }
        self.last = Some(here);
        Ok(())
    }

    /// Whether the rows end where the chain says.
    fn end(&mut self, head: Anchor) {
        let Some(last) = self.last else { return };
        self.head = head;
        if last.number < head.number {
            self.find(last.number + 1, format!("and all rows up to {} are missing: the end was cut off", head.number));
        } else if last != head {
            self.find(last.number, format!("is not the end that was written, which is row {}", head.number));
        }
        if let Some(expected) = self.expected.filter(|expected| expected.number > last.number) {
            self.find(expected.number, "is missing: it was noted, so the end was cut off".to_owned());
        }
    }

    fn find(&mut self, number: u64, message: String) {
        if self.findings.len() < FINDINGS {
            self.findings.push(AuditFinding { number, message });
        }
    }

    fn report(self) -> AuditReport {
        AuditReport {
            intact: self.findings.is_empty(),
            rows: self.rows,
            removed: self.removed,
            head: self.head.to_string(),
            findings: self.findings,
        }
    }
}

#[cfg(test)]
mod tests;
