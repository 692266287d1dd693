//! Faults of the store that `tests.rs` has not: damage of the log, a migration that is killed, a clock that jumps.

use std::fs;
use std::path::Path;

use futures_util::future::join_all;
use plexichat::id::RoomId;
use plexichat::message::{StoredRow, Time};
use plexichat::pipeline::MessageStore;
use rusqlite::Connection;

use super::{Store, log, migrations};
use crate::store::AuditQuery;
use crate::store::testing::{Bench, Place};

/// What a process leaves that is killed: a copy of the files, taken while the first still has them open.
fn killed(from: &Place) -> Place {
    let to = Place::new();
    for name in ["plexichat.db", "plexichat.db-wal"] {
        let source = from.directory().join(name);
        if source.exists() {
            fs::copy(source, to.directory().join(name)).expect("copies");
        }
    }
    to
}

async fn history(store: &Store, room: RoomId) -> Vec<StoredRow> {
    store.history(room, Some(0), None, 10_000).await.expect("reads")
}

/// The store over a copy whose log has one bit changed: what it holds, and how many groups it says are lost.
async fn with_bit_flipped(place: &Place, room: RoomId, at: usize) -> (Vec<StoredRow>, Option<u64>) {
    let copy = killed(place);
    let path = log::path(&copy.database());
    let mut bytes = fs::read(&path).expect("reads");
    bytes[at] ^= 0x10;
    fs::write(&path, bytes).expect("writes");
    let store = copy.open();
    let rows = history(&store, room).await;
    let told = store.audit_rows(AuditQuery { action: Some("store.damage".into()), limit: 1, ..AuditQuery::default() });
    let told = told.await.expect("reads");
    let kept = fs::read_dir(copy.directory())
        .expect("lists")
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("-wal.damaged-"));
    assert_eq!(kept, !told.is_empty(), "a damaged log is kept");
    store.close().await;
    (rows, told.first().and_then(|row| row.detail["groups_lost"].as_u64()))
}

/// Fault 46: SQLite stops at the first damaged frame of its log without a word. The start finds what stands behind it, says
/// how much is lost and keeps the log; what is left is a beginning of what was, without a hole.
#[tokio::test(flavor = "multi_thread")]
async fn fault_46_a_flipped_bit_in_the_log_is_told_with_the_count() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    for number in 0..40 {
        bench.post(room, &format!("text {number}")).await;
    }
    let all = history(&bench.store, room).await;
    let size = fs::metadata(log::path(&place.database())).expect("a log").len() as usize;
    let (mut silent, mut told, mut lost) = (Vec::new(), 0, 0);
    // Header, frame headers, pages: everywhere.
    for at in (0..32).step_by(5).chain((32..size).step_by(size / 40)) {
        let (held, groups) = with_bit_flipped(&place, room, at).await;
        assert_eq!(held, all[..held.len()], "at {at}: what is left is a beginning");
        told += usize::from(groups.is_some());
        let missing = all.len() - held.len();
        lost = lost.max(missing);
        // One group may be what a power cut left of one that nobody was told of: that is a warning in the log only.
        if missing > 1 && groups.is_none_or(|groups| (groups as usize) < missing) {
            silent.push((at, missing, groups));
        }
    }
    assert_eq!(silent, [], "lost without a word: (byte, messages, groups told of)");
    assert!(told > 12 && lost == all.len(), "{told} told, at most {lost} lost");
    // And nothing is told where nothing is wrong.
    let copy = killed(&place);
    let store = copy.open();
    assert_eq!(history(&store, room).await, all);
    assert!(log::behind_damage(&log::path(&place.database())).expect("reads").is_none());
    assert!(
        !fs::read_dir(copy.directory())
            .expect("lists")
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().contains("damaged") })
    );
}

/// Fault 47: killed at any moment of a migration, the next start goes on from what was complete.
#[tokio::test(flavor = "multi_thread")]
async fn fault_47_a_migration_killed_half_way_goes_on_at_the_next_start() {
    for half in 1..migrations::COUNT {
        let place = Place::new();
        let mut connection = Connection::open(place.database()).expect("opens");
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).expect("sets");
        // So that what is not committed reaches the log.
        connection.execute_batch("PRAGMA cache_size = 1").expect("sets");
        migrations::up_to(&mut connection, Path::new("test.db"), half).expect("migrates");
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {}", migrations::statements(half))).expect("runs");
        let left = killed(&place);
        connection.execute_batch("ROLLBACK").expect("undoes");
        drop(connection);
        let bench = Bench::open(&left).await;
        let room = bench.room("general").await;
        assert_eq!(bench.post(room, "hello").await.row.seq, 1, "killed in step {}", half + 1);
        bench.store.close().await;
    }
}

/// Fault 56: the clock jumps back by an hour while the server runs and while it is stopped; a room's times go forwards.
#[tokio::test(flavor = "multi_thread")]
async fn fault_56_a_rooms_times_go_forwards_though_the_clock_does_not() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let first = bench.post(room, "before the jump").await;
    bench.store.close().await;
    drop(bench);
    // As if the clock had been an hour ahead when it was stored.
    let ahead = Time::from_micros(first.row.created_at.as_micros() + 3_600_000_000);
    Connection::open(place.database())
        .and_then(|shell| shell.execute("UPDATE messages SET created_at = ?1", [ahead.as_micros()]))
        .expect("sets");
    let bench = Bench::open(&place).await;
    let rows = [bench.post(room, "after it").await, bench.post(room, "and later").await];
    assert!(rows[0].row.created_at >= ahead, "{:?} is before {ahead:?}", rows[0].row.created_at);
    assert!(rows[1].row.created_at >= rows[0].row.created_at);
    assert_eq!([rows[0].row.seq, rows[1].row.seq], [2, 3]);
}

/// Fault 56: identifiers that one process gives grow, whatever the clock does between.
#[test]
fn fault_56_identifiers_grow() {
    let given: Vec<_> = (0..10_000).map(|_| plexichat::id::MessageId::new()).collect();
    assert!(given.windows(2).all(|pair| pair[0] < pair[1]));
}

/// Fault 44, the unit of it: many that wait while another program holds the lock are stored once it lets go, each once.
#[tokio::test(flavor = "multi_thread")]
async fn fault_44_what_waits_for_a_lock_is_stored_when_it_goes() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let other = Connection::open(place.database()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let posts = join_all((0..50).map(|_| bench.post(room, "hello")));
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        other.execute_batch("ROLLBACK").expect("lets go");
    };
    let (outcomes, ()) = tokio::join!(posts, release);
    let mut seqs: Vec<u64> = outcomes.iter().map(|outcome| outcome.row.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=50).collect::<Vec<_>>());
}
