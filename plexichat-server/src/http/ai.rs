//! `/api/v1/ai`: which models there are, what was asked of them, which tool calls wait for leave, and how an answer is ended
//! early.

use std::sync::Arc;

use axum::extract::State;
use plexichat::ai::Model;
use plexichat::assistant::{ApprovalDecision, ApprovalRequest};
use plexichat::id::{ApprovalId, ReplyId, RoomId, UserId};
use plexichat::message::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{Json, Path, Query};
use super::output::{Gone, Shown};
use super::rooms::limit;
use crate::auth::Principal;
use crate::error::ApiError;
use crate::store::{Scope, UsageBy, UsageFilter, UsageGroup, UsageRow, UsageSum};

/// How many requests or sums a page has where nothing is said.
const PAGE: u32 = 100;
/// How many a page may have.
const PAGE_MAX: u32 = 500;

/// The models of every provider that runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelList {
    /// The models, each named `plugin/model`.
    models: Vec<Model>,
    /// Those that are asked where neither a request nor a room names one, the first that answers. Empty: the first provider's.
    default_models: Vec<String>,
}

/// What was asked of models is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageAsked {
    /// Sums for each `user`, `room`, `model` or `day` instead of the requests one by one.
    by: Option<UsageBy>,
    /// Only what this person asked, by identifier, or `me`. Administrators see everybody's, others their own.
    user_id: Option<String>,
    /// Only what was asked for this room.
    room_id: Option<RoomId>,
    /// Only what this model was asked: `plugin/model`.
    model: Option<String>,
    /// Only from this time on.
    since: Option<Time>,
    /// Only before this time.
    until: Option<Time>,
    /// Only requests before the one with this number: the `next` of the page before.
    before: Option<u64>,
    /// How many sums to leave out: the `next` of the page before.
    skip: Option<u32>,
    /// How many requests or sums at most: 1 to 500, 100 where nothing is said.
    limit: Option<u32>,
}

/// What was asked of models, and what it cost.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UsageList {
    /// Of all that was asked for, whatever page this is.
    total: UsageSum,
    /// The sums, where `by` says so: those with the most tokens first, days from the newest on.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<UsageGroup>>,
    /// The requests, the newest first, where `by` is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Vec<UsageRow>>,
    /// Where the next page begins, as `before` or `skip`; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// The tool calls that wait for one's leave.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApprovalList {
    /// Those that wait, the oldest first.
    approvals: Vec<ApprovalRequest>,
    /// The tools that one gave leave for before. Those that ask once only are called without asking again.
    remembered: Vec<Remembered>,
}

/// A tool that one gave leave for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Remembered {
    /// The tool: `plugin__tool`.
    tool: String,
    /// When leave was given last.
    given_at: Time,
}

/// One's word about a tool call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// Whether the tool may be called.
    approve: bool,
}

/// The address of a tool call that waits for leave.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ApprovalAddress {
    /// Its identifier.
    id: ApprovalId,
}

/// The address of a tool.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ToolAddress {
    /// Its name: `plugin__tool`.
    name: String,
}

/// The address of an answer on its way.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ReplyAddress {
    /// Its identifier, as in the frames that tell of it.
    id: ReplyId,
}

pub(crate) async fn models(State(app): State<Arc<App>>) -> Result<Shown<ModelList>, ApiError> {
    let default_models = app.settings.borrow().server.ai.default_models.clone();
    Ok(Shown(ModelList { models: app.host.broker.models().await, default_models }))
}

pub(crate) async fn usage(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Query(asked): Query<UsageAsked>,
) -> Result<Shown<UsageList>, ApiError> {
    let most = limit(asked.limit, PAGE, PAGE_MAX)?;
    let filter = UsageFilter {
        user_id: whose(&caller, asked.user_id.as_deref())?,
        room_id: asked.room_id,
        model: asked.model,
        since: asked.since,
        until: asked.until,
    };
    let wrong = match asked.by {
        Some(_) if asked.before.is_some() => Some("`before` pages requests, not sums: use `skip`"),
        None if asked.skip.is_some() => Some("`skip` pages sums, not requests: use `before`"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(ApiError::bad_request("bad_query", wrong));
    }
    let total = app.store.ai_usage_sum(filter.clone()).await?;
    let (mut groups, mut requests, mut next) = (None, None, None);
    match asked.by {
        Some(by) => {
            let skip = asked.skip.unwrap_or(0);
            let mut found = app.store.ai_usage_by(by, filter, skip, most + 1).await?;
            next = (found.len() > most as usize).then(|| u64::from(skip) + u64::from(most));
            found.truncate(most as usize);
            groups = Some(found);
        }
        None => {
            let mut found = app.store.ai_usage(filter, asked.before, most + 1).await?;
            if found.len() > most as usize {
                found.truncate(most as usize);
                next = found.last().map(|row| row.number);
            }
            requests = Some(found);
        }
    }
    Ok(Shown(UsageList { total, groups, requests, next }))
}

/// Whose requests somebody may see: an administrator everybody's, everybody else their own.
fn whose(caller: &Principal, asked: Option<&str>) -> Result<Option<UserId>, ApiError> {
    let own = caller.user().id;
    let asked = match asked {
        None if caller.may(Scope::Admin) => return Ok(None),
        None | Some("me") => return Ok(Some(own)),
        Some(id) => id.parse::<UserId>(),
    };
    let asked = asked.map_err(|error| ApiError::bad_request("bad_query", format!("`user_id`: {error}")))?;
    if asked != own && !caller.may(Scope::Admin) {
        return Err(ApiError::forbidden("only administrators see what others asked")
            .hint("leave `user_id` out to see what you asked yourself"));
    }
    Ok(Some(asked))
}

pub(crate) async fn approvals(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
) -> Result<Shown<ApprovalList>, ApiError> {
    let mut approvals = app.host.assistants.approvals(caller.actor()).await?;
    // Whoever waited has given up, or was gone before the server was started again.
    let now = Time::now();
    approvals.retain(|request| request.expires_at > now);
    let remembered = app.store.leave_given(caller.actor()).await?;
    let remembered = remembered.into_iter().map(|(tool, given_at)| Remembered { tool, given_at }).collect();
    Ok(Shown(ApprovalList { approvals, remembered }))
}

pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<ApprovalAddress>,
    Json(decision): Json<Decision>,
) -> Result<Shown<ApprovalRequest>, ApiError> {
    let word = if decision.approve { ApprovalDecision::Give } else { ApprovalDecision::Refuse };
    let decided = app.host.assistants.decide(address.id, caller.actor(), word).await?;
    // The person may have it on the screen of another device.
    app.hub.approval(&decided);
    Ok(Shown(decided))
}

pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<ToolAddress>,
) -> Result<Gone, ApiError> {
    match app.store.forget_leave(caller.actor(), &address.name, act).await? {
        0 => Err(ApiError::not_found("you gave no leave for such a tool")
            .hint("GET /api/v1/ai/approvals lists those that you gave leave for")),
        _ => Ok(Gone),
    }
}

pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<ReplyAddress>,
) -> Result<Gone, ApiError> {
    app.host.assistants.cancel(address.id, caller.actor()).await?;
    Ok(Gone)
}
