//! Changes to several files that happen all or not at all. Knows nothing of what the files are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Explain, Result};

/// Files written since it began; dropped without [`commit`](Self::commit), it puts everything back.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    RemoveDirectory(PathBuf),
    RemoveFile(PathBuf),
    Restore(PathBuf, Vec<u8>),
}

impl Transaction {
    /// Remembers a file as it is, so that what others do to it can be taken back too.
    pub(crate) fn remember(&mut self, path: &Path) -> Result<()> {
        let undo = match fs::read(path) {
            Ok(content) => Undo::Restore(path.to_owned(), content),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Undo::RemoveFile(path.to_owned()),
            Err(error) => return Err(error).explain(|| format!("cannot read `{}`", path.display())),
        };
        self.undo.push(undo);
        Ok(())
    }

    /// Makes a directory with the missing ones above it.
    pub(crate) fn create_directory(&mut self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.create_directory(parent)?;
        }
        fs::create_dir(path).explain(|| format!("cannot make the directory `{}`", path.display()))?;
        self.undo.push(Undo::RemoveDirectory(path.to_owned()));
        Ok(())
    }

    /// Writes a file whole: a reader sees the old content or the new one.
    pub(crate) fn write(&mut self, path: &Path, content: &str) -> Result<()> {
        if let Some(parent) = path.parent() {
            self.create_directory(parent)?;
        }
        self.remember(path)?;
        write_whole(path, content.as_bytes())
    }

    /// Keeps what was written.
    pub(crate) fn commit(mut self) {
        self.undo.clear();
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        for undo in self.undo.drain(..).rev() {
            let (path, undone) = match &undo {
                // Only empty ones: what somebody else put there in the meantime is not ours to remove.
                Undo::RemoveDirectory(path) => (path, fs::remove_dir(path)),
                Undo::RemoveFile(path) => (path, fs::remove_file(path)),
                Undo::Restore(path, content) => (path, fs::write(path, content)),
            };
            if let Err(error) = undone
                && error.kind() != std::io::ErrorKind::NotFound
            {
                eprintln!("warning: cannot put `{}` back: {error}", path.display());
            }
        }
    }
}

/// Writes beside the file and renames over it.
fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = fs::write(&beside, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What was left half-written; that it could not be removed changes nothing in what is reported.
        let _ = fs::remove_file(&beside);
    }
    written.explain(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_committed_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("old.toml");
        let new = directory.path().join("a/b/new.toml");
        fs::write(&old, "before").unwrap();

        let mut transaction = Transaction::default();
        transaction.write(&old, "after").unwrap();
        transaction.write(&new, "new").unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "after");
        drop(transaction);
        assert_eq!(fs::read_to_string(&old).unwrap(), "before");
        assert!(!directory.path().join("a").exists());

        let mut transaction = Transaction::default();
        transaction.write(&new, "new").unwrap();
        transaction.commit();
        assert_eq!(fs::read_to_string(&new).unwrap(), "new");
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let mut transaction = Transaction::default();
        transaction.write(&directory.path().join("sub/fine"), "x").unwrap();
        assert!(transaction.write(&directory.path().join("file/below-a-file"), "x").is_err());
        drop(transaction);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
