//! HTTP to the outside, behind `NetworkAccess`. The host's side holds the client, the granted hosts and the guard
//! against private addresses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Scope;
use crate::error::{ErrorKind, PluginError, Result};
use crate::id::PluginName;
use crate::message::Time;
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
    /// How long it may take altogether; for a response that is read piece by piece, until its head is there.
    pub timeout: Duration,
    /// Whether a redirect is followed; one that is not is the response.
    pub redirects: bool,
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

/// A response whose body is read piece by piece, as it comes. Dropping it closes the connection.
pub struct HttpStream {
    /// The status, such as 200.
    pub status: u16,
    /// Names in lower case and values.
    pub headers: Vec<(String, String)>,
    body: BoxStream<'static, Result<Vec<u8>>>,
}

/// What the host does for [`HttpClient`].
#[async_trait]
pub trait HttpPort: Send + Sync + 'static {
    /// Sends a request as the plugin, within what the operator granted it.
    async fn send(&self, plugin: &PluginName, request: HttpRequest) -> Result<HttpResponse>;

    /// Sends a request as the plugin; returns when the response's head is there, for which the request's timeout counts. A
    /// port that knows no streams gives the whole body as one piece.
    async fn open(&self, plugin: &PluginName, request: HttpRequest) -> Result<HttpStream> {
        let response = self.send(plugin, request).await?;
        let body = stream::iter([Ok(response.body)]);
        Ok(HttpStream::new(response.status, response.headers, body))
    }
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
                redirects: true,
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

    /// Sets how long the request may take altogether, or, for [`stream`](Self::stream), until the response's head is there;
    /// [`HTTP_TIMEOUT`] where nothing is set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Ok(request) = &mut self.request {
            request.timeout = timeout;
        }
        self
    }

    /// Takes a redirect as the response, and does not go where it leads.
    pub fn without_redirects(mut self) -> Self {
        if let Ok(request) = &mut self.request {
            request.redirects = false;
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

    /// Sends the request and reads the response's head; the body follows piece by piece. The timeout counts until the head
    /// is there, and the body may take as long as it likes and be of any size: whoever reads it watches that.
    ///
    /// ```
    /// # use plexichat::capability::http::HttpClient;
    /// # async fn download(http: HttpClient) -> plexichat::error::Result<usize> {
    /// let mut response = http.get("https://example.org/large").stream().await?;
    /// let mut bytes = 0;
    /// while let Some(piece) = response.next().await? {
    ///     bytes += piece.len();
    /// }
    /// # Ok(bytes)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); what breaks off later is an error of [`HttpStream::next`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have reached the service. Dropping the response closes the connection.
    pub async fn stream(self) -> Result<HttpStream> {
        self.client.scope.check(Permission::NetworkAccess, "stream")?;
        self.client.port.open(self.client.scope.plugin(), self.request?).await
    }
}

impl HttpStream {
    /// A response with this body: what a port makes.
    pub fn new(
        status: u16,
        headers: Vec<(String, String)>,
        body: impl Stream<Item = Result<Vec<u8>>> + Send + 'static,
    ) -> Self {
        Self { status, headers, body: body.boxed() }
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body's next piece, cut wherever the network cut it; nothing at the end.
    ///
    /// # Errors
    /// `Upstream` where the service broke the body off.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call takes no piece.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.body.next().await.transpose()
    }

    /// Reads what is left of the body, at most so many bytes, such as [`HTTP_BODY_MAX`].
    ///
    /// # Errors
    /// `Upstream` where it is longer, or broken off.
    ///
    /// # Cancel safety
    /// Dropping the call closes the connection.
    pub async fn collect(mut self, most: usize) -> Result<HttpResponse> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            if body.len() + piece.len() > most {
                let message = format!("the service answered with more than {most} bytes");
                return Err(PluginError::new(ErrorKind::Upstream { retry_after: None }, message));
            }
            body.extend_from_slice(&piece);
        }
        Ok(HttpResponse { status: self.status, headers: self.headers, body })
    }
}

impl fmt::Debug for HttpStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpStream").field("status", &self.status).finish_non_exhaustive()
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

impl HttpResponse {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// When the service asks to be asked again: its `retry-after-ms` or `retry-after`, which may be seconds or a date.
    pub fn retry_after(&self, now: Time) -> Option<Duration> {
        let seconds = |text: &str| Duration::try_from_secs_f64(text.trim().parse().ok()?).ok();
        if let Some(milliseconds) = self.header("retry-after-ms").and_then(seconds) {
            return Some(milliseconds / 1_000);
        }
        let text = self.header("retry-after")?;
        seconds(text).or_else(|| {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
            let wait = at.as_microsecond().saturating_sub(now.as_micros());
            Some(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<u64>) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let response = HttpResponse { status: 429, headers, body: Vec::new() };
        // 1994-11-06T08:49:07Z
        let now = Time::from_micros(784_111_747_000_000);
        assert_eq!(response.retry_after(now), expected.map(Duration::from_millis));
    }

    #[test]
    fn services_say_in_three_ways_when_to_ask_again() {
        check(&[("retry-after", "7")], Some(7_000));
        check(&[("Retry-After", " 0.5 ")], Some(500));
        check(&[("retry-after", "30"), ("retry-after-ms", "250")], Some(250));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(30_000));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")], Some(0));
        for odd in ["soon", "-1", "inf", "NaN", ""] {
            check(&[("retry-after", odd)], None);
        }
        check(&[], None);
    }
}
