//! An HTTP client: JSON over one connection that is kept, and raw bytes where a test must send what no client would.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::PATIENCE;

/// A client of one server with one token. A clone has a connection of its own.
pub(crate) struct Client {
    address: SocketAddr,
    token: Option<String>,
    connection: tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Clone for Client {
    fn clone(&self) -> Self {
        Self::new(self.address, self.token.clone())
    }
}

/// What the server answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The connection broke before the answer was complete: what was asked for may have been done or not.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token, connection: tokio::sync::Mutex::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same server, asked with another token or none.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        Self::new(self.address, token.map(str::to_owned))
    }

    /// Sends a request as it is, but for host and token.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<Answer, Broken> {
        match tokio::time::timeout(PATIENCE, self.send_patiently(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Broken(format!("no answer within {PATIENCE:?}"))),
        }
    }

    async fn send_patiently(&self, request: Request<Vec<u8>>) -> Result<Answer, Broken> {
        let broken = |error: &dyn fmt::Display| Broken(error.to_string());
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        let headers = request.headers_mut();
        headers.entry(HOST).or_insert(self.address.to_string().parse().unwrap());
        if let Some(token) = &self.token {
            headers.entry(AUTHORIZATION).or_insert(format!("Bearer {token}").parse().unwrap());
        }
        let mut slot = self.connection.lock().await;
        let mut connection = match slot.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await?,
        };
        connection.ready().await.map_err(|error| broken(&error))?;
        let answer = connection.send_request(request).await.map_err(|error| broken(&error))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| broken(&error))?.to_bytes();
        *slot = Some(connection);
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Broken> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| Broken(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| Broken(error.to_string()))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| Broken(error.to_string()))?;
        // Ends with the connection.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    /// A request with a JSON body, or none where it is null.
    pub(crate) async fn request(&self, method: &str, path: &str, body: &Value) -> Result<Answer, Broken> {
        self.request_with(method, path, body, &[]).await
    }

    pub(crate) async fn request_with(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Broken> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            request = request.header(CONTENT_TYPE, "application/json");
            serde_json::to_vec(body).unwrap()
        };
        self.send(request.body(bytes).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &Value::Null).await.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path, &body).await.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.request("PUT", path, &body).await.unwrap_or_else(|error| panic!("PUT {path}: {error}"))
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &Value::Null).await.unwrap_or_else(|error| panic!("DELETE {path}: {error}"))
    }

    /// Makes an account; a client of that person, and their identifier.
    pub(crate) async fn person(&self, name: &str) -> (Self, String) {
        let made = self.post("/api/v1/tokens", json!({ "user": name })).await.expect(201);
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        (self.with_token(Some(&text("token"))), text("user_id"))
    }

    /// Makes a room; its identifier.
    pub(crate) async fn room(&self, name: &str) -> String {
        let answer = self.post("/api/v1/rooms", json!({ "name": name })).await;
        answer.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// Posts a message that must be stored.
    pub(crate) async fn say(&self, room: &str, text: &str) -> Value {
        self.post(&format!("/api/v1/rooms/{room}/messages"), json!({ "text": text })).await.expect(201)
    }

    /// Posts a message under a key.
    pub(crate) async fn say_with_key(&self, room: &str, text: &str, key: &str) -> Result<Answer, Broken> {
        let path = format!("/api/v1/rooms/{room}/messages");
        self.request_with("POST", &path, &json!({ "text": text }), &[("idempotency-key", key)]).await
    }

    /// Every message of a room in the order of `seq`, read page by page.
    pub(crate) async fn history(&self, room: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let after = messages.last().map_or(0, |last: &Value| last["seq"].as_u64().unwrap());
            let answer = self.get(&format!("/api/v1/rooms/{room}/messages?after={after}&limit=100")).await;
            let page = answer.expect(200)["messages"].as_array().unwrap().clone();
            if page.is_empty() {
                return messages;
            }
            messages.extend(page);
        }
    }

    /// Waits for the message that answers another.
    pub(crate) async fn answer_to(&self, room: &str, message: &Value) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let after = message["seq"].as_u64().unwrap();
        loop {
            let page = self.get(&format!("/api/v1/rooms/{room}/messages?after={after}")).await.expect(200);
            let found = page["messages"].as_array().unwrap().iter().find(|row| row["reply_to"] == message["id"]);
            if let Some(found) = found {
                return found.clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "nobody answered {message}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the plugin's page says what is wanted.
    pub(crate) async fn plugin_where(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let plugin = self.get(&format!("/api/v1/plugins/{name}")).await.expect(200);
            if wanted(&plugin) {
                return plugin;
            }
            assert!(tokio::time::Instant::now() < deadline, "{name} stays as it is: {plugin}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Writes these bytes on a connection of its own and reads until the server closes it or stays silent.
    pub(crate) async fn raw(&self, bytes: &[u8], silence: Duration) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(Ok(length @ 1..)) = tokio::time::timeout(silence, stream.read(&mut buffer)).await {
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error} in {:?}", self.status, String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, where the status is this one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The error's code, where the body has the shape that every error has.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let body = self.json();
        let error = &body["error"];
        assert_eq!(error["code"], code, "{body}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        assert!(error["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{body}");
        let known = ["code", "message", "hint", "details", "request_id"];
        let unknown: Vec<_> = error.as_object().unwrap().keys().filter(|key| !known.contains(&key.as_str())).collect();
        assert!(unknown.is_empty() && body.as_object().unwrap().len() == 1, "unknown members {unknown:?} in {body}");
        error.clone()
    }
}
