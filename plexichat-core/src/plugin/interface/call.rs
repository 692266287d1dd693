//! The words of calls and answers of routes, as they come and go. Knows no types of a plugin's own.

use std::fmt;

use futures_util::stream::{BoxStream, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::Caller;
use crate::error::{PluginError, Result};

/// A call of a route.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RouteCall {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path that was asked for, percent-encoded as it came.
    pub path: String,
    /// What stands for the `{names}` of the route's path, without percent encoding: `%2F` in one segment is a `/` here, `..`
    /// may come, too. Check a value before it becomes a path or a part of another address.
    pub parameters: Vec<(String, String)>,
    /// What is behind the `?`.
    pub query: String,
    /// Names in lower case and values. Cookies and credentials are not among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Who called.
    pub caller: Caller,
    /// The request's identifier in logs.
    pub request_id: String,
}

impl RouteCall {
    /// A call without headers, query or body; hosts and tests make these.
    pub fn new(method: &str, path: &str, caller: Caller) -> Self {
        let (parameters, query, headers, body, request_id) = Default::default();
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, parameters, query, headers, body, caller, request_id }
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// What stands for `{name}` in the path, without percent encoding.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// `Input` with the place where it does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            PluginError::input(format!("the body does not fit at `{}`: {}", error.path(), error.inner()))
        })
    }
}

/// What a route answers.
#[derive(Debug)]
#[non_exhaustive]
pub struct RouteAnswer {
    /// The status, such as 200.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: RouteBody,
}

/// The body of an answer.
pub enum RouteBody {
    /// All of it.
    Whole(Vec<u8>),
    /// One piece after the other, each sent at once. Dropped when the client goes away.
    Stream(BoxStream<'static, Result<Vec<u8>>>),
}

impl RouteAnswer {
    /// An empty answer with this status.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: RouteBody::Whole(Vec::new()) }
    }

    /// JSON.
    ///
    /// # Errors
    /// `Internal` where the value cannot be written as JSON.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body)?;
        Ok(Self::new(status).header("content-type", "application/json").body(body))
    }

    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status).header("content-type", "text/plain; charset=utf-8").body(body.into().into_bytes())
    }

    /// Pieces that are sent as they come.
    pub fn stream(status: u16, content_type: &str, body: impl Stream<Item = Result<Vec<u8>>> + Send + 'static) -> Self {
        Self { body: RouteBody::Stream(body.boxed()), ..Self::new(status).header("content-type", content_type) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = RouteBody::Whole(body.into());
        self
    }
}

impl fmt::Debug for RouteBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(formatter, "{} bytes", bytes.len()),
            Self::Stream(_) => formatter.write_str("a stream"),
        }
    }
}
