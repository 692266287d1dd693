//! Files from outside to where they are kept: taken in through a spool, judged on the core's road, found again. Knows no
//! HTTP.

mod ledger;
pub(crate) mod name;
pub(crate) mod sniff;
mod spool;
#[cfg(test)]
mod tests;
mod upkeep;
mod vault;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use plexichat::assistant::Pictures;
use plexichat::file::FileSource;
use plexichat::id::{FileId, UserId};
use plexichat::pipeline::files::{
    Admission, Cleared, File, FileKeeper, FileRefusal, FileState, IncomingFile, KeepError, Servable,
};
use plexichat::pipeline::{FileContent, Pipeline};
use plexichat::settings::FileLimits;
use plexichat::store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::Notify;

pub(crate) use ledger::Exhausted;
pub(crate) use upkeep::run as upkeep;

use crate::store::{Act, FileRow, Store};
use ledger::{Grant, Ledger};
use spool::Spool;
use vault::{Place, Vault};

/// How many bytes a scanner is given at once.
const PIECE: usize = 64 * 1024;

/// The server's files. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Files {
    inner: Arc<Inner>,
}

struct Inner {
    vault: Vault,
    store: Store,
    ledger: Arc<Ledger>,
    /// Something is to be removed.
    wake: Notify,
}

/// Why the files cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {} for files: {source}", path.display())]
pub(crate) struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// Why a file did not come in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Refused(#[from] FileRefusal),
}

impl Files {
    /// The files in this data directory, which have so many bytes. Empties the spool that a crash left. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open(data_dir: &Path, store: Store, limits: FileLimits, kept: u64) -> Result<Self, OpenError> {
        let (vault, emptied) = Vault::open(data_dir).map_err(|(path, source)| OpenError { path, source })?;
        if emptied > 0 {
            tracing::info!(files = emptied, "removed what uploads had begun and not finished when the server ended");
        }
        let ledger = Ledger::new(limits, kept);
        Ok(Self { inner: Arc::new(Inner { vault, store, ledger, wake: Notify::new() }) })
    }

    /// How large files may be, and how many bytes are kept.
    pub(crate) fn limits(&self) -> &FileLimits {
        self.inner.ledger.limits()
    }

    /// Begins an upload of which so many bytes are announced: what cannot fit is refused before it is read.
    ///
    /// # Errors
    /// [`UploadError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn begin(
        &self,
        user: UserId,
        admission: Admission,
        announced: Option<u64>,
    ) -> Result<Upload, UploadError> {
        let (_, kept) = self.inner.store.file_usage(user).await?;
        let grant = self.inner.ledger.begin(user, kept)?;
        if let Some(announced) = announced {
            grant.check(announced)?;
        }
        let spool = Spool::begin(&self.inner.vault, admission.id());
        Ok(Upload { files: self.clone(), admission, grant, spool })
    }

    /// Opens a file to be handed out.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn open_served(&self, file: Servable) -> io::Result<std::fs::File> {
        let vault = self.inner.vault.clone();
        blocking(move || vault.open_served(&file)).await
    }

    /// A moderator lets a file out of the quarantine. Its row, where it was held back.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub(crate) async fn release(&self, id: FileId, act: &Act) -> Result<Option<FileRow>, StoreError> {
        let row = self.inner.store.release_file(id, act).await?;
        if row.is_some() {
            // Were it not to succeed: it is found in either place.
            self.inner.place(id, Place::Kept).await.unwrap_or_else(|error| {
                tracing::warn!(file = %id, %error, "a released file stays in the folder of the quarantine");
            });
        }
        Ok(row)
    }

    /// Deletes a file that hangs on no message. Whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have done it.
    pub(crate) async fn delete(
        &self,
        id: FileId,
        act: &Act,
        action: &'static str,
        why: &'static str,
    ) -> Result<bool, StoreError> {
        let deleted = self.inner.store.delete_file(id, act, action, why).await?;
        self.inner.wake.notify_one();
        Ok(deleted)
    }
}

/// A file that is coming in. Dropping it leaves nothing of it.
pub(crate) struct Upload {
    files: Files,
    admission: Admission,
    grant: Grant,
    spool: Spool,
}

/// What a sender says of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// Its name; one is made where there is none.
    pub(crate) name: Option<String>,
    /// Its type.
    pub(crate) mime: Option<String>,
}

impl Upload {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`UploadError`]: drop the upload then.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have taken the piece: drop the whole.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), UploadError> {
        self.grant.take(bytes.len() as u64)?;
        self.spool.write(bytes).await.map_err(|error| disk("spooling an upload", &error).into())
    }

    /// It was the last piece: has the file judged and kept. Its identifier and state.
    ///
    /// # Errors
    /// [`UploadError`]; nothing was kept, but for a rejected file, which is in quarantine.
    ///
    /// # Cancel safety
    /// What was begun goes on: a dropped call may have kept the file.
    pub(crate) async fn finish(self, road: Arc<Pipeline>, said: Said, act: Act) -> Result<FileId, UploadError> {
        let Self { files, admission, grant, spool } = self;
        let id = admission.id();
        let spooled = spool.finish().await.map_err(|error| disk("spooling an upload", &error))?;
        let mime = sniff::sniff(&spooled.head);
        let name = said.name.unwrap_or_else(|| format!("file.{}", sniff::extension(mime)));
        let incoming = IncomingFile {
            name,
            size: spooled.size,
            mime: mime.to_owned(),
            mime_declared: said.mime,
            sha256: spooled.sha256,
        };
        // A task of its own: a sender who hangs up now must not leave bytes without a row.
        let judged = tokio::spawn(async move {
            let keeper = Keeper { inner: files.inner.clone(), act: Some(act) };
            let outcome = road.receive_file(admission, incoming, &keeper).await;
            if matches!(outcome, Ok(_) | Err(FileRefusal::Rejected { .. })) {
                grant.keep();
            }
            drop(spooled);
            outcome
        });
        let outcome = judged.await.unwrap_or_else(|_| Err(failed("judging the file panicked")));
        Ok(outcome.map(|_| id)?)
    }
}

fn failed(why: &str) -> FileRefusal {
    StoreError::Failed(why.to_owned()).into()
}

/// Where one file is read by scanners, and kept.
struct Keeper {
    inner: Arc<Inner>,
    /// The request that brought it; nothing where it was there before.
    act: Option<Act>,
}

#[async_trait]
impl FileKeeper for Keeper {
    fn content(&self, id: FileId) -> Arc<dyn FileContent> {
        Arc::new(Content { vault: self.inner.vault.clone(), id })
    }

    async fn keep(&self, file: &File<Cleared>) -> Result<(), KeepError> {
        let id = file.meta().id;
        let place = if file.state() == FileState::Quarantined { Place::Quarantine } else { Place::Kept };
        match &self.act {
            // Bytes first: a row says that they are there.
            Some(act) => {
                self.inner.place(id, place).await.map_err(|error| disk("keeping a file", &error))?;
                let added = self.inner.store.add_file(file, act, self.inner.ledger.limits().quota_per_user.get()).await;
                if added.is_err() {
                    self.inner.remove(id).await;
                }
                added
            }
            // The row first: what is to be held back must not be handed out meanwhile.
            None => {
                self.inner.store.settle_file(file).await?;
                Ok(self.inner.place(id, place).await.map_err(|error| disk("moving a file", &error))?)
            }
        }
    }
}

impl Inner {
    async fn place(&self, id: FileId, place: Place) -> io::Result<()> {
        let vault = self.vault.clone();
        blocking(move || vault.place(id, place)).await
    }

    /// Removes bytes that no row speaks of. Where the store's word is unknown they stay: the row may be there after all.
    async fn remove(&self, id: FileId) {
        if !matches!(self.store.unknown_files(vec![id]).await, Ok(unknown) if unknown.contains(&id)) {
            return;
        }
        let vault = self.vault.clone();
        if let Err(error) = blocking(move || vault.remove(id)).await {
            tracing::warn!(file = %id, %error, "a file that was not kept cannot be removed");
        }
    }
}

/// A file as scanners read it.
struct Content {
    vault: Vault,
    id: FileId,
}

#[async_trait]
impl FileContent for Content {
    async fn open(&self) -> io::Result<Box<dyn FileSource>> {
        let (vault, id) = (self.vault.clone(), self.id);
        let file = blocking(move || vault.open_to_scan(id)).await?;
        Ok(Box::new(Source { file: Arc::new(file), position: 0, host: Handle::current() }))
    }
}

/// A scanner's own cursor in a file. Read on the host's threads, since a plugin's runtime may have none to spare.
struct Source {
    file: Arc<std::fs::File>,
    position: u64,
    host: Handle,
}

#[async_trait]
impl FileSource for Source {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let (file, position, mut piece) = (self.file.clone(), self.position, std::mem::take(buffer));
        let read = self.host.spawn_blocking(move || {
            piece.resize(PIECE, 0);
            let length = read_at(&file, &mut piece, position)?;
            piece.truncate(length);
            Ok::<_, io::Error>(piece)
        });
        *buffer = read.await.map_err(|_| io::Error::other("reading was given up"))??;
        self.position += buffer.len() as u64;
        Ok(())
    }
}

/// Reads as much as fits, from this place; less only at the end.
pub(crate) fn read_at(file: &std::fs::File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    use std::os::unix::fs::FileExt;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[async_trait]
impl Pictures for Files {
    async fn read(&self, file: Servable, most: u64) -> io::Result<Option<Vec<u8>>> {
        let vault = self.inner.vault.clone();
        blocking(move || {
            let opened = match vault.open_served(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened?,
            };
            if opened.metadata()?.len() > most {
                return Ok(None);
            }
            let mut content = Vec::new();
            opened.take(most).read_to_end(&mut content)?;
            Ok(Some(content))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(io::Error::other("it panicked")))
}

/// What a failure of the disk means to whoever asked.
fn disk(doing: &'static str, error: &io::Error) -> StoreError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    tracing::error!(%error, "{doing}");
    match error.kind() {
        // The operator's bound on the size of files is as full as a disk.
        StorageFull | QuotaExceeded | FileTooLarge => StoreError::Full,
        _ => StoreError::Failed(format!("{doing}: {error}")),
    }
}
