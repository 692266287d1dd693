//! Reads files on behalf of plugins, below the directories that the operator granted each, whatever links there are in them.
//! Knows no plugin's code.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use plexichat::capability::files::{FileInfo, FilesError, FilesPort, ListLimits, OpenFile, below};
use plexichat::id::PluginName;
use plexichat::message::Time;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::runtime::Handle;

/// The host's side of `ctx.files()`.
pub(crate) struct Directories {
    granted: HashMap<PluginName, Arc<Vec<PathBuf>>>,
    /// Whose threads wait for the disk: a plugin's may be needed elsewhere.
    host: Handle,
}

impl Directories {
    /// The port with what the operator's settings grant each plugin. Must be called on the host's runtime.
    pub(crate) fn new(granted: HashMap<PluginName, Vec<PathBuf>>) -> Self {
        let granted = granted.into_iter().map(|(plugin, directories)| (plugin, Arc::new(directories))).collect();
        Self { granted, host: Handle::current() }
    }

    /// Does something with a path on a thread that may wait: given the granted directory, opened, and what is left of the path.
    async fn at<T: Send + 'static>(
        &self,
        plugin: &PluginName,
        path: &Path,
        work: impl FnOnce(Beneath<'_>) -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let granted = self.granted.get(plugin).cloned().unwrap_or_default();
        let (plugin, path) = (plugin.clone(), path.to_owned());
        let working = self.host.spawn_blocking(move || {
            let (root, rest) = below(&plugin, &granted, &path)?;
            let directory = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| FilesError::of_io(root, error.into()))?;
            work(Beneath { directory, rest, path: &path })
        });
        match working.await {
            Ok(done) => done,
            Err(_) => Err(FilesError::Io { path: PathBuf::new(), source: io::Error::other("reading was given up") }),
        }
    }
}

#[async_trait]
impl FilesPort for Directories {
    async fn read(&self, plugin: &PluginName, path: &Path, limit: u64) -> Result<Vec<u8>, FilesError> {
        let read = move |beneath: Beneath<'_>| {
            let file = beneath.open_file()?;
            let mut content = Vec::new();
            // What the file says of its size is not believed: it may grow while it is read.
            let read = file.take(limit.saturating_add(1)).read_to_end(&mut content);
            read.map_err(|error| FilesError::of_io(beneath.path, error))?;
            match content.len() as u64 > limit {
                true => Err(FilesError::TooLarge { path: beneath.path.to_owned(), limit }),
                false => Ok(content),
            }
        };
        self.at(plugin, path, read).await
    }

    async fn open(&self, plugin: &PluginName, path: &Path) -> Result<Box<dyn OpenFile>, FilesError> {
        let open = |beneath: Beneath<'_>| beneath.open_file().map(|file| Box::new(file) as Box<dyn OpenFile>);
        self.at(plugin, path, open).await
    }

    async fn info(&self, plugin: &PluginName, path: &Path) -> Result<FileInfo, FilesError> {
        let look = |beneath: Beneath<'_>| {
            let file = beneath.open_file()?;
            info(beneath.path, &file).map_err(|error| FilesError::of_io(beneath.path, error))
        };
        self.at(plugin, path, look).await
    }

    async fn list(
        &self,
        plugin: &PluginName,
        directory: &Path,
        limits: ListLimits,
    ) -> Result<Vec<FileInfo>, FilesError> {
        let list = move |beneath: Beneath<'_>| {
            let root = beneath.open(beneath.rest, OFlags::DIRECTORY | OFlags::RDONLY)?;
            let mut walk = Walk { beneath: &beneath, limits, entries: 0, found: Vec::new() };
            walk.directory(&root, beneath.rest, beneath.path, 1)?;
            Ok(walk.found)
        };
        self.at(plugin, directory, list).await
    }
}

/// A path below a granted directory.
struct Beneath<'a> {
    directory: OwnedFd,
    rest: &'a Path,
    path: &'a Path,
}

impl Beneath<'_> {
    fn open_file(&self) -> Result<File, FilesError> {
        let file = File::from(self.open(self.rest, OFlags::RDONLY)?);
        let metadata = file.metadata().map_err(|error| FilesError::of_io(self.path, error))?;
        match metadata.is_file() {
            true => Ok(file),
            false => Err(FilesError::NotAFile { path: self.path.to_owned() }),
        }
    }

    /// Opens what the kernel itself finds below the granted directory: nobody can swap a link in between.
    fn open(&self, rest: &Path, flags: OFlags) -> Result<OwnedFd, FilesError> {
        let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
        // A pipe without a writer would hold the thread up.
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(self.directory.as_fd(), rest, flags, Mode::empty(), resolve).map_err(|error| match error {
            Errno::XDEV | Errno::LOOP => FilesError::LeadsElsewhere { path: self.path.to_owned() },
            Errno::NXIO => FilesError::NotAFile { path: self.path.to_owned() },
            error => FilesError::of_io(self.path, error.into()),
        })
    }
}

struct Walk<'a> {
    beneath: &'a Beneath<'a>,
    limits: ListLimits,
    entries: usize,
    found: Vec<FileInfo>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &OwnedFd, rest: &Path, path: &Path, depth: u32) -> Result<(), FilesError> {
        let too_many = || FilesError::TooMany { path: self.beneath.path.to_owned(), limits: self.limits };
        if depth > self.limits.depth {
            return Err(too_many());
        }
        let entries = rustix::fs::Dir::read_from(directory).map_err(|error| FilesError::of_io(path, error.into()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| FilesError::of_io(path, error.into()))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            names.push((entry.file_type(), std::ffi::OsString::from(name.to_string_lossy().into_owned())));
            if self.entries + names.len() > self.limits.entries {
                return Err(too_many());
            }
        }
        self.entries += names.len();
        for (kind, name) in names {
            let (rest, path) = (rest.join(&name), path.join(&name));
            if kind.is_dir() {
                let inner = self.beneath.open(&rest, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW)?;
                self.directory(&inner, &rest, &path, depth + 1)?;
                continue;
            }
            // What cannot be opened, leads elsewhere or is no file is told where somebody asks for it by name.
            let Ok(file) = self.beneath.open(&rest, OFlags::RDONLY).map(File::from) else { continue };
            let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
            if is_file && let Ok(info) = info(&path, &file) {
                self.found.push(info);
            }
        }
        Ok(())
    }
}

fn info(path: &Path, file: &File) -> io::Result<FileInfo> {
    let metadata = file.metadata()?;
    let since = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let modified = Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Ok(FileInfo { path: path.to_owned(), size: metadata.len(), modified })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Fixture {
        directory: tempfile::TempDir,
        directories: Directories,
    }

    fn plugin() -> PluginName {
        "antivirus".parse().unwrap()
    }

    /// `granted` with files, links in and out of it, and `outside` beside it.
    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let granted = root.join("granted");
        std::fs::create_dir_all(granted.join("inner/deep")).unwrap();
        std::fs::create_dir(root.join("outside")).unwrap();
        std::fs::write(root.join("outside/secret"), "secret").unwrap();
        std::fs::write(granted.join("a.yar"), "rule a").unwrap();
        std::fs::write(granted.join("inner/deep/b.yar"), "rule b").unwrap();
        symlink("inner/deep/b.yar", granted.join("inside.yar")).unwrap();
        symlink("../outside/secret", granted.join("relative.yar")).unwrap();
        symlink(root.join("outside/secret"), granted.join("absolute.yar")).unwrap();
        symlink("../outside", granted.join("folder")).unwrap();
        symlink("loop", granted.join("loop")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, granted.join("pipe"), Mode::RUSR).unwrap();
        let directories = Directories::new(HashMap::from([(plugin(), vec![granted])]));
        Fixture { directory, directories }
    }

    impl Fixture {
        async fn read(&self, path: &str) -> Result<String, FilesError> {
            let path = self.directory.path().join(path);
            self.directories.read(&plugin(), &path, 10).await.map(|bytes| String::from_utf8(bytes).unwrap())
        }

        async fn check(&self, path: &str, expected: Result<&str, &str>) {
            match (self.read(path).await, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{path}: {error}"),
                (found, expected) => panic!("{path}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[tokio::test]
    async fn nothing_leads_out_of_a_granted_directory() {
        let fixture = fixture();
        fixture.check("granted/a.yar", Ok("rule a")).await;
        fixture.check("granted/inside.yar", Ok("rule b")).await;
        for out in ["granted/relative.yar", "granted/absolute.yar", "granted/folder/secret", "granted/loop"] {
            fixture.check(out, Err("leads out of the granted directory")).await;
        }
        fixture.check("granted/../outside/secret", Err("leads out of the granted directory")).await;
        fixture.check("outside/secret", Err("`directories` of `[plugins.antivirus]`")).await;
        fixture.check("granted/none.yar", Err("there is no `")).await;
        fixture.check("granted/inner", Err("is no file")).await;
        fixture.check("granted/pipe", Err("is no file")).await;
        let opened = fixture.directories.open(&plugin(), &fixture.directory.path().join("granted/relative.yar")).await;
        assert!(matches!(opened.err(), Some(FilesError::LeadsElsewhere { .. })));
        let mut opened =
            fixture.directories.open(&plugin(), &fixture.directory.path().join("granted/a.yar")).await.unwrap();
        opened.seek(io::SeekFrom::Start(5)).unwrap();
        assert_eq!(io::read_to_string(opened).unwrap(), "a");
        let other = "other".parse().unwrap();
        let path = fixture.directory.path().join("granted/a.yar");
        let error = fixture.directories.read(&other, &path, 10).await.unwrap_err();
        assert!(matches!(error, FilesError::NotGranted { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_read() {
        let fixture = fixture();
        std::fs::write(fixture.directory.path().join("granted/a.yar"), [b'x'; 11]).unwrap();
        fixture.check("granted/a.yar", Err("is larger than 10 bytes")).await;
    }

    #[tokio::test]
    async fn directories_are_listed_within_limits() {
        let fixture = fixture();
        let granted = fixture.directory.path().join("granted");
        let list = async |depth, entries| {
            let found = fixture.directories.list(&plugin(), &granted, ListLimits { depth, entries }).await?;
            let mut names: Vec<String> = found
                .iter()
                .map(|file| format!("{} {}", file.path.strip_prefix(&granted).unwrap().display(), file.size))
                .collect();
            names.sort();
            Ok::<_, FilesError>(names)
        };
        assert_eq!(list(3, 100).await.unwrap(), ["a.yar 6", "inner/deep/b.yar 6", "inside.yar 6"]);
        for (depth, entries) in [(2, 100), (3, 8)] {
            assert!(matches!(list(depth, entries).await, Err(FilesError::TooMany { .. })));
        }
        let file = fixture.directories.list(&plugin(), &granted.join("a.yar"), ListLimits::default()).await;
        assert!(matches!(file, Err(FilesError::NotADirectory { .. })), "{file:?}");
    }

    #[tokio::test]
    async fn a_change_shows_in_what_is_known_of_a_file() {
        let fixture = fixture();
        let path = fixture.directory.path().join("granted/a.yar");
        let before = fixture.directories.info(&plugin(), &path).await.unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
        let after = fixture.directories.info(&plugin(), &path).await.unwrap();
        assert!((before.size, after.size) == (6, 6) && after.modified > before.modified);
    }
}
