//! Who calls, and whether the route's row in the table lets them. Knows credentials, not what routes do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use plexichat::message::Actor;

use super::address::ClientAddress;
use super::app::App;
use super::front::RequestId;
use super::origin;
use crate::auth::{AuthError, Principal, Visitor};
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

/// Somebody who is not known yet, as limits and the audit log take it.
pub(crate) struct Visiting(pub(crate) Visitor);

impl<S: Send + Sync> FromRequestParts<S> for Visiting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = RequestId::from_request_parts(parts, state).await?;
        let address = parts.extensions.get::<ClientAddress>();
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self(Visitor {
            address: address.map(|address| address.address()),
            user_agent: user_agent.map(str::to_owned),
            act: Act::new(Actor::system(), address.map(ToString::to_string), Some(id.as_str().to_owned())),
        }))
    }
}

impl aide::OperationInput for Visiting {}

/// The layer of a route that needs something.
pub(crate) async fn authorize(State((app, needs)): State<(Arc<App>, Needs)>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let principal = match admit(&app, &parts, needs).await {
        Ok(principal) => principal,
        Err(error) => return error.into_response(),
    };
    parts.extensions.insert(Caller(principal.clone()));
    let mut response = next.run(Request::from_parts(parts, body)).await;
    keep_session(&app, &principal, &mut response).await;
    response
}

/// Who calls, where they may do what needs this.
///
/// # Errors
/// 401 where nobody knows them, 403 where they may not.
pub(super) async fn admit(app: &App, parts: &Parts, needs: Needs) -> Result<Arc<Principal>, ApiError> {
    let principal = identify(app, parts).await?;
    check(&principal, needs)?;
    Ok(principal)
}

/// Gives a session a new secret where its time has come.
pub(super) async fn keep_session(app: &App, principal: &Principal, response: &mut Response) {
    // A connection that is another thing now has no headers that a browser would look at for certain.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS && !response.headers().contains_key(header::SET_COOKIE) {
        match app.authenticator.rotate_in_time(principal).await {
            Ok(Some(secret)) => {
                response.headers_mut().append(header::SET_COOKIE, app.session_cookie().keep(&secret));
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a session keeps its secret a little longer"),
        }
    }
}

/// Who calls: by a token, else by a session.
async fn identify(app: &App, parts: &Parts) -> Result<Arc<Principal>, ApiError> {
    let headers = &parts.headers;
    let found = if headers.contains_key(header::AUTHORIZATION) {
        app.authenticator.authenticate(bearer(headers)?).await
    } else if let Some(secret) = app.session_cookie().find(headers) {
        origin::check_cookie(&parts.method, headers, app.public_url.as_deref())?;
        app.authenticator.authenticate_session(secret).await
    } else {
        return Err(ApiError::unauthorized("the request has no token and no session"));
    };
    match found {
        Ok(principal) => Ok(principal),
        Err(AuthError::Store(error)) => Err(error.into()),
        Err(refused) => {
            let address = parts.extensions.get::<ClientAddress>().map(|address| address.address());
            app.sign_in.token_failed(address).map_err(too_many_attempts)?;
            Err(ApiError::unauthorized(refused.to_string()))
        }
    }
}

/// Somebody failed too often.
pub(crate) fn too_many_attempts(retry_after: Duration) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "this was tried too often from your address")
        .hint("wait as long as `Retry-After` says, in seconds")
        .retry_after(retry_after.as_secs() + 1)
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
