//! Asks a running server over its API. Knows no command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ETAG, IF_MATCH};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

use super::{ClientArgs, Failure};
use crate::egress;
use crate::error::ErrorBody;

/// Where a server leaves its address.
pub(crate) const ADDRESS_FILE: &str = "address";
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// A little longer than the server's own limit, so that its answer is seen.
const TIMEOUT: Duration = Duration::from_secs(35);
/// What has no end that could be told before.
const FOR_EVER: Duration = Duration::from_secs(7 * 86400);

/// A running server, and the token to ask it with.
pub(crate) struct Client {
    http: reqwest::Client,
    server: Url,
    token: Option<String>,
    token_sought: PathBuf,
}

/// An answer: the value, and the version of what it tells where it has one.
pub(crate) struct Answer {
    pub(crate) value: Value,
    pub(crate) etag: Option<String>,
}

impl Client {
    /// The server and the token that the arguments, the environment or the data directory name.
    pub(crate) fn new(arguments: &ClientArgs) -> Result<Self, Failure> {
        let http = egress::client(None).map_err(|error| Failure::new(error.to_string()))?;
        let server = server(arguments)?;
        let token_sought = arguments.data_dir.join("admin-token");
        Ok(Self { http, server, token: token(arguments, &token_sought)?, token_sought })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.get_versioned(path).await?.value)
    }

    /// The same with its version.
    pub(crate) async fn get_versioned(&self, path: &str) -> Result<Answer, Failure> {
        self.send(self.request(Method::GET, path)?).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        Ok(self.send(self.request(Method::POST, path)?.json(body)).await?.value)
    }

    pub(crate) async fn put(&self, path: &str, body: &Value, etag: Option<&str>) -> Result<Value, Failure> {
        let request = self.request(Method::PUT, path)?.json(body);
        let request = etag.into_iter().fold(request, |request, etag| request.header(IF_MATCH, etag));
        Ok(self.send(request).await?.value)
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value, etag: Option<&str>) -> Result<Value, Failure> {
        let request = self.request(Method::PATCH, path)?.json(body);
        let request = etag.into_iter().fold(request, |request, etag| request.header(IF_MATCH, etag));
        Ok(self.send(request).await?.value)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.send(self.request(Method::DELETE, path)?).await?.value)
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let url = self.server.join(path).map_err(|error| Failure::usage(format!("`{path}` is no address: {error}")))?;
        let request = self.http.request(method, url).timeout(TIMEOUT);
        Ok(self.token.iter().fold(request, |request, token| request.bearer_auth(token)))
    }

    /// Posts, and hands on what comes back piece by piece, for as long as it takes.
    pub(crate) async fn download(
        &self,
        path: &str,
        take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.pieces(self.request(Method::POST, path)?, take).await
    }

    /// Gets what comes without end, piece by piece, until the server ends it.
    pub(crate) async fn follow(
        &self,
        path: &str,
        take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.pieces(self.request(Method::GET, path)?, take).await
    }

    async fn pieces(
        &self,
        request: RequestBuilder,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let server = self.server.as_str().trim_end_matches('/');
        let mut response = self.answered(request.timeout(FOR_EVER)).await?;
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                let error = error.without_url();
                Failure::new(format!("{server} broke its answer off: {}", innermost(&error))).hint("its log says why")
            })?;
            match chunk {
                Some(chunk) => take(&chunk)?,
                None => return Ok(()),
            }
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let server = self.server.as_str().trim_end_matches('/');
        let response = self.answered(request).await?;
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.bytes().await;
        let body =
            body.map_err(|error| Failure::new(format!("{server} broke its answer off: {}", error.without_url())))?;
        let value = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
        let value = value.map_err(|_| no_plexichat(server))?;
        Ok(Answer { value, etag })
    }

    /// The answer, where it says that it was done.
    async fn answered(&self, request: RequestBuilder) -> Result<reqwest::Response, Failure> {
        let server = self.server.as_str().trim_end_matches('/');
        let response = request.send().await.map_err(|error| {
            let error = error.without_url();
            Failure::new(format!("cannot reach the server at {server}: {}", innermost(&error)))
                .hint("start it with `plexichat serve`, or name another address with `--server`")
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await;
        let body =
            body.map_err(|error| Failure::new(format!("{server} broke its answer off: {}", error.without_url())))?;
        let Ok(ErrorBody { error }) = serde_json::from_slice(&body) else { return Err(no_plexichat(server)) };
        let mut message = error.message;
        for finding in error.details.into_iter().flatten() {
            message.push_str(&format!("\n  {}: {}", finding.pointer, finding.message));
        }
        let failure = Failure::new(message);
        Err(match error.hint {
            _ if status == reqwest::StatusCode::UNAUTHORIZED && self.token.is_none() => failure.hint(format!(
                "no token was sent: set PLEXICHAT_TOKEN, or use `--token-file`; {} cannot be read",
                self.token_sought.display()
            )),
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    }
}

/// A path with those of the parameters that have a value.
pub(crate) fn query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
    let given = given.collect::<Vec<_>>().join("&");
    if given.is_empty() { path.to_owned() } else { format!("{path}?{given}") }
}

/// The text as a part of an address.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn no_plexichat(server: &str) -> Failure {
    Failure::new(format!("what answers at {server} is no PlexiChat server"))
        .hint("name the server's address with `--server`")
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn server(arguments: &ClientArgs) -> Result<Url, Failure> {
    let left = || std::fs::read_to_string(arguments.data_dir.join(ADDRESS_FILE)).ok();
    let text = arguments.server.clone().or_else(left).unwrap_or_else(|| DEFAULT_SERVER.to_owned());
    let text = text.trim();
    let url = match Url::parse(text) {
        // `127.0.0.1:8080` and `localhost:8080`: the latter parses, as a URL of the scheme `localhost`.
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ if !text.contains("://") => Url::parse(&format!("http://{text}")),
        _ => return Err(not_an_address(text)),
    };
    url.map_err(|_| not_an_address(text))
}

fn not_an_address(text: &str) -> Failure {
    Failure::usage(format!("`{text}` is no server's address")).hint(format!("write it like {DEFAULT_SERVER}"))
}

fn token(arguments: &ClientArgs, sought: &Path) -> Result<Option<String>, Failure> {
    if let Some(path) = &arguments.token_file {
        let token = std::fs::read_to_string(path);
        let token =
            token.map_err(|error| Failure::new(format!("cannot read the token in {}: {error}", path.display())))?;
        return Ok(Some(token.trim().to_owned()));
    }
    let given = std::env::var("PLEXICHAT_TOKEN").ok().filter(|token| !token.is_empty());
    Ok(given.or_else(|| std::fs::read_to_string(sought).ok()).map(|token| token.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: Option<&str>, left: Option<&str>, expected: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(left) = left {
            std::fs::write(folder.path().join(ADDRESS_FILE), left).unwrap();
        }
        let data_dir = folder.path().to_owned();
        let arguments = ClientArgs { server: given.map(str::to_owned), token_file: None, data_dir };
        assert_eq!(server(&arguments).ok().as_ref().map(Url::as_str), expected);
    }

    #[test]
    fn queries_have_what_is_given_escaped() {
        assert_eq!(query("/a", &[("b", None)]), "/a");
        assert_eq!(
            query("/a", &[("b", Some("a b&ü".into())), ("c", None), ("d", Some("1".into()))]),
            "/a?b=a%20b%26%C3%BC&d=1"
        );
    }

    #[test]
    fn the_server_is_given_or_left_or_the_default() {
        check(None, None, Some("http://127.0.0.1:8080/"));
        check(None, Some("http://127.0.0.1:4711\n"), Some("http://127.0.0.1:4711/"));
        check(Some("https://chat.example.org"), Some("http://127.0.0.1:4711"), Some("https://chat.example.org/"));
        check(Some("localhost:8080"), None, Some("http://localhost:8080/"));
        check(Some("127.0.0.1:8080"), None, Some("http://127.0.0.1:8080/"));
        check(Some("ftp://x"), None, None);
        check(Some("http://"), None, None);
    }
}
