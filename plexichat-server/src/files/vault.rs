//! Where the bytes of files are: a spool for what comes in, a place for what is kept, and one for what is held back. Each
//! file is named by its identifier; nothing that a sender wrote becomes part of a path. Blocks; knows no rows.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use plexichat::id::FileId;
use plexichat::pipeline::files::Servable;
use rustix::fs::OFlags;

/// What comes in and is not judged yet.
const SPOOL: &str = "spool";
/// What is held back.
const QUARANTINE: &str = "quarantine";

/// The folder of files in the data directory.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    root: PathBuf,
}

/// Where a file's bytes belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Among those that are handed out, or wait to be.
    Kept,
    /// Among those that are held back.
    Quarantine,
}

impl Vault {
    /// Makes the folders, and empties the spool: what is in it was never acknowledged. How many files that were.
    ///
    /// # Errors
    /// With the path that the system refused.
    pub(crate) fn open(data_dir: &Path) -> Result<(Self, usize), (PathBuf, io::Error)> {
        let vault = Self { root: data_dir.join("files") };
        for folder in [vault.root.clone(), vault.root.join(SPOOL), vault.root.join(QUARANTINE)] {
            make(&folder).map_err(|error| (folder, error))?;
        }
        let spool = vault.root.join(SPOOL);
        let emptied = empty(&spool).map_err(|error| (spool, error))?;
        Ok((vault, emptied))
    }

    /// A new file in the spool.
    pub(crate) fn spool(&self, id: FileId) -> io::Result<(PathBuf, File)> {
        let path = self.root.join(SPOOL).join(id.to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }

    /// Moves a file from wherever it is to this place. Durable once this returns.
    pub(crate) fn place(&self, id: FileId, place: Place) -> io::Result<()> {
        let target = self.path(id, place);
        let Some(current) = self.find(id) else { return Err(io::ErrorKind::NotFound.into()) };
        let folder = target.parent().unwrap_or(&self.root);
        if place == Place::Kept && make(folder)? {
            sync(&self.root)?;
        }
        if current != target {
            fs::rename(&current, &target)?;
        }
        sync(folder)?;
        current.parent().filter(|left| *left != folder).map_or(Ok(()), sync)
    }

    /// Opens a file to be handed out.
    pub(crate) fn open_served(&self, file: &Servable) -> io::Result<File> {
        self.open_to_scan(file.id())
    }

    /// Opens a file for a scanner, wherever it is.
    pub(crate) fn open_to_scan(&self, id: FileId) -> io::Result<File> {
        let path = self.find(id).ok_or(io::ErrorKind::NotFound)?;
        let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(no_link).open(path)?;
        // A folder or a pipe that somebody put there is no file of ours.
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Removes a file. That it is gone already is as well.
    pub(crate) fn remove(&self, id: FileId) -> io::Result<()> {
        let Some(path) = self.find(id) else { return Ok(()) };
        fs::remove_file(&path)?;
        path.parent().map_or(Ok(()), sync)
    }

    /// Whether there are bytes for it.
    pub(crate) fn has(&self, id: FileId) -> bool {
        self.find(id).is_some()
    }

    /// The identifiers of all files that are kept or held back, folder by folder, and how many names are no identifier.
    pub(crate) fn list(&self, mut each: impl FnMut(Vec<FileId>)) -> io::Result<usize> {
        let mut strange = 0;
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            if folder.file_name() == SPOOL || !folder.file_type()?.is_dir() {
                continue;
            }
            let mut found = Vec::new();
            for file in fs::read_dir(folder.path())? {
                match file?.file_name().to_str().and_then(|name| name.parse().ok()) {
                    Some(id) => found.push(id),
                    None => strange += 1,
                }
            }
            each(found);
        }
        Ok(strange)
    }

    fn path(&self, id: FileId, place: Place) -> PathBuf {
        match place {
            // The last byte is random, where the first ones are the time: so each folder gets its share.
            Place::Kept => self.root.join(format!("{:02x}", id.as_bytes()[15])).join(id.to_string()),
            Place::Quarantine => self.root.join(QUARANTINE).join(id.to_string()),
        }
    }

    /// Where it is: a crash may have left it in the place before the one that its row says.
    fn find(&self, id: FileId) -> Option<PathBuf> {
        let spooled = self.root.join(SPOOL).join(id.to_string());
        let places = [self.path(id, Place::Kept), self.path(id, Place::Quarantine), spooled];
        places.into_iter().find(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
    }
}

/// Makes a folder for its owner only. Whether it was not there.
fn make(folder: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

fn empty(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    for file in fs::read_dir(folder)? {
        fs::remove_file(file?.path())?;
        count += 1;
    }
    Ok(count)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn vault() -> (tempfile::TempDir, Vault) {
        let directory = tempfile::tempdir().expect("a directory");
        let (vault, _) = Vault::open(directory.path()).expect("opens");
        (directory, vault)
    }

    fn spooled(vault: &Vault, bytes: &[u8]) -> FileId {
        let id = FileId::new();
        vault.spool(id).expect("spools").1.write_all(bytes).expect("writes");
        id
    }

    #[track_caller]
    fn check_bytes(vault: &Vault, id: FileId, bytes: &[u8]) {
        let mut found = Vec::new();
        vault.open_to_scan(id).expect("opens").read_to_end(&mut found).expect("reads");
        assert_eq!(found, bytes);
    }

    #[test]
    fn a_file_goes_from_place_to_place_and_is_found_in_each() {
        let (directory, vault) = vault();
        let id = spooled(&vault, b"bytes");
        check_bytes(&vault, id, b"bytes");
        for place in [Place::Quarantine, Place::Kept, Place::Kept, Place::Quarantine, Place::Kept] {
            vault.place(id, place).expect("moves");
            check_bytes(&vault, id, b"bytes");
        }
        let folder = format!("{:02x}", id.as_bytes()[15]);
        assert!(directory.path().join("files").join(folder).join(id.to_string()).is_file());
        let mut listed = Vec::new();
        assert_eq!(vault.list(|ids| listed.extend(ids)).expect("lists"), 0);
        assert_eq!(listed, [id]);
        vault.remove(id).expect("removes");
        vault.remove(id).expect("it is gone already");
        assert!(!vault.has(id) && vault.place(id, Place::Kept).is_err());
    }

    #[test]
    fn a_spool_that_a_crash_left_is_emptied() {
        let (directory, vault) = vault();
        let kept = spooled(&vault, b"kept");
        vault.place(kept, Place::Kept).expect("moves");
        let left = spooled(&vault, b"half");
        let (vault, emptied) = Vault::open(directory.path()).expect("opens again");
        assert_eq!((emptied, vault.has(left), vault.has(kept)), (1, false, true));
    }

    /// Fault 69: a link in the place of a file leads nowhere.
    #[test]
    fn a_link_is_no_file() {
        let (directory, vault) = vault();
        let secret = directory.path().join("secret");
        fs::write(&secret, "secret").expect("writes");
        let id = FileId::new();
        std::os::unix::fs::symlink(&secret, directory.path().join("files/quarantine").join(id.to_string()))
            .expect("links");
        assert!(vault.open_to_scan(id).is_err() && !vault.has(id));
    }
}
