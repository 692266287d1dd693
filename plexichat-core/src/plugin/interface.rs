//! The role of interfaces: routes that a plugin adds. Knows no listener and no HTTP library.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{PluginError, Result};
use crate::message::Actor;
use crate::plugin::gui::Gui;

/// Adds routes.
///
/// Put `#[plexichat::role]` on the implementation. What it registers is known without an instance: it is in the manifest.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `provides(Interface)` and does not implement it",
    note = "add `#[plexichat::role] impl Interface for {Self} {{ .. }}`"
)]
pub trait Interface: Send + Sync + 'static {
    /// Names the routes. Each says who may call it.
    fn register_routes(routes: Routes<Self>) -> Routes<Self>
    where
        Self: Sized,
    {
        routes
    }

    /// Names what it adds to the pages.
    fn register_gui_components(gui: Gui<Self>) -> Gui<Self>
    where
        Self: Sized,
    {
        gui
    }

    /// The JSON body of an error that the host answers on this plugin's routes without asking the plugin: to whoever it does
    /// not let in, to a body that is too large, where the plugin does not run or gave no answer. Nothing, as where this is
    /// not written: the shape of all the server's errors. For wire formats that others have laid down.
    fn error_body(refusal: &RouteRefusal<'_>) -> Option<Value>
    where
        Self: Sized,
    {
        let _ = refusal;
        None
    }
}

/// An error that the host answers on a plugin's route.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RouteRefusal<'a> {
    /// The status, such as 401.
    pub status: u16,
    /// The server's code for programs, such as `unauthorized`.
    pub code: &'a str,
    /// What failed.
    pub message: &'a str,
    /// What to do about it.
    pub hint: Option<&'a str>,
    /// The request's identifier in logs.
    pub request_id: &'a str,
}

impl<'a> RouteRefusal<'a> {
    /// An error without a hint; hosts and tests make these.
    pub const fn new(status: u16, code: &'a str, message: &'a str) -> Self {
        Self { status, code, message, hint: None, request_id: "" }
    }
}

/// The first segments of a plugin's relative routes that are the server's own.
pub const RESERVED_SEGMENTS: &[&str] =
    &["schema", "config", "install", "uninstall", "enable", "disable", "release", "-"];

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Auth {
    /// Everybody.
    Public,
    /// Whoever is signed in, or has a token that may write.
    User,
    /// Moderators.
    Moderator,
    /// Administrators.
    Admin,
    /// Whoever has a token with this scope, such as `ai`, and people who are signed in.
    Scope(&'static str),
}

impl fmt::Display for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => formatter.write_str("public"),
            Self::User => formatter.write_str("user"),
            Self::Moderator => formatter.write_str("moderator"),
            Self::Admin => formatter.write_str("admin"),
            Self::Scope(scope) => write!(formatter, "scope:{scope}"),
        }
    }
}

/// Who called, as the host found out. A plugin can pass it on and not make one up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(Option<Actor>);

impl Caller {
    /// Nobody in particular: a route for everybody.
    pub const fn nobody() -> Self {
        Self(None)
    }

    /// The host found out who it is.
    #[cfg(feature = "host")]
    pub const fn known(actor: Actor) -> Self {
        Self(Some(actor))
    }

    /// Who it is, where that is known.
    pub fn actor(&self) -> Option<&Actor> {
        self.0.as_ref()
    }
}

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

/// What is known of a route without an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// `GET`, `POST` and so on.
    pub method: &'static str,
    /// The path: below `/api/v1/plugins/{plugin}`, or from the root where the attribute's `absolute(..)` names it or a path
    /// that it lies below.
    pub path: &'static str,
    /// Who may call it.
    pub auth: Auth,
    /// The method that answers.
    pub handler: &'static str,
    /// The largest body of a request, in bytes, where the operator sets no other.
    pub max_body: u64,
    /// How long it may take until its answer begins, where the operator sets nothing else.
    pub timeout: Duration,
}

/// The largest body of a request where a route says nothing: 1 MiB.
const MAX_BODY: u64 = 1 << 20;

/// How long a route may take until its answer begins where it says nothing.
const TIMEOUT: Duration = Duration::from_secs(30);

type RouteFn<T> = Arc<dyn Fn(Arc<T>, RouteCall) -> BoxFuture<'static, Result<RouteAnswer>> + Send + Sync>;

/// The routes of the plugin `T`, being named. A path begins with `/`; `{name}` stands for one segment, and at the end
/// `{name...}` for all that is left, slashes included.
#[must_use = "a route counts where it is returned"]
pub struct Routes<T> {
    routes: Vec<(RouteSpec, RouteFn<T>)>,
}

impl<T: 'static> Routes<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { routes: Vec::new() }
    }

    /// Answers `GET` on this path with a method of the plugin: `async fn(self: Arc<Self>, call: RouteCall) ->
    /// Result<RouteAnswer>`.
    pub fn get<F, R>(self, path: &'static str, auth: Auth, handler: F) -> Self
    where
        F: Fn(Arc<T>, RouteCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<RouteAnswer>> + Send + 'static,
    {
        self.route("GET", path, auth, handler)
    }

    /// Answers `POST`, as [`get`](Self::get) does `GET`.
    pub fn post<F, R>(self, path: &'static str, auth: Auth, handler: F) -> Self
    where
        F: Fn(Arc<T>, RouteCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<RouteAnswer>> + Send + 'static,
    {
        self.route("POST", path, auth, handler)
    }

    /// Answers `PUT`, as [`get`](Self::get) does `GET`.
    pub fn put<F, R>(self, path: &'static str, auth: Auth, handler: F) -> Self
    where
        F: Fn(Arc<T>, RouteCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<RouteAnswer>> + Send + 'static,
    {
        self.route("PUT", path, auth, handler)
    }

    /// Answers `DELETE`, as [`get`](Self::get) does `GET`.
    pub fn delete<F, R>(self, path: &'static str, auth: Auth, handler: F) -> Self
    where
        F: Fn(Arc<T>, RouteCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<RouteAnswer>> + Send + 'static,
    {
        self.route("DELETE", path, auth, handler)
    }

    /// Lets the body of a request to the route named last be as large as this; 1 MiB otherwise.
    pub fn body_up_to(mut self, bytes: u64) -> Self {
        if let Some((spec, _)) = self.routes.last_mut() {
            spec.max_body = bytes;
        }
        self
    }

    /// Lets the route named last take so long until its answer begins; 30 s otherwise.
    pub fn within(mut self, timeout: Duration) -> Self {
        if let Some((spec, _)) = self.routes.last_mut() {
            spec.timeout = timeout;
        }
        self
    }

    fn route<F, R>(mut self, method: &'static str, path: &'static str, auth: Auth, handler: F) -> Self
    where
        F: Fn(Arc<T>, RouteCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<RouteAnswer>> + Send + 'static,
    {
        // `crate::Type::method` is the type's name of a method.
        let handler_name = std::any::type_name::<F>().rsplit("::").next().unwrap_or("");
        let spec = RouteSpec { method, path, auth, handler: handler_name, max_body: MAX_BODY, timeout: TIMEOUT };
        self.routes.push((spec, Arc::new(move |plugin, call| Box::pin(handler(plugin, call)))));
        self
    }

    /// What is known of each, in the order in which they were named.
    pub fn specs(&self) -> impl Iterator<Item = &RouteSpec> {
        self.routes.iter().map(|(spec, _)| spec)
    }

    pub(crate) fn call(
        &self,
        index: usize,
        plugin: Arc<T>,
        call: RouteCall,
    ) -> Option<BoxFuture<'static, Result<RouteAnswer>>> {
        self.routes.get(index).map(|(_, handler)| handler(plugin, call))
    }
}

impl<T: 'static> Default for Routes<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Routes<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.routes.iter().map(|(spec, _)| spec)).finish()
    }
}
