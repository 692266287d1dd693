//! Takes a file in piece by piece: written, counted and hashed on a thread of its own, never whole in memory. What is not
//! finished leaves nothing behind. Knows neither quotas nor scanners.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use axum::body::Bytes;
use plexichat::id::FileId;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::sniff::HEAD;
use super::vault::Vault;

/// How many pieces may wait for the disk.
const WAITING: usize = 8;

/// A file that is coming in. Dropping it removes what there is of it.
pub(crate) struct Spool {
    pieces: mpsc::Sender<Piece>,
    writing: JoinHandle<io::Result<Spooled>>,
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// A file that came in whole and is on the disk. Dropping it removes its bytes from the spool, unless they were moved.
#[derive(Debug)]
pub(crate) struct Spooled {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// SHA-256 of its content.
    pub(crate) sha256: [u8; 32],
    /// Its first bytes.
    pub(crate) head: Vec<u8>,
    _left: Left,
}

/// Removes a file from the spool when it goes.
#[derive(Debug)]
struct Left(PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.0.display(), %error, "a spooled file cannot be removed; the next start tries again");
            }
            _ => {}
        }
    }
}

impl Spool {
    /// Begins a file in the spool.
    pub(crate) fn begin(vault: &Vault, id: FileId) -> Self {
        let (pieces, incoming) = mpsc::channel(WAITING);
        let vault = vault.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let (path, file) = vault.spool(id)?;
            let left = Left(path);
            write(file, incoming, left, fs::File::sync_all)
        });
        Self { pieces, writing }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// The disk refused it: nothing of the file is kept.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have taken the piece: drop the whole.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        match self.pieces.send(Piece::Bytes(bytes)).await {
            Ok(()) => Ok(()),
            // The thread has ended, and says why.
            Err(_) => Err(match (&mut self.writing).await {
                Ok(Err(error)) => error,
                _ => io::Error::other("the spool ended too early"),
            }),
        }
    }

    /// Says that it was the last piece, and waits until all are on the disk.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing of the file.
    pub(crate) async fn finish(self) -> io::Result<Spooled> {
        // An error says that the thread has ended; what it says is why.
        let _ = self.pieces.send(Piece::End).await;
        self.writing.await.unwrap_or_else(|_| Err(io::Error::other("writing to the spool panicked")))
    }
}

/// Until the end is said. That the sender is gone before means that nobody wants the file any more.
fn write<W: Write>(
    mut file: W,
    mut incoming: mpsc::Receiver<Piece>,
    left: Left,
    sync: impl FnOnce(&W) -> io::Result<()>,
) -> io::Result<Spooled> {
    let mut hasher = Sha256::new();
    let mut head = Vec::new();
    let mut size = 0;
    loop {
        match incoming.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                file.write_all(&bytes)?;
                hasher.update(&bytes);
                size += bytes.len() as u64;
                let wanted = HEAD.saturating_sub(head.len()).min(bytes.len());
                head.extend_from_slice(&bytes[..wanted]);
            }
            Some(Piece::End) => break,
            None => return Err(io::Error::other("the upload was given up")),
        }
    }
    sync(&file)?;
    Ok(Spooled { size, sha256: hasher.finalize().into(), head, _left: left })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> (tempfile::TempDir, Vault) {
        let directory = tempfile::tempdir().expect("a directory");
        let (vault, _) = Vault::open(directory.path()).expect("opens");
        (directory, vault)
    }

    fn left_in(directory: &tempfile::TempDir) -> usize {
        fs::read_dir(directory.path().join("files/spool")).expect("lists").count()
    }

    /// Waits until the thread behind a dropped spool has cleaned up.
    async fn nothing_left_in(directory: &tempfile::TempDir) {
        for _ in 0..500 {
            if left_in(directory) == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the spool is not emptied");
    }

    #[tokio::test]
    async fn pieces_are_counted_and_hashed() {
        let (directory, vault) = vault();
        let mut spool = Spool::begin(&vault, FileId::new());
        for piece in [&b"hel"[..], b"", b"lo"] {
            spool.write(Bytes::from_static(piece)).await.expect("writes");
        }
        let spooled = spool.finish().await.expect("finishes");
        assert_eq!((spooled.size, &*spooled.head, left_in(&directory)), (5, &b"hello"[..], 1));
        let expected: [u8; 32] = Sha256::digest(b"hello").into();
        assert_eq!(spooled.sha256, expected);
        drop(spooled);
        assert_eq!(left_in(&directory), 0);
    }

    #[tokio::test]
    async fn what_is_given_up_leaves_nothing() {
        let (directory, vault) = vault();
        let mut spool = Spool::begin(&vault, FileId::new());
        spool.write(Bytes::from_static(b"half")).await.expect("writes");
        drop(spool);
        nothing_left_in(&directory).await;
    }

    #[tokio::test]
    async fn only_the_beginning_is_remembered() {
        let (_directory, vault) = vault();
        let mut spool = Spool::begin(&vault, FileId::new());
        for _ in 0..3 {
            spool.write(Bytes::from(vec![7; HEAD - 1])).await.expect("writes");
        }
        let spooled = spool.finish().await.expect("finishes");
        assert_eq!((spooled.size as usize, spooled.head.len()), (3 * (HEAD - 1), HEAD));
    }

    /// Fault 42: the disk is full in the middle of an upload.
    #[tokio::test]
    async fn a_full_disk_is_told_and_leaves_nothing() {
        let (directory, vault) = vault();
        let (path, _) = vault.spool(FileId::new()).expect("spools");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("opens");
        let (pieces, incoming) = mpsc::channel(WAITING);
        let writing = tokio::task::spawn_blocking(move || write(full, incoming, Left(path), |_| Ok(())));
        let mut spool = Spool { pieces, writing };
        let mut refused = None;
        while refused.is_none() {
            refused = spool.write(Bytes::from_static(b"piece")).await.err();
        }
        assert_eq!(refused.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
        assert_eq!(left_in(&directory), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_made_durable_is_not_finished() {
        let (directory, vault) = vault();
        let (path, file) = vault.spool(FileId::new()).expect("spools");
        let (pieces, incoming) = mpsc::channel(WAITING);
        let broken = |_: &fs::File| Err(io::Error::other("fsync failed"));
        let writing = tokio::task::spawn_blocking(move || write(file, incoming, Left(path), broken));
        let spool = Spool { pieces, writing };
        assert_eq!(spool.finish().await.expect_err("fails").to_string(), "fsync failed");
        assert_eq!(left_in(&directory), 0);
    }
}
