//! `/api/v1/users`: who has an account; administrators make, change and delete them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use plexichat::id::UserId;
use plexichat::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{Json, Path, Query};
use super::output::{Created, Gone, Shown};
use super::rooms::limit;
use crate::error::{ApiError, Finding};
use crate::store::{ChangeError, Role, User};

/// How many people a page has where nothing is said.
const PAGE: u32 = 100;
/// How many people a page may have.
const PAGE_MAX: u32 = 500;

/// Which page of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPage {
    /// Only the person of this name; capital letters make no difference.
    name: Option<String>,
    /// The name after which the page begins.
    after: Option<String>,
    /// How many people it has at most: 1 to 500, 100 where nothing is said.
    limit: Option<u32>,
}

/// People by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserList {
    /// The people.
    users: Vec<User>,
    /// Whether there are more after the last one.
    more: bool,
}

/// An account to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The name to show: 1 to 80 characters, and nobody else has it.
    name: String,
    /// What the person may do: `user` where nothing is said.
    role: Option<Role>,
    /// The password: 8 to 256 characters, and not the name. Without one the person comes in with tokens only.
    password: Option<Secret>,
}

/// What is to be changed of an account; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChange {
    /// What the person may do.
    role: Option<Role>,
    /// Whether the person is shut out. Sessions and tokens end at once, and stay gone.
    disabled: Option<bool>,
}

/// A password that an administrator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPassword {
    /// The password from now on: 8 to 256 characters, and not the name.
    password: Secret,
}

/// The address of a person.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct UserAddress {
    /// The person's identifier.
    id: UserId,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<UserPage>,
) -> Result<Shown<UserList>, ApiError> {
    let limit = limit(page.limit, PAGE, PAGE_MAX)?;
    if let Some(name) = page.name {
        let users = app.store.user_by_name(name.trim().to_owned()).await?.into_iter().collect();
        return Ok(Shown(UserList { users, more: false }));
    }
    let mut users = app.store.users(page.after, limit + 1).await?;
    let more = users.len() > limit as usize;
    users.truncate(limit as usize);
    Ok(Shown(UserList { users, more }))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(address): Path<UserAddress>,
) -> Result<Shown<User>, ApiError> {
    find(&app, address.id).await.map(Shown)
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    By(act): By,
    Json(new): Json<NewUser>,
) -> Result<Created<User>, ApiError> {
    let role = new.role.unwrap_or(Role::User);
    let user = app.sign_in.add_user(&new.name, role, new.password.as_ref(), act).await?;
    tracing::info!(user = %user.id, "an account was made");
    Ok(Created(user))
}

pub(crate) async fn change(
    State(app): State<Arc<App>>,
    By(act): By,
    Path(address): Path<UserAddress>,
    Json(change): Json<UserChange>,
) -> Result<Shown<User>, ApiError> {
    if change.role.is_none() && change.disabled.is_none() {
        let finding = Finding { pointer: String::new(), message: "`role` or `disabled` is expected".to_owned() };
        return Err(ApiError::invalid("there is nothing to change", vec![finding]));
    }
    let mut user = None;
    if let Some(role) = change.role {
        user = Some(app.authenticator.set_role(address.id, role, act.clone()).await?);
    }
    if let Some(disabled) = change.disabled {
        user = Some(app.authenticator.set_disabled(address.id, disabled, act).await?);
    }
    tracing::info!(user = %address.id, role = ?change.role, disabled = ?change.disabled, "an account was changed");
    user.map(Shown).ok_or_else(no_such_person)
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    By(act): By,
    Path(address): Path<UserAddress>,
) -> Result<Gone, ApiError> {
    app.authenticator.delete_user(address.id, act).await?;
    tracing::info!(user = %address.id, "an account was deleted");
    Ok(Gone)
}

pub(crate) async fn set_password(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<UserAddress>,
    Json(new): Json<SetPassword>,
) -> Result<Gone, ApiError> {
    let user = find(&app, address.id).await?;
    app.sign_in.set_password(&user, &new.password, Some(&caller), act).await?;
    tracing::info!(user = %address.id, "a password was set");
    Ok(Gone)
}

async fn find(app: &App, id: UserId) -> Result<User, ApiError> {
    app.store.user(id).await?.ok_or_else(no_such_person)
}

fn no_such_person() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "user_not_found", "there is no such person")
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoUser => no_such_person(),
            ChangeError::LastAdministrator => Self::conflict("last_administrator", error.to_string())
                .hint("make somebody else an administrator first: `plexichat user role NAME admin`"),
            ChangeError::Store(error) => error.into(),
        }
    }
}
