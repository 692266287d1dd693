//! Files of the machine, behind `FileSystemRead`: read, looked at and listed below the directories that the operator granted.
//! Knows no disk. Writing is another permission and will be another handle.

use std::io::{self, Read, Seek};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::Scope;
use crate::error::{ErrorKind, PluginError};
use crate::id::PluginName;
use crate::message::Time;
use crate::permission::Permission;

/// Reads files below the directories that the operator granted with `directories` in the plugin's section.
#[derive(Clone)]
pub struct Files {
    scope: Arc<Scope>,
    port: Arc<dyn FilesPort>,
}

/// A file that is open: what is too large to be in memory twice is read from it piece by piece. Reading waits for the disk, so
/// it is done in [`blocking`](crate::context::Context::blocking).
pub trait OpenFile: Read + Seek + Send {}

impl<T: Read + Seek + Send> OpenFile for T {}

/// What is known of a file without reading it. Where size and time are as before, its content is most likely too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileInfo {
    /// Its absolute path, as it was asked for.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed.
    pub modified: Time,
}

/// How much of a directory is listed. What has more is an error, so that nothing is left out unnoticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLimits {
    /// Directories within directories: 1 lists the outermost only.
    pub depth: u32,
    /// Files and directories altogether.
    pub entries: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self { depth: 8, entries: 10_000 }
    }
}

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The plugin lacks the permission, or was stopped.
    #[error(transparent)]
    Refused(#[from] PluginError),
    /// No granted directory holds it.
    #[error("no directory in `directories` of `[plugins.{plugin}]` holds `{path}`: add one that does")]
    NotGranted {
        /// Who asked.
        plugin: PluginName,
        /// For what.
        path: PathBuf,
    },
    /// A link or `..` leads out of the granted directory.
    #[error(
        "`{path}` leads out of the granted directory, by a link or by `..`: name the file itself, and grant its directory"
    )]
    LeadsElsewhere {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// It is not there.
    #[error("there is no `{path}`")]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A directory where a file was asked for, or something else that nobody can read.
    #[error("`{path}` is no file")]
    NotAFile {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A file where a directory was asked for.
    #[error("`{path}` is no directory")]
    NotADirectory {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// It is larger than the caller wants to read.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// The path that was asked for.
        path: PathBuf,
        /// How much the caller wanted at most.
        limit: u64,
    },
    /// The directory has more in it, or is nested deeper, than the caller wants to list.
    #[error("`{path}` has more than {} entries, or directories more than {} deep", limits.entries, limits.depth)]
    TooMany {
        /// The directory that was asked for.
        path: PathBuf,
        /// How much the caller wanted at most.
        limits: ListLimits,
    },
    /// The machine refused it.
    #[error("`{path}` cannot be read")]
    Io {
        /// The path that was asked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FilesError {
    /// What the machine said of this path.
    pub fn of_io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::IsADirectory => Self::NotAFile { path },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            _ => Self::Io { path, source: error },
        }
    }
}

impl From<FilesError> for PluginError {
    fn from(error: FilesError) -> Self {
        let kind = match error {
            FilesError::Refused(refused) => return refused,
            FilesError::NotGranted { .. } | FilesError::LeadsElsewhere { .. } => ErrorKind::Permission,
            FilesError::NotFound { .. } => ErrorKind::NotFound,
            FilesError::Io { .. } => ErrorKind::Transient,
            _ => ErrorKind::Config,
        };
        let message = error.to_string();
        match error {
            FilesError::Io { source, .. } => Self::new(kind, message).with_source(source),
            _ => Self::new(kind, message),
        }
    }
}

/// What the host does for [`Files`], within what the operator granted the plugin.
#[async_trait]
pub trait FilesPort: Send + Sync + 'static {
    /// The content of a file.
    async fn read(&self, plugin: &PluginName, path: &Path, limit: u64) -> Result<Vec<u8>, FilesError>;

    /// A file, to be read from piece by piece.
    async fn open(&self, plugin: &PluginName, path: &Path) -> Result<Box<dyn OpenFile>, FilesError>;

    /// What is known of a file.
    async fn info(&self, plugin: &PluginName, path: &Path) -> Result<FileInfo, FilesError>;

    /// The files in a directory and in those within it.
    async fn list(
        &self,
        plugin: &PluginName,
        directory: &Path,
        limits: ListLimits,
    ) -> Result<Vec<FileInfo>, FilesError>;
}

impl Files {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn FilesPort>) -> Self {
        Self { scope, port }
    }

    /// The content of a file, given by its absolute path.
    ///
    /// # Errors
    /// As [`FilesError`] says; [`FilesError::TooLarge`] where it has more than `limit` bytes.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, FilesError> {
        self.scope.check(Permission::FileSystemRead, "read")?;
        self.port.read(self.scope.plugin(), path.as_ref(), limit).await
    }

    /// A file, given by its absolute path, to be read from piece by piece. It stays open when the directory is granted no more.
    ///
    /// # Errors
    /// As [`FilesError`] says.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn open(&self, path: impl AsRef<Path>) -> Result<Box<dyn OpenFile>, FilesError> {
        self.scope.check(Permission::FileSystemRead, "open")?;
        self.port.open(self.scope.plugin(), path.as_ref()).await
    }

    /// What is known of a file, given by its absolute path.
    ///
    /// # Errors
    /// As [`FilesError`] says.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn info(&self, path: impl AsRef<Path>) -> Result<FileInfo, FilesError> {
        self.scope.check(Permission::FileSystemRead, "info")?;
        self.port.info(self.scope.plugin(), path.as_ref()).await
    }

    /// The files in a directory and in those within it, sorted by path. Links to directories are not followed; links that
    /// lead out of the granted directory are left out.
    ///
    /// # Errors
    /// As [`FilesError`] says; [`FilesError::TooMany`] where it is more than the limits.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn list(&self, directory: impl AsRef<Path>, limits: ListLimits) -> Result<Vec<FileInfo>, FilesError> {
        self.scope.check(Permission::FileSystemRead, "list")?;
        let mut files = self.port.list(self.scope.plugin(), directory.as_ref(), limits).await?;
        files.sort();
        Ok(files)
    }
}

/// The granted directory that a path is below, and the rest of the path; by their words alone, links are the host's to look at.
///
/// # Errors
/// [`FilesError::NotGranted`] and [`FilesError::LeadsElsewhere`].
pub fn below<'a>(
    plugin: &PluginName,
    granted: &'a [PathBuf],
    path: &'a Path,
) -> Result<(&'a Path, &'a Path), FilesError> {
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(FilesError::LeadsElsewhere { path: path.to_owned() });
    }
    // The nearest one: a directory below a link may be granted for itself.
    let fitting = granted.iter().filter_map(|root| path.strip_prefix(root).ok().map(|rest| (root.as_path(), rest)));
    fitting
        .min_by_key(|(_, rest)| rest.components().count())
        .ok_or_else(|| FilesError::NotGranted { plugin: plugin.clone(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<(&str, &str), &str>) {
        let granted = ["/etc/rules", "/etc/rules/linked", "/srv"].map(PathBuf::from);
        let plugin = "antivirus".parse().expect("a name");
        let found = below(&plugin, &granted, Path::new(path));
        match (found, expected) {
            (Ok(found), Ok((root, rest))) => assert_eq!(found, (Path::new(root), Path::new(rest))),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{path}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn only_what_is_below_a_granted_directory_is_read() {
        check("/etc/rules/a.yar", Ok(("/etc/rules", "a.yar")));
        check("/etc/rules", Ok(("/etc/rules", "")));
        check("/etc/rules/linked/b/c.yar", Ok(("/etc/rules/linked", "b/c.yar")));
        check("/etc/rules-of-others/a.yar", Err("in `directories` of `[plugins.antivirus]`"));
        check("/etc/passwd", Err("in `directories` of `[plugins.antivirus]`"));
        check("rules/a.yar", Err("in `directories` of `[plugins.antivirus]`"));
        check("/etc/rules/../passwd", Err("leads out"));
    }

    #[test]
    fn a_plugin_that_passes_an_error_on_keeps_its_kind() {
        let missing: PluginError = FilesError::NotFound { path: "/a".into() }.into();
        assert_eq!((missing.kind(), missing.to_string().as_str()), (ErrorKind::NotFound, "there is no `/a`"));
        let broken = FilesError::of_io(Path::new("/a"), io::Error::other("the disk is gone"));
        assert_eq!(PluginError::from(broken).to_string(), "`/a` cannot be read: the disk is gone");
        let refused: PluginError = FilesError::from(PluginError::permission("no")).into();
        assert_eq!(refused.kind(), ErrorKind::Permission);
    }
}
