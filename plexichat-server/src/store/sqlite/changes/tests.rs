//! What is stored of changes: the same after a kill, gone with the message, kept for a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use plexichat::event::catalog::SystemStarted;
use plexichat::id::EventId;
use plexichat::message::{MessageState, Origin, StoredRow};
use plexichat::pipeline::{Edit, MessageStore, Outbox, React};
use rusqlite::types::ValueRef;

use super::*;
use crate::store::testing::{Bench, Ends, Place};

/// An outbox that keeps what it is handed.
#[derive(Default)]
struct Kept(Mutex<Vec<Delivery>>);

impl Outbox for Kept {
    fn enqueue(&self, delivery: Delivery) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
    }
}

impl Kept {
    fn list(&self) -> Vec<(u64, &'static str, Option<EventId>)> {
        list(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Number, kind, and what tells one event from another.
fn list(deliveries: &[Delivery]) -> Vec<(u64, &'static str, Option<EventId>)> {
    let one = |delivery: &Delivery| match &delivery.what {
        Told::Message(_) => (delivery.outbox_id, "message", None),
        Told::Released(_) => (delivery.outbox_id, "released", None),
        Told::Event(event) => (delivery.outbox_id, "event", Some(event.id)),
        Told::Nothing => (delivery.outbox_id, "nothing", None),
    };
    deliveries.iter().map(one).collect()
}

async fn open(place: &Place) -> (Bench, Arc<Kept>) {
    let kept = Arc::<Kept>::default();
    (Bench::with_outbox(place.open(), Arc::<Ends>::default(), kept.clone()).await, kept)
}

async fn edit(bench: &Bench, row: &StoredRow, text: &str) {
    let (by, text) = (bench.writer(), text.to_owned());
    let edit = Edit { by, message_id: row.id, text, expected_revision: None, origin: Origin::Rest };
    bench.pipeline.edit(edit).await.expect("is edited");
}

async fn react(bench: &Bench, row: &StoredRow) {
    let react =
        React { by: bench.writer(), message_id: row.id, emoji: "👍".to_owned(), on: true, origin: Origin::Rest };
    bench.pipeline.react(react).await.expect("reacts");
}

async fn emit(bench: &Bench, keep: bool) -> Result<(), StoreError> {
    let event = Event::new(SystemStarted::new("1.0.0".to_owned(), Vec::new()));
    let undone = || StoreError::Failed("a test".to_owned());
    bench.store.write(move |tx| tx.event(&event).map(|()| if keep { Ok(()) } else { Err(undone()) })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_on_is_found_again_after_a_kill() {
    let place = Place::new();
    let (first, kept) = open(&place).await;
    let room = first.room("general").await;
    let row = first.post(room, "hello").await.row;
    edit(&first, &row, "edited").await;
    emit(&first, true).await.expect("is kept");
    assert!(emit(&first, false).await.is_err());
    react(&first, &row).await;
    first.post(room, "more").await;
    let handed = kept.list();
    std::mem::forget(first);

    let (second, _) = open(&place).await;
    let finished = handed.first().expect("something").0 - 1;
    let found = second.store.outbox_after(finished, 1000).await.expect("reads");
    assert_eq!(list(&found), handed, "the same events under the same numbers, in one order with messages");
    assert!(handed.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "without a gap: {handed:?}");
    for limit in 1..4 {
        let (mut read, mut after) = (Vec::new(), finished);
        loop {
            let page = second.store.outbox_after(after, limit).await.expect("reads");
            let Some(last) = page.last() else { break };
            after = last.outbox_id;
            read.extend(list(&page));
        }
        assert_eq!(read, handed, "{limit} at a time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_text_is_nowhere() {
    let place = Place::new();
    let (bench, _) = open(&place).await;
    let room = bench.room("general").await;
    let row = bench.post(room, "the word is xyzzy").await.row;
    edit(&bench, &row, "the word is xyzzy still").await;
    react(&bench, &row).await;
    assert_eq!(tables_with(&bench, "xyzzy").await, ["changes", "messages"], "as long as it is there");
    bench.pipeline.delete(bench.writer(), row.id, Origin::Rest).await.expect("is deleted");
    assert_eq!(tables_with(&bench, "xyzzy").await, [""; 0]);
    assert_eq!(bench.store.reactions(row.id, None, 0, 10).await, Ok(Vec::new()));
    let found = bench.store.message(row.id).await.expect("reads").expect("its place is kept");
    assert_eq!((found.state, found.seq), (MessageState::Deleted, row.seq));
    let left = bench.store.outbox_after(0, 1000).await.expect("reads");
    let told = |event: &Event| event.name == "message_updated";
    assert!(!left.iter().any(|delivery| matches!(&delivery.what, Told::Event(event) if told(event))));
}

/// The tables of which a text column has this word.
async fn tables_with(bench: &Bench, word: &'static str) -> Vec<String> {
    let read = bench.store.read(move |connection| {
        let mut tables = connection.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'message_search%' ORDER BY name",
        )?;
        let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut found = Vec::new();
        for table in tables {
            let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            let mut has = false;
            while let Some(row) = rows.next()? {
                for column in 0..columns {
                    has |= matches!(row.get_ref(column)?, ValueRef::Text(text) if String::from_utf8_lossy(text).contains(word));
                }
            }
            found.extend(has.then_some(table));
        }
        Ok(found)
    });
    read.await.expect("reads")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderators_deletion_is_in_the_audit_log_and_ones_own_is_not() {
    let place = Place::new();
    let (bench, _) = open(&place).await;
    let room = bench.room("general").await;
    let (own, others) = (bench.post(room, "own").await.row, bench.post(room, "others").await.row);
    bench.pipeline.delete(bench.writer(), own.id, Origin::Rest).await.expect("is deleted");
    bench.pipeline.delete(plexichat::message::Actor::system(), others.id, Origin::System).await.expect("is deleted");
    let audited = bench.store.read(|connection| {
        let mut rows = connection.prepare("SELECT subject, detail FROM audit WHERE action = 'message.delete'")?;
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<Vec<(String, String)>>>()
    });
    let audited = audited.await.expect("reads");
    assert_eq!(audited.len(), 1);
    assert_eq!(audited[0].0, others.id.to_string());
    assert!(!audited[0].1.contains("others"), "never what somebody wrote: {}", audited[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_changes_are_forgotten_once_plugins_were_told() {
    let place = Place::new();
    let (bench, kept) = open(&place).await;
    let room = bench.room("general").await;
    let row = bench.post(room, "hello").await.row;
    for text in ["1", "2", "3"] {
        edit(&bench, &row, text).await;
    }
    let soon = Time::from_micros(Time::now().as_micros() + Duration::from_secs(60).as_micros() as i64);
    assert_eq!(bench.store.prune_changes(soon, 100).await, Ok(0), "plugins were not told yet");
    let last = kept.list().last().expect("something").0;
    bench.store.outbox_finish(last - 1).await.expect("writes");
    let before = Time::from_micros(row.created_at.as_micros() - 60_000_000);
    assert_eq!(bench.store.prune_changes(before, 100).await, Ok(0), "none is so old");
    assert!(bench.store.prune_changes(soon, 100).await.expect("prunes") >= 2);

    let missed = bench.store.changes(room, row.seq, 10).await.expect("reads");
    assert_eq!((missed.rows.len(), missed.gone), (1, true), "whoever was away for so long reads the history");
    let missed = bench.store.changes(room, last - 1, 10).await.expect("reads");
    assert_eq!((missed.rows.len(), missed.gone), (1, false));
    bench.store.outbox_finish(last).await.expect("writes");
    bench.store.prune_changes(soon, 100).await.expect("prunes");
    assert_eq!(bench.store.last_change().await, Ok(last), "the count goes on");
    bench.post(room, "next").await;
    assert_eq!(kept.list().last().map(|(number, ..)| *number), Some(last + 1));
}
