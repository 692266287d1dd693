//! The body of an answer: read whole within a bound, or handed on piece by piece. Knows no reach and no request.

use futures_util::{StreamExt, stream};
use plexichat::capability::http::{HTTP_BODY_MAX, HttpResponse, HttpStream};
use plexichat::error::{PluginError, Result};
use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::upstream;

/// How many pieces may wait for the plugin; then the service has to wait too.
const WAITING_MAX: usize = 32;

/// Reads it whole.
pub(super) async fn whole(url: &Url, response: reqwest::Response) -> Result<HttpResponse> {
    let host = url.host_str().unwrap_or("").to_owned();
    let (status, headers) = head(&response);
    let too_much = || upstream(format!("`{host}` answered with more than {HTTP_BODY_MAX} bytes"));
    if response.content_length().is_some_and(|length| length > HTTP_BODY_MAX as u64) {
        return Err(too_much());
    }
    let mut body = Vec::new();
    let mut frames = response.bytes_stream();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| broken_off(&host, error))?;
        if body.len() + frame.len() > HTTP_BODY_MAX {
            return Err(too_much());
        }
        body.extend_from_slice(&frame);
    }
    Ok(HttpResponse { status, headers, body })
}

/// Hands it on as it comes: read on the host's runtime, so that the plugin's own need not watch sockets. As soon as the
/// other end is dropped the connection is closed.
pub(super) fn pieces(url: &Url, response: reqwest::Response, host_runtime: &Handle) -> HttpStream {
    let host = url.host_str().unwrap_or("").to_owned();
    let (status, headers) = head(&response);
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    host_runtime.spawn(async move {
        let mut frames = response.bytes_stream();
        loop {
            let frame = tokio::select! {
                biased;
                () = sender.closed() => return,
                frame = frames.next() => frame,
            };
            let piece = frame.transpose().map_err(|error| broken_off(&host, error));
            let last = !matches!(piece, Ok(Some(_)));
            if sender.send(piece.map(|bytes| bytes.map(Vec::from))).await.is_err() || last {
                return;
            }
        }
    });
    let body = stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Ok(Some(piece))) => Some((Ok(piece), Some(receiver))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(PluginError::transient("the server stops")), None)),
        }
    });
    HttpStream::new(status, headers, body)
}

fn head(response: &reqwest::Response) -> (u16, Vec<(String, String)>) {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    (response.status().as_u16(), headers)
}

fn broken_off(host: &str, error: reqwest::Error) -> PluginError {
    upstream(format!("`{host}` broke its answer off")).with_source(error.without_url())
}
