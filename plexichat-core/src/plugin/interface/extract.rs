//! What a handler takes of a call: body, query, path and caller, each as a type of the plugin's own. Knows no listener.

use std::str::FromStr;

use schemars::JsonSchema;
use serde_json::Value;

use super::auth::{Caller, User};
use super::call::RouteCall;
use super::handler::{PathShape, RouteShape};
use super::pairs;
use crate::command::Model;
use crate::error::{ErrorKind, PluginError, Result};
use crate::id::{FileId, MessageId, RoomId, UserId};
use crate::problem::Problem;
use crate::schema;

/// What a handler takes of a call as one of its arguments.
///
/// There are [`Json`], [`Query`] and [`Path`] of types with `#[plexichat::model]`, [`User`] and [`Caller`] for whoever calls,
/// and [`RouteCall`] for all of it as it came. Whatever does not fit is answered before the handler runs.
#[diagnostic::on_unimplemented(
    message = "a handler of a route cannot take `{Self}`",
    label = "is nothing that a call has",
    note = "it takes `Json<_>` (the body), `Query<_>`, `Path<_>`, `User`, `Caller` and `RouteCall`",
    note = "what stands within `Json<_>`, `Query<_>` and `Path<_>` needs `#[plexichat::model]`"
)]
pub trait FromCall: Sized + Send + 'static {
    /// Takes it.
    ///
    /// # Errors
    /// `Input` with every place that does not fit, `NotFound` where the path names nothing.
    fn from_call(call: &RouteCall) -> Result<Self>;

    /// Takes it as the last argument: what would be a copy need not be one.
    ///
    /// # Errors
    /// As [`from_call`](Self::from_call).
    fn from_last(call: RouteCall) -> Result<Self> {
        Self::from_call(&call)
    }

    /// Says what it takes.
    fn describe(shape: &mut RouteShape) {
        let _ = shape;
    }
}

impl FromCall for RouteCall {
    fn from_call(call: &RouteCall) -> Result<Self> {
        Ok(call.clone())
    }

    fn from_last(call: RouteCall) -> Result<Self> {
        Ok(call)
    }

    fn describe(shape: &mut RouteShape) {
        shape.takes_anything = true;
    }
}

impl FromCall for Caller {
    fn from_call(call: &RouteCall) -> Result<Self> {
        Ok(call.caller.clone())
    }
}

impl FromCall for User {
    fn from_call(call: &RouteCall) -> Result<Self> {
        let actor = call.caller.actor().cloned();
        actor.map(Self).ok_or_else(|| PluginError::permission("this needs somebody who is signed in"))
    }

    fn describe(shape: &mut RouteShape) {
        shape.asks_user = true;
    }
}

/// JSON: the body of a call, checked by the rules of its type, or of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

impl<B: Model> FromCall for Json<B> {
    fn from_call(call: &RouteCall) -> Result<Self> {
        if let Some(found) = call.header("content-type").filter(|found| !is_json(found)) {
            return Err(PluginError::input(format!("the body is said to be `{found}`, and JSON is expected")));
        }
        let value: Value = serde_json::from_slice(&call.body).map_err(|error| match call.body.is_empty() {
            true => PluginError::input("the request has no body, and JSON is expected"),
            false => PluginError::input(format!("the body is no JSON: {error}")),
        })?;
        let body = checked(&value).map_err(|problems| PluginError::invalid("the body does not fit", problems))?;
        Ok(Self(body))
    }

    fn describe(shape: &mut RouteShape) {
        shape.body = Some(schemars::schema_for!(B).to_value());
    }
}

/// `application/json` and whatever is built on it, such as `application/cloudevents+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// What is behind the `?`, as a type with `#[plexichat::model]`: numbers and truths are read as such, a list is what comes
/// several times. `Option` and `#[serde(default)]` make a parameter one that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query<T>(pub T);

impl<Q: Model> FromCall for Query<Q> {
    fn from_call(call: &RouteCall) -> Result<Self> {
        let schema = schemars::schema_for!(Q).to_value();
        let pairs = pairs::split(&call.query)
            .ok_or_else(|| PluginError::input("the query string is not percent-encoded text in UTF-8"))?;
        let query = checked(&pairs::object(&schema, &pairs));
        query.map(Self).map_err(|problems| PluginError::invalid("the query string does not fit", problems))
    }

    fn describe(shape: &mut RouteShape) {
        shape.query = Some(schemars::schema_for!(Q).to_value());
    }
}

/// What stands for the `{names}` of the path: a type with `#[plexichat::model]` whose fields are called so, or for a path
/// with one name a text, a whole number or an identifier. What does not fit names nothing: 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Path<T>(pub T);

impl<P: FromPath> FromCall for Path<P> {
    fn from_call(call: &RouteCall) -> Result<Self> {
        P::from_parameters(&call.parameters).map(Self)
    }

    fn describe(shape: &mut RouteShape) {
        shape.path = Some(P::shape());
    }
}

/// What the variable parts of a path can be read as.
#[diagnostic::on_unimplemented(
    message = "the variable parts of a path cannot be read as `{Self}`",
    note = "put `#[plexichat::model]` on it, or take `String`, `u32`, `u64`, `i64`, `RoomId`, `MessageId`, `UserId` or `FileId`"
)]
pub trait FromPath: Sized + Send + 'static {
    /// Reads them.
    ///
    /// # Errors
    /// `NotFound` where they do not fit.
    fn from_parameters(parameters: &[(String, String)]) -> Result<Self>;

    /// What they are.
    fn shape() -> PathShape;
}

impl<P: Model> FromPath for P {
    fn from_parameters(parameters: &[(String, String)]) -> Result<Self> {
        let schema = schemars::schema_for!(P).to_value();
        checked(&pairs::object(&schema, parameters)).map_err(|problems| {
            let problem = problems.first().map_or_else(String::new, |problem| format!(": {problem}"));
            PluginError::new(ErrorKind::NotFound, format!("the address names nothing{problem}"))
        })
    }

    fn shape() -> PathShape {
        PathShape::Named(schemars::schema_for!(P).to_value())
    }
}

macro_rules! first_parameter {
    ($($type:ty),+) => {$(
        impl FromPath for $type {
            fn from_parameters(parameters: &[(String, String)]) -> Result<Self> {
                first(parameters)
            }

            fn shape() -> PathShape {
                PathShape::First(schemars::schema_for!($type).to_value())
            }
        }
    )+};
}

first_parameter!(String, u32, u64, i64, RoomId, MessageId, UserId, FileId);

fn first<T: FromStr + JsonSchema>(parameters: &[(String, String)]) -> Result<T> {
    let found = parameters.first().and_then(|(_, value)| value.parse().ok());
    found.ok_or_else(|| PluginError::not_found("the address names nothing"))
}

/// Reads a value and applies the rules of its type.
fn checked<M: Model>(value: &Value) -> Result<M, Vec<Problem>> {
    let read: M = serde_path_to_error::deserialize(value).map_err(|error| {
        // serde stops at the first; the schema knows of all.
        let problems = schema::findings(&schemars::schema_for!(M).to_value(), value);
        match problems.is_empty() {
            true => vec![Problem::new(schema::serde_pointer(error.path()), error.inner().to_string())],
            false => problems,
        }
    })?;
    match garde::Validate::validate(&read) {
        Ok(()) => Ok(read),
        Err(report) => Err(schema::garde_problems(&report)),
    }
}
