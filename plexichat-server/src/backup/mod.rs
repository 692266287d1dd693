//! A backup: one tar with the database, the files and a manifest of their sums. Knows how it is taken from a data directory
//! that is in use and put back into an empty one; neither commands nor routes.

mod read;
mod write;

use std::io;
use std::path::PathBuf;

use plexichat::message::Time;
use serde::{Deserialize, Serialize};

pub(crate) use read::{restore, verify};
pub(crate) use write::{Snapshot, remove_left_overs};

use crate::data_dir::DataDirError;
use crate::store::OpenError;

/// What the archive's format is called; a later one that older servers cannot read gets the next number.
const FORMAT: u32 = 1;
/// The database, as in the data directory.
const DATABASE: &str = "plexichat.db";
/// The folder of the files, as in the data directory.
const FILES: &str = "files";
/// The last entry: where it is missing, the archive was cut off.
const MANIFEST: &str = "manifest.json";

/// What is in a backup. The last entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The number of the format.
    pub(crate) format: u32,
    /// The version of the server that took it.
    pub(crate) server: String,
    /// As of when it is.
    pub(crate) created_at: Time,
    /// Everything before this entry.
    pub(crate) entries: Vec<Entry>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its path below the data directory.
    pub(crate) path: String,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub(crate) sha256: String,
}

impl Manifest {
    /// How many bytes the entries have together.
    pub(crate) fn size(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }
}

/// Why no backup was taken, or none put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BackupError {
    /// One is under way.
    #[error("another backup is under way")]
    Running,
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The archive is no backup, or not a whole one.
    #[error("this is no whole backup: {0}")]
    NotABackup(String),
    /// The data directory is in use, or has something in it.
    #[error("{} is not empty: it has {found}", path.display())]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
        /// The first thing in it.
        found: String,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Whoever the archive is for has gone, or cannot take more.
    #[error("cannot write the backup: {0}")]
    Sink(#[source] io::Error),
    /// The archive cannot be read.
    #[error("cannot read the backup: {0}")]
    Source(#[source] io::Error),
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl BackupError {
    /// What the operator can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Running => "wait until it has ended, then try again".into(),
            Self::Database(error) => error.hint(),
            Self::DataDir(error) => error.hint(),
            Self::NotABackup(_) => "nothing was changed; take another backup, or copy this one again".into(),
            Self::NotEmpty { .. } => "a backup is put back into an empty directory only: move the old one away, or \
                                      choose another with `--data-dir`"
                .into(),
            Self::Sink(_) | Self::Source(_) | Self::System { .. } => {
                "check the path, who owns it and the free space, then try again".into()
            }
        }
    }
}

impl BackupError {
    /// Whether there was no room for what is held still.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Database(error) => error.is_full(),
            Self::System { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

fn system(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_path_buf();
    move |source| BackupError::System { doing, path, source }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
