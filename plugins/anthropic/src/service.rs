//! HTTP to the service: addresses, headers, what became of the last request. Knows no model and no request's content.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use plexichat::capability::http::{HttpClient, HttpResponse, HttpStream, RequestBuilder};
use plexichat::message::Time;
use plexichat::prelude::*;
use plexichat::secret::redact;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::error;

/// How long the head of a streamed answer may take. The host's own times, which the operator sets, end it earlier.
const HEAD_TIMEOUT: Duration = Duration::from_secs(600);

/// The largest body of an error that is read.
const ERROR_MAX: usize = 64 * 1024;

/// The service, as the settings say.
pub(crate) struct Service {
    http: HttpClient,
    config: Config,
    last: Mutex<Health>,
}

impl Service {
    pub(crate) fn new(http: HttpClient, config: Config) -> Self {
        let healthy = match config.api_key.is_none() && config.headers.is_empty() {
            true => Health::Degraded("Anthropic wants a key: set `api_key`".to_owned()),
            false => Health::Healthy,
        };
        Self { http, config, last: Mutex::new(healthy) }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// What the last request says of the service.
    pub(crate) fn health(&self) -> Health {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for what is not streamed.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, now: Time) -> Result<T, AiError> {
        let request = self.headers(self.http.get(&self.url(path))).timeout(self.timeout());
        self.whole(request, now).await
    }

    /// Begins an answer that is streamed.
    pub(crate) async fn open(&self, path: &str, body: &Value, now: Time) -> Result<HttpStream, AiError> {
        let request = self.headers(self.http.post(&self.url(path)).json(body));
        let response = request.header("accept", "text/event-stream").timeout(HEAD_TIMEOUT).stream().await;
        let response = response.map_err(|error| self.failed(self.unreachable(error)))?;
        match response.is_success() {
            true => Ok(response),
            false => Err(self.refused(response, now).await),
        }
    }

    async fn whole<T: DeserializeOwned>(&self, request: RequestBuilder, now: Time) -> Result<T, AiError> {
        // The timeout counts for all of it, which it does not for a stream.
        let response = request.send().await.map_err(|error| self.failed(self.unreachable(error)))?;
        if !response.is_success() {
            return Err(self.failed(error::refused(&response, now, &|text| self.stripped(text))));
        }
        let answer = self.read(&response)?;
        self.worked();
        Ok(answer)
    }

    /// Reads a whole answer.
    pub(crate) fn read<T: DeserializeOwned>(&self, body: &HttpResponse) -> Result<T, AiError> {
        serde_json::from_slice(&body.body).map_err(|error| {
            let message = format!("the service's answer is not what was expected: {error}");
            self.failed(AiError::new(AiErrorKind::Protocol, self.stripped(&message)))
        })
    }

    async fn refused(&self, response: HttpStream, now: Time) -> AiError {
        let (status, headers) = (response.status, response.headers.clone());
        // What it says is worth reading where it can be read.
        let body = response.collect(ERROR_MAX).await.map(|body| body.body).unwrap_or_default();
        let response = HttpResponse { status, headers, body };
        self.failed(error::refused(&response, now, &|text| self.stripped(text)))
    }

    /// What stands in the stream in place of an answer.
    pub(crate) fn told(&self, error: &Value) -> AiError {
        self.failed(error::told(error, &|text| self.stripped(text)))
    }

    /// The host could not reach the service, may not, or lost it.
    pub(crate) fn unreachable(&self, error: PluginError) -> AiError {
        let error = AiError::from(error);
        AiError::new(error.kind(), self.stripped(error.message()))
    }

    /// The text without keys.
    pub(crate) fn stripped(&self, text: &str) -> String {
        let secrets: Vec<&Secret> =
            self.config.api_key.iter().chain(self.config.headers.iter().map(|header| &header.value)).collect();
        redact(text, &secrets)
    }

    /// Remembers that it works.
    pub(crate) fn worked(&self) {
        self.remember(Health::Healthy);
    }

    /// Remembers how it fails.
    pub(crate) fn failed(&self, error: AiError) -> AiError {
        match error.kind() {
            AiErrorKind::Auth => self.remember(Health::Down(error.message().to_owned())),
            AiErrorKind::PermissionDenied | AiErrorKind::Unavailable | AiErrorKind::Timeout | AiErrorKind::Protocol => {
                self.remember(Health::Degraded(error.message().to_owned()));
            }
            // What the caller asked for says nothing of the service.
            _ => {}
        }
        error
    }

    fn remember(&self, health: Health) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.config.timeout)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.base_url.trim_end_matches('/'))
    }

    fn headers(&self, mut request: RequestBuilder) -> RequestBuilder {
        let Config { api_key, version, headers, .. } = &self.config;
        if let Some(key) = api_key {
            request = request.header("x-api-key", key.expose().trim());
        }
        request = request.header("anthropic-version", version);
        headers.iter().fold(request, |request, header| request.header(&header.name, header.value.expose()))
    }
}
