//! The routes of a plugin, being named: what is known of each without an instance, and the way to its handler.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::auth::Auth;
use super::call::{RouteAnswer, RouteCall};
use super::events::EventStream;
use super::handler::{RouteHandler, RouteShape, SocketHandler, SocketTask};
use crate::error::{PluginError, Result};

/// What is known of a route without an instance.
#[derive(Debug, Clone)]
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
    /// How often each caller may call it in a minute, where the operator sets nothing else; nothing: as often as the server
    /// lets anybody call.
    pub rate: Option<u32>,
    /// What is spoken there.
    pub kind: RouteKind,
    /// What it is for, in a few words.
    pub summary: Option<&'static str>,
    /// What its handler takes and answers.
    pub shape: fn() -> RouteShape,
}

impl RouteSpec {
    /// A route that says nothing but this; hosts and tests make these.
    pub fn new(method: &'static str, path: &'static str, auth: Auth, handler: &'static str) -> Self {
        Self {
            method,
            path,
            auth,
            handler,
            max_body: MAX_BODY,
            timeout: TIMEOUT,
            rate: None,
            kind: RouteKind::Answer,
            summary: None,
            shape: RouteShape::unknown,
        }
    }
}

/// What is spoken on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RouteKind {
    /// A call and its answer.
    #[default]
    Answer,
    /// A WebSocket.
    WebSocket,
    /// Server-sent events.
    Events,
}

impl RouteKind {
    /// The word for it in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::WebSocket => "websocket",
            Self::Events => "events",
        }
    }
}

/// The largest body of a request where a route says nothing: 1 MiB.
const MAX_BODY: u64 = 1 << 20;

/// The largest message on a WebSocket where its route says nothing: 64 KiB.
const MAX_MESSAGE: u64 = 64 << 10;

/// How long a route may take until its answer begins where it says nothing.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What calls a handler.
type Handler<T, R> = Box<dyn Fn(Arc<T>, RouteCall) -> R + Send + Sync>;

/// The way to a handler.
enum Way<T> {
    Answer(Handler<T, BoxFuture<'static, Result<RouteAnswer>>>),
    Socket(Handler<T, Result<SocketTask>>),
}

/// The routes of the plugin `T`, being named. A path begins with `/`; `{name}` stands for one segment, and at the end
/// `{name...}` for all that is left, slashes included.
#[must_use = "a route counts where it is returned"]
pub struct Routes<T> {
    routes: Vec<(RouteSpec, Way<T>)>,
}

impl<T: Send + Sync + 'static> Routes<T> {
    /// Answers `GET` on this path with a method of the plugin: `async fn(self: Arc<Self>, ..) -> Result<..>`. See
    /// [`RouteHandler`] for what it may take and answer.
    pub fn get<H, A>(self, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: RouteHandler<T, A>,
    {
        self.route("GET", path, auth, handler)
    }

    /// Answers `POST`, as [`get`](Self::get) does `GET`.
    pub fn post<H, A>(self, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: RouteHandler<T, A>,
    {
        self.route("POST", path, auth, handler)
    }

    /// Answers `PUT`, as [`get`](Self::get) does `GET`.
    pub fn put<H, A>(self, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: RouteHandler<T, A>,
    {
        self.route("PUT", path, auth, handler)
    }

    /// Answers `PATCH`, as [`get`](Self::get) does `GET`.
    pub fn patch<H, A>(self, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: RouteHandler<T, A>,
    {
        self.route("PATCH", path, auth, handler)
    }

    /// Answers `DELETE`, as [`get`](Self::get) does `GET`.
    pub fn delete<H, A>(self, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: RouteHandler<T, A>,
    {
        self.route("DELETE", path, auth, handler)
    }

    /// Opens a WebSocket on this path and speaks there with a method of the plugin: `async fn(self: Arc<Self>, socket: Socket,
    /// ..) -> Result<()>`. Its messages may have 64 KiB, or what [`body_up_to`](Self::body_up_to) says. Pages of other sites
    /// cannot open it.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use plexichat::prelude::*;
    /// # use plexichat::plugin::interface::Socket;
    /// # struct Echo;
    /// # impl Echo {
    /// async fn echo(self: Arc<Self>, mut socket: Socket, user: User) -> Result<()> {
    ///     socket.send(format!("hello {}", user.name())).await?;
    ///     while let Some(message) = socket.recv().await {
    ///         socket.send(message).await?;
    ///     }
    ///     Ok(())
    /// }
    /// # fn routes(routes: Routes<Self>) -> Routes<Self> {
    /// routes.websocket("/echo", Auth::User, Self::echo)
    /// # }
    /// # }
    /// ```
    pub fn websocket<H, A>(mut self, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: SocketHandler<T, A>,
    {
        let spec = RouteSpec {
            shape: H::shape,
            kind: RouteKind::WebSocket,
            max_body: MAX_MESSAGE,
            ..RouteSpec::new("GET", path, auth, name_of::<H>())
        };
        self.routes.push((spec, Way::Socket(Box::new(move |plugin, call| handler.open(plugin, call)))));
        self
    }

    /// Answers `GET` on this path with server-sent events: `async fn(self: Arc<Self>, ..) -> Result<EventStream>`. The header
    /// `Last-Event-ID` of whoever comes back is in the [`RouteCall`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use plexichat::prelude::*;
    /// # use plexichat::plugin::interface::{EventStream, StreamEvent};
    /// # use futures_util::stream;
    /// # struct Counter;
    /// # impl Counter {
    /// async fn count(self: Arc<Self>) -> Result<EventStream> {
    ///     let numbers = stream::iter(1..=3);
    ///     Ok(EventStream::new(futures_util::StreamExt::map(numbers, |number| {
    ///         Ok(StreamEvent::new(number.to_string()).id(number.to_string()).name("number"))
    ///     })))
    /// }
    /// # fn routes(routes: Routes<Self>) -> Routes<Self> {
    /// routes.events("/numbers", Auth::Public, Self::count)
    /// # }
    /// # }
    /// ```
    pub fn events<H, A>(self, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: RouteHandler<T, A, Answer = EventStream>,
    {
        self.route("GET", path, auth, handler).last(|spec| spec.kind = RouteKind::Events)
    }

    fn route<H, A>(mut self, method: &'static str, path: &'static str, auth: Auth, handler: H) -> Self
    where
        H: RouteHandler<T, A>,
    {
        let spec = RouteSpec { shape: H::shape, ..RouteSpec::new(method, path, auth, name_of::<H>()) };
        self.routes.push((spec, Way::Answer(Box::new(move |plugin, call| handler.call(plugin, call)))));
        self
    }
}

/// `crate::Type::method` is the type's name of a method.
fn name_of<H>() -> &'static str {
    std::any::type_name::<H>().rsplit("::").next().unwrap_or("")
}

impl<T: 'static> Routes<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { routes: Vec::new() }
    }

    /// Lets the body of a request to the route named last be as large as this; 1 MiB otherwise. Of a WebSocket it is the
    /// largest message; 64 KiB otherwise.
    pub fn body_up_to(self, bytes: u64) -> Self {
        self.last(|spec| spec.max_body = bytes)
    }

    /// Lets the route named last take so long until its answer begins; 30 s otherwise.
    pub fn within(self, timeout: Duration) -> Self {
        self.last(|spec| spec.timeout = timeout)
    }

    /// Lets each caller call the route named last so many times a minute: each person where the host knows who calls, else
    /// each address. More is answered with 429. The operator may set another number.
    pub fn rate(self, calls_per_minute: u32) -> Self {
        self.last(|spec| spec.rate = Some(calls_per_minute))
    }

    /// Says what the route named last is for, in a few words: what stands in `/openapi.json`.
    pub fn summary(self, summary: &'static str) -> Self {
        self.last(|spec| spec.summary = Some(summary))
    }

    fn last(mut self, change: impl FnOnce(&mut RouteSpec)) -> Self {
        if let Some((spec, _)) = self.routes.last_mut() {
            change(spec);
        }
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
    ) -> BoxFuture<'static, Result<RouteAnswer>> {
        match self.routes.get(index) {
            Some((_, Way::Answer(handler))) => handler(plugin, call),
            _ => Box::pin(std::future::ready(Err(PluginError::not_found("there is no such route")))),
        }
    }

    pub(crate) fn open(&self, index: usize, plugin: Arc<T>, call: RouteCall) -> Result<SocketTask> {
        match self.routes.get(index) {
            Some((_, Way::Socket(handler))) => handler(plugin, call),
            _ => Err(PluginError::not_found("no WebSocket is spoken here")),
        }
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
