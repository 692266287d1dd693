//! `/api/v1/workflows/runs` and `/dead-letters`: what workflows did and do, for administrators and moderators; ended and queued
//! again by administrators. Knows no plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use plexichat::automation::{RunFilter, RunRecord, RunState};
use plexichat::id::{PluginName, RunId};
use plexichat::message::Time;
use plexichat::secret::{MASK, Secret};
use plexichat::workflow::{RunCause, RunStep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::app::App;
use super::auth::By;
use super::extract::{Json, Path, Query};
use super::output::Shown;
use super::rooms::limit;
use crate::error::ApiError;

/// How many runs a page has where nothing is said.
const PAGE: u32 = 50;
/// How many runs a page may have.
const PAGE_MAX: u32 = 500;
/// How many dead letters are queued again by one request.
const REPLAY_MAX: u32 = 1_000;
/// A shorter secret stands in too many words to be taken out of them.
const SECRET_MIN: usize = 6;

/// Which runs are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsAsked {
    /// Only of this plugin.
    plugin: Option<PluginName>,
    /// Only of this workflow.
    workflow: Option<String>,
    /// Only of this trigger.
    trigger: Option<String>,
    /// Only in one of these states, separated by commas: `queued`, `running`, `waiting`, `done`, `skipped`, `failed`, `cancelled`.
    state: Option<String>,
    /// Only runs that were made before this one: the `next` of the page before.
    before: Option<RunId>,
    /// How many runs at most: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
}

/// Which dead letters are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadAsked {
    /// Only of this plugin.
    plugin: Option<PluginName>,
    /// Only runs that were made before this one: the `next` of the page before.
    before: Option<RunId>,
    /// How many runs at most: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
}

/// A run of a workflow, in short.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownRun {
    /// Its identifier.
    id: RunId,
    /// Whose workflow.
    plugin: PluginName,
    /// The workflow.
    workflow: String,
    /// What started it.
    trigger: String,
    /// How it stands.
    state: RunState,
    /// How many attempts were begun.
    attempts: u32,
    /// How many there are before it is a dead letter.
    attempts_max: u32,
    /// How often it was parked.
    waits: u32,
    /// Why the last attempt failed, or why there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether it does nothing to the outside.
    dry_run: bool,
    /// Who or what started it.
    cause: RunCause,
    /// The node that it is for, where its trigger fires on every node.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// When it was made.
    created_at: Time,
    /// When it should have run: the tick of a cron expression, the time of an event.
    scheduled_at: Time,
    /// When it goes on, where it is queued or waits for a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Time>,
    /// When its first attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Time>,
    /// How long its attempts took together, in milliseconds.
    busy_ms: u64,
}

/// A run with all that is known of it. Values of the plugin's secrets are shown as `***`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WholeRun {
    /// In short.
    #[serde(flatten)]
    run: ShownRun,
    /// What its trigger saw.
    input: Value,
    /// What the workflow keeps between attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Value>,
    /// What woke it, where nothing took that up yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<Value>,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// What it did, the oldest first; the last 1,000 are kept.
    steps: Vec<RunStep>,
}

/// Runs, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunList {
    /// The runs.
    runs: Vec<ShownRun>,
    /// Where the next page begins, as `before`; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RunId>,
}

/// The address of a run.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RunAddress {
    /// Its identifier.
    id: RunId,
}

/// Which dead letters are to be queued again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayAsked {
    /// Of this plugin.
    plugin: PluginName,
    /// Only of this workflow.
    workflow: Option<String>,
}

/// What was queued again.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReplayedRuns {
    /// How many runs.
    replayed: u64,
    /// Whether there are more dead letters: ask once more.
    more: bool,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(asked): Query<RunsAsked>,
) -> Result<Shown<RunList>, ApiError> {
    let states = asked.state.as_deref().map(states).transpose()?.unwrap_or_default();
    let RunsAsked { plugin, workflow, trigger, before, .. } = asked;
    page(&app, asked.limit, RunFilter { plugin, workflow, trigger, states, before, limit: 0 }).await
}

pub(super) async fn dead_letters(
    State(app): State<Arc<App>>,
    Query(asked): Query<DeadAsked>,
) -> Result<Shown<RunList>, ApiError> {
    let DeadAsked { plugin, before, .. } = asked;
    page(&app, asked.limit, RunFilter { plugin, before, states: vec![RunState::Failed], ..RunFilter::default() }).await
}

async fn page(app: &App, asked: Option<u32>, filter: RunFilter) -> Result<Shown<RunList>, ApiError> {
    let most = limit(asked, PAGE, PAGE_MAX)?;
    let mut found = app.host.automations.store().runs(RunFilter { limit: most + 1, ..filter }).await?;
    let more = found.len() > most as usize;
    found.truncate(most as usize);
    let next = found.last().filter(|_| more).map(|run| run.id);
    let mut secrets = BTreeMap::new();
    let mut shown = |run: RunRecord| {
        let secrets = secrets.entry(run.plugin.clone()).or_insert_with_key(|plugin| app.host.manager.secrets(plugin));
        in_short(&run, secrets)
    };
    let runs = found.into_iter().map(&mut shown).collect();
    Ok(Shown(RunList { runs, next }))
}

fn states(words: &str) -> Result<Vec<RunState>, ApiError> {
    let known = |word: &str| RunState::ALL.iter().copied().find(|state| state.as_str() == word);
    let state = |word: &str| {
        known(word.trim()).ok_or_else(|| {
            let words: Vec<&str> = RunState::ALL.iter().map(|state| state.as_str()).collect();
            ApiError::bad_request("bad_query", format!("`state`: there is no state `{word}`"))
                .hint(format!("there are {}", words.join(", ")))
        })
    };
    words.split(',').map(state).collect()
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(address): Path<RunAddress>,
) -> Result<Shown<WholeRun>, ApiError> {
    whole(&app, address.id).await.map(Shown)
}

pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    By(act): By,
    Path(address): Path<RunAddress>,
) -> Result<Shown<WholeRun>, ApiError> {
    let by = act.by().clone();
    let (before, _) = app.store.cancel_run(address.id, act).await?.ok_or_else(no_run)?;
    if before.has_ended() && before != RunState::Cancelled {
        return Err(ApiError::conflict("run_has_ended", format!("the run is {} already", before.as_str())));
    }
    // Its attempt, where one is made here, hears of it at once.
    app.host.automations.cancel_by(address.id, by).await?;
    whole(&app, address.id).await.map(Shown)
}

pub(super) async fn replay(
    State(app): State<Arc<App>>,
    By(act): By,
    Path(address): Path<RunAddress>,
) -> Result<Shown<WholeRun>, ApiError> {
    let before = app.store.replay_run(address.id, act).await?.ok_or_else(no_run)?;
    if !matches!(before, RunState::Failed | RunState::Cancelled) {
        let message = format!("the run is {}: only one that failed or was cancelled is queued again", before.as_str());
        let error = ApiError::conflict("run_not_failed", message);
        return Err(error.hint("POST /api/v1/workflows/start makes a new run of a trigger"));
    }
    app.host.automations.look();
    whole(&app, address.id).await.map(Shown)
}

pub(super) async fn replay_dead_letters(
    State(app): State<Arc<App>>,
    By(act): By,
    Json(asked): Json<ReplayAsked>,
) -> Result<Shown<ReplayedRuns>, ApiError> {
    let found = app.store.replay_dead_letters(asked.plugin, asked.workflow, REPLAY_MAX, act).await?;
    app.host.automations.look();
    Ok(Shown(ReplayedRuns { replayed: found.replayed, more: found.more }))
}

/// A run with all that is known of it.
pub(super) async fn whole(app: &App, id: RunId) -> Result<WholeRun, ApiError> {
    let (run, steps) = app.host.automations.store().run(id).await?.ok_or_else(no_run)?;
    let secrets = app.host.manager.secrets(&run.plugin);
    let clean = |value: Value| without(value, &secrets);
    let steps = steps.into_iter().map(|mut step| {
        step.detail = without(step.detail, &secrets);
        step
    });
    Ok(WholeRun {
        steps: steps.collect(),
        run: in_short(&run, &secrets),
        input: clean(run.input),
        kept: run.kept.map(clean),
        signal: run.signal.map(clean),
        output: run.output.map(clean),
    })
}

fn no_run() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is no such run, or it was so long ago that it is gone")
        .hint("GET /api/v1/workflows/runs lists those that are known")
}

fn in_short(run: &RunRecord, secrets: &[Secret]) -> ShownRun {
    ShownRun {
        id: run.id,
        plugin: run.plugin.clone(),
        workflow: run.trigger.workflow.clone(),
        trigger: run.trigger.id.clone(),
        state: run.state,
        attempts: run.attempts,
        attempts_max: run.trigger.policy.attempts,
        waits: run.waits,
        error: run.error.as_ref().map(|error| masked(error.clone(), secrets)),
        dry_run: run.dry_run,
        cause: run.cause.clone(),
        node: run.node.clone(),
        created_at: run.created_at,
        scheduled_at: run.scheduled_at,
        due_at: run.due_at,
        started_at: run.started_at,
        ended_at: run.ended_at,
        busy_ms: run.busy_ms,
    }
}

/// The value without these secrets.
pub(super) fn without(value: Value, secrets: &[Secret]) -> Value {
    match value {
        Value::String(text) => Value::String(masked(text, secrets)),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| without(item, secrets)).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, without(value, secrets))).collect())
        }
        other => other,
    }
}

fn masked(text: String, secrets: &[Secret]) -> String {
    secrets
        .iter()
        .map(Secret::expose)
        .filter(|secret| secret.len() >= SECRET_MIN)
        .fold(text, |text, secret| if text.contains(secret) { text.replace(secret, MASK) } else { text })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        let secrets = [Secret::new("sk-4711-abcd"), Secret::new("ok")];
        let value = json!({ "headers": [{ "auth": "Bearer sk-4711-abcd" }], "text": "it is ok", "n": 1 });
        let shown = json!({ "headers": [{ "auth": "Bearer ***" }], "text": "it is ok", "n": 1 });
        assert_eq!(without(value, &secrets), shown);
    }

    #[test]
    fn states_are_words_in_a_list() {
        assert_eq!(states("failed, waiting").unwrap(), [RunState::Failed, RunState::Waiting]);
        let error = states("dead").unwrap_err();
        assert!(error.hint.is_some_and(|hint| hint.contains("cancelled")), "{}", error.message);
    }
}
