//! `/api/v1/auth`: register, log in and out, who one is, one's sessions and password.

use std::sync::Arc;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented, StatusCode as DocumentedStatus};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plexichat::message::Time;
use plexichat::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::{By, Caller, Visiting, too_many_attempts};
use super::extract::{Json, Path};
use super::origin;
use super::output::{Created, Gone, Shown};
use super::rooms::refused;
use crate::auth::{PasswordError, Principal, Registered, SignInError};
use crate::error::{ApiError, Finding};
use crate::store::{Credential, Scope, SessionId, SessionInfo, TokenId, User};

/// Whose password it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The account's name; capital letters make no difference.
    name: String,
    /// The password.
    password: Secret,
}

/// An account that somebody wants.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// The name to show: 1 to 80 characters, and nobody else has it.
    name: String,
    /// The password: 8 to 256 characters, and not the name.
    password: Secret,
    /// The invitation that an administrator sent, where one is needed.
    invitation: Option<Secret>,
}

/// Another password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// The password until now.
    old: Secret,
    /// The password from now on: 8 to 256 characters, and not the name.
    new: Secret,
}

/// Somebody who has signed in. The session's secret is in the cookie.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SignedIn {
    /// The person.
    user: User,
    /// The session.
    session: SessionInfo,
}

/// Who one is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Me {
    /// The person.
    user: User,
    /// The token that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<TokenId>,
    /// The session of the cookie that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// What may be done with it.
    scopes: Vec<Scope>,
    /// Until when it counts; a session that is used lasts longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

/// One's sessions, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SessionList {
    /// The sessions.
    sessions: Vec<SessionInfo>,
}

/// The address of a session.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SessionAddress {
    /// The session's identifier.
    id: SessionId,
}

/// An answer that sets or clears the session's cookie.
pub(crate) struct WithCookie<T> {
    answer: T,
    cookie: Option<HeaderValue>,
}

impl<T: IntoResponse> IntoResponse for WithCookie<T> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        if let Some(cookie) = self.cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl<T: OperationOutput> OperationOutput for WithCookie<T> {
    type Inner = T::Inner;

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<DocumentedStatus>, Documented)> {
        T::inferred_responses(context, operation)
    }
}

pub(crate) async fn register(
    State(app): State<Arc<App>>,
    Visiting(visitor): Visiting,
    headers: HeaderMap,
    Json(wanted): Json<Registration>,
) -> Result<WithCookie<Created<SignedIn>>, ApiError> {
    origin::check_page(&headers, app.public_url.as_deref())?;
    let registered = app.sign_in.register(&wanted.name, &wanted.password, wanted.invitation.as_ref(), &visitor).await?;
    tracing::info!(user = %registered.user.id, "somebody registered");
    let (cookie, signed_in) = signed_in(&app, registered);
    Ok(WithCookie { answer: Created(signed_in), cookie })
}

pub(crate) async fn log_in(
    State(app): State<Arc<App>>,
    Visiting(visitor): Visiting,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<WithCookie<Shown<SignedIn>>, ApiError> {
    origin::check_page(&headers, app.public_url.as_deref())?;
    let registered = app.sign_in.log_in(&login.name, &login.password, &visitor).await?;
    let (cookie, signed_in) = signed_in(&app, registered);
    Ok(WithCookie { answer: Shown(signed_in), cookie })
}

fn signed_in(app: &App, registered: Registered) -> (Option<HeaderValue>, SignedIn) {
    let Registered { user, session, secret } = registered;
    (Some(app.session_cookie().keep(&secret)), SignedIn { user, session })
}

pub(crate) async fn log_out(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
) -> Result<WithCookie<Gone>, ApiError> {
    let Credential::Session(id) = caller.credential() else {
        return Err(ApiError::conflict("no_session", "the request came with a token, which is no session")
            .hint("revoke a token with DELETE /api/v1/tokens/{id}"));
    };
    app.authenticator.close_session(id, caller.user().id, act).await?;
    Ok(WithCookie { answer: Gone, cookie: Some(app.session_cookie().forget()) })
}

pub(crate) async fn me(Caller(caller): Caller) -> Result<Shown<Me>, ApiError> {
    let (token_id, session_id) = match caller.credential() {
        Credential::Token(id) => (Some(id), None),
        Credential::Session(id) => (None, Some(id)),
    };
    let (scopes, expires_at) = (caller.scopes(), caller.expires_at());
    Ok(Shown(Me { user: caller.user().clone(), token_id, session_id, scopes, expires_at }))
}

pub(crate) async fn sessions(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
) -> Result<Shown<SessionList>, ApiError> {
    Ok(Shown(SessionList { sessions: app.store.sessions(caller.user().id).await? }))
}

pub(crate) async fn close_session(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<SessionAddress>,
) -> Result<Gone, ApiError> {
    match app.authenticator.close_session(address.id, caller.user().id, act).await? {
        true => Ok(Gone),
        false => Err(ApiError::not_found("there is no such session")),
    }
}

pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Visiting(visitor): Visiting,
    Json(new): Json<NewPassword>,
) -> Result<WithCookie<Gone>, ApiError> {
    let changed = app.sign_in.change_password(&caller, &new.old, &new.new, &visitor).await;
    changed.map_err(|error| match error {
        SignInError::Wrong => ApiError::forbidden("the password until now is another one")
            .hint("where the account has no password yet, an administrator sets one: `plexichat user password`"),
        SignInError::Password(error @ (PasswordError::Length | PasswordError::IsName)) => unfit(&error, "/new"),
        error => error.into(),
    })?;
    tracing::info!(user = %caller.user().id, "a password was changed");
    Ok(WithCookie { answer: Gone, cookie: another_secret(&app, &caller).await })
}

/// The session goes on with another secret: whoever had the old one has it no more.
async fn another_secret(app: &App, caller: &Principal) -> Option<HeaderValue> {
    match app.authenticator.rotate(caller).await {
        Ok(secret) => secret.map(|secret| app.session_cookie().keep(&secret)),
        Err(error) => {
            tracing::debug!(%error, "a session keeps its secret a little longer");
            None
        }
    }
}

/// 422: a password cannot be one.
pub(crate) fn unfit(error: &PasswordError, pointer: &str) -> ApiError {
    let finding = Finding { pointer: pointer.to_owned(), message: error.to_string() };
    ApiError::invalid(error.to_string(), vec![finding])
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        let message = error.to_string();
        let refused_to = |code| Self::new(StatusCode::FORBIDDEN, code, message.clone());
        match error {
            SignInError::TooMany { retry_after } => too_many_attempts(retry_after),
            SignInError::Wrong => Self::new(StatusCode::UNAUTHORIZED, "wrong_password", message)
                .hint("an administrator can set another password: `plexichat user password`"),
            SignInError::Rejected => refused_to("login_rejected").hint("an operator can tell you why, and let you in"),
            SignInError::ScannerUnavailable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "scanner_unavailable",
                message,
            )
            .hint("try again later; an operator comes in with a token: `plexichat plugin list` says what is wrong")
            .retry_after(5),
            SignInError::Disabled => refused_to("account_disabled").hint("an administrator can enable it"),
            SignInError::RegistrationOff => refused_to("registration_off"),
            SignInError::InvitationNeeded => {
                refused_to("invitation_needed").hint("an administrator makes one: `plexichat user invite`")
            }
            SignInError::Invitation => refused_to("invitation_invalid").hint("ask whoever invited you for another one"),
            SignInError::Gone => Self::not_found("there is no such person"),
            SignInError::Create(error) => refused(error, "/name"),
            SignInError::Password(PasswordError::Busy) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many people sign in just now").retry_after(2)
            }
            SignInError::Password(error @ (PasswordError::Length | PasswordError::IsName)) => {
                unfit(&error, "/password")
            }
            SignInError::Password(error) => Self::internal(error),
            SignInError::Store(error) => error.into(),
        }
    }
}
