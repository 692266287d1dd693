//! The data directory: made, probed and locked before anything in it is opened. Knows nothing of what the files in it hold.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The server's own directory, locked for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holds the advisory lock; the kernel lets go of it however the process ends.
    _lock: File,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// The directory in which it is to be made is not there.
    #[error("cannot make the data directory {}: {} does not exist", path.display(), parent.display())]
    ParentMissing {
        /// The data directory.
        path: PathBuf,
        /// What is missing.
        parent: PathBuf,
    },
    /// Something else has that name.
    #[error("the data directory {} is not a directory", path.display())]
    NotADirectory {
        /// The data directory.
        path: PathBuf,
    },
    /// Another server works on it.
    #[error("the data directory {} is in use by another server{}", path.display(), holder(*process))]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The other server's process, if it left its number.
        process: Option<u32>,
    },
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl DataDirError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::ParentMissing { parent, .. } => {
                format!("make {} first, or choose another directory with `--data-dir`", parent.display())
            }
            Self::NotADirectory { .. } => "move that file away, or choose another directory with `--data-dir`".into(),
            Self::InUse { process: Some(process), .. } => {
                format!("stop process {process}, or give this server its own `--data-dir`")
            }
            Self::InUse { process: None, .. } => "stop the other server, or give this one its own `--data-dir`".into(),
            Self::Refused { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "the server's user must own the data directory and may read and write it: see `ls -ld` and `chown`"
                        .into()
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    "the file system is mounted read-only: choose a writable `--data-dir`".into()
                }
                io::ErrorKind::StorageFull => "make room on that file system".into(),
                _ => "check the path and the file system, or choose another directory with `--data-dir`".into(),
            },
        }
    }
}

fn holder(process: Option<u32>) -> String {
    process.map(|process| format!(" (process {process})")).unwrap_or_default()
}

impl DataDir {
    /// Makes the directory if it is not there (for its owner only), checks that it can be written, and locks it.
    ///
    /// # Errors
    /// [`DataDirError`], at once: it never waits for another server.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let path = path.into();
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(Path::new(".")).to_path_buf();
                return Err(DataDirError::ParentMissing { path, parent });
            }
            Err(source) => return Err(DataDirError::Refused { doing: "make the data directory", path, source }),
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(DataDirError::NotADirectory { path }),
            Err(source) => return Err(DataDirError::Refused { doing: "look at the data directory", path, source }),
        }
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.path.join("plexichat.db")
    }

    /// Where the first administrator's token is written.
    pub fn admin_token(&self) -> PathBuf {
        self.path.join("admin-token")
    }

    /// Writes a file that only the owner may read: whole or not at all, and durable once this returns.
    ///
    /// # Errors
    /// [`DataDirError::Refused`].
    pub fn write_private(&self, name: &str, content: &[u8]) -> Result<(), DataDirError> {
        let target = self.path.join(name);
        let new = self.path.join(format!("{name}.new"));
        let written = (|| {
            // A left-over of a killed process may have other rights.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&new, &target)?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|source| DataDirError::Refused { doing: "write", path: target, source })
    }
}

fn lock(directory: &Path) -> Result<File, DataDirError> {
    let path = directory.join("lock");
    let refused = |doing, source| DataDirError::Refused { doing, path: path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| refused("open the lock file", source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // The number is only told to the operator: whatever cannot be read is left out.
            let _ = (&mut file).take(16).read_to_string(&mut text);
            return Err(DataDirError::InUse { path: directory.to_path_buf(), process: text.trim().parse().ok() });
        }
        Err(error) => return Err(refused("lock", error.into())),
    }
    let written = (|| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    })();
    written.map_err(|source| refused("write", source))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[track_caller]
    fn check(path: &Path, message: &str, hint: &str) {
        let error = DataDir::open(path).expect_err("it must be refused");
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.hint().contains(hint), "{}", error.hint());
    }

    #[test]
    fn it_is_made_for_its_owner_only() {
        let parent = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(parent.path().join("data")).expect("opens");
        let mode = fs::metadata(data.path()).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_second_server_is_refused_until_the_first_has_gone() {
        let parent = tempfile::tempdir().expect("a directory");
        let first = DataDir::open(parent.path()).expect("opens");
        let process = std::process::id().to_string();
        check(
            parent.path(),
            &format!("in use by another server (process {process})"),
            &format!("stop process {process}"),
        );
        drop(first);
        DataDir::open(parent.path()).expect("the lock went with its holder");
    }

    #[test]
    fn each_mistake_is_told_with_its_path() {
        let parent = tempfile::tempdir().expect("a directory");
        let missing = parent.path().join("no/such/data");
        check(&missing, "no/such does not exist", "--data-dir");
        let file = parent.path().join("file");
        fs::write(&file, "x").expect("writes");
        check(&file, "is not a directory", "move that file away");
        check(&file.join("data"), "cannot make the data directory", "check the path");
        // Root may write anywhere but there.
        check(Path::new("/proc/self/data"), "cannot make the data directory /proc/self/data", "");
    }

    #[test]
    fn a_private_file_is_replaced_whole() {
        let parent = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(parent.path()).expect("opens");
        fs::write(parent.path().join("admin-token.new"), "half").expect("writes");
        data.write_private("admin-token", b"one").expect("writes");
        data.write_private("admin-token", b"two").expect("writes");
        assert_eq!(fs::read_to_string(data.admin_token()).expect("reads"), "two");
        assert_eq!(fs::metadata(data.admin_token()).expect("is there").permissions().mode() & 0o777, 0o600);
        assert!(!parent.path().join("admin-token.new").exists());
    }
}
