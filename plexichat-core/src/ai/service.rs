//! A service that answers over HTTP, as providers ask one: addresses, headers, keys that appear nowhere, what became of the last
//! request. Knows no vendor's words: those are the provider's [`Dialect`] and [`AnswerReader`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AiDelta, AiError, AiErrorKind, AiStream};
use crate::capability::http::{HttpClient, HttpResponse, HttpStream, RequestBuilder};
use crate::error::PluginError;
use crate::message::Time;
use crate::plugin::Health;
use crate::secret::{Secret, redact};
use crate::sse::{SseEvent, SseStream};

/// How long the head of a streamed answer may take. The host's own times, which the operator sets, end it earlier.
const HEAD_TIMEOUT: Duration = Duration::from_secs(600);

/// The largest body of an error that is read.
const ERROR_MAX: usize = 64 * 1024;

/// The largest whole answer.
const WHOLE_MAX: usize = 16 * 1024 * 1024;

/// How much of what a service says is passed on, in characters.
const SAID_MAX: usize = 500;

/// How a service says that it failed.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// What the service is called in messages: `the service`, `Anthropic`.
    pub name: &'static str,
    /// What an answer means whose status is no success.
    pub refused: fn(&HttpResponse, Time) -> Failure,
    /// What a service means that tells of a failure in the middle of a stream.
    pub told: fn(&Value) -> Failure,
}

/// A failure as a service tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub kind: AiErrorKind,
    /// The status that it came with.
    pub status: Option<u16>,
    /// The service's own words, which may repeat a key.
    pub said: String,
}

/// Makes deltas of what a service sends: the wire format of its answers.
pub trait AnswerReader: Default + Send + 'static {
    /// Takes an event of a stream.
    ///
    /// # Errors
    /// Where it makes no sense, or tells of a failure.
    fn take(&mut self, event: &SseEvent, service: &AiService) -> Result<(), AiError>;

    /// Takes a whole answer, of a service that streams none.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    fn take_whole(&mut self, answer: Value, service: &AiService) -> Result<(), AiError>;

    /// No more comes.
    fn end(&mut self);

    /// The next delta that is ready.
    fn next(&mut self) -> Option<AiDelta>;

    /// Whether the service said why the answer ends.
    fn is_finished(&self) -> bool;

    /// Whether nothing more is expected.
    fn has_ended(&self) -> bool;
}

/// A service, as the settings say.
pub struct AiService {
    http: HttpClient,
    base_url: String,
    dialect: Dialect,
    headers: Vec<(String, String)>,
    secrets: Vec<Secret>,
    timeout: Duration,
    last: Mutex<Health>,
}

impl AiService {
    /// A service below this address; a query of the address stays behind every path.
    pub fn new(http: HttpClient, base_url: &str, dialect: Dialect) -> Self {
        Self {
            http,
            base_url: base_url.to_owned(),
            dialect,
            headers: Vec::new(),
            secrets: Vec::new(),
            timeout: Duration::from_secs(60),
            last: Mutex::new(Health::Healthy),
        }
    }

    /// How long what is not streamed may take; 60 s otherwise.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends this header with every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends this header with every request: what stands in front, then the key, which appears in no message.
    #[must_use]
    pub fn secret_header(mut self, name: &str, before: &str, key: &Secret) -> Self {
        self.secrets.push(key.clone());
        self.header(name, &format!("{before}{}", key.expose().trim()))
    }

    /// Sends these headers with every request; their values appear in no message.
    #[must_use]
    pub fn extra_headers(mut self, headers: &[ExtraHeader]) -> Self {
        for header in headers {
            self.secrets.push(header.value.clone());
            self = self.header(&header.name, header.value.expose());
        }
        self
    }

    /// Says before the first request that something is missing.
    #[must_use]
    pub fn lacking(self, what: &str) -> Self {
        self.remember(Health::Degraded(what.to_owned()));
        self
    }

    /// What the last request says of the service.
    pub fn health(&self) -> Health {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for what is not streamed.
    ///
    /// # Errors
    /// What the service refuses, and where it cannot be reached or makes no sense.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have reached the service.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, now: Time) -> Result<T, AiError> {
        self.whole(self.http.get(&self.url(path)), now).await
    }

    /// Asks for what is not streamed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value, now: Time) -> Result<T, AiError> {
        self.whole(self.http.post(&self.url(path)).json(body), now).await
    }

    /// Asks for an answer. It streams once the service has taken the request; one that comes whole is given whole.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// A dropped call, and a dropped stream, ends the request.
    pub async fn answer<R: AnswerReader>(
        self: Arc<Self>,
        path: &str,
        body: &Value,
        now: Time,
    ) -> Result<AiStream, AiError> {
        let response = self.open(path, body, now).await?;
        if response.header("content-type").is_some_and(|kind| kind.contains("json")) {
            let whole = response.collect(WHOLE_MAX).await.map_err(|error| self.unreachable(error))?;
            let mut reader = R::default();
            reader.take_whole(self.read(&whole)?, &self)?;
            reader.end();
            self.worked();
            return Ok(AiStream::of(std::iter::from_fn(move || reader.next()).collect::<Vec<_>>()));
        }
        let reading = Reading { events: SseStream::new(response), service: self, reader: R::default() };
        Ok(AiStream::new(stream::unfold(reading, |mut reading| async {
            let next = reading.next().await?;
            Some((next, reading))
        })))
    }

    /// What the service tells of a failure in place of an answer.
    pub fn told(&self, error: &Value) -> AiError {
        self.failed(self.error((self.dialect.told)(error)))
    }

    /// The service sent what makes no sense: this says what, and keys are taken out.
    pub fn nonsense(&self, message: &str) -> AiError {
        self.failed(AiError::new(AiErrorKind::Protocol, self.stripped(message)))
    }

    async fn open(&self, path: &str, body: &Value, now: Time) -> Result<HttpStream, AiError> {
        let request = self.prepared(self.http.post(&self.url(path)).json(body));
        let response = request.header("accept", "text/event-stream").timeout(HEAD_TIMEOUT).stream().await;
        let response = response.map_err(|error| self.unreachable(error))?;
        if response.is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status, response.headers.clone());
        // What it says is worth reading where it can be read.
        let body = response.collect(ERROR_MAX).await.map(|body| body.body).unwrap_or_default();
        Err(self.refused(&HttpResponse { status, headers, body }, now))
    }

    async fn whole<T: DeserializeOwned>(&self, request: RequestBuilder, now: Time) -> Result<T, AiError> {
        // The timeout counts for all of it, which it does not for a stream.
        let request = self.prepared(request).timeout(self.timeout);
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if !response.is_success() {
            return Err(self.refused(&response, now));
        }
        let answer = self.read(&response)?;
        self.worked();
        Ok(answer)
    }

    fn read<T: DeserializeOwned>(&self, body: &HttpResponse) -> Result<T, AiError> {
        serde_json::from_slice(&body.body)
            .map_err(|error| self.nonsense(&format!("the service's answer is not what was expected: {error}")))
    }

    fn prepared(&self, request: RequestBuilder) -> RequestBuilder {
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    fn url(&self, path: &str) -> String {
        let (base, query) = self.base_url.split_once('?').unwrap_or((&self.base_url, ""));
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", base.trim_end_matches('/'))
    }

    fn refused(&self, response: &HttpResponse, now: Time) -> AiError {
        self.failed(self.error((self.dialect.refused)(response, now)))
    }

    /// The host could not reach the service, may not, or lost it.
    fn unreachable(&self, error: PluginError) -> AiError {
        let error = AiError::from(error);
        self.failed(AiError::new(error.kind(), self.stripped(error.message())))
    }

    fn error(&self, failure: Failure) -> AiError {
        AiError::new(failure.kind, failure.sentence(self.dialect.name, &self.stripped(&failure.said)))
    }

    fn stripped(&self, text: &str) -> String {
        redact(text, &self.secrets.iter().collect::<Vec<_>>())
    }

    fn worked(&self) {
        self.remember(Health::Healthy);
    }

    fn failed(&self, error: AiError) -> AiError {
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
}

/// Headers have keys in them, so none is shown.
impl fmt::Debug for AiService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AiService").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// An answer while it is read.
struct Reading<R> {
    events: SseStream,
    service: Arc<AiService>,
    reader: R,
}

impl<R: AnswerReader> Reading<R> {
    async fn next(&mut self) -> Option<Result<AiDelta, AiError>> {
        loop {
            if let Some(delta) = self.reader.next() {
                return Some(Ok(delta));
            }
            if self.reader.has_ended() {
                return None;
            }
            let taken = match self.events.next().await {
                Ok(Some(event)) => self.reader.take(&event, &self.service),
                Ok(None) => {
                    self.reader.end();
                    Ok(())
                }
                // It said that it was done before it hung up.
                Err(_) if self.reader.is_finished() => {
                    self.reader.end();
                    Ok(())
                }
                Err(error) => Err(self.service.unreachable(error)),
            };
            if let Err(error) = taken {
                self.reader.end();
                // What is not told yet is nothing behind a failure.
                while self.reader.next().is_some() {}
                return Some(Err(error));
            }
            if self.reader.has_ended() && self.reader.is_finished() {
                self.service.worked();
            }
        }
    }
}

impl Failure {
    /// What failed and, where an operator can mend it, how.
    fn sentence(&self, name: &str, said: &str) -> String {
        let said: String = said.trim().chars().take(SAID_MAX).collect();
        let what = match self.kind {
            AiErrorKind::Auth => format!("{name} does not know the key; set `api_key`"),
            AiErrorKind::PermissionDenied => format!("{name} does not allow that with this key"),
            AiErrorKind::ModelNotFound => format!("{name} has no such model"),
            AiErrorKind::ContextLength { .. } => "the conversation is longer than the model takes".to_owned(),
            AiErrorKind::RateLimited { .. } => format!("{name} was asked too often"),
            AiErrorKind::ContentFiltered => format!("{name} withheld it"),
            AiErrorKind::InvalidRequest => format!("{name} does not take this request"),
            AiErrorKind::Timeout => format!("{name} took too long"),
            AiErrorKind::Protocol => "the service has nothing at this address; is `base_url` right?".to_owned(),
            _ => format!("{name} failed"),
        };
        let status = self.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
        let colon = if said.is_empty() { "" } else { ": " };
        format!("{what}{status}{colon}{said}")
    }
}

/// A header that is sent along.
#[plexichat::config]
pub struct ExtraHeader {
    /// Its name.
    #[garde(length(min = 1, max = 100), custom(check_header))]
    pub name: String,
    /// Its value, which is shown nowhere.
    #[garde(length(max = 4000), custom(check_value))]
    pub value: Secret,
}

/// Whether a service can be at this address; for settings, as `garde(custom(..))`.
///
/// # Errors
/// What is wrong with it.
pub fn check_base_url(url: &str) -> Result<(), &'static str> {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return Err("an address begins with `https://`, or `http://` for a service of your own network");
    };
    if rest.is_empty() || rest.starts_with('/') || url.chars().any(|letter| letter.is_whitespace() || letter == '#') {
        return Err("this is no address; write it like `https://api.example.com/v1`");
    }
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        return Err("a key in the address would be logged; put it into `api_key`");
    }
    Ok(())
}

/// Whether this can be a header's name; for settings.
///
/// # Errors
/// What is wrong with it.
pub fn check_header(name: &str) -> Result<(), &'static str> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match name.bytes().all(is_part) {
        true => Ok(()),
        false => Err("a header's name has letters, digits and `-`"),
    }
}

/// Whether this can be a header's value; for settings.
///
/// # Errors
/// What is wrong with it.
pub fn check_value(value: &Secret) -> Result<(), &'static str> {
    match value.expose().chars().any(char::is_control) {
        true => Err("it has a line end, or another character that a header cannot have"),
        false => Ok(()),
    }
}

/// Whether these names are each there once; for settings that list models.
///
/// # Errors
/// That one is there twice.
pub fn check_distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), &'static str> {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    match ids.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err("two models have the same `id`"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: AiErrorKind, status: Option<u16>, said: &str, expected: &str) {
        let failure = Failure { kind, status, said: said.to_owned() };
        assert_eq!(failure.sentence("the service", said), expected);
    }

    #[test]
    fn a_failure_says_what_can_be_done() {
        let auth = "the service does not know the key; set `api_key` (HTTP 401): no";
        check(AiErrorKind::Auth, Some(401), " no ", auth);
        check(AiErrorKind::Unavailable, None, "", "the service failed");
        let long = Failure { kind: AiErrorKind::Unavailable, status: None, said: String::new() };
        assert!(long.sentence("it", &"ä".repeat(9_000)).chars().count() < 600);
    }

    #[test]
    fn settings_are_checked() {
        for url in ["https://api.example.com/v1", "http://10.0.0.1:8080", "https://a.example/x?v=1"] {
            assert_eq!(check_base_url(url), Ok(()), "{url}");
        }
        for url in ["", "ftp://x", "https://", "https:///v1", "https://a b", "https://key@host", "https://a/#x"] {
            assert!(check_base_url(url).is_err(), "{url}");
        }
        assert!(check_header("x-api-key").is_ok() && check_header("x api").is_err());
        assert!(check_value(&Secret::new("a\nb")).is_err());
        assert!(check_distinct(["a", "b"].into_iter()).is_ok() && check_distinct(["a", "b", "a"].into_iter()).is_err());
    }
}
