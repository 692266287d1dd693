//! All scanners at once on one file, each with a reader of its own. What becomes of the file then is not decided here.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::Pipeline;
use crate::descriptor::{FailMode, Hook};
use crate::file::{FileBody, FileMeta, FileSource};
use crate::id::PluginName;
use crate::manager::snapshot::{HookEntry, Snapshot};
use crate::message::{Finding, ScanError, Verdict};

/// A file's content, to be read as often as there are scanners.
#[async_trait]
pub trait FileContent: Send + Sync + 'static {
    /// A reader of its own, at the file's beginning.
    ///
    /// # Errors
    /// The file cannot be opened.
    async fn open(&self) -> io::Result<Box<dyn FileSource>>;
}

/// What the scanners say of a file, together.
#[derive(Debug, Clone, PartialEq)]
pub struct FileReport {
    /// What it comes to.
    pub verdict: FileVerdict,
    /// What each found, or why it could not look.
    pub findings: Vec<(PluginName, Finding)>,
}

/// What the scanners' opinions, and the policies of those that have none, come to. The strictest counts, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileVerdict {
    /// This scanner rejected it: nobody may have it.
    Infected(PluginName),
    /// This scanner gave no opinion, and its policy is `closed`.
    Unavailable {
        /// Which.
        plugin: PluginName,
        /// Whether that is because the file is larger than it can scan: asking again does not help.
        too_large: bool,
    },
    /// A scanner wants a moderator to look first; or it is too large for one whose policy is `quarantine`.
    Held,
    /// A scanner failed, and its policy is `quarantine`: it is to be scanned again later.
    Waiting,
    /// A scanner gave no opinion, and its policy is `open`; the others have nothing against it.
    Unscanned,
    /// Nobody has anything against it.
    Clean,
}

impl FileVerdict {
    fn strictness(&self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Unscanned => 1,
            Self::Waiting => 2,
            Self::Held => 3,
            Self::Unavailable { .. } => 4,
            Self::Infected(_) => 5,
        }
    }
}

impl FileReport {
    fn add(&mut self, plugin: &PluginName, verdict: FileVerdict, finding: Option<Finding>) {
        if verdict.strictness() > self.verdict.strictness() {
            self.verdict = verdict;
        }
        self.findings.extend(finding.map(|finding| (plugin.clone(), finding)));
    }

    /// A scanner without an opinion: its policy decides.
    fn add_failed(&mut self, plugin: &PluginName, on_error: FailMode, too_large: bool) {
        let code = if too_large { "too_large" } else { "scanner_unavailable" };
        let verdict = match on_error {
            FailMode::Closed => FileVerdict::Unavailable { plugin: plugin.clone(), too_large },
            FailMode::Quarantine if too_large => FileVerdict::Held,
            FailMode::Quarantine => FileVerdict::Waiting,
            FailMode::Open => FileVerdict::Unscanned,
        };
        self.add(plugin, verdict, Some(Finding::new(code)));
    }
}

impl Pipeline {
    /// Asks every scanner about a file. The first rejection drops the calls that still run.
    ///
    /// # Errors
    /// The file cannot be read, which is no scanner's fault: nothing is known of it.
    ///
    /// # Cancel safety
    /// The scanners' calls are dropped with this one; nothing else happened.
    pub async fn scan_file(&self, file: &Arc<FileMeta>, content: &Arc<dyn FileContent>) -> io::Result<FileReport> {
        let plugins = self.plugins.load_full();
        scan(&plugins, file, content).await
    }
}

async fn scan(plugins: &Snapshot, file: &Arc<FileMeta>, content: &Arc<dyn FileContent>) -> io::Result<FileReport> {
    let mut report = FileReport { verdict: FileVerdict::Clean, findings: Vec::new() };
    for missing in plugins.missing(Hook::ScanFile) {
        report.add_failed(&missing.plugin, missing.on_error, false);
    }
    let entries = plugins.hooks(Hook::ScanFile).iter();
    let mut verdicts: FuturesUnordered<_> =
        entries.map(|entry| async move { (entry, ask(entry, file, content).await) }).collect();
    while let Some((entry, asked)) = verdicts.next().await {
        let plugin = entry.plugin.name();
        match asked {
            Ok(Verdict::Allow) => {}
            Ok(Verdict::Flag(finding)) => report.add(plugin, FileVerdict::Clean, Some(finding)),
            Ok(Verdict::Quarantine(finding)) => report.add(plugin, FileVerdict::Held, Some(finding)),
            Ok(Verdict::Reject(finding)) => {
                report.add(plugin, FileVerdict::Infected(plugin.clone()), Some(finding));
                break;
            }
            Err(Unjudged::Unreadable(error)) => return Err(error),
            Err(Unjudged::TooLarge) => report.add_failed(plugin, entry.on_error, true),
            Err(Unjudged::Failed) => report.add_failed(plugin, entry.on_error, false),
        }
    }
    Ok(report)
}

/// Why there is no opinion. Where the scanner failed the guard has told the operator.
enum Unjudged {
    TooLarge,
    Failed,
    Unreadable(io::Error),
}

async fn ask(entry: &HookEntry, file: &Arc<FileMeta>, content: &Arc<dyn FileContent>) -> Result<Verdict, Unjudged> {
    if file.size > entry.max_bytes {
        return Err(Unjudged::TooLarge);
    }
    let mut source = content.open().await.map_err(Unjudged::Unreadable)?;
    let timeout = entry.timeout + Hook::ScanFile.extra_time(file.size);
    let file = file.clone();
    let call = entry.plugin.call(Hook::ScanFile.as_str(), timeout, move |instance| {
        Box::pin(async move {
            match instance.security() {
                Some(security) => security.scan_file(&file, FileBody::new(&mut *source)).await,
                None => Ok(Verdict::Allow),
            }
        })
    });
    match call.await {
        Ok(Ok(verdict)) => Ok(verdict),
        Ok(Err(ScanError::TooLarge)) => Err(Unjudged::TooLarge),
        Ok(Err(ScanError::Unreadable(why))) => Err(Unjudged::Unreadable(io::Error::other(why))),
        Ok(Err(_)) | Err(_) => Err(Unjudged::Failed),
    }
}
