//! `/api/v1/tokens` and `/api/v1/auth/me`: who one is, and the tokens by which programs say so.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use plexichat::event::catalog::UserCreated;
use plexichat::message::{Actor, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::Caller;
use super::extract::{Json, Path};
use super::output::{Created, Gone, Shown};
use super::rooms::refused;
use crate::auth::{CreateTokenError, TokenRequest};
use crate::error::{ApiError, Finding};
use crate::store::{CreateError, Role, Scope, TokenId, TokenInfo, User};

/// What a token is called where nothing is said.
const DEFAULT_NAME: &str = "api";

/// Who one is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Me {
    /// The person.
    user: User,
    /// The token that was sent.
    token_id: TokenId,
    /// What the token may be used for.
    scopes: Vec<Scope>,
}

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// The name of the person it is for. Where there is none of that name, one is made.
    user: String,
    /// What the token is for.
    name: Option<String>,
    /// What a person who is new may do: `user` where nothing is said.
    role: Option<Role>,
    /// What the token may be used for: all that the person may do where nothing is said.
    scopes: Option<Vec<Scope>>,
    /// For how many seconds it counts: until it is revoked where nothing is said.
    expires_in: Option<u64>,
}

/// A token that was made. The secret is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MadeToken {
    /// The secret: send it as `Authorization: Bearer …`.
    token: String,
    #[serde(flatten)]
    shown: ShownToken,
}

/// A token, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownToken {
    #[serde(flatten)]
    info: TokenInfo,
    /// The name of the person it is for.
    user: String,
}

/// Tokens, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenList {
    /// The tokens.
    tokens: Vec<ShownToken>,
}

/// The address of a token.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct TokenAddress {
    /// The token's identifier.
    id: TokenId,
}

pub(crate) async fn me(Caller(caller): Caller) -> Result<Shown<Me>, ApiError> {
    let scopes = Scope::ALL.into_iter().filter(|scope| caller.may(*scope)).collect();
    Ok(Shown(Me { user: caller.user().clone(), token_id: caller.token_id(), scopes }))
}

/// Administrators see everybody's, others their own.
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(caller): Caller) -> Result<Shown<TokenList>, ApiError> {
    let of = (!caller.may(Scope::Admin)).then(|| caller.user().id);
    let mut names = HashMap::new();
    let mut tokens = Vec::new();
    for info in app.store.tokens(of).await? {
        if let std::collections::hash_map::Entry::Vacant(place) = names.entry(info.user_id) {
            place.insert(app.store.user(info.user_id).await?.map(|user| user.name).unwrap_or_default());
        }
        tokens.push(ShownToken { user: names[&info.user_id].clone(), info });
    }
    Ok(Shown(TokenList { tokens }))
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Json(new): Json<NewToken>,
) -> Result<Created<MadeToken>, ApiError> {
    let expires_at = new.expires_in.map(expiry).transpose()?;
    let user = person(&app, &new, caller.actor()).await?;
    let name = new.name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let request = TokenRequest { name, scopes: new.scopes, expires_at };
    let (secret, info) = app.authenticator.create(&user, request).await?;
    tracing::info!(token = %info.id, of = %user.id, by = %caller.user().id, "a token was made");
    let shown = ShownToken { info, user: user.name };
    Ok(Created(MadeToken { token: secret.expose().to_owned(), shown }))
}

/// Administrators revoke any, others their own.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<TokenAddress>,
) -> Result<Gone, ApiError> {
    let of = (!caller.may(Scope::Admin)).then(|| caller.user().id);
    if !app.authenticator.revoke(address.id, of).await? {
        return Err(ApiError::not_found("there is no such token"));
    }
    tracing::info!(token = %address.id, by = %caller.user().id, "a token was revoked");
    Ok(Gone)
}

fn expiry(seconds: u64) -> Result<Time, ApiError> {
    let span = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
    let end = span.filter(|span| *span > 0).and_then(|span| Time::now().as_micros().checked_add(span));
    let end = end.filter(|end| *end < Time::from_micros(i64::MAX).as_micros());
    end.map(Time::from_micros).ok_or_else(|| finding("/expires_in", "is no length of time that can be told"))
}

fn finding(pointer: &str, message: &str) -> ApiError {
    let finding = Finding { pointer: pointer.to_owned(), message: message.to_owned() };
    ApiError::invalid("the token cannot be made like this", vec![finding])
}

/// The person of that name, made where there is none.
async fn person(app: &App, new: &NewToken, by: &Actor) -> Result<User, ApiError> {
    let name = new.user.trim();
    let found = match app.store.user_by_name(name.to_owned()).await? {
        Some(user) => user,
        None => match app.store.create_user(name, new.role.unwrap_or(Role::User)).await {
            Ok(user) => {
                app.announce(by, None, UserCreated::new(user.id, by.clone()));
                return Ok(user);
            }
            // Somebody else was faster.
            Err(CreateError::Conflict { .. }) => {
                let user = app.store.user_by_name(name.to_owned()).await?;
                user.ok_or_else(|| ApiError::internal("a person whose name is taken is not there"))?
            }
            Err(error) => return Err(refused(error, "/user")),
        },
    };
    match new.role {
        Some(role) if role != found.role => Err(ApiError::conflict(
            "role_differs",
            format!("`{}` is there already, with the role `{}`", found.name, found.role.as_str()),
        )
        .hint("leave `role` out, or take another name")),
        _ => Ok(found),
    }
}

impl From<CreateTokenError> for ApiError {
    fn from(error: CreateTokenError) -> Self {
        let message = error.to_string();
        match error {
            CreateTokenError::Scope(_) | CreateTokenError::NoScope => finding("/scopes", &message),
            CreateTokenError::Expired => finding("/expires_in", &message),
            CreateTokenError::Create(error) => refused(error, "/name"),
            error => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_bounded() {
        assert!(expiry(60).unwrap() > Time::now());
        for seconds in [0, u64::MAX, i64::MAX as u64, 10_000_000_000_000] {
            assert_eq!(expiry(seconds).unwrap_err().status.as_u16(), 422, "{seconds}");
        }
    }
}
