//! An HTTP client that reaches nobody: it records what a plugin asks for and answers from the test's script.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::capability::http::{HttpPort, HttpRequest, HttpResponse, HttpStream};
use crate::error::{ErrorKind, PluginError, Result};
use crate::id::PluginName;

type Script = dyn Fn(&HttpRequest) -> Result<HttpResponse> + Send + Sync;
type StreamScript = dyn Fn(&HttpRequest) -> Result<HttpStream> + Send + Sync;

/// Records requests and answers them from a script.
#[derive(Default)]
pub struct RecordingHttp {
    script: Option<Box<Script>>,
    streams: Option<Box<StreamScript>>,
    requests: Mutex<Vec<HttpRequest>>,
}

impl RecordingHttp {
    /// A client that answers every request with what the script says of it.
    pub fn scripted(script: impl Fn(&HttpRequest) -> Result<HttpResponse> + Send + Sync + 'static) -> Arc<Self> {
        let mut recording = Self::default();
        recording.answer(script);
        Arc::new(recording)
    }

    pub(super) fn answer(&mut self, script: impl Fn(&HttpRequest) -> Result<HttpResponse> + Send + Sync + 'static) {
        self.script = Some(Box::new(script));
    }

    pub(super) fn answer_streams(
        &mut self,
        script: impl Fn(&HttpRequest) -> Result<HttpStream> + Send + Sync + 'static,
    ) {
        self.streams = Some(Box::new(script));
    }

    /// What was asked for, in order.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl HttpPort for RecordingHttp {
    async fn send(&self, _: &PluginName, request: HttpRequest) -> Result<HttpResponse> {
        let answer = match &self.script {
            Some(script) => script(&request),
            None => Err(PluginError::new(
                ErrorKind::Upstream { retry_after: None },
                format!(
                    "the test has no answer for {} {}: give it one with `TestHost::http(|request| ..)`",
                    request.method, request.url
                ),
            )),
        };
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        answer
    }

    async fn open(&self, plugin: &PluginName, request: HttpRequest) -> Result<HttpStream> {
        let Some(script) = &self.streams else {
            let HttpResponse { status, headers, body } = self.send(plugin, request).await?;
            return Ok(HttpStream::new(status, headers, stream::iter([Ok(body)])));
        };
        let answer = script(&request);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        answer
    }
}

/// A response with a JSON body, for scripts.
pub fn json(status: u16, body: &Value) -> HttpResponse {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    HttpResponse { status, headers, body: body.to_string().into_bytes() }
}

/// A response with a text body, for scripts.
pub fn text(status: u16, body: &str) -> HttpResponse {
    let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    HttpResponse { status, headers, body: body.as_bytes().to_vec() }
}

/// A stream of server-sent events in these pieces, for scripts.
pub fn events<P: Into<Vec<u8>>>(pieces: impl IntoIterator<Item = P>) -> HttpStream {
    let pieces: Vec<_> = pieces.into_iter().map(|piece| Ok(piece.into())).collect();
    HttpStream::new(200, event_stream(), stream::iter(pieces))
}

/// A response as a stream of one piece, for scripts.
pub fn whole(response: HttpResponse) -> HttpStream {
    HttpStream::new(response.status, response.headers, stream::iter([Ok(response.body)]))
}

/// A stream of server-sent events that the test feeds while it is read, for scripts.
pub fn fed_events() -> (HttpStream, StreamFeed) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let body = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    (HttpStream::new(200, event_stream(), body), StreamFeed(sender))
}

fn event_stream() -> Vec<(String, String)> {
    vec![("content-type".to_owned(), "text/event-stream".to_owned())]
}

/// The other end of a stream. Dropping it ends the body.
#[derive(Debug)]
pub struct StreamFeed(mpsc::UnboundedSender<Result<Vec<u8>>>);

impl StreamFeed {
    /// Sends a piece. Whether somebody still reads.
    pub fn send(&self, piece: impl Into<Vec<u8>>) -> bool {
        self.0.send(Ok(piece.into())).is_ok()
    }

    /// Breaks the body off.
    pub fn fail(&self) {
        let broken = PluginError::new(ErrorKind::Upstream { retry_after: None }, "the service broke its answer off");
        // Nobody may be reading any more.
        let _ = self.0.send(Err(broken));
    }

    /// Waits until the plugin let go of the stream, which closes a real connection.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn dropped(&self) {
        self.0.closed().await;
    }
}
