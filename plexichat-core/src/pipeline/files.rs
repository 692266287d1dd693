//! The road of every file: from the spool past all scanners to where it is kept. A [`File`] carries its stage in its type,
//! and only this file moves it on; bytes are handed out for a [`Servable`] alone, which only a state that scanners, their
//! policy or a moderator gave yields.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::ports::Access;
use super::scan_file::{FileContent, FileReport, FileVerdict, ScanFileError};
use crate::event::catalog::{FileQuarantined, FileScanned, FileUploaded};
use crate::event::{Event, Payload};
use crate::file::FileMeta;
use crate::id::{FileId, PluginName, RoomId};
use crate::message::{Actor, Finding, Origin};
use crate::store::StoreError;

/// Its bytes are in the spool; nobody has looked at them.
#[derive(Debug)]
pub struct Spooled(());
/// Every scanner has had its say, or its policy spoke for it.
#[derive(Debug)]
pub struct Cleared(());

/// How far a file got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileState {
    /// No scanner objects.
    Clean,
    /// A scanner could not say, and its policy is `open`.
    Unscanned,
    /// A scanner could not say yet: nobody gets it until it does.
    Pending,
    /// Held back until a moderator has looked.
    Quarantined,
    /// It is about to be gone.
    Deleted,
}

impl FileState {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Unscanned => "unscanned",
            Self::Pending => "pending",
            Self::Quarantined => "quarantined",
            Self::Deleted => "deleted",
        }
    }
}

/// A file that may be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Servable(FileId);

impl Servable {
    /// The file, where its stored state lets anybody have it.
    pub const fn of(id: FileId, state: FileState) -> Option<Self> {
        match state {
            FileState::Clean | FileState::Unscanned => Some(Self(id)),
            FileState::Pending | FileState::Quarantined | FileState::Deleted => None,
        }
    }

    /// Its identifier.
    pub const fn id(&self) -> FileId {
        self.0
    }
}

/// Leave to upload one file to one room. Only [`Pipeline::admit_file`] gives it.
#[derive(Debug)]
pub struct Admission {
    id: FileId,
    by: Actor,
    room_id: RoomId,
}

impl Admission {
    /// The identifier that the file will have.
    pub const fn id(&self) -> FileId {
        self.id
    }
}

/// What is known of a file once it came in whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingFile {
    /// The name that its sender gave it.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The type that its content shows.
    pub mime: String,
    /// The type that its sender declared.
    pub mime_declared: Option<String>,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// A file at the stage `S`: [`Spooled`] or [`Cleared`].
#[derive(Debug)]
pub struct File<S> {
    meta: Arc<FileMeta>,
    state: FileState,
    findings: Vec<(PluginName, Finding)>,
    /// How long the slowest scanner took: they look at a file side by side.
    scan_time_ms: Option<u64>,
    events: Vec<Event>,
    stage: PhantomData<S>,
}

impl File<Spooled> {
    fn new(meta: Arc<FileMeta>) -> Self {
        let (findings, events) = (Vec::new(), Vec::new());
        Self { meta, state: FileState::Pending, findings, scan_time_ms: None, events, stage: PhantomData }
    }

    /// What the scanners' report makes of it, or why it is not kept at all.
    fn clear(mut self, report: FileReport) -> Result<File<Cleared>, FileRefusal> {
        let FileReport { verdict, findings, scans, .. } = report;
        let meta = self.meta.clone();
        let state = match verdict {
            FileVerdict::Clean => FileState::Clean,
            FileVerdict::Unscanned => FileState::Unscanned,
            FileVerdict::Waiting => FileState::Pending,
            FileVerdict::Held | FileVerdict::Infected(_) => FileState::Quarantined,
            FileVerdict::Unavailable { plugin, too_large: true } => {
                return Err(FileRefusal::TooLargeToScan { plugin, size: meta.size });
            }
            FileVerdict::Unavailable { plugin, too_large: false } => {
                return Err(FileRefusal::ScannerUnavailable { plugin });
            }
        };
        let id = meta.id.to_string();
        let scan_time_ms = scans.iter().map(|scan| scan.milliseconds).max();
        for scan in scans {
            let (word, threats) = (scan.verdict.to_owned(), scan.threats);
            self.tell(FileScanned::new(id.clone(), scan.plugin, word, threats, scan.milliseconds));
        }
        match findings.last().filter(|_| state == FileState::Quarantined) {
            // The one that decided is the last that was asked where it rejects; else any of them will do.
            Some((plugin, finding)) => {
                self.tell(FileQuarantined::new(id, Actor::plugin(plugin.as_str()), finding.code.clone()));
            }
            None => {
                let sha256 = meta.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
                let declared = meta.mime_declared.clone().unwrap_or_default();
                let (name, mime, word) = (meta.name.clone(), meta.mime.clone(), state.as_str().to_owned());
                self.tell(FileUploaded::new(id, name, meta.size, declared, mime, sha256, word));
            }
        }
        Ok(File { meta, state, findings, scan_time_ms, events: self.events, stage: PhantomData })
    }

    fn tell<P: Payload>(&mut self, payload: P) {
        let mut event = Event::new(payload);
        event.actor = self.meta.uploader.clone();
        event.origin = Origin::Rest;
        event.room_id = Some(self.meta.room_id);
        self.events.push(event);
    }
}

impl File<Cleared> {
    /// How far it got: never [`FileState::Deleted`].
    pub fn state(&self) -> FileState {
        self.state
    }

    /// What scanners found: the plugin and its finding.
    pub fn findings(&self) -> &[(PluginName, Finding)] {
        &self.findings
    }

    /// How long scanners looked at it, in milliseconds; nothing where none had a word to say.
    pub fn scan_time_ms(&self) -> Option<u64> {
        self.scan_time_ms
    }

    /// What plugins are to be told of it, in the transaction that keeps it.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl<S> File<S> {
    /// What is known of it.
    pub fn meta(&self) -> &FileMeta {
        &self.meta
    }
}

/// Where one file's bytes are read, and where it is kept once it is judged. The server supplies one for each upload and each
/// rescan.
#[async_trait]
pub trait FileKeeper: Send + Sync {
    /// The file's bytes, for scanners.
    fn content(&self, id: FileId) -> Arc<dyn FileContent>;

    /// Moves the bytes to where its state puts them, then stores what is known of it with its events. Durable once it
    /// returns.
    async fn keep(&self, file: &File<Cleared>) -> Result<(), KeepError>;
}

/// Why a file was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// Its owner has too many bytes of files.
    #[error("your files would have more than {0} bytes together")]
    Quota(u64),
    /// The store or the disk did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a file was not taken, or was held back.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FileRefusal {
    /// There is no such room, or the actor may not know of it.
    #[error("there is no such room")]
    NoRoom,
    /// The actor may read the room and not post in it.
    #[error("you may read this room, not post in it")]
    Forbidden,
    /// A scanner objects. The file is in quarantine, for moderators.
    #[error("the file was rejected by `{plugin}`: {}", finding.code)]
    Rejected {
        /// Which file.
        id: FileId,
        /// Which scanner.
        plugin: PluginName,
        /// Why.
        finding: Finding,
    },
    /// A scanner that must have its say could not.
    #[error("the scanner `{plugin}` is not available")]
    ScannerUnavailable {
        /// Which.
        plugin: PluginName,
    },
    /// A scanner that must have its say takes no files of this size.
    #[error("the file has {size} bytes, more than the scanner `{plugin}` takes")]
    TooLargeToScan {
        /// Which.
        plugin: PluginName,
        /// How many bytes the file has.
        size: u64,
    },
    /// Scanners could not read the file.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// It was not kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

impl From<StoreError> for FileRefusal {
    fn from(error: StoreError) -> Self {
        Self::Keep(KeepError::Store(error))
    }
}

impl FileRefusal {
    /// The code that a client sees.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRoom => "room_not_found",
            Self::Forbidden => "forbidden",
            Self::Rejected { .. } => "rejected",
            Self::ScannerUnavailable { .. } => "scanner_unavailable",
            Self::TooLargeToScan { .. } => "too_large_to_scan",
            Self::Keep(KeepError::Quota(_)) => "quota_exceeded",
            Self::Keep(KeepError::Store(StoreError::Full)) => "storage_full",
            Self::Keep(KeepError::Store(_)) | Self::Unreadable(_) => "storage_unavailable",
        }
    }

    /// The HTTP status that a client sees.
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::NoRoom => 404,
            Self::Forbidden => 403,
            Self::Rejected { .. } => 422,
            Self::TooLargeToScan { .. } | Self::Keep(KeepError::Quota(_)) => 413,
            Self::Keep(KeepError::Store(StoreError::Full)) => 507,
            Self::ScannerUnavailable { .. } | Self::Keep(KeepError::Store(_)) | Self::Unreadable(_) => 503,
        }
    }

    /// What the sender can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Rejected { .. } => Some("moderators see it in the quarantine; nobody else gets it"),
            Self::ScannerUnavailable { .. } => {
                Some("nothing was kept: try again later; an operator sees the reason in `plexichat plugin list`")
            }
            Self::TooLargeToScan { .. } => Some("nothing was kept: send a smaller file, or several"),
            Self::Keep(KeepError::Quota(_)) => Some("delete files that you need no more, or messages that have them"),
            Self::Keep(KeepError::Store(StoreError::Full)) => Some("nothing was kept; an operator must free space"),
            Self::Keep(KeepError::Store(_)) | Self::Unreadable(_) => Some("nothing was kept: try again"),
            Self::NoRoom | Self::Forbidden => None,
        }
    }
}

impl From<ScanFileError> for FileRefusal {
    fn from(error: ScanFileError) -> Self {
        match error {
            ScanFileError::Unreadable(error) => Self::Unreadable(error.to_string()),
            ScanFileError::Store(error) => error.into(),
        }
    }
}

impl Pipeline {
    /// Lets somebody upload a file to a room: who may not post there is refused before a byte is read.
    ///
    /// # Errors
    /// [`FileRefusal`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn admit_file(&self, by: &Actor, room_id: RoomId) -> Result<Admission, FileRefusal> {
        self.may_upload(by, room_id).await?;
        Ok(Admission { id: FileId::new(), by: by.clone(), room_id })
    }

    /// Has a file that came in judged by every scanner, and kept. The state that it has then: a file that a scanner only
    /// wants looked at is kept and held back.
    ///
    /// # Errors
    /// [`FileRefusal`]; nothing was kept, but for a rejected file, which is in quarantine.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have kept the file, or left its bytes without a row.
    pub async fn receive_file(
        &self,
        admission: Admission,
        incoming: IncomingFile,
        keeper: &dyn FileKeeper,
    ) -> Result<FileState, FileRefusal> {
        let Admission { id, by, room_id } = admission;
        // Uploading takes a while, in which one may have been shown the door.
        self.may_upload(&by, room_id).await?;
        let IncomingFile { name, size, mime, mime_declared, sha256 } = incoming;
        self.judge(FileMeta { id, room_id, uploader: by, name, size, mime, mime_declared, sha256 }, keeper).await
    }

    /// Has a file that waits for a scanner judged again.
    ///
    /// # Errors
    /// As [`receive_file`](Self::receive_file); where scanners are still not available, nothing changes.
    ///
    /// # Cancel safety
    /// As [`receive_file`](Self::receive_file).
    pub async fn rescan_file(&self, meta: FileMeta, keeper: &dyn FileKeeper) -> Result<FileState, FileRefusal> {
        self.judge(meta, keeper).await
    }

    async fn may_upload(&self, by: &Actor, room_id: RoomId) -> Result<(), FileRefusal> {
        match self.store.access(by, room_id).await? {
            Access::None => Err(FileRefusal::NoRoom),
            Access::Read => Err(FileRefusal::Forbidden),
            Access::Write | Access::Moderate => Ok(()),
        }
    }

    async fn judge(&self, meta: FileMeta, keeper: &dyn FileKeeper) -> Result<FileState, FileRefusal> {
        let meta = Arc::new(meta);
        let report = self.scan_file(&meta, &keeper.content(meta.id)).await?;
        let rejected = match &report.verdict {
            FileVerdict::Infected(plugin) => Some(plugin.clone()),
            _ => None,
        };
        let cleared = File::new(meta).clear(report)?;
        keeper.keep(&cleared).await?;
        let File { meta, state, findings, .. } = cleared;
        if state == FileState::Quarantined {
            tracing::info!(file = %meta.id, room = %meta.room_id, "a file was put into quarantine");
        }
        let Some(plugin) = rejected else { return Ok(state) };
        let finding = findings.into_iter().rev().find(|(by, _)| *by == plugin);
        let finding = finding.map_or_else(|| Finding::new("rejected"), |(_, finding)| finding);
        Err(FileRefusal::Rejected { id: meta.id, plugin, finding })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan_file::FileScan;
    use super::*;

    fn plugin() -> PluginName {
        "eicar".parse().expect("a name")
    }

    fn clear(verdict: FileVerdict, findings: &[&str]) -> Result<File<Cleared>, FileRefusal> {
        let meta = FileMeta {
            id: FileId::new(),
            room_id: RoomId::new(),
            uploader: Actor::user("1", "ann"),
            name: "a.txt".to_owned(),
            size: 5,
            mime: "text/plain".to_owned(),
            mime_declared: None,
            sha256: [0xab; 32],
        };
        let findings = findings.iter().map(|code| (plugin(), Finding::new(*code))).collect();
        let scan = FileScan { plugin: plugin(), verdict: "allow", threats: Vec::new(), milliseconds: 1 };
        File::new(Arc::new(meta)).clear(FileReport { verdict, findings, scans: vec![scan], untold: None })
    }

    #[track_caller]
    fn check(verdict: FileVerdict, findings: &[&str], state: FileState, events: &[&str], servable: bool) {
        let cleared = clear(verdict, findings).expect("is kept");
        assert_eq!(cleared.state(), state);
        let names: Vec<_> = cleared.events().iter().map(|event| event.name.to_string()).collect();
        assert_eq!(names, events);
        assert_eq!(Servable::of(cleared.meta().id, state).is_some(), servable);
    }

    #[test]
    fn only_what_scanners_or_their_policy_let_pass_is_handed_out() {
        let uploaded = ["file_scanned", "file_uploaded"];
        let held = ["file_scanned", "file_quarantined"];
        check(FileVerdict::Clean, &[], FileState::Clean, &uploaded, true);
        check(FileVerdict::Clean, &["macro"], FileState::Clean, &uploaded, true);
        check(FileVerdict::Unscanned, &["scanner_unavailable"], FileState::Unscanned, &uploaded, true);
        check(FileVerdict::Waiting, &["scanner_unavailable"], FileState::Pending, &uploaded, false);
        check(FileVerdict::Held, &["too_large"], FileState::Quarantined, &held, false);
        check(FileVerdict::Infected(plugin()), &["eicar"], FileState::Quarantined, &held, false);
    }

    #[test]
    fn what_a_closed_scanner_could_not_judge_is_not_kept() {
        let unavailable = |too_large| clear(FileVerdict::Unavailable { plugin: plugin(), too_large }, &[]).err();
        let refused = unavailable(false).expect("is refused");
        assert_eq!((refused.http_status(), refused.code()), (503, "scanner_unavailable"));
        let refused = unavailable(true).expect("is refused");
        assert_eq!((refused.http_status(), refused.code()), (413, "too_large_to_scan"));
    }
}
