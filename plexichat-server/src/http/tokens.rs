//! `/api/v1/tokens`: by which programs say for whom they act.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use plexichat::message::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{Json, Path};
use super::output::{Created, Gone, Shown};
use super::rooms::refused;
use crate::auth::{CreateTokenError, Principal, SignInError, TokenRequest};
use crate::error::{ApiError, Finding};
use crate::store::{Act, CreateError, Credential, Role, Scope, TokenId, TokenInfo, User};

/// What a token is called where nothing is said.
const DEFAULT_NAME: &str = "api";

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// The name of the person it is for: oneself where nothing is said. Administrators may name others; where there is
    /// none of that name, an account is made.
    user: Option<String>,
    /// What the token is for.
    name: Option<String>,
    /// What a person who is new may do: `user` where nothing is said.
    role: Option<Role>,
    /// What the token may be used for: all that the person may do where nothing is said, and never more than what asks
    /// for it may be used for.
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
    By(act): By,
    Json(new): Json<NewToken>,
) -> Result<Created<MadeToken>, ApiError> {
    let expires_at = new.expires_in.map(expiry).transpose()?;
    let own = new.user.as_deref().is_none_or(|name| name.trim() == caller.user().name);
    let (user, request) = if own {
        (caller.user().clone(), own_request(&caller, &new, expires_at)?)
    } else if caller.may(Scope::Admin) {
        let name = new.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        let request = TokenRequest { name, scopes: new.scopes.clone(), expires_at };
        (person(&app, &new, &act).await?, request)
    } else {
        return Err(ApiError::forbidden("only administrators make tokens for others"));
    };
    let (secret, info) = app.authenticator.create(&user, request, act).await?;
    tracing::info!(token = %info.id, of = %user.id, by = %caller.user().id, "a token was made");
    let shown = ShownToken { info, user: user.name };
    Ok(Created(MadeToken { token: secret.expose().to_owned(), shown }))
}

/// A token for oneself: it may do no more than what one came in with, and a token's lasts no longer.
fn own_request(caller: &Principal, new: &NewToken, expires_at: Option<Time>) -> Result<TokenRequest, ApiError> {
    if new.role.is_some_and(|role| role != caller.role()) {
        return Err(role_differs(caller.user()));
    }
    let scopes = new.scopes.clone().unwrap_or_else(|| caller.scopes());
    if let Some(beyond) = scopes.iter().find(|scope| !caller.may(**scope)) {
        return Err(finding("/scopes", &format!("`{}` is more than you may do with this", beyond.as_str())));
    }
    let last = match caller.credential() {
        Credential::Token(_) => caller.expires_at(),
        Credential::Session(_) => None,
    };
    let expires_at = match (expires_at, last) {
        (Some(end), Some(last)) if end > last => {
            return Err(finding("/expires_in", "is longer than the token counts that asks for it"));
        }
        (end, last) => end.or(last),
    };
    let name = new.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    Ok(TokenRequest { name, scopes: Some(scopes), expires_at })
}

/// Administrators revoke any, others their own.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<TokenAddress>,
) -> Result<Gone, ApiError> {
    let of = (!caller.may(Scope::Admin)).then(|| caller.user().id);
    if !app.authenticator.revoke(address.id, of, act).await? {
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
async fn person(app: &App, new: &NewToken, act: &Act) -> Result<User, ApiError> {
    let name = new.user.as_deref().unwrap_or_default().trim();
    let found = match app.store.user_by_name(name.to_owned()).await? {
        Some(user) => user,
        None => match app.sign_in.add_user(name, new.role.unwrap_or(Role::User), None, act.clone()).await {
            Ok(user) => return Ok(user),
            // Somebody else was faster.
            Err(SignInError::Create(CreateError::Conflict { .. })) => {
                let user = app.store.user_by_name(name.to_owned()).await?;
                user.ok_or_else(|| ApiError::internal("a person whose name is taken is not there"))?
            }
            Err(SignInError::Create(error)) => return Err(refused(error, "/user")),
            Err(error) => return Err(error.into()),
        },
    };
    match new.role {
        Some(role) if role != found.role => Err(role_differs(&found)),
        _ => Ok(found),
    }
}

fn role_differs(user: &User) -> ApiError {
    let message = format!("`{}` is there already, with the role `{}`", user.name, user.role.as_str());
    ApiError::conflict("role_differs", message).hint("leave `role` out, or change it: `plexichat user role`")
}

impl From<CreateTokenError> for ApiError {
    fn from(error: CreateTokenError) -> Self {
        let message = error.to_string();
        match error {
            CreateTokenError::Scope(_) | CreateTokenError::NoScope => finding("/scopes", &message),
            CreateTokenError::Expired => finding("/expires_in", &message),
            CreateTokenError::TooMany => {
                Self::conflict("too_many_tokens", message).hint("revoke one that is not needed")
            }
            CreateTokenError::NoUser => {
                Self::conflict("account_disabled", message).hint("enable it first: `plexichat user enable`")
            }
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
