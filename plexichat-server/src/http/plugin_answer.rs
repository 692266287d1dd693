//! What a plugin's route answered, on its way out: what it may say of the connection and of browsers' rules, and its body, piece
//! by piece. Knows no request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use plexichat::error::{ErrorKind, PluginError, Result as PluginResult};
use plexichat::guard::{CallError, GuardedAnswer, GuardedBody, GuardedStream};
use plexichat::id::PluginName;
use tokio::sync::watch;

use crate::error::{ApiError, Finding};
use crate::stop::stopped;

/// How long calls and streams may go on once the server begins to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Pieces that are ready are sent together up to this size, in bytes.
const TOGETHER: usize = 64 * 1024;

/// How long a stream of events may be silent: then a comment tells proxies and clients that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b": still here\n\n";

/// What a plugin may not say: it is about the connection, or loosens what browsers are told of all answers.
const WITHHELD: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_SECURITY_POLICY,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::X_FRAME_OPTIONS,
];

/// Pages that a plugin makes may load and do nothing in our name.
const CONTENT_SECURITY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'; form-action 'none'");

/// The route's address with its variable parts in braces: a label that counters may have.
#[derive(Debug, Clone)]
pub(super) struct RouteLabel(pub(super) Arc<str>);

/// The answer is the plugin's, in whatever shape: nobody writes another over it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own;

/// The answer as it is sent.
///
/// # Errors
/// The plugin gave none, or one that is none.
pub(super) fn response(
    plugin: &PluginName,
    answered: Result<PluginResult<GuardedAnswer>, CallError>,
    until: Until,
) -> Result<Response, ApiError> {
    let answer = given(plugin, answered)?;
    let status = StatusCode::from_u16(answer.status).ok().filter(|status| !status.is_informational());
    let Some(status) = status else {
        return Err(ApiError::internal(format_args!("`{plugin}` answered with the status {}", answer.status)));
    };
    let has_body = status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED;
    let mut response = Response::new(match answer.body {
        _ if !has_body => Body::empty(),
        GuardedBody::Whole(bytes) => Body::from(bytes),
        GuardedBody::Stream(pieces) => streamed(plugin.clone(), pieces, until),
    });
    *response.status_mut() = status;
    for (name, value) in answer.headers {
        match (HeaderName::try_from(&name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) if is_allowed(&name) => {
                response.headers_mut().append(name, value);
            }
            (Ok(name), Ok(_)) => tracing::debug!(%plugin, %name, "a header of a plugin's answer was left out"),
            _ => return Err(ApiError::internal(format_args!("`{plugin}` answered with a bad header `{name}`"))),
        }
    }
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY);
    response.extensions_mut().insert(Own);
    Ok(response)
}

/// What a call gave.
///
/// # Errors
/// It gave nothing, or the plugin's own error.
pub(super) fn given<T>(plugin: &PluginName, answered: Result<PluginResult<T>, CallError>) -> Result<T, ApiError> {
    answered.map_err(|error| no_answer(plugin, &error))?.map_err(|error| refused(plugin, &error))
}

/// How long a body that comes in pieces may go on.
pub(super) struct Until {
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// It is a stream without end: ending it is no failure, and while it is silent a comment says that it lives.
    is_endless: bool,
}

impl Until {
    /// An answer has its time once the server begins to stop.
    pub(super) fn answered(stopping: watch::Receiver<bool>) -> Self {
        Self { cut: Box::pin(out_of_time(stopping)), is_endless: false }
    }

    /// Events go on until this.
    pub(super) fn ended(ended: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { cut: Box::pin(ended), is_endless: true }
    }

    /// The next piece, if the body goes on. The end counts first: a plugin that always has a piece ready does not put it off.
    async fn next<T>(&mut self, piece: impl Future<Output = T>) -> Next<T> {
        tokio::select! {
            biased;
            () = self.cut.as_mut() => Next::Cut,
            piece = piece => Next::Piece(piece),
            () = tokio::time::sleep(KEEP_ALIVE), if self.is_endless => Next::Silence,
        }
    }
}

/// How a body goes on.
#[derive(Debug, PartialEq, Eq)]
enum Next<T> {
    Piece(T),
    /// No piece came for a while.
    Silence,
    /// It may not go on.
    Cut,
}

fn is_allowed(name: &HeaderName) -> bool {
    !WITHHELD.contains(name) && !name.as_str().starts_with("access-control-")
}

/// What a call answers, unless the server stops and the call has had its time.
///
/// # Errors
/// Where it is ended.
pub(super) async fn while_running<T>(
    plugin: &PluginName,
    stopping: watch::Receiver<bool>,
    call: impl Future<Output = T>,
) -> Result<T, ApiError> {
    tokio::select! {
        biased;
        answered = call => Ok(answered),
        () = out_of_time(stopping) => Err(no_answer(plugin, &CallError::Stopped)),
    }
}

async fn out_of_time(mut stopping: watch::Receiver<bool>) {
    stopped(&mut stopping).await;
    tokio::time::sleep(GRACE).await;
}

/// What it means that a call gave no answer.
pub(super) fn no_answer(plugin: &PluginName, error: &CallError) -> ApiError {
    let unavailable = |code, message: &str, seconds| {
        let message = format!("the plugin `{plugin}` {message}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(seconds)
    };
    match error {
        CallError::Timeout => unavailable("plugin_timeout", "took too long", 1),
        CallError::Busy => unavailable("plugin_busy", "has too much to do", 1),
        CallError::Open => {
            unavailable("plugin_unavailable", "failed too often of late and is not asked for a while", 30)
        }
        CallError::Panicked(_) => failed(plugin),
        _ => unavailable("plugin_unavailable", "was stopped", 1),
    }
}

fn failed(plugin: &PluginName) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "plugin_failed", format!("the plugin `{plugin}` failed"))
        .hint("the operator finds the cause in the log under this request_id")
}

/// What a plugin's own error looks like outside: its words only where they are the caller's.
pub(super) fn refused(plugin: &PluginName, error: &PluginError) -> ApiError {
    let kind = error.kind();
    let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let told = match kind {
        ErrorKind::Input if error.problems().is_empty() => ApiError::new(status, kind.code(), error.to_string()),
        ErrorKind::Input => {
            let details = error.problems().iter().cloned().map(Finding::from).collect();
            ApiError::invalid(error.message(), details)
        }
        ErrorKind::NotFound => ApiError::new(status, kind.code(), "there is nothing at this address"),
        ErrorKind::Permission => ApiError::new(status, kind.code(), "this may not be done"),
        ErrorKind::Internal => failed(plugin),
        _ => ApiError::new(status, kind.code(), format!("the plugin `{plugin}` cannot answer now")),
    };
    match kind {
        ErrorKind::Upstream { retry_after: Some(after) } => told.retry_after(after.as_secs() + 1),
        ErrorKind::Upstream { retry_after: None } | ErrorKind::Transient => told.retry_after(1),
        _ => told,
    }
}

struct Pieces {
    plugin: PluginName,
    pieces: GuardedStream<PluginResult<Vec<u8>>>,
    until: Until,
}

/// Each piece is sent at once; those that are ready go together. An error cuts the connection, so that nobody takes what was
/// sent for the whole.
fn streamed(plugin: PluginName, pieces: GuardedStream<PluginResult<Vec<u8>>>, until: Until) -> Body {
    let frames = stream::unfold(Some(Pieces { plugin, pieces, until }), |pieces| async move {
        let mut pieces = pieces?;
        match pieces.next().await {
            Ok(Some(bytes)) => Some((Ok(Bytes::from(bytes)), Some(pieces))),
            Ok(None) => None,
            Err(reason) => {
                tracing::warn!(plugin = %pieces.plugin, "an answer was broken off: {reason}");
                Some((Err(io::Error::other(reason)), None))
            }
        }
    });
    Body::from_stream(frames)
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let first = match self.until.next(self.pieces.next()).await {
            Next::Piece(first) => first,
            Next::Silence => return Ok(Some(COMMENT.to_vec())),
            Next::Cut if self.until.is_endless => return Ok(None),
            Next::Cut => return Err("the server stops".to_owned()),
        };
        let mut bytes = match first {
            None => return Ok(None),
            Some(Ok(Ok(bytes))) => bytes,
            Some(Ok(Err(error))) => return Err(error.to_string()),
            Some(Err(error)) => return Err(error.to_string()),
        };
        while bytes.len() < TOGETHER {
            match self.pieces.ready() {
                Some(Ok(more)) => bytes.extend_from_slice(&more),
                Some(Err(error)) => return Err(error.to_string()),
                None => break,
            }
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_end_soon_after_the_server_begins_to_stop() {
        let plugin: PluginName = "slow".parse().unwrap();
        let (stop, stopping) = watch::channel(false);
        let hour = Duration::from_secs(3_600);
        let quick = while_running(&plugin, stopping.clone(), tokio::time::sleep(hour)).await;
        assert!(quick.is_ok(), "nothing stops");
        stop.send(true).unwrap();
        let begun = tokio::time::Instant::now();
        assert!(while_running(&plugin, stopping.clone(), tokio::time::sleep(GRACE / 2)).await.is_ok());
        let cut = while_running(&plugin, stopping, std::future::pending::<()>()).await;
        assert!(cut.is_err());
        assert_eq!(begun.elapsed().as_secs(), (GRACE + GRACE / 2).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_plugin_does_not_put_off_the_end() {
        let (cut, is_cut) = tokio::sync::oneshot::channel::<()>();
        let mut until = Until::ended(async move { drop(is_cut.await) });
        assert_eq!(until.next(std::future::ready("piece")).await, Next::Piece("piece"));
        assert_eq!(until.next(std::future::pending::<&str>()).await, Next::Silence);
        cut.send(()).unwrap();
        assert_eq!(until.next(std::future::ready("piece")).await, Next::Cut);
        let (stop, stopping) = watch::channel(false);
        let mut until = Until::answered(stopping);
        stop.send(true).unwrap();
        assert_eq!(until.next(tokio::time::sleep(GRACE / 2)).await, Next::Piece(()));
        tokio::time::sleep(GRACE).await;
        assert_eq!(until.next(std::future::ready(())).await, Next::Cut);
    }
}
