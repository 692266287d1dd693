//! `/api/v1/search`, and how far one has read: `/api/v1/rooms/{id}/read`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use plexichat::id::RoomId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::app::App;
use super::auth::Caller;
use super::extract::{Json, Path, Query};
use super::output::Shown;
use super::rooms::{RoomAddress, check_readable, limit};
use crate::error::ApiError;
use crate::store::{SearchError, SearchPage, SearchQuery, Unread, Words};

/// How many messages a page has where nothing is said.
const PAGE: u32 = 20;
/// How many messages a page may have.
const PAGE_MAX: u32 = 100;

/// What is looked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Words that the message has, all of them; `"several words"` in this order; `begin*` for words that begin so, of
    /// which two letters are needed. At most 8 words and phrases, and 200 characters.
    q: String,
    /// Only in this room; in public rooms and those that one is a member of where none is named.
    room_id: Option<RoomId>,
    /// Only what this person wrote, by identifier, or `me`; or this plugin, by name.
    author: Option<String>,
    /// Only what is older: the `next` of the page before.
    before: Option<u64>,
    /// How many messages at most: 1 to 100, 20 where nothing is said.
    limit: Option<u32>,
}

/// How far one has read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadUpTo {
    /// The number of the last message that was read. What is lower than before changes nothing.
    seq: u64,
}

pub(crate) async fn search(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Query(search): Query<Search>,
) -> Result<Shown<SearchPage>, ApiError> {
    let limit = limit(search.limit, PAGE, PAGE_MAX)?;
    let words = Words::parse(&search.q).map_err(|error| {
        ApiError::bad_request("bad_query", error.to_string()).hint("`q` takes words, \"phrases\" and `begin*`")
    })?;
    if let Some(room) = search.room_id {
        check_readable(&app, caller.actor(), room).await?;
    }
    let viewer = caller.user().id;
    let author = search.author.map(|author| if author == "me" { viewer.to_string() } else { author });
    let query = SearchQuery { words, viewer, room: search.room_id, author, before: search.before, limit };
    let found = app.store.search(query).await.map_err(|error| {
        let unavailable = |code| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string());
        match error {
            SearchError::Busy => unavailable("search_busy").retry_after(2),
            SearchError::TooLong => unavailable("search_too_long")
                .hint("look for longer or rarer words, or for more of them")
                .retry_after(5),
            SearchError::Store(error) => error.into(),
        }
    })?;
    Ok(Shown(found))
}

pub(crate) async fn mark_read(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(room): Path<RoomAddress>,
    Json(read): Json<ReadUpTo>,
) -> Result<Shown<Unread>, ApiError> {
    Ok(Shown(app.store.mark_read(room.id, caller.user().id, read.seq).await?))
}
