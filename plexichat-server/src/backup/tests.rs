//! Backups of a store that is written meanwhile, and what is done to archives on their way.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plexichat::pipeline::MessageStore;

use super::*;
use crate::store::testing::{Bench, Place};
use crate::store::{RoomFilter, Store};

fn archive_of(data_dir: &Path) -> Vec<u8> {
    let mut archive = Vec::new();
    Snapshot::take(data_dir).expect("is held").write("1.2.3", &mut archive).expect("is written");
    assert!(!data_dir.join("backup-in-progress").exists(), "nothing is left behind");
    archive
}

fn put(data_dir: &Path, path: &str, content: &str) {
    let path = data_dir.join(path);
    fs::create_dir_all(path.parent().expect("has one")).expect("makes");
    fs::write(path, content).expect("writes");
}

/// Fault 53: a backup that is taken while messages are stored is a moment of the store: what was acknowledged before is in it,
/// without a hole and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_53_a_backup_while_writing_is_consistent() {
    let place = Place::new();
    let bench = Arc::new(Bench::open(&place).await);
    let room = bench.room("general").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (bench, stop) = (bench.clone(), stop.clone());
        async move {
            let mut seq = 0;
            while !stop.load(Ordering::Relaxed) {
                seq = bench.post(room, &format!("text {}", seq + 1)).await.row.seq;
            }
            seq
        }
    });
    put(place.directory(), "files/ab/one", "the first");
    let mut last = 0;
    for round in 0..5 {
        let before = bench.post(room, &format!("before {round}")).await.row.seq;
        let directory = place.directory().to_path_buf();
        let archive = tokio::task::spawn_blocking(move || archive_of(&directory)).await.expect("ends");
        let target = tempfile::tempdir().expect("a directory");
        let target = target.path().join("data");
        let manifest = restore(archive.as_slice(), &target, &mut |_| {}).expect("is put back");
        assert_eq!(manifest, verify(archive.as_slice(), &mut |_| {}).expect("is whole"));
        assert_eq!(fs::read_to_string(target.join("files/ab/one")).expect("is there"), "the first");
        let restored = Store::open(&target.join(DATABASE)).expect("opens");
        let held = restored.history(room, Some(0), None, 1_000_000).await.expect("reads");
        let seqs: Vec<u64> = held.iter().map(|row| row.seq).collect();
        assert_eq!(seqs, (1..=held.len() as u64).collect::<Vec<_>>(), "no hole, none twice, in order");
        assert!(held.len() as u64 >= before, "{} of {before} acknowledged are there", held.len());
        let now = bench.store.history(room, Some(0), None, held.len() as u32).await.expect("reads");
        assert_eq!(held, now, "each is as it was");
        assert!(restored.verify_audit(None).await.expect("reads").intact);
        restored.close().await;
        last = last.max(before);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writing.await.expect("ends") > last, "it went on meanwhile");
}

async fn small() -> (Place, Vec<u8>) {
    let place = Place::new();
    let bench = Bench::open(&place).await;
    let room = bench.room("general").await;
    bench.post(room, "hello").await;
    bench.store.close().await;
    put(place.directory(), "files/ab/one", "the first");
    put(place.directory(), "files/cd/two", "");
    let archive = archive_of(place.directory());
    (place, archive)
}

#[track_caller]
fn check(archive: &[u8], message: &str) {
    let folder = tempfile::tempdir().expect("a directory");
    let target = folder.path().join("data");
    let error = restore(archive, &target, &mut |_| {}).expect_err("it must be refused");
    assert!(error.to_string().contains(message), "{error}\ndoes not contain {message:?}");
    assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 0, "something is left behind");
    // Into a directory that is there, nothing is put either.
    fs::create_dir(&target).expect("makes");
    restore(archive, &target, &mut |_| {}).expect_err("it must be refused");
    let left: Vec<_> = fs::read_dir(&target).expect("lists").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["lock"]);
    assert_eq!(verify(archive, &mut |_| {}).is_err(), !message.contains("database"), "{message}");
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let (_place, archive) = small().await;
    let at = |needle: &str| archive.windows(needle.len()).position(|part| part == needle.as_bytes()).expect(needle);
    // Every part of it: the database, a file, a name, the manifest's sums.
    let flipped = |position: usize| {
        let mut archive = archive.clone();
        archive[position] ^= 1;
        archive
    };
    check(&flipped(512 + 4096 + 10), "`plexichat.db` is damaged");
    check(&flipped(at("the first")), "`files/ab/one` is damaged");
    check(&flipped(at("files/ab/one")), "");
    check(&flipped(at("\"sha256\": \"") + 11), "");
    // Cut off anywhere.
    check(&archive[..at("manifest.json")], "no manifest at its end");
    check(&archive[..at("the first") + 3], "");
    check(&archive[..700], "");
    check(b"", "no manifest at its end");
    check(&[b'x'; 4096], "this is no whole backup");
}

#[tokio::test]
async fn what_does_not_belong_into_a_backup_is_refused() {
    let built = |path: &str, kind: tar::EntryType| {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("is one").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o600);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, io::empty()).expect("appends");
        builder.into_inner().expect("ends")
    };
    for path in ["../evil", "/etc/passwd", "files/../../evil", "admin-token", "files", "plexichat.db-wal", "files/a/"] {
        check(&built(path, tar::EntryType::Regular), "does not belong into a backup");
    }
    check(&built("files/link", tar::EntryType::Symlink), "is no file");
    check(&built("files/device", tar::EntryType::Char), "is no file");
    check(&built("files/folder", tar::EntryType::Directory), "is no file");
}

#[tokio::test]
async fn only_an_empty_directory_is_filled() {
    let (place, archive) = small().await;
    let error = restore(archive.as_slice(), place.directory(), &mut |_| {}).expect_err("there is a store");
    assert!(matches!(error, BackupError::NotEmpty { .. }), "{error}");
    let folder = tempfile::tempdir().expect("a directory");
    fs::create_dir(folder.path().join("lost+found")).expect("makes");
    restore(archive.as_slice(), folder.path(), &mut |_| {}).expect("is empty");
    let restored = Store::open(&folder.path().join(DATABASE)).expect("opens");
    let viewer = restored.user_by_name("ann".into()).await.expect("reads").expect("is there").id;
    assert_eq!(restored.rooms(viewer, RoomFilter::default(), None, 10).await.expect("reads").rooms.len(), 1);
    assert_eq!(fs::read_to_string(folder.path().join("files/ab/one")).expect("is there"), "the first");
    assert!(!folder.path().join(".restoring").exists());
}

#[tokio::test]
async fn a_backup_of_a_newer_server_is_refused() {
    let (place, _) = small().await;
    rusqlite::Connection::open(place.database())
        .and_then(|connection| connection.pragma_update(None, "user_version", 999))
        .expect("sets");
    check(&archive_of(place.directory()), "the database");
}

#[tokio::test]
async fn two_backups_at_once_are_one_too_many() {
    let (place, _) = small().await;
    let first = Snapshot::take(place.directory()).expect("is held");
    assert!(matches!(Snapshot::take(place.directory()), Err(BackupError::Running)));
    drop(first);
    // What a killed one left is removed by whoever starts next.
    fs::create_dir(place.directory().join("backup-in-progress")).expect("makes");
    assert!(matches!(Snapshot::take(place.directory()), Err(BackupError::Running)));
    remove_left_overs(place.directory());
    drop(Snapshot::take(place.directory()).expect("is held"));
}
