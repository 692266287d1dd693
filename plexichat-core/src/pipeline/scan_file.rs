//! All scanners at once on one file, each with a reader of its own. What becomes of the file then is not decided here.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::Pipeline;
use super::scan::{Scanning, Unanswered, tell_refused};
use crate::descriptor::{FailMode, Hook};
use crate::file::{FileBody, FileMeta, FileSource};
use crate::id::PluginName;
use crate::manager::snapshot::HookEntry;
use crate::message::{Finding, Verdict};
use crate::standing::Failure;
use crate::store::StoreError;

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
    /// What each said that had an opinion.
    pub scans: Vec<FileScan>,
    /// Why the scanner in [`FileVerdict::Unavailable`] has no opinion, where no line of the log says so yet.
    pub(super) untold: Option<Failure>,
}

/// What one scanner said of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileScan {
    /// Which.
    pub plugin: PluginName,
    /// `allow`, `flag`, `quarantine` or `reject`.
    pub verdict: &'static str,
    /// The threats by name.
    pub threats: Vec<String>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

impl FileScan {
    fn new(plugin: &PluginName, verdict: &Verdict, took: Duration) -> Self {
        let (verdict, finding) = match verdict {
            Verdict::Allow => ("allow", None),
            Verdict::Flag(finding) => ("flag", Some(finding)),
            Verdict::Quarantine(finding) => ("quarantine", Some(finding)),
            Verdict::Reject(finding) => ("reject", Some(finding)),
        };
        let threats = finding.map(|finding| finding.threats.clone()).unwrap_or_default();
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { plugin: plugin.clone(), verdict, threats, milliseconds }
    }
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
    fn add_failed(&mut self, scanning: &Scanning, plugin: &PluginName, on_error: FailMode, failure: Failure) {
        let too_large = failure == Failure::TooLarge;
        let verdict = match on_error {
            FailMode::Closed => {
                let first = !matches!(self.verdict, FileVerdict::Unavailable { .. } | FileVerdict::Infected(_));
                // One line is enough, whoever wrote it.
                self.untold = Some(failure).filter(|failure| !failure.is_told() && (first || self.untold.is_some()));
                FileVerdict::Unavailable { plugin: plugin.clone(), too_large }
            }
            FailMode::Quarantine if too_large => FileVerdict::Held,
            FailMode::Quarantine => FileVerdict::Waiting,
            FailMode::Open => {
                scanning.count_unscanned(plugin, HOOK);
                FileVerdict::Unscanned
            }
        };
        let code = match on_error {
            _ if too_large => "too_large",
            FailMode::Open => "unscanned",
            FailMode::Closed | FailMode::Quarantine => "scanner_unavailable",
        };
        self.add(plugin, verdict, Some(Finding::new(code)));
    }
}

/// Why nothing is known of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanFileError {
    /// It cannot be read, which is no scanner's fault.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The store does not say who has a say in the room.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Pipeline {
    /// Asks every scanner about a file. The first rejection drops the calls that still run.
    ///
    /// # Errors
    /// [`ScanFileError`]: nothing is known of it.
    ///
    /// # Cancel safety
    /// The scanners' calls are dropped with this one; nothing else happened.
    pub async fn scan_file(
        &self,
        file: &Arc<FileMeta>,
        content: &Arc<dyn FileContent>,
    ) -> Result<FileReport, ScanFileError> {
        let scanning = self.scanning(file.room_id).await?;
        let report = scan(&scanning, file, content).await?;
        if let FileVerdict::Unavailable { plugin, .. } = &report.verdict
            && let Some(failure) = report.untold
        {
            tell_refused("a file", plugin, HOOK, failure);
        }
        Ok(report)
    }
}

const HOOK: Hook = Hook::ScanFile;

async fn scan(scanning: &Scanning, file: &Arc<FileMeta>, content: &Arc<dyn FileContent>) -> io::Result<FileReport> {
    let mut report = FileReport { verdict: FileVerdict::Clean, findings: Vec::new(), scans: Vec::new(), untold: None };
    for (plugin, on_error) in scanning.absent(HOOK) {
        report.add_failed(scanning, &plugin, on_error, Failure::Absent);
    }
    let entries = scanning.entries(HOOK).iter();
    let mut verdicts: FuturesUnordered<_> = entries
        .map(|entry| async move { (entry, Instant::now(), ask(scanning, entry, file, content).await) })
        .collect();
    while let Some((entry, began, asked)) = verdicts.next().await {
        let plugin = entry.plugin.name();
        report.scans.extend(asked.as_ref().ok().map(|verdict| FileScan::new(plugin, verdict, began.elapsed())));
        match asked {
            Ok(Verdict::Allow) => {}
            Ok(Verdict::Flag(finding)) => report.add(plugin, FileVerdict::Clean, Some(finding)),
            Ok(Verdict::Quarantine(finding)) => report.add(plugin, FileVerdict::Held, Some(finding)),
            Ok(Verdict::Reject(finding)) => {
                report.add(plugin, FileVerdict::Infected(plugin.clone()), Some(finding));
                break;
            }
            Err(Unanswered::Unreadable(why)) => return Err(io::Error::other(why)),
            Err(Unanswered::Failed(failure)) => {
                report.add_failed(scanning, plugin, scanning.on_error(plugin, entry.on_error), failure);
            }
        }
    }
    Ok(report)
}

async fn ask(
    scanning: &Scanning,
    entry: &HookEntry,
    file: &Arc<FileMeta>,
    content: &Arc<dyn FileContent>,
) -> Result<Verdict, Unanswered> {
    if file.size > entry.max_bytes {
        return Err(scanning.unanswered(entry, HOOK, Failure::TooLarge));
    }
    let mut source = content.open().await.map_err(|error| Unanswered::Unreadable(error.to_string()))?;
    let timeout = entry.timeout + HOOK.extra_time(file.size);
    let file = file.clone();
    let call = scanning.ask(entry, HOOK, timeout, move |instance| {
        Box::pin(async move {
            match instance.security() {
                Some(security) => security.scan_file(&file, FileBody::new(&mut *source)).await,
                None => Ok(Verdict::Allow),
            }
        })
    });
    call.await
}
