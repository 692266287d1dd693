//! Files over a real store and a pipeline without scanners: what is kept, judged again, removed and found missing.

use std::num::NonZeroU64;
use std::time::Duration;

use plexichat::id::RoomId;
use plexichat::message::Time;
use tempfile::TempDir;

use super::*;
use crate::store::testing::{Bench, Place as Database};

struct Fixture {
    files: Files,
    bench: Bench,
    room: RoomId,
    directory: TempDir,
    database: Database,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(FileLimits::default()).await
    }

    async fn with(limits: FileLimits) -> Self {
        let (database, directory) = (Database::new(), tempfile::tempdir().expect("a directory"));
        let bench = Bench::open(&database).await;
        let room = bench.room("lobby").await;
        let files = Files::open(directory.path(), bench.store.clone(), limits, 0).expect("opens");
        Self { files, bench, room, directory, database }
    }

    async fn upload(&self, bytes: &'static [u8]) -> Result<FileId, UploadError> {
        let road = self.bench.pipeline();
        let admission = road.admit_file(&self.bench.writer(), self.room).await?;
        let mut upload = self.files.begin(self.bench.user.id, admission, Some(bytes.len() as u64)).await?;
        upload.write(Bytes::from_static(bytes)).await?;
        let said = Said { name: Some("a.txt".to_owned()), mime: None };
        upload.finish(road, said, Act::new(self.bench.writer(), None, Some("r-1".to_owned()))).await
    }

    async fn row(&self, id: FileId) -> Option<FileRow> {
        self.bench.store.file(id).await.expect("looks")
    }

    /// What no road of today leads to: another state, straight in the file.
    fn set_state(&self, id: FileId, state: FileState) {
        let connection = rusqlite::Connection::open(self.database.database()).expect("opens");
        let changed = connection
            .execute("UPDATE files SET state = ?2, expires_at = NULL WHERE id = ?1", (id.as_bytes(), state.as_str()))
            .expect("changes");
        assert_eq!(changed, 1);
    }

    fn bytes(&self, folder: &str) -> usize {
        std::fs::read_dir(self.directory.path().join("files").join(folder)).map_or(0, Iterator::count)
    }

    fn changes(&self, event: &str) -> u32 {
        let connection = rusqlite::Connection::open(self.database.database()).expect("opens");
        let count = "SELECT count(*) FROM changes WHERE event LIKE ?1";
        connection.query_row(count, [format!("%\"{event}\"%")], |row| row.get(0)).expect("counts")
    }
}

fn folder(id: FileId) -> String {
    format!("{:02x}", id.as_bytes()[15])
}

#[tokio::test]
async fn a_file_is_kept_with_its_row_and_its_event() {
    let fixture = Fixture::new().await;
    let id = fixture.upload(b"hello").await.expect("is kept");
    let row = fixture.row(id).await.expect("is there");
    assert_eq!(
        (row.state, row.meta.size, &*row.meta.mime, &*row.meta.name),
        (FileState::Clean, 5, "text/plain", "a.txt")
    );
    assert_eq!((row.meta.uploader, row.message), (fixture.bench.writer(), None));
    assert_eq!((fixture.bytes("spool"), fixture.bytes(&folder(id)), fixture.changes("file_uploaded")), (0, 1, 1));
    let served = Servable::of(id, row.state).expect("may be had");
    let file = fixture.files.open_served(served).await.expect("opens");
    let mut bytes = [0; 9];
    assert_eq!(read_at(&file, &mut bytes, 1).expect("reads"), 4);
    assert_eq!(&bytes[..4], b"ello");
}

#[tokio::test]
async fn a_file_that_hangs_on_nothing_goes_after_a_day() {
    let fixture = Fixture::new().await;
    let id = fixture.upload(b"hello").await.expect("is kept");
    let in_hours = |hours: i64| Time::from_micros(Time::now().as_micros() + hours * 3_600_000_000);
    assert_eq!(fixture.files.collect(in_hours(23)).await, Ok(0));
    assert!(fixture.row(id).await.is_some());
    assert_eq!(fixture.files.collect(in_hours(25)).await, Ok(1));
    assert!(fixture.row(id).await.is_none());
    assert_eq!((fixture.bytes(&folder(id)), fixture.changes("file_deleted")), (0, 1));
    assert_eq!(fixture.bench.store.file_usage(fixture.bench.user.id).await, Ok((0, 0)));
}

#[tokio::test]
async fn files_go_with_messages_that_are_too_old() {
    let fixture = Fixture::new().await;
    let (bench, room) = (&fixture.bench, fixture.room);
    let id = fixture.upload(b"hello").await.expect("is kept");
    let incoming = plexichat::pipeline::Incoming { attachments: vec![id], ..bench.incoming(room, "old") };
    bench.send(incoming).await.expect("is stored");
    bench.post(room, "a room's last one stays").await;
    let connection = rusqlite::Connection::open(fixture.database.database()).expect("opens");
    connection.execute("UPDATE outbox SET finished = (SELECT max(number) FROM messages)", []).expect("sets");
    let tomorrow = Time::from_micros(Time::now().as_micros() + 86_400_000_000);
    assert_eq!(fixture.files.collect(Time::now()).await, Ok(0), "it hangs on a message");
    assert_eq!(bench.store.remove_messages(tomorrow, 100).await, Ok(1));
    assert!(fixture.row(id).await.is_none(), "nobody gets it any more");
    assert_eq!(fixture.files.collect(Time::now()).await, Ok(1));
    assert_eq!((fixture.bytes(&folder(id)), bench.store.file_usage(bench.user.id).await), (0, Ok((0, 0))));
}

#[tokio::test]
async fn a_deleted_file_is_nobodys_at_once_and_gone_soon() {
    let fixture = Fixture::new().await;
    let id = fixture.upload(b"hello").await.expect("is kept");
    let act = Act::new(fixture.bench.writer(), None, None);
    assert_eq!(fixture.files.delete(id, &act, "file.delete", "deleted").await, Ok(true));
    assert_eq!(fixture.files.delete(id, &act, "file.delete", "deleted").await, Ok(false));
    assert!(fixture.row(id).await.is_none());
    assert_eq!(fixture.files.collect(Time::now()).await, Ok(1));
    assert_eq!((fixture.bytes(&folder(id)), fixture.changes("file_deleted")), (0, 1));
}

#[tokio::test]
async fn a_file_that_waits_is_judged_again() {
    let fixture = Fixture::new().await;
    let id = fixture.upload(b"hello").await.expect("is kept");
    fixture.set_state(id, FileState::Pending);
    let waiting = fixture.row(id).await.expect("is there");
    assert!(Servable::of(id, waiting.state).is_none());
    assert_eq!(fixture.files.collect(Time::from_micros(i64::MAX)).await, Ok(0), "what waits does not expire");
    assert_eq!(fixture.files.rescan(&fixture.bench.pipeline()).await, Ok(1));
    let row = fixture.row(id).await.expect("is there");
    assert_eq!((row.state, row.expires_at.is_some(), fixture.changes("file_uploaded")), (FileState::Clean, true, 2));
    assert_eq!(fixture.files.rescan(&fixture.bench.pipeline()).await, Ok(0));
}

#[tokio::test]
async fn a_moderator_lets_a_file_out_of_the_quarantine() {
    let fixture = Fixture::new().await;
    let id = fixture.upload(b"hello").await.expect("is kept");
    fixture.set_state(id, FileState::Quarantined);
    fixture.files.inner.place(id, Place::Quarantine).await.expect("moves");
    assert_eq!((fixture.bytes("quarantine"), fixture.bytes(&folder(id))), (1, 0));
    let act = Act::new(fixture.bench.writer(), None, None);
    let row = fixture.files.release(id, &act).await.expect("releases").expect("was held");
    assert_eq!((row.state, fixture.bytes("quarantine"), fixture.bytes(&folder(id))), (FileState::Clean, 0, 1));
    assert_eq!(fixture.files.release(id, &act).await, Ok(None));
}

#[tokio::test]
async fn bytes_and_rows_that_do_not_match_are_found_and_left() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.files.compare().await, Ok(upkeep::Difference::default()));
    let (kept, lost) =
        (fixture.upload(b"kept").await.expect("is kept"), fixture.upload(b"lost").await.expect("is kept"));
    let vault = &fixture.files.inner.vault;
    vault.remove(lost).expect("removes");
    let strange = FileId::new();
    drop(vault.spool(strange).expect("spools"));
    vault.place(strange, Place::Kept).expect("moves");
    let difference = fixture.files.compare().await.expect("compares");
    assert_eq!((difference.lost, difference.strange), (vec![lost], vec![strange]));
    assert!(vault.has(strange) && vault.has(kept));
}

#[tokio::test]
async fn quotas_count_what_is_stored() {
    let limits = FileLimits { quota_per_user: NonZeroU64::new(8).expect("not zero"), ..FileLimits::default() };
    let fixture = Fixture::with(limits).await;
    fixture.upload(b"12345").await.expect("fits");
    let refused = fixture.upload(b"1234").await.expect_err("does not fit");
    assert!(matches!(refused, UploadError::Exhausted(Exhausted::Quota(8))), "{refused}");
    let id = fixture.upload(b"123").await.expect("fits exactly");
    let act = Act::new(fixture.bench.writer(), None, None);
    fixture.files.delete(id, &act, "file.delete", "deleted").await.expect("deletes");
    fixture.files.collect(Time::now()).await.expect("collects");
    fixture.upload(b"abc").await.expect("fits again");
}

#[tokio::test]
async fn upkeep_ends_when_it_is_told_to() {
    let fixture = Fixture::new().await;
    let id = fixture.upload(b"hello").await.expect("is kept");
    fixture.set_state(id, FileState::Pending);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let running = tokio::spawn(upkeep(fixture.files.clone(), fixture.bench.pipeline(), stopped));
    let settled = async {
        while fixture.row(id).await.is_some_and(|row| row.state == FileState::Pending) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.expect("the first round judges it");
    drop(stop);
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("ends").expect("ends well");
}

#[tokio::test]
async fn a_message_that_is_too_old_takes_its_files_along() {
    let fixture = Fixture::new().await;
    let id = fixture.upload(b"hello").await.expect("is kept");
    let mut incoming = fixture.bench.incoming(fixture.room, "look");
    incoming.attachments.push(id);
    let message = fixture.bench.send(incoming).await.expect("is stored").row;
    assert_eq!(fixture.row(id).await.expect("is there").message, Some((message.id, true)));
    // The last message of a room stays, and so does what plugins were not told of.
    fixture.bench.post(fixture.room, "later").await;
    let connection = rusqlite::Connection::open(fixture.database.database()).expect("opens");
    connection.execute("UPDATE outbox SET finished = 1000", []).expect("changes");
    let tomorrow = Time::from_micros(Time::now().as_micros() + 86_400_000_000);
    assert_eq!(fixture.bench.store.remove_messages(tomorrow, 100).await, Ok(1));
    assert!(fixture.row(id).await.is_none());
    assert_eq!(fixture.files.collect(Time::now()).await, Ok(1));
    assert_eq!((fixture.bytes(&folder(id)), fixture.changes("file_deleted")), (0, 1));
}
