//! `/api/v1/rooms/{id}/files`, `/api/v1/files` and the files of the quarantine: who may send, have, delete and release what.

use std::sync::Arc;
use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented, StatusCode as DocumentedStatus};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use plexichat::id::{FileId, MessageId, RoomId, UserId};
use plexichat::message::{Actor, Finding, Time};
use plexichat::pipeline::files::{FileRefusal, FileState, KeepError, Servable};
use plexichat::pipeline::{Access, MessageStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::{By, Caller};
use super::download::{Conditions, Content};
use super::extract::{Path, Query};
use super::output::{self, Gone, Shown};
use super::rooms::{self, RoomAddress};
use super::upload::Upload;
use crate::error::{self, ApiError};
use crate::files::{Exhausted, UploadError};
use crate::store::FileRow;

/// The route whose body may be long.
pub(crate) const UPLOAD_PATH: &str = "/api/v1/rooms/{id}/files";
/// How long an upload may take, scanners included. It ends much sooner where it pauses.
pub(crate) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How many files a page has where nothing is said.
const PAGE: u32 = 50;
/// How many files a page may have.
const PAGE_MAX: u32 = 500;

/// Which file.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FileAddress {
    /// The file's identifier.
    pub(crate) id: FileId,
}

/// What an upload's address says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// The file's name; without it the one in `Content-Disposition`.
    name: Option<String>,
}

/// Which files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilePage {
    /// Only files after this one.
    after: Option<FileId>,
    /// How many files at most: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
}

/// A file, as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileInfo {
    /// Its identifier: `GET /api/v1/files/{id}` gives the content.
    id: FileId,
    /// The room it was uploaded to.
    room_id: RoomId,
    /// Who uploaded it.
    uploaded_by: Actor,
    /// The name that its sender gave it. It is never a path.
    name: String,
    /// Its size in bytes.
    size: u64,
    /// The type that its content shows.
    mime: String,
    /// The type that its sender declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_declared: Option<String>,
    /// SHA-256 of its content, in hexadecimal.
    sha256: String,
    /// `clean`; `unscanned` where a scanner could not say and lets pass; `pending` until it can; `quarantined` until a
    /// moderator has looked.
    state: FileState,
    /// What scanners say of it, once they all did; missing where none looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    scan: Option<FileScan>,
    /// When it was stored.
    created_at: Time,
    /// When it is removed, unless it hangs on a message by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// The message that it hangs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
}

/// What scanners say of a file.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct FileScan {
    /// Whether none has anything against it.
    safe: bool,
    /// The threats by name; a code of the scanner's where it has no name for one.
    threats: Vec<String>,
    /// How long they looked at it, in seconds.
    scan_time: f64,
}

impl FileScan {
    fn of(row: &FileRow) -> Option<Self> {
        let safe = match row.state {
            FileState::Clean => true,
            FileState::Quarantined => false,
            // Somebody's word is missing.
            _ => return None,
        };
        // What was flagged and let through is no threat.
        let threats = row.findings.iter().filter(|_| !safe).flat_map(|(_, finding)| match finding.threats.as_slice() {
            [] => vec![finding.code.clone()],
            named => named.to_vec(),
        });
        Some(Self { safe, threats: threats.collect(), scan_time: row.scan_time_ms? as f64 / 1e3 })
    }
}

/// One's own files.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileList {
    /// The files, the oldest first.
    files: Vec<FileInfo>,
    /// Whether there are more.
    more: bool,
    /// How many bytes one's files have, all of them.
    used_bytes: u64,
    /// How many bytes they may have.
    quota_bytes: u64,
}

/// Files that are held back.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HeldFiles {
    /// The files, the oldest first.
    files: Vec<HeldFile>,
    /// Whether there are more.
    more: bool,
}

/// A file that is held back, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HeldFile {
    /// The file.
    file: FileInfo,
    /// What scanners found.
    findings: Vec<HeldFor>,
}

/// What a scanner found in a file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HeldFor {
    /// The scanner.
    plugin: String,
    /// What it found.
    finding: Finding,
}

impl From<FileRow> for FileInfo {
    fn from(row: FileRow) -> Self {
        let scan = FileScan::of(&row);
        let FileRow { meta, state, created_at, expires_at, message, .. } = row;
        Self {
            id: meta.id,
            room_id: meta.room_id,
            uploaded_by: meta.uploader,
            name: meta.name,
            size: meta.size,
            mime: meta.mime,
            mime_declared: meta.mime_declared,
            sha256: meta.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            state,
            scan,
            created_at,
            expires_at,
            message_id: message.map(|(id, _)| id),
        }
    }
}

/// 201 with the file; 202 where it waits for a scanner or a moderator.
pub(crate) struct Uploaded(FileInfo);

impl IntoResponse for Uploaded {
    fn into_response(self) -> Response {
        match self.0.state {
            FileState::Pending | FileState::Quarantined => (StatusCode::ACCEPTED, Shown(self.0)).into_response(),
            _ => output::Created(self.0).into_response(),
        }
    }
}

impl OperationOutput for Uploaded {
    type Inner = FileInfo;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let kept = output::documented::<FileInfo>(context, "The file: it may be had, and hung on a message");
        let held = output::documented::<FileInfo>(context, "The file: it waits for a scanner or a moderator");
        vec![(Some(DocumentedStatus::Code(201)), kept), (Some(DocumentedStatus::Code(202)), held)]
    }
}

pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(room): Path<RoomAddress>,
    Query(query): Query<UploadQuery>,
    upload: Upload,
) -> Result<Uploaded, ApiError> {
    let road = app.host.pipeline.clone();
    let admission = road.admit_file(caller.actor(), room.id).await?;
    let user: UserId = caller.actor().id.parse().map_err(|_| ApiError::forbidden("only people upload files"))?;
    let (mut pieces, said) = upload.begin(query.name).await?;
    let mut coming = match app.files.begin(user, admission, pieces.announced).await {
        Ok(coming) => coming,
        Err(error) => {
            pieces.give_up();
            return Err(error.into());
        }
    };
    while let Some(piece) = pieces.next().await? {
        if let Err(error) = coming.write(piece).await {
            pieces.give_up();
            return Err(error.into());
        }
    }
    let id = coming.finish(road, said, act).await?;
    let row = app.store.file(id).await?;
    row.map(|row| Uploaded(row.into())).ok_or_else(no_such_file)
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Query(page): Query<FilePage>,
) -> Result<Shown<FileList>, ApiError> {
    let limit = rooms::limit(page.limit, PAGE, PAGE_MAX)?;
    let quota_bytes = app.files.limits().quota_per_user.get();
    let Ok(user) = caller.actor().id.parse::<UserId>() else {
        return Ok(Shown(FileList { files: Vec::new(), more: false, used_bytes: 0, quota_bytes }));
    };
    let (_, used_bytes) = app.store.file_usage(user).await?;
    let mut rows = app.store.files_of(user, page.after, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let files = rows.into_iter().map(FileInfo::from).collect();
    Ok(Shown(FileList { files, more, used_bytes, quota_bytes }))
}

pub(crate) async fn info(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<FileAddress>,
) -> Result<Shown<FileInfo>, ApiError> {
    Ok(Shown(visible(&app, caller.actor(), address.id).await?.into()))
}

pub(crate) async fn download(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<FileAddress>,
    conditions: Conditions,
) -> Result<Content, ApiError> {
    let row = visible(&app, caller.actor(), address.id).await?;
    let Some(file) = Servable::of(row.meta.id, row.state) else {
        return Err(match row.state {
            FileState::Pending => ApiError::conflict("file_pending", "the file waits for a scanner")
                .hint("try again later; GET …/info tells its state")
                .retry_after(30),
            _ => ApiError::forbidden("the file is in quarantine: nobody gets it until a moderator releases it"),
        });
    };
    let content = app.files.open_served(file).await.map_err(|error| {
        tracing::error!(file = %row.meta.id, %error, "a file has no bytes");
        ApiError::not_found("the file's content is lost").hint("an operator finds the reason in the log")
    })?;
    Content::new(&row.meta, content, &conditions)
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<FileAddress>,
) -> Result<Gone, ApiError> {
    let found = app.store.file(address.id).await?;
    let row = match found.filter(|row| is_own(caller.actor(), row)) {
        // One's own goes from wherever it is: it counts against one's quota.
        Some(row) => row,
        None => visible(&app, caller.actor(), address.id).await?,
    };
    if row.message.is_some() {
        return Err(ApiError::conflict("file_attached", "the file hangs on a message")
            .hint("delete the message: the file goes with it"));
    }
    match app.files.delete(address.id, &act, "file.delete", "deleted").await? {
        true => Ok(Gone),
        // Somebody was faster.
        false => Err(no_such_file()),
    }
}

/// What is held back, in all rooms: direct and deleted ones too, since nobody else could decide about it.
pub(crate) async fn quarantine(
    State(app): State<Arc<App>>,
    Query(page): Query<FilePage>,
) -> Result<Shown<HeldFiles>, ApiError> {
    let limit = rooms::limit(page.limit, PAGE, PAGE_MAX)?;
    let mut files = app.store.files_in(FileState::Quarantined, page.after, limit + 1).await?;
    let more = files.len() > limit as usize;
    files.truncate(limit as usize);
    let held = |mut row: FileRow| {
        let findings = std::mem::take(&mut row.findings).into_iter();
        let findings = findings.map(|(plugin, finding)| HeldFor { plugin: plugin.to_string(), finding }).collect();
        HeldFile { file: row.into(), findings }
    };
    Ok(Shown(HeldFiles { files: files.into_iter().map(held).collect(), more }))
}

pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<FileAddress>,
) -> Result<Shown<FileInfo>, ApiError> {
    let row = check_held(&app, caller.actor(), address.id).await?;
    if app.store.access(&Actor::system(), row.meta.room_id).await? == Access::None {
        return Err(ApiError::conflict("room_deleted", "the room of the file was deleted").hint("reject it instead"));
    }
    let released = app.files.release(address.id, &act).await?;
    released.map(|row| Shown(row.into())).ok_or_else(no_such_file)
}

pub(crate) async fn reject(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<FileAddress>,
) -> Result<Gone, ApiError> {
    check_held(&app, caller.actor(), address.id).await?;
    match app.files.delete(address.id, &act, "file.reject", "rejected").await? {
        true => Ok(Gone),
        false => Err(no_such_file()),
    }
}

/// The file, where the actor may know of it: what hangs on a message that is shown is everybody's who may read the room;
/// anything else is its uploader's and the moderators'.
async fn visible(app: &App, actor: &Actor, id: FileId) -> Result<FileRow, ApiError> {
    let row = app.store.file(id).await?.ok_or_else(no_such_file)?;
    let access = app.store.access(actor, row.meta.room_id).await?;
    let published = row.message.is_some_and(|(_, shown)| shown) && Servable::of(id, row.state).is_some();
    if access == Access::None || !(published || is_own(actor, &row) || access == Access::Moderate) {
        return Err(no_such_file());
    }
    Ok(row)
}

fn is_own(actor: &Actor, row: &FileRow) -> bool {
    row.meta.uploader.kind == actor.kind && row.meta.uploader.id == actor.id
}

/// The file in the quarantine, for a moderator of the server: the table of routes lets nobody else in.
async fn check_held(app: &App, actor: &Actor, id: FileId) -> Result<FileRow, ApiError> {
    let row = app.store.file(id).await?.ok_or_else(no_such_file)?;
    if row.state != FileState::Quarantined {
        // Of other files moderators learn no more than anybody.
        let row = visible(app, actor, id).await?;
        return Err(ApiError::conflict("not_quarantined", format!("the file is {}", row.state.as_str())));
    }
    Ok(row)
}

fn no_such_file() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "file_not_found", "there is no such file")
}

impl From<FileRefusal> for ApiError {
    fn from(refusal: FileRefusal) -> Self {
        if let FileRefusal::Keep(KeepError::Store(error)) = refusal {
            return error.into();
        }
        let status = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut error = Self::new(status, refusal.code(), refusal.to_string());
        error.hint = refusal.hint().map(str::to_owned);
        match refusal {
            FileRefusal::Rejected { finding, .. } => {
                // The code only: a finding's detail is for moderators.
                error.details = vec![error::Finding { pointer: String::new(), message: finding.code }];
                error
            }
            FileRefusal::Unreadable(_) => {
                error.message = "the file cannot be read by scanners".to_owned();
                error.retry_after(5)
            }
            FileRefusal::ScannerUnavailable { .. } => error.retry_after(5),
            _ => error,
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let exhausted = match error {
            UploadError::Store(error) => return error.into(),
            UploadError::Refused(refusal) => return refusal.into(),
            UploadError::Exhausted(exhausted) => exhausted,
        };
        let (status, code, hint) = match exhausted {
            Exhausted::OwnUploads | Exhausted::Uploads => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", "wait until one has ended")
            }
            Exhausted::Size(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "file_too_large", "an operator sets `server.files.max_bytes`")
            }
            Exhausted::Quota(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "quota_exceeded",
                "delete files that you need no more, or messages that have them: GET /api/v1/files lists yours",
            ),
            Exhausted::Total(_) => (
                StatusCode::INSUFFICIENT_STORAGE,
                "storage_full",
                "an operator sets `server.files.quota_total`; messages without files are taken",
            ),
        };
        let error = Self::new(status, code, exhausted.to_string()).hint(hint);
        if status == StatusCode::TOO_MANY_REQUESTS { error.retry_after(1) } else { error }
    }
}
