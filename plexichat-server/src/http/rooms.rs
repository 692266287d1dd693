//! `/api/v1/rooms`: make, list, show.

use std::sync::Arc;

use axum::extract::State;
use plexichat::event::catalog::RoomCreated;
use plexichat::id::RoomId;
use plexichat::message::Actor;
use plexichat::pipeline::{Access, MessageStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::Caller;
use super::extract::{Json, Path, Query};
use super::output::{Created, Shown};
use crate::error::ApiError;
use crate::store::{CreateError, Room};

/// How many rooms a page has where nothing is said.
const PAGE: u32 = 100;
/// How many rooms a page may have.
const PAGE_MAX: u32 = 500;

/// A room to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRoom {
    /// Its name: 1 to 80 characters, and no other room has it.
    name: String,
}

/// Which page of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoomPage {
    /// The name after which the page begins.
    after: Option<String>,
    /// How many rooms it has at most: 1 to 500, 100 where nothing is said.
    limit: Option<u32>,
}

/// Rooms by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RoomList {
    /// The rooms.
    rooms: Vec<Room>,
    /// Whether there are more after the last one.
    more: bool,
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
    Json(new): Json<NewRoom>,
) -> Result<Created<Room>, ApiError> {
    let room = app.store.create_room(&new.name, caller.user().id).await.map_err(|error| refused(error, "/name"))?;
    tracing::info!(room = %room.id, by = %caller.user().id, "a room was made");
    let by = caller.actor();
    let payload = RoomCreated::new(room.id, "room".to_owned(), room.name.clone(), by.clone());
    app.announce(by, Some(room.id), payload);
    Ok(Created(room))
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<RoomPage>,
) -> Result<Shown<RoomList>, ApiError> {
    let limit = limit(page.limit, PAGE, PAGE_MAX)?;
    let mut rooms = app.store.rooms(page.after, limit + 1).await?;
    let more = rooms.len() > limit as usize;
    rooms.truncate(limit as usize);
    Ok(Shown(RoomList { rooms, more }))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<RoomAddress>,
) -> Result<Shown<Room>, ApiError> {
    check_readable(&app, caller.actor(), address.id).await?;
    let room = app.store.room(address.id).await?;
    room.map(Shown).ok_or_else(no_such_room)
}

/// Whether the actor may read the room; 404 where it may not even know of it.
pub(crate) async fn check_readable(app: &App, actor: &Actor, room: RoomId) -> Result<(), ApiError> {
    match app.store.access(actor, room).await? {
        Access::None => Err(no_such_room()),
        Access::Read | Access::Write | Access::Moderate => Ok(()),
    }
}

pub(crate) fn no_such_room() -> ApiError {
    ApiError::new(axum::http::StatusCode::NOT_FOUND, "room_not_found", "there is no such room")
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
            let finding = crate::error::Finding { pointer: pointer.to_owned(), message: message.clone() };
            ApiError::invalid(message, vec![finding])
        }
        CreateError::Store(error) => error.into(),
    }
}
