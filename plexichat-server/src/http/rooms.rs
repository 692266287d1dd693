//! `/api/v1/rooms`: make, list, show, change, delete.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use plexichat::assistant::AssistantPolicy;
use plexichat::id::{PluginName, RoomId, UserId};
use plexichat::message::Actor;
use plexichat::pipeline::{Access, MessageStore, RoomPolicy};
use schemars::JsonSchema;
use serde::Deserialize;

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{Json, Path, Query};
use super::output::{CreatedOnce, Gone, Shown, Versioned};
use super::plugins::{IfMatch, stale};
use crate::error::{ApiError, Finding};
use crate::store::{CreateError, NewRoom, Room, RoomChange, RoomError, RoomFilter, RoomKind, RoomPage};

/// Where a policy names the plugins whose models answer, and whose tools they call.
const ASSISTANT: &str = "/policy/assistant";
/// How many rooms a page has where nothing is said.
const PAGE: u32 = 100;
/// How many rooms a page may have.
const PAGE_MAX: u32 = 500;

/// A room to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoomToMake {
    /// Its name: 1 to 80 characters, and no other room has it. A direct room has none. Scanners see neither it nor the topic.
    name: Option<String>,
    /// Whose it is: `public` where nothing is said. A direct room that these people have already is given instead.
    kind: Option<RoomKind>,
    /// What it is about: at most 500 characters.
    topic: Option<String>,
    /// What holds in it beyond what holds everywhere.
    policy: Option<RoomPolicy>,
    /// Who is in it beside oneself: at most 100 people, 1 to 7 in a direct room.
    members: Option<Vec<UserId>>,
}

/// What is to change in a room; what is missing stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoomToChange {
    /// Its name.
    name: Option<String>,
    /// `public` or `private`: for owners and administrators.
    kind: Option<RoomKind>,
    /// What it is about.
    topic: Option<String>,
    /// What holds in it, as a whole.
    policy: Option<RoomPolicy>,
}

/// Which page of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoomsAsked {
    /// Where the page begins: the `next` of the page before, or a name.
    after: Option<String>,
    /// How many rooms it has at most: 1 to 500, 100 where nothing is said.
    limit: Option<u32>,
    /// Only the rooms that one is a member of.
    joined: Option<bool>,
    /// Only rooms of this kind.
    kind: Option<RoomKind>,
    /// Only the room of this name.
    name: Option<String>,
}

/// The address of a room.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RoomAddress {
    /// The room's identifier.
    pub(crate) id: RoomId,
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Json(new): Json<RoomToMake>,
) -> Result<CreatedOnce<Room>, ApiError> {
    let new = NewRoom {
        kind: new.kind.unwrap_or_default(),
        name: new.name,
        topic: new.topic.unwrap_or_default(),
        policy: new.policy.unwrap_or_default(),
        members: new.members.unwrap_or_default(),
    };
    check_policy(&app, &new.policy)?;
    let (room, known) = app.store.create_room(new, caller.user().id, &act).await?;
    if !known {
        tracing::info!(room = %room.id, kind = room.kind.as_str(), by = %caller.user().id, "a room was made");
    }
    Ok(CreatedOnce { value: room, known })
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Query(asked): Query<RoomsAsked>,
) -> Result<Shown<RoomPage>, ApiError> {
    let limit = limit(asked.limit, PAGE, PAGE_MAX)?;
    let filter = RoomFilter { joined: asked.joined.unwrap_or_default(), kind: asked.kind, name: asked.name };
    Ok(Shown(app.store.rooms(caller.user().id, filter, asked.after, limit).await?))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<RoomAddress>,
) -> Result<Versioned<Room>, ApiError> {
    let room = app.store.room(address.id, caller.user().id).await?;
    room.map(versioned).ok_or_else(no_such_room)
}

pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<RoomAddress>,
    IfMatch(expected): IfMatch,
    Json(change): Json<RoomToChange>,
) -> Result<Versioned<Room>, ApiError> {
    let RoomToChange { name, kind, topic, policy } = change;
    if let Some(policy) = &policy {
        // Whoever may not see the room is told nothing about it first.
        check_readable(&app, caller.actor(), address.id).await?;
        check_policy(&app, policy)?;
    }
    let change = RoomChange { name, kind, topic, policy };
    let room = app.store.update_room(address.id, change, expected, caller.user().id, &act).await?;
    tracing::info!(room = %room.id, by = %caller.user().id, revision = room.revision, "a room was changed");
    Ok(versioned(room))
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<RoomAddress>,
) -> Result<Gone, ApiError> {
    app.store.delete_room(address.id, caller.user().id, &act).await?;
    tracing::info!(room = %address.id, by = %caller.user().id, "a room was deleted");
    Ok(Gone)
}

fn versioned(room: Room) -> Versioned<Room> {
    Versioned { version: room.revision, value: room }
}

/// Whether the plugins that a policy names are linked, and scan where that is wanted of them: a name with a slip would refuse
/// every message.
fn check_policy(app: &App, policy: &RoomPolicy) -> Result<(), ApiError> {
    let wrong = |pointer: &str, name: &str| {
        let found = name.parse::<PluginName>().ok().and_then(|name| app.host.manager.get(&name));
        let message = match found {
            None => format!("no plugin named `{name}` is linked"),
            Some(info)
                if !pointer.starts_with(ASSISTANT)
                    && info.manifest.as_ref().is_some_and(|manifest| manifest.hooks.is_empty()) =>
            {
                format!("`{name}` scans nothing")
            }
            Some(_) => return None,
        };
        Some(Finding { pointer: pointer.to_owned(), message })
    };
    let assistant = policy.assistant.iter().flat_map(AssistantPolicy::plugins);
    let scanners = policy.required_scanners.iter().enumerate();
    let named = assistant
        .map(|(pointer, name)| (format!("{ASSISTANT}{pointer}"), name))
        .chain(scanners.map(|(n, name)| (format!("/policy/required_scanners/{n}"), name.as_str())));
    let unknown: Vec<Finding> = named.filter_map(|(pointer, name)| wrong(&pointer, name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid("the policy names a plugin that cannot do what it wants", unknown)
        .hint("GET /api/v1/plugins lists them and what they do"))
}

/// Whether the actor may read the room; 404 where it may not even know of it.
pub(crate) async fn check_readable(app: &App, actor: &Actor, room: RoomId) -> Result<(), ApiError> {
    match app.store.access(actor, room).await? {
        Access::None => Err(no_such_room()),
        Access::Read | Access::Write | Access::Moderate => Ok(()),
    }
}

pub(crate) fn no_such_room() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "room_not_found", "there is no such room")
}

/// A page's length, within its bounds.
pub(crate) fn limit(given: Option<u32>, default: u32, most: u32) -> Result<u32, ApiError> {
    match given {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(ApiError::bad_request("bad_query", format!("`limit` is {limit}, 1 to {most} are possible"))),
    }
}

/// What it means to a client that something was not made.
pub(crate) fn refused(error: CreateError, pointer: &str) -> ApiError {
    let message = error.to_string();
    match error {
        CreateError::Conflict { .. } => ApiError::conflict("name_taken", message),
        CreateError::Name { .. } => {
            let finding = Finding { pointer: pointer.to_owned(), message: message.clone() };
            ApiError::invalid(message, vec![finding])
        }
        CreateError::Store(error) => error.into(),
    }
}

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        let message = error.to_string();
        let found = |pointer: &str| Finding { pointer: pointer.to_owned(), message: message.clone() };
        match error {
            RoomError::NoRoom => no_such_room(),
            RoomError::Forbidden(words) => Self::forbidden(words),
            RoomError::NoUser(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "user_not_found", message.clone())
                .hint("GET /api/v1/users lists the people of this server"),
            RoomError::NoMember(_) => Self::new(StatusCode::NOT_FOUND, "member_not_found", message),
            RoomError::Conflict { code, hint, .. } => Self::conflict(code, message).hint(hint),
            RoomError::Invalid { pointer, .. } => Self::invalid(message.clone(), vec![found(pointer)]),
            RoomError::Revision { .. } => stale(message),
            RoomError::Create(error) => refused(error, "/name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use plexichat::store::StoreError;

    use super::*;

    #[track_caller]
    fn check(error: RoomError, status: u16, code: &str) {
        let error = ApiError::from(error);
        assert_eq!((error.status.as_u16(), error.code), (status, code));
    }

    #[test]
    fn each_refusal_has_its_status() {
        check(RoomError::NoRoom, 404, "room_not_found");
        check(RoomError::Forbidden("no"), 403, "forbidden");
        check(RoomError::NoUser(UserId::new()), 422, "user_not_found");
        check(RoomError::NoMember(UserId::new()), 404, "member_not_found");
        check(RoomError::Invalid { pointer: "/topic", message: "long".into() }, 422, "invalid_input");
        check(RoomError::Revision { expected: 1, found: 2 }, 412, "precondition_failed");
        check(RoomError::Create(CreateError::Name { what: "room" }), 422, "invalid_input");
        check(StoreError::Full.into(), 507, "storage_full");
        let conflict = RoomError::Conflict { code: "last_owner", message: "no".into(), hint: "do" };
        check(conflict, 409, "last_owner");
    }
}
