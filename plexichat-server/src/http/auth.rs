//! Who calls, and whether the route's row in the table lets them. Knows credentials, not what routes do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::address::ClientAddress;
use super::app::App;
use super::front::RequestId;
use crate::auth::{AuthError, Principal};
use crate::error::ApiError;
use crate::store::{Act, Role, Scope};

/// What a route asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: anybody may call it.
    Nothing,
    /// An account, and a token with this scope. A session has every scope that its person's role allows.
    Scope(Scope),
    /// The same, and at least this role.
    Role(Role, Scope),
}

impl Needs {
    /// The scope that a token must have.
    pub(crate) fn scope(self) -> Option<Scope> {
        match self {
            Self::Nothing => None,
            Self::Scope(scope) | Self::Role(_, scope) => Some(scope),
        }
    }

    /// The role that a person must have at least.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Nothing | Self::Scope(_) => Role::User,
            Self::Role(role, _) => role,
        }
    }
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

/// Who does something and by which request, as events and the audit log tell it.
#[derive(Debug, Clone)]
pub(crate) struct By(pub(crate) Act);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(caller) = Caller::from_request_parts(parts, state).await?;
        let id = RequestId::from_request_parts(parts, state).await?;
        let ip = parts.extensions.get::<ClientAddress>().map(ToString::to_string);
        Ok(Self(Act::new(caller.actor().clone(), ip, Some(id.as_str().to_owned()))))
    }
}

impl aide::OperationInput for By {}

/// The layer of a route that needs something.
pub(crate) async fn authorize(
    State((app, needs)): State<(Arc<App>, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    match identify(&app, request.headers(), needs).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

async fn identify(app: &App, headers: &HeaderMap, needs: Needs) -> Result<Caller, ApiError> {
    let token = bearer(headers)?;
    let principal = app.authenticator.authenticate(token).await.map_err(|error| match error {
        AuthError::Store(error) => error.into(),
        refused => ApiError::unauthorized(refused.to_string()),
    })?;
    check(&principal, needs)?;
    Ok(Caller(principal))
}

/// Whether somebody may do what needs this.
fn check(principal: &Principal, needs: Needs) -> Result<(), ApiError> {
    if principal.role() < needs.role() {
        let (needed, role) = (needs.role().as_str(), principal.role().as_str());
        return Err(ApiError::forbidden(format!("this needs the role `{needed}`, and yours is `{role}`"))
            .hint("an administrator may change it: `plexichat user role`"));
    }
    match needs.scope() {
        Some(scope) if !principal.may(scope) => {
            Err(ApiError::forbidden(format!("this needs the scope `{}`, which the token lacks", scope.as_str()))
                .hint("make a token with it: `plexichat token create`"))
        }
        _ => Ok(()),
    }
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
