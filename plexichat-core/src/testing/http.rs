//! An HTTP client that reaches nobody: it records what a plugin asks for and answers from the test's script.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::capability::http::{HttpPort, HttpRequest, HttpResponse};
use crate::error::{ErrorKind, PluginError, Result};
use crate::id::PluginName;

type Script = dyn Fn(&HttpRequest) -> Result<HttpResponse> + Send + Sync;

/// Records requests and answers them from a script.
#[derive(Default)]
pub struct RecordingHttp {
    script: Option<Box<Script>>,
    requests: Mutex<Vec<HttpRequest>>,
}

impl RecordingHttp {
    /// A client that answers every request with what the script says of it.
    pub fn scripted(script: impl Fn(&HttpRequest) -> Result<HttpResponse> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Some(Box::new(script)), requests: Mutex::default() })
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
