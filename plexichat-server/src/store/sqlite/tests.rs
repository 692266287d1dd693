//! The engine under what disks, processes and operators do to it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use plexichat::id::{RoomId, UserId};
use plexichat::message::{Actor, Finding};
use plexichat::pipeline::{Incoming, MessageStore, Posting, Refusal, RoomPolicy};
use plexichat::testing::conformance;

use super::*;
use crate::store::testing::{Bench, Place};
use crate::store::{Act, CreateError, NewRoom, Role, RoomError, RoomFilter, TokenId};

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let places = std::sync::Mutex::new(Vec::new());
    let open = || {
        let place = Place::new();
        let store = place.open();
        places.lock().expect("no panic").push(place);
        Arc::new(store)
    };
    conformance::storage(async || open()).await;
    conformance::plugin_store(async || open()).await;
    conformance::automation_store(async || open()).await;
    conformance::message_store(async || {
        let store = open();
        let ann = store.create_user("ann", Role::User).await.expect("makes");
        let bob = store.create_user("bob", Role::User).await.expect("makes");
        let act = Act::system();
        let eve = store.create_user("eve", Role::User).await.expect("makes");
        let carl = store.create_user("carl", Role::User).await.expect("makes");
        let policy = RoomPolicy { posting: Posting::Members, ..RoomPolicy::default() };
        let room = async |name| {
            let room = NewRoom { policy: policy.clone(), members: vec![ann.id, bob.id], ..NewRoom::named(name) };
            store.create_room(room, eve.id, &act).await.expect("makes").0.id
        };
        conformance::Rooms {
            room: room("one").await,
            other_room: room("two").await,
            writer: ann.actor(),
            other_writer: bob.actor(),
            reader: Some(carl.actor()),
            stranger: Some(Actor::user(&UserId::new().to_string(), "nobody")),
            store: store.clone(),
        }
    })
    .await;
}

/// Fault 48, the unit of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let place = Place::new();
    let first = Bench::open(&place).await;
    let room = first.room("general").await;
    let posts = (0..300).map(|number| first.post(room, if number % 2 == 0 { "even" } else { "odd" }));
    let rows: Vec<_> = join_all(posts).await.into_iter().map(|outcome| (*outcome.row).clone()).collect();
    // Neither closed nor dropped, as after a kill: the log is not written back.
    std::mem::forget(first);
    assert!(place.database().with_extension("db-wal").metadata().expect("a log").len() > 0);

    let second = Bench::open(&place).await;
    let mut expected = rows;
    expected.sort_by_key(|row| row.seq);
    assert_eq!(second.store.history(room, None, None, 1000).await.expect("reads"), expected);
    assert_eq!(second.post(room, "next").await.row.seq, 301, "the numbers go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_share_one_transaction() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    // While one write goes on, the others gather behind it.
    let hold = Arc::new(AtomicBool::new(true));
    let (begin, begun) = oneshot::channel();
    let held = bench.store.write({
        let hold = hold.clone();
        move |_| {
            begin.send(()).expect("the test waits");
            while hold.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(Ok::<_, StoreError>(()))
        }
    });
    let posts = async {
        begun.await.expect("the write begins");
        join_all((0..100).map(|_| bench.post(room, "hello"))).await
    };
    let release = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        hold.store(false, Ordering::Release);
    };
    let (_, outcomes, ()) = tokio::join!(held, posts, release);
    let times: HashSet<i64> = outcomes.iter().map(|outcome| outcome.row.created_at.as_micros()).collect();
    assert_eq!(times.len(), 1, "a group has one time");
    let delivered: Vec<u64> = bench.ends.delivered().iter().map(|row| row.seq).collect();
    assert_eq!(delivered, (1..=100).collect::<Vec<_>>(), "and is delivered in its order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_undoes_itself_alone() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let refused = bench.store.write(|connection| {
        connection.execute("INSERT INTO plugins (name, record) VALUES ('half', '{}')", [])?;
        Ok(Err::<(), _>(StoreError::Unavailable("changed its mind".into())))
    });
    let wrong = bench.store.write(|connection| {
        connection.execute("INSERT INTO plugins (name, record) VALUES ('half', '{}')", [])?;
        connection.execute("INSERT INTO nowhere VALUES (1)", [])?;
        Ok(Ok::<_, StoreError>(()))
    });
    let (refused, wrong, posted) = tokio::join!(refused, wrong, bench.post(room, "hello"));
    assert_eq!(refused, Err(StoreError::Unavailable("changed its mind".into())));
    assert!(matches!(wrong, Err(StoreError::Failed(_))), "{wrong:?}");
    assert_eq!(posted.row.seq, 1);
    let count =
        bench.store.read(|connection| connection.query_row("SELECT count(*) FROM plugins", [], |row| row.get(0)));
    assert_eq!(count.await, Ok(0), "nothing is left of either");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_once() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let act = Act::system();
    let (one, two) = tokio::join!(
        bench.store.create_room(NewRoom::named(" general "), bench.user.id, &act),
        bench.store.create_room(NewRoom::named("general"), bench.user.id, &act)
    );
    let conflict = RoomError::Create(CreateError::Conflict { what: "room", name: "general".into() });
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|made| **made).count(), 1);
    assert!([one.err(), two.err()].contains(&Some(conflict)));
    let nameless = bench.store.create_room(NewRoom::named(" "), bench.user.id, &act).await;
    assert_eq!(nameless, Err(CreateError::Name { what: "room" }.into()));
    let again = bench.store.create_user("ann", Role::Admin).await;
    assert_eq!(again, Err(CreateError::Conflict { what: "user", name: "ann".into() }));

    bench.room("another").await;
    let names = async |after: Option<&str>, limit| {
        let rooms = bench.store.rooms(bench.user.id, RoomFilter::default(), after.map(str::to_owned), limit).await;
        rooms.expect("lists").rooms.into_iter().filter_map(|room| room.name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 10).await, ["another", "general"]);
    assert_eq!(names(None, 1).await, ["another"]);
    assert_eq!(names(Some("another"), 10).await, ["general"]);
    assert!(!bench.store.remove_token(TokenId::new(), None, Act::system()).await.expect("looks"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_scanners_found_is_stored_with_the_message() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    bench.post(room, "harmless").await;
    let findings = bench.store.read(|connection| {
        connection.query_row("SELECT findings FROM messages", [], |row| row.get::<_, Option<String>>(0))
    });
    assert_eq!(findings.await, Ok(None), "nothing found, nothing written");
    let found = [("word-filter".parse::<plexichat::id::PluginName>().expect("a name"), Finding::new("banned_word"))];
    let text = messages::list_text(&found).expect("JSON");
    assert_eq!(text.as_deref(), Some(r#"[["word-filter",{"code":"banned_word","confidence":1.0}]]"#));
}

/// Fault 42: the disk is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_recovers() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let before = bench.post(room, "before").await;
    let pages = async |limit: i64| {
        let set = bench.store.write(move |connection| {
            let used: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            connection.pragma_update_and_check(None, "max_page_count", used + limit, |_| Ok(()))?;
            Ok(Ok::<_, StoreError>(()))
        });
        set.await.expect("sets");
    };
    pages(2).await;
    let large = "x".repeat(100_000);
    let (one, two) = tokio::join!(bench.send(bench.incoming(room, &large)), bench.send(bench.incoming(room, &large)));
    for refused in [one, two] {
        assert_eq!(refused.map(|_| ()), Err(Refusal::Store(StoreError::Full)));
    }
    let rows = bench.store.history(room, None, None, 10).await.expect("reading goes on");
    assert_eq!(rows, [(*before.row).clone()]);
    assert_eq!(bench.ends.delivered().len(), 1, "nothing was delivered that was not stored");

    pages(1000).await;
    assert_eq!(bench.post(room, &large).await.row.seq, 2, "without a restart, and without a gap");
    assert_eq!(bench.store.check().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_message_that_was_not_stored_is_not_known() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let keyed = |text: &str| Incoming { key: Some("key".into()), ..bench.incoming(room, text) };
    let limit = |pages: i64| {
        bench.store.write(move |connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            Ok(Ok::<_, StoreError>(()))
        })
    };
    limit(1).await.expect("sets");
    let refused = bench.send(keyed(&"x".repeat(100_000))).await;
    assert_eq!(refused.map(|_| ()), Err(Refusal::Store(StoreError::Full)));
    limit(100_000).await.expect("sets");
    let stored = bench.send(keyed("again")).await.expect("is stored");
    assert!(!stored.known);
    assert_eq!(stored.row.seq, 1);
}

/// Fault 43: the disk fails at a sync. Nothing is tried again on the same file.
#[tokio::test(flavor = "multi_thread")]
async fn an_io_error_ends_all_writing_and_says_so() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let before = bench.post(room, "before").await;
    let io_error = |_: &mut super::Tx<'_>| -> rusqlite::Result<Result<(), StoreError>> {
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None))
    };
    assert!(matches!(bench.store.write(io_error).await, Err(StoreError::Failed(_))));
    let told = tokio::time::timeout(Duration::from_secs(5), bench.store.broken()).await.expect("says so");
    let Broken { error: told, damage: None } = told else { panic!("no damage: {told:?}") };
    assert!(told.to_string().contains("restart the server"), "{told}");
    let refused = bench.send(bench.incoming(room, "after")).await;
    assert_eq!(refused.map(|_| ()), Err(Refusal::Store(told.clone())));
    assert_eq!(bench.store.check().await, Err(told));
    let rows = bench.store.history(room, None, None, 10).await.expect("reading goes on");
    assert_eq!(rows, [(*before.row).clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_writer_ends_all_writing_and_says_so() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let before = bench.post(room, "before").await;
    let panics = |connection: &mut super::Tx<'_>| -> rusqlite::Result<Result<(), StoreError>> {
        connection.execute("INSERT INTO plugins (name, record) VALUES ('half', '{}')", [])?;
        panic!("the writer's test panic");
    };
    assert!(bench.store.write(panics).await.is_err());
    let told = tokio::time::timeout(Duration::from_secs(5), bench.store.broken()).await.expect("says so");
    let told = told.error;
    assert!(told.to_string().contains("the writer's test panic"), "{told}");
    assert_eq!(bench.store.check().await, Err(told.clone()), "not ready");
    let refused = bench.send(bench.incoming(room, "after")).await;
    assert_eq!(refused.map(|_| ()), Err(Refusal::Store(told)));
    let rows = bench.store.history(room, None, None, 10).await.expect("reading goes on");
    assert_eq!(rows, [(*before.row).clone()]);
    let count =
        bench.store.read(|connection| connection.query_row("SELECT count(*) FROM plugins", [], |row| row.get(0)));
    assert_eq!(count.await, Ok(0), "what the panic interrupted is undone");
    tokio::time::timeout(Duration::from_secs(5), bench.store.close()).await.expect("the thread is there to be ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_outlive_their_panics() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    for _ in 0..8 {
        let panics = |_: &Connection| -> rusqlite::Result<()> { panic!("the reader's test panic") };
        assert!(matches!(bench.store.read(panics).await, Err(StoreError::Failed(_))));
    }
    let check = tokio::time::timeout(Duration::from_secs(5), bench.store.check()).await.expect("answers");
    assert_eq!(check, Ok(()));
}

/// Fault 54, the store's part: what was asked is finished.
#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_was_asked_and_refuses_the_rest() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    let posts = join_all((0..50).map(|_| bench.send(bench.incoming(room, "hello"))));
    let (outcomes, ()) = tokio::join!(posts, bench.store.close());
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let late = bench.send(bench.incoming(room, "late")).await;
    assert!(matches!(late, Err(Refusal::Store(StoreError::Unavailable(_)))), "{late:?}");
    bench.store.close().await;
    drop(bench);
    let rows = place.open().history(room, None, None, 1000).await.expect("reads");
    assert_eq!(rows.len(), stored, "exactly what was acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_not_there_is_nobodys() {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let nowhere = RoomId::new();
    assert_eq!(bench.store.access(&bench.writer(), nowhere).await, Ok(plexichat::pipeline::Access::None));
    assert_eq!(bench.send(bench.incoming(nowhere, "hello")).await.map(|_| ()), Err(Refusal::NoRoom));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let bench = Bench::open(&place).await;
    bench.room("general").await;
    for file in ["plexichat.db", "plexichat.db-wal"] {
        let mode = place.database().with_file_name(file).metadata().expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// The file is refused with this message, and left as it was.
#[track_caller]
fn check_refused(path: &Path, message: &str, hint: &str) {
    let before = std::fs::read(path).expect("reads");
    let error = Store::open(path).err().expect("it must be refused");
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(error.hint().contains(hint), "{}", error.hint());
    assert!(std::fs::read(path).expect("reads") == before, "the file was changed");
}

/// A database with some content, all of it in the one file.
async fn written(place: &Place) {
    let bench = Bench::open(place).await;
    let room = bench.room("general").await;
    join_all((0..200).map(|_| bench.post(room, "something to fill the pages of this file with"))).await;
    bench.store.close().await;
}

/// Fault 45: the file is damaged at the start.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_refused_and_kept() {
    let place = Place::new();
    let path = place.database();
    std::fs::write(&path, "this is a letter to my aunt, and it is rather longer than a header").expect("writes");
    check_refused(&path, "is not a database", "restore a backup");
    std::fs::remove_file(&path).expect("removes");

    written(&place).await;
    let whole = std::fs::read(&path).expect("reads");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
    check_refused(&path, "is damaged", ".recover");

    let mut scribbled = whole.clone();
    let page = 4096 * 6;
    scribbled[page..page + 64].fill(0xa5);
    std::fs::write(&path, &scribbled).expect("writes");
    check_refused(&path, "is damaged", ".recover");

    let mut headless = whole.clone();
    headless[..16].fill(0);
    std::fs::write(&path, &headless).expect("writes");
    check_refused(&path, "is not a database", "restore a backup");

    std::fs::write(&path, &whole).expect("writes");
    Store::open(&path).map(|_| ()).expect("the whole one opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_found_while_the_server_runs_is_told_as_damage() {
    let place = Place::new();
    let path = place.database();
    written(&place).await;
    // What makes a database too large to be checked at the start is its size alone: this fills it with one more table.
    let connection = Connection::open(&path).expect("opens");
    connection
        .execute_batch("CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob(17000000))")
        .expect("fills");
    drop(connection);
    let mut bytes = std::fs::read(&path).expect("reads");
    let page = 4096 * 6;
    bytes[page..page + 64].fill(0xa5);
    std::fs::write(&path, &bytes).expect("writes");

    let broken = tokio::time::timeout(Duration::from_secs(30), place.open().broken()).await.expect("says so");
    assert!(broken.error.to_string().contains("is damaged"), "{broken:?}");
    assert!(broken.error.to_string().contains(&path.display().to_string()), "{broken:?}");
    assert!(broken.damage.is_some_and(|hint| hint.contains(".recover")));
}

/// Fault 44, at the start: another program has locked the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_told_within_a_second() {
    let place = Place::new();
    let path = place.database();
    written(&place).await;
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("locks");
    let begun = std::time::Instant::now();
    let error = Store::open(&path).err().expect("it must be refused");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("locked"), "{error}");
    assert!(error.hint().contains("end that program"), "{}", error.hint());
}

/// Fault 47: the tables are a newer server's.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_newer_files_are_refused_and_kept() {
    let place = Place::new();
    let path = place.database();
    let change = |statement: &str| {
        let connection = Connection::open(&path).expect("opens");
        connection.execute_batch(statement).expect("changes");
    };
    change("CREATE TABLE recipes (name)");
    check_refused(&path, "was made by another program (application id 0x00000000)", "--data-dir");
    std::fs::remove_file(&path).expect("removes");

    written(&place).await;
    change("PRAGMA user_version = 999");
    check_refused(&path, "has version 999 of the tables, this server knows up to 8", "newer server");
}
