//! Files in memory that a plugin may read: a test writes them, also while the plugin runs. Knows no disk.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::clock::TestClock;
use crate::capability::clock::Clock;
use crate::capability::files::{FileInfo, FilesError, FilesPort, ListLimits, OpenFile, below};
use crate::id::PluginName;
use crate::message::Time;

/// The granted directories of a test, and what is in them.
#[derive(Default)]
pub struct TestDisk {
    clock: Arc<TestClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    granted: Vec<PathBuf>,
    files: BTreeMap<PathBuf, (Vec<u8>, Time)>,
    /// Added to the time of each file, so that two in one moment of a clock that stands still differ.
    writes: i64,
}

impl TestDisk {
    pub(super) fn new(clock: Arc<TestClock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Grants a directory, as `directories` of the plugin's settings would.
    pub fn grant(&self, directory: impl Into<PathBuf>) {
        self.state().granted.push(directory.into());
    }

    /// Puts a file there, instead of one that is there.
    pub fn write(&self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) {
        let now = self.clock.now().as_micros();
        let mut state = self.state();
        state.writes += 1;
        let modified = Time::from_micros(now + state.writes);
        state.files.insert(path.into(), (bytes.into(), modified));
    }

    /// Takes a file away.
    pub fn remove(&self, path: impl AsRef<Path>) {
        self.state().files.remove(path.as_ref());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl FilesPort for TestDisk {
    async fn read(&self, plugin: &PluginName, path: &Path, limit: u64) -> Result<Vec<u8>, FilesError> {
        let state = self.state();
        below(plugin, &state.granted, path)?;
        match state.files.get(path) {
            Some((bytes, _)) if bytes.len() as u64 > limit => {
                Err(FilesError::TooLarge { path: path.to_owned(), limit })
            }
            Some((bytes, _)) => Ok(bytes.clone()),
            None => Err(FilesError::NotFound { path: path.to_owned() }),
        }
    }

    async fn open(&self, plugin: &PluginName, path: &Path) -> Result<Box<dyn OpenFile>, FilesError> {
        Ok(Box::new(Cursor::new(self.read(plugin, path, u64::MAX).await?)))
    }

    async fn info(&self, plugin: &PluginName, path: &Path) -> Result<FileInfo, FilesError> {
        let state = self.state();
        below(plugin, &state.granted, path)?;
        match state.files.get(path) {
            Some((bytes, modified)) => {
                Ok(FileInfo { path: path.to_owned(), size: bytes.len() as u64, modified: *modified })
            }
            None => Err(FilesError::NotFound { path: path.to_owned() }),
        }
    }

    async fn list(
        &self,
        plugin: &PluginName,
        directory: &Path,
        limits: ListLimits,
    ) -> Result<Vec<FileInfo>, FilesError> {
        let state = self.state();
        below(plugin, &state.granted, directory)?;
        let too_many = || FilesError::TooMany { path: directory.to_owned(), limits };
        let mut found = Vec::new();
        for (path, (bytes, modified)) in &state.files {
            let Ok(rest) = path.strip_prefix(directory) else { continue };
            if rest.components().count() > limits.depth as usize || found.len() == limits.entries {
                return Err(too_many());
            }
            found.push(FileInfo { path: path.clone(), size: bytes.len() as u64, modified: *modified });
        }
        let is_granted = state.granted.iter().any(|granted| granted == directory);
        if found.is_empty() && !is_granted {
            return Err(FilesError::NotFound { path: directory.to_owned() });
        }
        Ok(found)
    }
}
