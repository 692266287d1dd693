//! What befalls a stored message, written in the transaction in which it is decided. The pipeline decides; here are only the
//! statements.

use std::sync::Arc;

use plexichat::id::{EventId, MessageId};
use plexichat::message::Actor;
use plexichat::pipeline::{Alter, Decision, Kept, NewChange, Posted, Refusal};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::audit::Audit;
use super::changes::Tx;
use super::files;
use super::messages::{COLUMN_COUNT, COLUMNS, list, list_text, stored_row};
use super::stopping;
use super::values::{kind_word, state_word, word};
use super::writer::{Verdict, Work};

/// A change in the queue of the writer.
pub(super) struct Altering {
    alter: Option<Alter>,
    decided: Option<Result<(Decision, u64), Refusal>>,
}

impl Altering {
    pub(super) fn new(alter: Alter) -> Self {
        Self { alter: Some(alter), decided: None }
    }
}

impl Work for Altering {
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<Verdict> {
        let Some(alter) = &self.alter else { return Ok(Verdict::Undo) };
        let decided = decide(tx, alter)?;
        let keep = decided.as_ref().is_ok_and(|(decision, _)| !decision.changes().is_empty());
        self.decided = Some(decided);
        Ok(if keep { Verdict::Keep } else { Verdict::Undo })
    }

    fn finish(mut self: Box<Self>, committed: Result<(), StoreError>) {
        let Some(alter) = self.alter.take() else { return };
        match (committed, self.decided.take()) {
            (Ok(()), Some(Ok((decision, first)))) => alter.stored(decision, first),
            (Ok(()), Some(Err(refusal))) => alter.refused(refusal),
            (Ok(()), None) => alter.failed(stopping()),
            (Err(error), _) => alter.failed(error),
        }
    }
}

impl Drop for Altering {
    fn drop(&mut self) {
        // A queue that closes drops what is in it.
        if let Some(alter) = self.alter.take() {
            alter.failed(stopping());
        }
    }
}

/// A message's row, and its room's.
struct Numbers {
    message: i64,
    room: i64,
}

fn decide(tx: &mut Tx<'_>, alter: &Alter) -> rusqlite::Result<Result<(Decision, u64), Refusal>> {
    let Some((mut kept, numbers)) = find(tx, alter.message_id())? else { return Ok(Err(Refusal::NoMessage)) };
    if let Some((emoji, _)) = alter.reaction() {
        kept.reacted = has_reacted(tx, numbers.message, emoji, alter.by())?;
    }
    let decision = match alter.decide(&kept, tx.now()) {
        Ok(decision) => decision,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if decision.wipes() && !decision.changes().is_empty() {
        // Before the changes take their numbers: what the transaction tells itself is told first.
        files::drop_of_message(tx, numbers.message, alter.by())?;
    }
    let first = tx.next_number()?;
    if !decision.changes().is_empty() {
        write(tx, alter, &decision, &numbers)?;
    }
    Ok(Ok((decision, first.cast_unsigned())))
}

fn find(connection: &Connection, message: MessageId) -> rusqlite::Result<Option<(Kept, Numbers)>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, origin, cause_id, cause_depth, findings, held_hash, messages.number, messages.room
             FROM messages JOIN rooms ON rooms.number = messages.room WHERE messages.id = ?1"
        ))?
        .query_row([message.as_bytes()], |row| {
            let kept = Kept {
                posted: posted(row)?,
                findings: list(row, COLUMN_COUNT + 3)?,
                old_text_hash: row.get(COLUMN_COUNT + 4)?,
                reacted: false,
            };
            Ok((kept, Numbers { message: row.get(COLUMN_COUNT + 5)?, room: row.get(COLUMN_COUNT + 6)? }))
        })
        .optional()
}

/// A message with what is not shown of it: [`COLUMNS`], then `origin`, `cause_id`, `cause_depth`.
pub(super) fn posted(row: &Row<'_>) -> rusqlite::Result<Posted> {
    Ok(Posted {
        row: Arc::new(stored_row(row)?),
        origin: word(row, COLUMN_COUNT)?,
        cause_id: row.get::<_, Option<[u8; 16]>>(COLUMN_COUNT + 1)?.map(EventId::from_bytes),
        cause_depth: row.get(COLUMN_COUNT + 2)?,
    })
}

fn has_reacted(connection: &Connection, message: i64, emoji: &str, by: &Actor) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM reactions WHERE message = ?1 AND emoji = ?2 AND actor_kind = ?3 AND actor_id = ?4",
        )?
        .exists((message, emoji, kind_word(by.kind), &*by.id))
}

fn write(tx: &mut Tx<'_>, alter: &Alter, decision: &Decision, numbers: &Numbers) -> rusqlite::Result<()> {
    let row = decision.row();
    tx.prepare_cached(
        "UPDATE messages SET text = ?2, state = ?3, revision = ?4, edited_at = ?5, attachments = ?6, reactions = ?7,
                             findings = ?8, held_hash = ?9 WHERE number = ?1",
    )?
    .execute(rusqlite::params![
        numbers.message,
        row.text,
        state_word(row.state),
        row.revision,
        row.edited_at.map(|at| at.as_micros()),
        list_text(&row.attachments)?,
        list_text(&row.reactions)?,
        list_text(decision.findings())?,
        decision.old_text_hash(),
    ])?;
    let (by, now) = (alter.by(), tx.now());
    match alter.reaction() {
        Some((emoji, true)) => {
            tx.prepare_cached(
                "INSERT INTO reactions (message, emoji, actor_kind, actor_id, actor_name, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((numbers.message, emoji, kind_word(by.kind), &*by.id, &*by.name, now.as_micros()))?;
        }
        Some((emoji, false)) => {
            tx.prepare_cached(
                "DELETE FROM reactions WHERE message = ?1 AND emoji = ?2 AND actor_kind = ?3 AND actor_id = ?4",
            )?
            .execute((numbers.message, emoji, kind_word(by.kind), &*by.id))?;
        }
        None if decision.wipes() => wipe(tx, numbers, row.seq)?,
        None => {}
    }
    for NewChange { kind, event } in decision.changes() {
        tx.change(Some(numbers.room), Some(numbers.message), *kind, event.as_deref())?;
    }
    if let Some(action) = decision.audit() {
        tx.audit(&Audit {
            actor: by.clone(),
            action,
            subject: row.id.to_string(),
            detail: json!({ "room_id": row.room_id, "seq": row.seq, "author": row.author }),
            ip: None,
            request_id: None,
        })?;
    }
    Ok(())
}

/// What was written goes from wherever it is.
fn wipe(tx: &Tx<'_>, numbers: &Numbers, seq: u64) -> rusqlite::Result<()> {
    let message = numbers.message;
    tx.prepare_cached("DELETE FROM reactions WHERE message = ?1")?.execute([message])?;
    tx.prepare_cached("UPDATE changes SET event = NULL WHERE message = ?1 AND kind = 'updated'")?.execute([message])?;
    tx.prepare_cached("DELETE FROM message_search WHERE rowid = ?1")?.execute([message])?;
    tx.prepare_cached("DELETE FROM mentions WHERE room = ?1 AND seq = ?2")?
        .execute((numbers.room, seq.cast_signed()))
        .map(|_| ())
}
