//! How a method of a plugin becomes the handler of a route, and what is known of it by its types.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::answer::IntoAnswer;
use super::call::{RouteAnswer, RouteCall};
use super::extract::FromCall;
use super::socket::Socket;
use crate::error::Result;

/// A method that answers a route: `async fn name(self: Arc<Self>, ..) -> Result<..>` with up to four arguments that each are
/// [`FromCall`], and an answer that is [`IntoAnswer`].
#[diagnostic::on_unimplemented(
    message = "this is no handler of a route",
    label = "is no `async fn(self: Arc<Self>, ..) -> Result<..>` with arguments and an answer that a route can have",
    note = "a handler looks like `async fn add(self: Arc<Self>, user: User, Json(note): Json<Note>) -> Result<Json<Added>>`",
    note = "it takes up to four of `Json<_>` (the body), `Query<_>`, `Path<_>`, `User`, `Caller` and `RouteCall`",
    note = "it answers `Json<_>`, `Created<_>`, `Status<_, _>`, `Html`, `String`, `()` or `RouteAnswer`, in a `Result`",
    note = "what stands within `Json<_>`, `Query<_>` and `Path<_>` needs `#[plexichat::model]`"
)]
pub trait RouteHandler<T, A>: Send + Sync + 'static {
    /// What it answers.
    type Answer: IntoAnswer;

    /// Answers a call.
    fn call(&self, plugin: Arc<T>, call: RouteCall) -> BoxFuture<'static, Result<RouteAnswer>>;

    /// What it takes and answers.
    fn shape() -> RouteShape;
}

/// A method that speaks on a WebSocket: `async fn name(self: Arc<Self>, socket: Socket, ..) -> Result<()>` with up to four
/// further arguments that each are [`FromCall`]. These are taken before the WebSocket is opened: what does not fit is answered
/// like a call of any route.
#[diagnostic::on_unimplemented(
    message = "this is no handler of a WebSocket",
    label = "is no `async fn(self: Arc<Self>, socket: Socket, ..) -> Result<()>`",
    note = "a handler looks like `async fn follow(self: Arc<Self>, mut socket: Socket, user: User) -> Result<()>`",
    note = "behind the socket it takes up to four of `Query<_>`, `Path<_>`, `User`, `Caller` and `RouteCall`"
)]
pub trait SocketHandler<T, A>: Send + Sync + 'static {
    /// Takes a call apart; what is given back speaks.
    ///
    /// # Errors
    /// As those of [`FromCall`].
    fn open(&self, plugin: Arc<T>, call: RouteCall) -> Result<SocketTask>;

    /// What it takes.
    fn shape() -> RouteShape;
}

/// What speaks on a WebSocket once it is open.
pub type SocketTask = Box<dyn FnOnce(Socket) -> BoxFuture<'static, Result<()>> + Send>;

/// What a handler takes and answers, as JSON Schemas (2020-12).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RouteShape {
    /// The variable parts of the path.
    pub path: Option<PathShape>,
    /// The query string: an object of its parameters.
    pub query: Option<Value>,
    /// The JSON of the body.
    pub body: Option<Value>,
    /// It looks at the call itself: what else it takes is not known.
    pub takes_anything: bool,
    /// It needs to know who calls.
    pub asks_user: bool,
    /// What it answers where all goes well.
    pub answers: Vec<AnswerShape>,
    /// It makes its answer itself: what else it answers is not known.
    pub answers_anything: bool,
}

impl RouteShape {
    /// Of a handler of which nothing is known.
    pub fn unknown() -> Self {
        Self { takes_anything: true, answers_anything: true, ..Self::default() }
    }
}

/// What the variable parts of a path are.
#[derive(Debug, Clone, PartialEq)]
pub enum PathShape {
    /// An object with a property for each name.
    Named(Value),
    /// What the first of them is.
    First(Value),
}

/// What a handler answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnswerShape {
    /// The status.
    pub status: u16,
    /// The type of the body, where there is one.
    pub content_type: Option<&'static str>,
    /// The body's schema, where it is JSON.
    pub schema: Option<Value>,
}

macro_rules! handler {
    ($($argument:ident)* ; $($last:ident)?) => {
        #[allow(non_snake_case, unused_mut, unused_variables, reason = "the names of the types serve as those of the arguments")]
        impl<T, F, R, O, $($argument,)* $($last)?> RouteHandler<T, ($($argument,)* $($last,)?)> for F
        where
            T: Send + Sync + 'static,
            F: Fn(Arc<T>, $($argument,)* $($last)?) -> R + Send + Sync + 'static,
            R: Future<Output = Result<O>> + Send + 'static,
            O: IntoAnswer,
            $($argument: FromCall,)*
            $($last: FromCall,)?
        {
            type Answer = O;

            fn call(&self, plugin: Arc<T>, call: RouteCall) -> BoxFuture<'static, Result<RouteAnswer>> {
                let begun = || {
                    $(let $argument = $argument::from_call(&call)?;)*
                    $(let $last = $last::from_last(call)?;)?
                    Ok(self(plugin, $($argument,)* $($last)?))
                };
                match begun() {
                    Ok(answered) => Box::pin(async move { answered.await?.into_answer() }),
                    Err(error) => Box::pin(std::future::ready(Err(error))),
                }
            }

            fn shape() -> RouteShape {
                let mut shape = RouteShape::default();
                $($argument::describe(&mut shape);)*
                $($last::describe(&mut shape);)?
                O::describe(&mut shape);
                shape
            }
        }
    };
}

macro_rules! socket_handler {
    ($($argument:ident)* ; $($last:ident)?) => {
        #[allow(non_snake_case, unused_mut, unused_variables, reason = "the names of the types serve as those of the arguments")]
        impl<T, F, R, $($argument,)* $($last)?> SocketHandler<T, ($($argument,)* $($last,)?)> for F
        where
            T: Send + Sync + 'static,
            F: Fn(Arc<T>, Socket, $($argument,)* $($last)?) -> R + Clone + Send + Sync + 'static,
            R: Future<Output = Result<()>> + Send + 'static,
            $($argument: FromCall,)*
            $($last: FromCall,)?
        {
            fn open(&self, plugin: Arc<T>, call: RouteCall) -> Result<SocketTask> {
                $(let $argument = $argument::from_call(&call)?;)*
                $(let $last = $last::from_last(call)?;)?
                let handler = self.clone();
                Ok(Box::new(move |socket| Box::pin(handler(plugin, socket, $($argument,)* $($last)?))))
            }

            fn shape() -> RouteShape {
                let mut shape = RouteShape::default();
                $($argument::describe(&mut shape);)*
                $($last::describe(&mut shape);)?
                shape
            }
        }
    };
}

socket_handler!(;);
socket_handler!(; A1);
socket_handler!(A1; A2);
socket_handler!(A1 A2; A3);
socket_handler!(A1 A2 A3; A4);

handler!(;);
handler!(; A1);
handler!(A1; A2);
handler!(A1 A2; A3);
handler!(A1 A2 A3; A4);
