//! Takes a backup of a data directory while a server works on it: first everything is held still in a folder beside it,
//! then the archive is written from there.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use plexichat::message::Time;
use sha2::{Digest, Sha256};

use super::{BackupError, DATABASE, Entry, FILES, FORMAT, MANIFEST, Manifest, hexadecimal, system};
use crate::store::snapshot;

/// Where everything is held still: in the data directory, so that files need only a second name and no second place.
const STAGING: &str = "backup-in-progress";

/// Everything that a backup has, as it was at one moment. Dropping it frees what it holds.
#[derive(Debug)]
pub(crate) struct Snapshot {
    staging: PathBuf,
    created_at: Time,
}

/// Removes what a backup left that was killed. Only whoever has the data directory's lock may call it.
pub(crate) fn remove_left_overs(data_dir: &Path) {
    let staging = data_dir.join(STAGING);
    match fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %staging.display(), "what a backup left behind cannot be removed");
        }
        _ => {}
    }
}

impl Snapshot {
    /// Holds still what is in the data directory. Blocks; it takes as long as it takes to write the database once.
    ///
    /// # Errors
    /// [`BackupError`]: nothing is left behind.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, BackupError> {
        let staging = data_dir.join(STAGING);
        match DirBuilder::new().mode(0o700).create(&staging) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Running),
            made => made.map_err(system("make", &staging))?,
        }
        let taken = Self { staging, created_at: Time::now() };
        let (files, held) = (data_dir.join(FILES), taken.staging.join(FILES));
        // Before and after the database: each file that the database speaks of was there at one of these times, though it
        // may be removed or have come while the database is written.
        hold(&files, &held)?;
        snapshot(&data_dir.join(DATABASE), &taken.staging.join(DATABASE))?;
        hold(&files, &held)?;
        Ok(taken)
    }

    /// Writes the archive; what is in it.
    ///
    /// # Errors
    /// [`BackupError::Sink`] where the archive cannot be written, [`BackupError::System`] where something cannot be read.
    pub(crate) fn write(self, server: &str, sink: impl Write) -> Result<Manifest, BackupError> {
        let mut paths = vec![DATABASE.to_owned()];
        collect(&self.staging, FILES, &mut paths)?;
        let mut archive = tar::Builder::new(sink);
        let mut entries = Vec::with_capacity(paths.len());
        let time = self.created_at.as_micros() as u64 / 1_000_000;
        for path in paths {
            let source = self.staging.join(&path);
            let file = File::open(&source).map_err(system("open", &source))?;
            let size = file.metadata().map_err(system("look at", &source))?.len();
            let mut summed = Summed { inner: file.take(size), hasher: Sha256::new(), failed: false };
            let written = archive.append_data(&mut header(size, time), &path, &mut summed);
            written.map_err(|error| match summed.failed {
                true => BackupError::System { doing: "read", path: source.clone(), source: error },
                false => BackupError::Sink(error),
            })?;
            entries.push(Entry { path, size, sha256: hexadecimal(&summed.hasher.finalize()) });
        }
        let manifest = Manifest { format: FORMAT, server: server.to_owned(), created_at: self.created_at, entries };
        let mut text = serde_json::to_vec_pretty(&manifest).map_err(|error| BackupError::Sink(error.into()))?;
        text.push(b'\n');
        archive
            .append_data(&mut header(text.len() as u64, time), MANIFEST, text.as_slice())
            .and_then(|()| archive.into_inner()?.flush())
            .map_err(BackupError::Sink)?;
        Ok(manifest)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.staging) {
            tracing::warn!(%error, path = %self.staging.display(), "what a backup left behind cannot be removed");
        }
    }
}

/// Gives every file below a folder a second name below another. What has one already, or is gone meanwhile, is passed over.
fn hold(from: &Path, to: &Path) -> Result<(), BackupError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(system("list", from))?,
    };
    match DirBuilder::new().mode(0o700).create(to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(system("make", to)(error)),
        _ => {}
    }
    for entry in entries {
        let entry = entry.map_err(system("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(system("look at", &source))?;
        if kind.is_dir() {
            hold(&source, &target)?;
        } else if kind.is_file()
            && let Err(error) = fs::hard_link(&source, &target)
            && !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound)
        {
            return Err(system("hold", &source)(error));
        }
    }
    Ok(())
}

/// The files below a folder, by their paths from the root, in the order of their names.
fn collect(root: &Path, folder: &str, paths: &mut Vec<String>) -> Result<(), BackupError> {
    let place = root.join(folder);
    let entries = match fs::read_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(system("list", &place))?,
    };
    let mut found = entries.collect::<Result<Vec<_>, _>>().map_err(system("list", &place))?;
    found.sort_by_key(fs::DirEntry::file_name);
    for entry in found {
        let name = entry.file_name();
        // The server gives its files names in ASCII.
        let Some(name) = name.to_str() else { continue };
        let path = format!("{folder}/{name}");
        if entry.file_type().map_err(system("look at", &entry.path()))?.is_dir() {
            collect(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn header(size: u64, time: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(time);
    header
}

/// Sums up what is read through it.
struct Summed {
    inner: io::Take<File>,
    hasher: Sha256,
    /// Whether reading failed, so that a failure to write can be told from it.
    failed: bool,
}

impl Read for Summed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).inspect_err(|_| self.failed = true)?;
        if read == 0 && self.inner.limit() > 0 && !buffer.is_empty() {
            self.failed = true;
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
