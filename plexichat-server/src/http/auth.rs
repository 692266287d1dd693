//! Who calls, and whether the route's row in the table lets them. Knows tokens, not what routes do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use crate::auth::{AuthError, Principal};
use crate::error::ApiError;
use crate::store::Scope;

/// What a route asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: anybody may call it.
    Nothing,
    /// A token with this scope.
    Scope(Scope),
}

/// Who calls. Routes that need nothing have none.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<Principal>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::internal("a route that wants its caller needs nothing in the table"))
    }
}

impl aide::OperationInput for Caller {}

/// The layer of a route that needs a scope.
pub(crate) async fn authorize(
    State((app, scope)): State<(Arc<App>, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    match identify(&app, request.headers(), scope).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

async fn identify(app: &App, headers: &HeaderMap, scope: Scope) -> Result<Caller, ApiError> {
    let token = bearer(headers)?;
    let principal = app.authenticator.authenticate(token).await.map_err(|error| match error {
        AuthError::Store(error) => error.into(),
        refused => ApiError::unauthorized(refused.to_string()),
    })?;
    if !principal.may(scope) {
        return Err(ApiError::forbidden(format!("this needs the scope `{}`, which the token lacks", scope.as_str()))
            .hint("an administrator makes a token with it: `plexichat token create`"));
    }
    Ok(Caller(principal))
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| ApiError::unauthorized("the request has no token"))?;
    if values.next().is_some() {
        return Err(ApiError::bad_request("bad_authorization", "the request has more than one Authorization header"));
    }
    let parts = value.to_str().ok().and_then(|value| value.trim().split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(ApiError::unauthorized("the Authorization header is not `Bearer` and a token")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Result<&str, u16>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let found = bearer(&headers).map_err(|error| error.status.as_u16());
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn tokens_come_in_one_header_of_one_scheme() {
        check(&["Bearer plx_a"], Ok("plx_a"));
        check(&["bearer  plx_a "], Ok("plx_a"));
        check(&[], Err(401));
        check(&["plx_a"], Err(401));
        check(&["Basic plx_a"], Err(401));
        check(&["Bearer"], Err(401));
        check(&["Bearer a", "Bearer b"], Err(400));
    }
}
