//! HTTP to the outside, behind `NetworkAccess`. The host's side holds the client, the granted hosts and the guard
//! against private addresses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Scope;
use crate::error::{ErrorKind, PluginError, Result};
use crate::id::PluginName;
use crate::permission::Permission;

/// How long a request may take where it does not say otherwise.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest response body that is read, in bytes.
pub const HTTP_BODY_MAX: usize = 8 * 1024 * 1024;

/// Sends HTTP requests to the hosts that the operator granted.
#[derive(Clone)]
pub struct HttpClient {
    scope: Arc<Scope>,
    port: Arc<dyn HttpPort>,
}

/// A request as the host sees it.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it may take altogether.
    pub timeout: Duration,
}

/// A response, read whole.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// The status, such as 200.
    pub status: u16,
    /// Names in lower case and values.
    pub headers: Vec<(String, String)>,
    /// The body, at most [`HTTP_BODY_MAX`] bytes.
    pub body: Vec<u8>,
}

/// What the host does for [`HttpClient`].
#[async_trait]
pub trait HttpPort: Send + Sync + 'static {
    /// Sends a request as the plugin, within what the operator granted it.
    async fn send(&self, plugin: &PluginName, request: HttpRequest) -> Result<HttpResponse>;
}

impl HttpClient {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn HttpPort>) -> Self {
        Self { scope, port }
    }

    /// Begins a request.
    pub fn request(&self, method: &str, url: &str) -> RequestBuilder {
        RequestBuilder {
            client: self.clone(),
            request: Ok(HttpRequest {
                method: method.to_owned(),
                url: url.to_owned(),
                headers: Vec::new(),
                body: Vec::new(),
                timeout: HTTP_TIMEOUT,
            }),
        }
    }

    /// Begins a `GET` request.
    pub fn get(&self, url: &str) -> RequestBuilder {
        self.request("GET", url)
    }

    /// Begins a `POST` request.
    pub fn post(&self, url: &str) -> RequestBuilder {
        self.request("POST", url)
    }
}

/// A request being put together.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: HttpClient,
    request: Result<HttpRequest>,
}

impl RequestBuilder {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(request) = &mut self.request {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        if let Ok(request) = &mut self.request {
            request.body = body.into();
        }
        self
    }

    /// Sets the body to JSON, and its content type.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.header("content-type", "application/json").body(body),
            Err(error) => {
                self.request = Err(error.into());
                self
            }
        }
    }

    /// Sets how long the request may take altogether; [`HTTP_TIMEOUT`] where nothing is set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Ok(request) = &mut self.request {
            request.timeout = timeout;
        }
        self
    }

    /// Sends the request and reads the response. A status such as 404 is a response, not an error.
    ///
    /// # Errors
    /// `Permission` without the grant or for a host that was not granted; `Upstream` where the service cannot be
    /// reached, is too slow or answers too much.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have reached the service.
    pub async fn send(self) -> Result<HttpResponse> {
        self.client.scope.check(Permission::NetworkAccess, "send")?;
        self.client.port.send(self.client.scope.plugin(), self.request?).await
    }
}

impl HttpResponse {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// `Upstream` where it does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            PluginError::new(ErrorKind::Upstream { retry_after: None }, "the service's answer is not what was expected")
                .with_source(error)
        })
    }
}
