//! `/api/v1/system`: what the operator does with the server as a whole: its settings, a backup.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Documented, SchemaObject, StatusCode as DocumentedStatus};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use plexichat::event::catalog::BackupCompleted;
use plexichat::message::Actor;
use plexichat::settings::Settings;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::app::App;
use super::auth::By;
use super::output::Shown;
use crate::backup::{BackupError, Manifest, Snapshot};
use crate::error::ApiError;
use crate::shown::{self, Setting};

/// How long an answer waits for the database to be held still, so that what fails is told with a status. A large one takes
/// longer and is answered meanwhile.
const HELD_WITHIN: Duration = Duration::from_secs(20);
/// How many bytes are handed on at once.
const CHUNK: usize = 64 * 1024;
/// How many of them may wait for the client.
const CHUNKS: usize = 8;

/// What counts at the moment.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SystemConfig {
    /// Every setting, with where it was set; secrets are `***`.
    settings: Vec<Setting>,
}

/// An archive that is written while it is sent.
pub(crate) struct Archive(mpsc::Receiver<io::Result<Bytes>>);

pub(crate) async fn config(State(app): State<Arc<App>>) -> Result<Shown<SystemConfig>, ApiError> {
    let now: Arc<Settings> = app.settings.borrow().clone();
    let mut settings = shown::of_server(&now);
    for plugin in app.host.manager.list() {
        // One that is installed and not linked any more has no configuration that could be read.
        let Ok(config) = app.host.manager.plugin_config(&plugin.name) else { continue };
        settings.extend(shown::of_plugin(&now, &plugin.name, &config.value, &config.origins));
    }
    Ok(Shown(SystemConfig { settings }))
}

pub(crate) async fn backup(State(app): State<Arc<App>>, By(act): By) -> Result<Archive, ApiError> {
    app.store.audit(act.audit("system.backup", "system", json!({}))).await?;
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let (held, outcome) = oneshot::channel();
    let data_dir = app.settings.borrow().server.data_dir.clone();
    let by = act.by().clone();
    tokio::task::spawn_blocking(move || {
        let written = Snapshot::take(&data_dir).and_then(|snapshot| {
            // Whoever asked may have gone.
            let _ = held.send(());
            let sink = io::BufWriter::with_capacity(CHUNK, Chunks(sender.clone()));
            snapshot.write(&app.bundle.version, sink)
        });
        match written {
            Ok(manifest) => completed(&app, &by, &manifest),
            Err(error) => {
                tracing::warn!(%error, "a backup was not taken");
                // Breaks the answer off, where it has begun.
                let _ = sender.blocking_send(Err(io::Error::other(error)));
            }
        }
    });
    let mut chunks = chunks;
    if let Ok(Err(_)) = tokio::time::timeout(HELD_WITHIN, outcome).await {
        let failed = chunks.recv().await.and_then(Result::err).and_then(io::Error::into_inner);
        let error = failed.and_then(|error| error.downcast::<BackupError>().ok());
        return Err(error.map_or_else(|| ApiError::internal("a backup ended without a word"), |error| (*error).into()));
    }
    Ok(Archive(chunks))
}

fn completed(app: &App, by: &Actor, manifest: &Manifest) {
    let bytes = manifest.size();
    tracing::info!(bytes, files = manifest.entries.len() - 1, by = %by.id, "a backup was taken");
    app.announce(by, None, BackupCompleted::new(bytes, by.clone()));
}

/// Hands what is written on to the answer.
struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Running => Self::conflict("backup_running", error.to_string()).hint(error.hint()),
            error if error.is_full() => plexichat::store::StoreError::Full.into(),
            error => Self::internal(error),
        }
    }
}

impl IntoResponse for Archive {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar")),
            (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"plexichat-backup.tar\"")),
        ];
        let chunks =
            stream::unfold(self.0, |mut chunks| async move { chunks.recv().await.map(|chunk| (chunk, chunks)) });
        (headers, Body::from_stream(chunks)).into_response()
    }
}

impl OperationOutput for Archive {
    type Inner = Bytes;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let json_schema = schemars::json_schema!({ "type": "string", "format": "binary" });
        let schema = SchemaObject { json_schema, example: None, external_docs: None };
        let mut response = Documented {
            description: "A tar with database and files; its last entry is `manifest.json` with their sums".to_owned(),
            ..Documented::default()
        };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        response.content.insert("application/x-tar".to_owned(), media);
        vec![(Some(DocumentedStatus::Code(200)), response)]
    }
}
