//! `/api/v1/messages/{id}`: one message, its edits and deletion, and who reacted to it. Every change goes through the
//! pipeline.

use std::sync::Arc;

use axum::extract::State;
use plexichat::id::MessageId;
use plexichat::message::{Origin, StoredRow};
use plexichat::pipeline::{Edit, React};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::Caller;
use super::extract::{Json, Path, Query};
use super::output::{Gone, Shown, Versioned};
use super::plugins::{IfMatch, stale};
use super::rooms;
use crate::error::ApiError;
use crate::store::Reacted;

/// How many reactions a page has where nothing is said.
const PAGE: u32 = 100;
/// How many reactions a page may have.
const PAGE_MAX: u32 = 500;

/// The address of a message.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MessageAddress {
    /// The message's identifier.
    id: MessageId,
}

/// The address of a reaction.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ReactionAddress {
    /// The message's identifier.
    id: MessageId,
    /// Exactly one emoji, percent-encoded: `%F0%9F%91%8D` is 👍.
    emoji: String,
}

/// What a message is to say instead.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewText {
    /// What is written.
    text: String,
}

/// Which reactions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReactionPage {
    /// Only those with this emoji.
    emoji: Option<String>,
    /// How many are left out at the beginning.
    offset: Option<u32>,
    /// How many at most: 1 to 500, 100 where nothing is said.
    limit: Option<u32>,
}

/// Who reacted with what, by emoji.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReactionList {
    /// The reactions.
    reactions: Vec<Reacted>,
    /// Whether there are more.
    more: bool,
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(message): Path<MessageAddress>,
) -> Result<Versioned<StoredRow>, ApiError> {
    let row = app.host.pipeline.show(caller.actor(), message.id).await?;
    Ok(Versioned { version: row.revision.into(), value: row })
}

pub(crate) async fn edit(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(message): Path<MessageAddress>,
    IfMatch(expected): IfMatch,
    Json(new): Json<NewText>,
) -> Result<Versioned<Arc<StoredRow>>, ApiError> {
    let expected_revision = expected.map(u32::try_from).transpose();
    let expected_revision = expected_revision.map_err(|_| stale("no message was edited so often".to_owned()))?;
    let edit = Edit {
        by: caller.actor().clone(),
        message_id: message.id,
        text: new.text,
        expected_revision,
        origin: Origin::Rest,
    };
    let row = app.host.pipeline.edit(edit).await?.row;
    Ok(Versioned { version: row.revision.into(), value: row })
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(message): Path<MessageAddress>,
) -> Result<Gone, ApiError> {
    app.host.pipeline.delete(caller.actor().clone(), message.id, Origin::Rest).await?;
    Ok(Gone)
}

pub(crate) async fn react(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(reaction): Path<ReactionAddress>,
) -> Result<Shown<Arc<StoredRow>>, ApiError> {
    set_reaction(&app, &caller, reaction, true).await
}

pub(crate) async fn take_back(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(reaction): Path<ReactionAddress>,
) -> Result<Shown<Arc<StoredRow>>, ApiError> {
    set_reaction(&app, &caller, reaction, false).await
}

async fn set_reaction(
    app: &App,
    caller: &crate::auth::Principal,
    reaction: ReactionAddress,
    on: bool,
) -> Result<Shown<Arc<StoredRow>>, ApiError> {
    let ReactionAddress { id: message_id, emoji } = reaction;
    let react = React { by: caller.actor().clone(), message_id, emoji, on, origin: Origin::Rest };
    Ok(Shown(app.host.pipeline.react(react).await?.row))
}

pub(crate) async fn reactions(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(message): Path<MessageAddress>,
    Query(page): Query<ReactionPage>,
) -> Result<Shown<ReactionList>, ApiError> {
    let limit = rooms::limit(page.limit, PAGE, PAGE_MAX)?;
    app.host.pipeline.show(caller.actor(), message.id).await?;
    let offset = page.offset.unwrap_or(0);
    let mut reactions = app.store.reactions(message.id, page.emoji, offset, limit + 1).await?;
    let more = reactions.len() > limit as usize;
    reactions.truncate(limit as usize);
    Ok(Shown(ReactionList { reactions, more }))
}
