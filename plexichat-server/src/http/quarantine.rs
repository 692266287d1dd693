//! `/api/v1/quarantine`: the messages that are held back, for the moderators of the server: in all rooms, direct and deleted
//! ones among them, since nobody else could decide about those.

use std::sync::Arc;

use axum::extract::State;
use plexichat::id::MessageId;
use plexichat::message::{Origin, StoredRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::Caller;
use super::extract::{Path, Query};
use super::output::{Gone, Shown};
use super::rooms;
use crate::error::ApiError;
use crate::store::HeldMessage;

/// How many messages a page has where nothing is said.
const PAGE: u32 = 50;
/// How many messages a page may have.
const PAGE_MAX: u32 = 500;

/// Which part of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldPage {
    /// Where it begins: the `next` of the page before.
    after: Option<u64>,
    /// How many messages at most: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
}

/// The messages that are held back, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HeldList {
    /// The messages.
    messages: Vec<HeldMessage>,
    /// Where the next page begins; nothing where this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// The address of a message that is held back.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct HeldAddress {
    /// The message's identifier.
    id: MessageId,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<HeldPage>,
) -> Result<Shown<HeldList>, ApiError> {
    let limit = rooms::limit(page.limit, PAGE, PAGE_MAX)?;
    let mut messages = app.store.held(page.after.unwrap_or(0), limit + 1).await?;
    let more = messages.len() > limit as usize;
    messages.truncate(limit as usize);
    let next = messages.last().filter(|_| more).map(|held| held.number);
    Ok(Shown(HeldList { messages, next }))
}

pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(message): Path<HeldAddress>,
) -> Result<Shown<Arc<StoredRow>>, ApiError> {
    let released = app.host.pipeline.release(caller.actor().clone(), message.id, Origin::Rest).await?;
    tracing::info!(message = %message.id, by = %caller.actor().id, "a message was released");
    Ok(Shown(released.row))
}

pub(crate) async fn reject(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(message): Path<HeldAddress>,
) -> Result<Gone, ApiError> {
    app.host.pipeline.reject(caller.actor().clone(), message.id, Origin::Rest).await?;
    tracing::info!(message = %message.id, by = %caller.actor().id, "a message was rejected by a moderator");
    Ok(Gone)
}
