//! Rules and lists as they are on the disk now: looked at every few seconds, and kept as they were where a file is broken.
//! Knows no message and no file that is scanned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use plexichat::capability::files::{FileInfo, Files, FilesError, ListLimits};
use plexichat::prelude::*;

use crate::Antivirus;
use crate::config::Config;
use crate::hashes::Hashes;
use crate::links::Hosts;
use crate::yara::{RuleFile, Rules};

/// The largest file of rules, and the largest list.
const FILE_MAX: u64 = 64 << 20;

/// What the engines work with now.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) rules: Arc<Rules>,
    pub(crate) hashes: Arc<Hashes>,
    pub(crate) hosts: Arc<Hosts>,
}

/// Where the engines find what they work with, and the operator what is wrong with it.
pub(crate) struct Shelf {
    loaded: RwLock<Loaded>,
    /// By path.
    troubles: Mutex<BTreeMap<PathBuf, String>>,
}

impl Shelf {
    pub(crate) fn loaded(&self) -> Loaded {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong with files, each with its place.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn change(&self, change: impl FnOnce(&mut Loaded)) {
        change(&mut self.loaded.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes what is wrong with a file, and tells the log where that is news.
    fn trouble(&self, path: &Path, trouble: String) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.get(path) != Some(&trouble) {
            tracing::warn!(path = %path.display(), trouble, "a file of the antivirus is not used as it is now");
            troubles.insert(path.to_owned(), trouble);
        }
    }

    fn well(&self, path: &Path) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

/// Looks at the files.
pub(crate) struct Watch {
    context: Context<Antivirus>,
    files: Files,
    config: Arc<Config>,
    shelf: Arc<Shelf>,
    /// The files of rules as they were seen last, good or bad.
    seen: Vec<FileInfo>,
    /// The last text of each file of rules that compiled.
    good: BTreeMap<PathBuf, Arc<RuleFile>>,
    hashes: Option<FileInfo>,
    hosts: Option<FileInfo>,
}

impl Watch {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// Where a file or directory that the settings name cannot be read. A file of rules with a mistake is no error: the others
    /// count, and the operator is told.
    pub(crate) async fn start(context: Context<Antivirus>, config: Arc<Config>) -> Result<Self> {
        let rules = Rules::compile(config.yara.builtin, [], timeout(&config)).map_err(PluginError::internal)?;
        let (hashes, hosts) = (own_hashes(&config)?, own_hosts(&config)?);
        let loaded = Loaded { rules: rules.into(), hashes: hashes.into(), hosts: hosts.into() };
        let shelf = Arc::new(Shelf { loaded: RwLock::new(loaded), troubles: Mutex::default() });
        let files = context.files();
        let (seen, good) = (Vec::new(), BTreeMap::new());
        let mut watch = Self { context, files, config, shelf, seen, good, hashes: None, hosts: None };
        watch.rules().await.map_err(|(_, error)| of_start(error, "yara.directory"))?;
        watch.lists().await.map_err(|(_, error)| of_start(error, "hashes.file or links.blocked_hosts_file"))?;
        Ok(watch)
    }

    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        self.shelf.clone()
    }

    /// Whether there is anything on the disk to look at.
    pub(crate) fn has_files(&self) -> bool {
        let Config { yara, hashes, links, .. } = &*self.config;
        yara.directory.is_some() || hashes.file.is_some() || links.blocked_hosts_file.is_some()
    }

    /// Looks every few seconds, for as long as the plugin runs.
    ///
    /// # Cancel safety
    /// Cancel safe: what was read counts, or it does not.
    pub(crate) async fn run(mut self) {
        let pause = Duration::from_secs(self.config.reload.secs.into());
        loop {
            self.context.sleep(pause).await;
            for failed in [self.rules().await, self.lists().await] {
                if let Err((path, error)) = failed {
                    self.shelf.trouble(&path, format!("{}; what was read before goes on", PluginError::from(error)));
                }
            }
        }
    }

    /// Reads the rules where a file of theirs is another one, or new, or gone.
    async fn rules(&mut self) -> Result<(), (PathBuf, FilesError)> {
        let Some(directory) = self.config.yara.directory.as_ref().map(PathBuf::from) else { return Ok(()) };
        let at = |error| (directory.clone(), error);
        let mut found = self.files.list(&directory, ListLimits::default()).await.map_err(at)?;
        found.retain(|file| is_rules(file.path.strip_prefix(&directory).unwrap_or(&file.path)));
        match found.is_empty() {
            true => {
                self.shelf.trouble(&directory, format!("`{}` has no *.yar and no *.yara file", directory.display()))
            }
            false => self.shelf.well(&directory),
        }
        if found == self.seen {
            return Ok(());
        }
        let mut changed = Vec::new();
        for file in found.iter().filter(|file| !self.seen.contains(file)) {
            match self.files.read(&file.path, FILE_MAX).await {
                Ok(bytes) => {
                    let name = file.path.strip_prefix(&directory).unwrap_or(&file.path).display().to_string();
                    changed.push((
                        file.path.clone(),
                        RuleFile { name, text: String::from_utf8_lossy(&bytes).into_owned() },
                    ));
                }
                Err(error) => self.shelf.trouble(&file.path, PluginError::from(error).to_string()),
            }
        }
        for gone in self.seen.iter().filter(|file| found.iter().all(|now| now.path != file.path)) {
            self.good.remove(&gone.path);
            self.shelf.well(&gone.path);
        }
        self.seen = found;
        let (builtin, timeout, mut good) = (self.config.yara.builtin, timeout(&self.config), self.good.clone());
        let compiling = self.context.blocking(move || {
            let mut bad = Vec::new();
            for (path, file) in changed {
                match Rules::check(&file) {
                    Ok(()) => drop(good.insert(path, Arc::new(file))),
                    Err(mistake) => bad.push((path, mistake)),
                }
            }
            (Rules::compile(builtin, good.values().map(|file| &**file), timeout), good, bad)
        });
        let (rules, good, bad) = match compiling.await {
            Ok(compiled) => compiled,
            Err(error) => {
                // Tried again at the next look.
                self.seen.clear();
                return Err((directory, FilesError::Refused(error)));
            }
        };
        self.good.keys().chain(good.keys()).for_each(|path| self.shelf.well(path));
        for (path, mistake) in bad {
            let kept =
                if good.contains_key(&path) { "its rules from before go on" } else { "none of its rules is used" };
            self.shelf.trouble(&path, format!("{mistake} ({kept})"));
        }
        self.good = good;
        match rules {
            Ok(rules) => {
                tracing::info!(files = self.good.len(), rules = rules.len(), "YARA rules are loaded");
                self.shelf.change(|loaded| loaded.rules = Arc::new(rules));
            }
            Err(mistake) => self.shelf.trouble(&directory, format!("{mistake} (all rules from before go on)")),
        }
        Ok(())
    }

    /// Reads the lists that are others now.
    async fn lists(&mut self) -> Result<(), (PathBuf, FilesError)> {
        if let Some(path) = self.config.hashes.file.clone().map(PathBuf::from)
            && let Some((info, text)) = self.read(&path, self.hashes.as_ref()).await?
        {
            self.hashes = Some(info);
            let mut hashes = own_hashes(&self.config).unwrap_or_default();
            match hashes.add(text.lines()) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), hashes = hashes.len(), "the block list of files is loaded");
                    self.shelf.well(&path);
                    self.shelf.change(|loaded| loaded.hashes = Arc::new(hashes));
                }
                Err(mistake) => self.bad_line(&path, mistake),
            }
        }
        if let Some(path) = self.config.links.blocked_hosts_file.clone().map(PathBuf::from)
            && let Some((info, text)) = self.read(&path, self.hosts.as_ref()).await?
        {
            self.hosts = Some(info);
            let mut hosts = own_hosts(&self.config).unwrap_or_default();
            match hosts.add(text.lines()) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "the block list of hosts is loaded");
                    self.shelf.well(&path);
                    self.shelf.change(|loaded| loaded.hosts = Arc::new(hosts));
                }
                Err(mistake) => self.bad_line(&path, mistake),
            }
        }
        Ok(())
    }

    /// A list, where it is not as it was seen last.
    async fn read(
        &self,
        path: &Path,
        seen: Option<&FileInfo>,
    ) -> Result<Option<(FileInfo, String)>, (PathBuf, FilesError)> {
        let at = |error| (path.to_owned(), error);
        let info = self.files.info(path).await.map_err(at)?;
        if seen == Some(&info) {
            return Ok(None);
        }
        let bytes = self.files.read(path, FILE_MAX).await.map_err(at)?;
        Ok(Some((info, String::from_utf8_lossy(&bytes).into_owned())))
    }

    fn bad_line(&self, path: &Path, (line, why): (usize, &str)) {
        self.shelf.trouble(path, format!("{}:{line}: {why} (the list from before goes on)", path.display()));
    }
}

fn timeout(config: &Config) -> Duration {
    Duration::from_secs(config.yara.timeout_secs.into())
}

fn own_hashes(config: &Config) -> Result<Hashes> {
    let mut hashes = Hashes::default();
    let added = hashes.add(config.hashes.blocked.iter().map(String::as_str));
    added.map_err(|(number, why)| PluginError::config(format!("hashes.blocked: number {number}: {why}")))?;
    Ok(hashes)
}

fn own_hosts(config: &Config) -> Result<Hosts> {
    let mut hosts = Hosts::default();
    let added = hosts.add(config.links.blocked_hosts.iter().map(String::as_str));
    added.map_err(|(number, why)| PluginError::config(format!("links.blocked_hosts: number {number}: {why}")))?;
    Ok(hosts)
}

/// Whether it is a file of rules, by its path below the directory. Hidden ones are what editors and mounts leave.
fn is_rules(path: &Path) -> bool {
    let is_hidden = path.iter().any(|part| part.to_string_lossy().starts_with('.'));
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    !is_hidden && extension.is_some_and(|extension| matches!(&*extension, "yar" | "yara"))
}

fn of_start(error: FilesError, setting: &str) -> PluginError {
    PluginError::config(format!("{setting}: {}", PluginError::from(error)))
}
