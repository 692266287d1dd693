//! Puts a backup back into an empty data directory: everything is unpacked beside it and compared with its sums first, so
//! that a damaged backup leaves nothing.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{BackupError, DATABASE, Entry, FILES, FORMAT, MANIFEST, Manifest, hexadecimal, system};
use crate::data_dir::DataDir;
use crate::store::check_file;

/// The largest manifest: some hundred bytes a file.
const MANIFEST_MAX: u64 = 1 << 30;
/// Where a backup is unpacked in a data directory that is there.
const STAGING: &str = ".restoring";
/// What an empty directory may have: our lock, what a restore left that was killed, and what a file system puts there.
const NOTHING: [&str; 3] = ["lock", STAGING, "lost+found"];

/// Reads an archive to its end and compares every sum. `progress` is told the bytes so far.
///
/// # Errors
/// [`BackupError`].
pub(crate) fn verify(archive: impl Read, progress: &mut dyn FnMut(u64)) -> Result<Manifest, BackupError> {
    unpack(archive, &mut |_| Ok(Box::new(io::sink())), progress)
}

/// Unpacks an archive and makes it the data directory, once every sum and the database are found to be good.
///
/// # Errors
/// [`BackupError`]: the directory is as it was.
pub(crate) fn restore(
    archive: impl Read,
    target: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Manifest, BackupError> {
    if target.exists() { into_directory(archive, target, progress) } else { as_directory(archive, target, progress) }
}

/// The directory is there and may be where something is mounted: it is filled, the database last.
fn into_directory(archive: impl Read, target: &Path, progress: &mut dyn FnMut(u64)) -> Result<Manifest, BackupError> {
    // For as long as this lives, no server starts on what is not complete.
    let data_dir = DataDir::open(target)?;
    for entry in fs::read_dir(target).map_err(system("list", target))? {
        let name = entry.map_err(system("list", target))?.file_name();
        if !NOTHING.iter().any(|nothing| name == *nothing) {
            let found = name.to_string_lossy().into_owned();
            return Err(BackupError::NotEmpty { path: target.to_path_buf(), found });
        }
    }
    let staging = Staging::make(data_dir.path().join(STAGING))?;
    let manifest = staging.fill(archive, progress)?;
    for name in [FILES, DATABASE] {
        let (from, to) = (staging.path.join(name), target.join(name));
        if from.exists() {
            fs::rename(&from, &to).map_err(system("put in place", &to))?;
        }
    }
    sync(target)?;
    Ok(manifest)
}

/// The directory is not there: it appears whole.
fn as_directory(archive: impl Read, target: &Path, progress: &mut dyn FnMut(u64)) -> Result<Manifest, BackupError> {
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut staging = Staging::make(parent.join(format!(".{name}.restoring-{}", std::process::id())))?;
    let manifest = staging.fill(archive, progress)?;
    fs::rename(&staging.path, target).map_err(system("put in place", target))?;
    staging.keep = true;
    sync(parent)?;
    Ok(manifest)
}

/// A folder in which a backup is unpacked; gone with its value.
struct Staging {
    path: PathBuf,
    keep: bool,
}

impl Staging {
    fn make(path: PathBuf) -> Result<Self, BackupError> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(system("remove", &path)(error)),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&path).map_err(system("make", &path))?;
        Ok(Self { path, keep: false })
    }

    fn fill(&self, archive: impl Read, progress: &mut dyn FnMut(u64)) -> Result<Manifest, BackupError> {
        let manifest = unpack(archive, &mut |path| self.file(path), progress)?;
        check_file(&self.path.join(DATABASE))?;
        // The folders of the files, deepest last: a name counts once its folder is on the disk.
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(system("list", &folder))? {
                let entry = entry.map_err(system("list", &folder))?;
                if entry.file_type().map_err(system("look at", &entry.path()))?.is_dir() {
                    folders.push(entry.path());
                } else {
                    sync(&entry.path())?;
                }
            }
            sync(&folder)?;
        }
        Ok(manifest)
    }

    fn file(&self, path: &str) -> Result<Box<dyn Write>, BackupError> {
        let target = self.path.join(path);
        if let Some(folder) = target.parent() {
            let made = DirBuilder::new().mode(0o700).recursive(true).create(folder);
            made.map_err(system("make", folder))?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target);
        Ok(Box::new(file.map_err(system("make", &target))?))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "what a restore left behind cannot be removed");
        }
    }
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(system("store", path))
}

/// Says where the content of a path is written.
type Place<'a> = dyn FnMut(&str) -> Result<Box<dyn Write>, BackupError> + 'a;

fn unpack(archive: impl Read, place: &mut Place<'_>, progress: &mut dyn FnMut(u64)) -> Result<Manifest, BackupError> {
    let wrong = |why: String| BackupError::NotABackup(why);
    let mut found = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    let mut bytes = 0;
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if manifest.is_some() {
            return Err(wrong(format!("`{path}` stands behind the manifest")));
        }
        if !entry.header().entry_type().is_file() {
            return Err(wrong(format!("`{path}` is no file")));
        }
        if path == MANIFEST {
            let mut text = Vec::new();
            (&mut entry).take(MANIFEST_MAX).read_to_end(&mut text).map_err(damaged)?;
            let read = serde_json::from_slice(&text);
            manifest = Some(read.map_err(|error| wrong(format!("the manifest cannot be read: {error}")))?);
            continue;
        }
        if !is_ours(&path) {
            return Err(wrong(format!("`{path}` does not belong into a backup")));
        }
        if found.contains_key(&path) {
            return Err(wrong(format!("`{path}` is there twice")));
        }
        let mut target = place(&path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut size = 0;
        loop {
            let read = entry.read(&mut buffer).map_err(damaged)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            target.write_all(&buffer[..read]).map_err(system("write", Path::new(&path)))?;
            size += read as u64;
            bytes += read as u64;
            progress(bytes);
        }
        if size != entry.header().size().map_err(damaged)? {
            return Err(wrong(format!("it ends within `{path}`")));
        }
        found.insert(path, (size, hexadecimal(&hasher.finalize())));
    }
    let manifest = manifest.ok_or_else(|| wrong("it has no manifest at its end, so it was cut off".into()))?;
    compare(&manifest, found)?;
    Ok(manifest)
}

/// Whether what was found is what the manifest says.
fn compare(manifest: &Manifest, mut found: BTreeMap<String, (u64, String)>) -> Result<(), BackupError> {
    let wrong = |why: String| Err(BackupError::NotABackup(why));
    if manifest.format != FORMAT {
        return wrong(format!("its format is {}, this server reads {FORMAT}", manifest.format));
    }
    for Entry { path, size, sha256 } in &manifest.entries {
        match found.remove(path) {
            None => return wrong(format!("`{path}` is missing")),
            Some((found, sum)) if (found, &sum) != (*size, sha256) => {
                return wrong(format!("`{path}` is damaged: its SHA-256 is {sum}, it was {sha256}"));
            }
            Some(_) => {}
        }
    }
    match found.into_keys().next() {
        Some(path) => wrong(format!("the manifest does not know `{path}`")),
        None if manifest.entries.iter().all(|entry| entry.path != DATABASE) => wrong("it has no database".into()),
        None => Ok(()),
    }
}

/// Whether a path is one that a backup has: nothing outside of the data directory, and nothing else in it.
fn is_ours(path: &str) -> bool {
    let mut components = Path::new(path).components();
    let plain = components.clone().all(|component| matches!(component, Component::Normal(_)));
    let below_files = components.next() == Some(Component::Normal(FILES.as_ref())) && components.next().is_some();
    plain && !path.ends_with('/') && (path == DATABASE || below_files)
}

/// What the archive's own structure says where it is damaged is told as that; other errors are the disk's.
fn damaged(error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::Other
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof => BackupError::NotABackup(error.to_string()),
        _ => BackupError::Source(error),
    }
}
