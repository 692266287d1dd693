//! `/api/v1/workflows`: what starts workflows, for administrators and moderators; started by hand and given new secrets by
//! administrators. A trigger's identifier may have slashes, so that it stands in a body or a query and not in an address.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use plexichat::automation::{KeptTrigger, RunState, Start, hook_path};
use plexichat::error::{ErrorKind, PluginError};
use plexichat::id::PluginName;
use plexichat::message::Time;
use plexichat::secret::Secret;
use plexichat::trigger::{On, RunPolicy, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{Json, Query};
use super::output::{Accepted, Shown};
use super::rooms::limit;
use super::runs::{self, WholeRun};
use crate::auth::new_secret;
use crate::error::ApiError;

/// How many triggers a page has where nothing is said.
const PAGE: u32 = 200;
/// How many triggers a page may have.
const PAGE_MAX: u32 = 1_000;
/// The longest key.
const KEY_MAX: usize = 255;
/// What the secret of a webhook begins with, so that people and scanners of secrets know one when they see it.
const SECRET_PREFIX: &str = "whs_";

/// Which triggers are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriggersAsked {
    /// Only of this plugin.
    plugin: Option<PluginName>,
    /// Only those whose identifiers begin so.
    prefix: Option<String>,
    /// Only behind this one: the `next` of the page before.
    after: Option<String>,
    /// How many at most: 1 to 1000, 200 where nothing is said.
    limit: Option<u32>,
}

/// What starts a workflow.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownTrigger {
    /// Whose it is.
    plugin: PluginName,
    /// Its name, unique in its plugin.
    trigger: String,
    /// The workflow that it starts.
    workflow: String,
    /// What it waits for.
    on: On,
    /// Once in the whole cluster, or on every node.
    scope: Scope,
    /// Whether the plugin's code registers it; the others were made while it ran.
    fixed: bool,
    /// Whether the plugin runs: nothing is started while it does not.
    active: bool,
    /// When it is next due, where it waits for a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<Time>,
    /// Where it is called, where it is a webhook. Its secret is shown once, when it is made by `POST /api/v1/workflows/secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// What every run is given beside what the trigger saw.
    #[serde(skip_serializing_if = "Value::is_null")]
    input: Value,
    /// What becomes of its runs.
    policy: RunPolicy,
    /// How many of its runs are in each state that has some.
    runs: BTreeMap<&'static str, u64>,
}

/// Triggers, by plugin and name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TriggerList {
    /// The triggers.
    triggers: Vec<ShownTrigger>,
    /// Where the next page begins, as `after`; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What is to be started.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartAsked {
    /// Whose workflow.
    plugin: PluginName,
    /// The trigger whose workflow is started, whatever it waits for.
    trigger: String,
    /// What the run is given.
    #[serde(default)]
    input: Value,
    /// Whether it is to do nothing to the outside, and say what it would have done.
    #[serde(default)]
    dry_run: bool,
    /// The same key starts it once: 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    key: Option<String>,
}

/// A webhook's trigger.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretAsked {
    /// Whose it is.
    plugin: PluginName,
    /// Its name.
    trigger: String,
}

/// A new secret, shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NewSecret {
    /// Where the trigger is called.
    url: String,
    /// What a caller shows, as `Authorization: Bearer …`, or makes signatures with. The one before counts no more.
    secret: String,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(asked): Query<TriggersAsked>,
) -> Result<Shown<TriggerList>, ApiError> {
    let most = limit(asked.limit, PAGE, PAGE_MAX)? as usize;
    let prefix = asked.prefix.unwrap_or_default();
    let after = asked.after.unwrap_or_default();
    let place = |trigger: &KeptTrigger| format!("{}/{}", trigger.plugin, trigger.spec.id);
    let mut found = app.host.automations.store().triggers(asked.plugin).await?;
    found.retain(|trigger| trigger.spec.id.starts_with(&prefix));
    found.sort_by_cached_key(place);
    found.retain(|trigger| place(trigger) > after);
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(place);
    let mut counts: BTreeMap<(PluginName, String), BTreeMap<&'static str, u64>> = BTreeMap::new();
    for count in app.store.trigger_counts().await? {
        counts.entry((count.plugin, count.trigger)).or_default().insert(count.state.as_str(), count.count);
    }
    let mut secrets = BTreeMap::new();
    let shown = |trigger: KeptTrigger| {
        let KeptTrigger { plugin, spec, fixed, next_at, .. } = trigger;
        let secrets = secrets.entry(plugin.clone()).or_insert_with_key(|plugin| app.host.manager.secrets(plugin));
        ShownTrigger {
            url: (spec.on == On::Webhook).then(|| url(&app, &plugin, &spec.id)),
            active: app.host.running(plugin.as_str()).is_some(),
            runs: counts.remove(&(plugin.clone(), spec.id.clone())).unwrap_or_default(),
            input: runs::without(spec.input, secrets),
            plugin,
            trigger: spec.id,
            workflow: spec.workflow,
            on: spec.on,
            scope: spec.scope,
            fixed,
            next_at,
            policy: spec.policy,
        }
    };
    Ok(Shown(TriggerList { triggers: found.into_iter().map(shown).collect(), next }))
}

fn url(app: &App, plugin: &PluginName, id: &str) -> String {
    format!("{}{}", app.public_url.as_deref().unwrap_or_default().trim_end_matches('/'), hook_path(plugin, id))
}

pub(super) async fn start(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Json(asked): Json<StartAsked>,
) -> Result<Accepted<WholeRun>, ApiError> {
    if asked.key.as_ref().is_some_and(|key| !(1..=KEY_MAX).contains(&key.len())) {
        let finding = crate::error::Finding {
            pointer: "/key".to_owned(),
            message: format!("1 to {KEY_MAX} characters are expected"),
        };
        return Err(ApiError::invalid("the key is too short or too long", vec![finding]));
    }
    let StartAsked { plugin, trigger, input, dry_run, key } = asked;
    let start = Start { input, dry_run, key };
    let run = app.host.automations.start_by(caller.actor().clone(), &plugin, &trigger, start).await;
    let run = run.map_err(refused)?;
    let detail = serde_json::json!({ "plugin": plugin, "trigger": trigger, "dry_run": dry_run });
    app.store.audit(act.audit("run.start", run, detail)).await?;
    runs::whole(&app, run).await.map(Accepted)
}

fn refused(error: PluginError) -> ApiError {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::NotFound => {
            ApiError::not_found(message).hint("GET /api/v1/workflows lists the triggers that there are")
        }
        ErrorKind::Input => ApiError::invalid(message, Vec::new()),
        _ => ApiError::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).retry_after(1),
    }
}

pub(super) async fn renew_secret(
    State(app): State<Arc<App>>,
    By(act): By,
    Json(asked): Json<SecretAsked>,
) -> Result<Shown<NewSecret>, ApiError> {
    let SecretAsked { plugin, trigger } = asked;
    let secret: Secret = new_secret(SECRET_PREFIX).map_err(ApiError::internal)?;
    if !app.store.set_trigger_secret(plugin.clone(), trigger.clone(), secret.clone(), act).await? {
        return Err(ApiError::not_found(format!("plugin `{plugin}` has no webhook trigger `{trigger}`"))
            .hint("GET /api/v1/workflows lists the triggers that there are, each with what it waits for"));
    }
    Ok(Shown(NewSecret { url: url(&app, &plugin, &trigger), secret: secret.expose().to_owned() }))
}

/// Counts runs as they stand, for Prometheus.
pub(super) async fn count(app: &App) {
    let store = app.host.automations.store();
    let Ok(counts) = store.run_counts().await else { return };
    let plugins: Vec<PluginName> = app.host.manager.list().into_iter().map(|plugin| plugin.name).collect();
    for plugin in plugins {
        for state in RunState::ALL {
            let found = counts.iter().find(|(of, is, _)| *of == plugin && is == state);
            let labels = [("plugin", plugin.to_string()), ("state", state.as_str().to_owned())];
            // One that had none ever needs no line.
            if found.is_some() || counts.iter().any(|(of, ..)| *of == plugin) {
                metrics::gauge!("plexichat_workflow_runs", &labels).set(found.map_or(0, |(.., count)| *count) as f64);
            }
        }
    }
    let running = app.host.manager.snapshot().plugins().map(|plugin| plugin.name().clone()).collect();
    if let Ok(next) = store.next_due(running).await {
        let late = next.map_or(0, |next| Time::now().as_micros().saturating_sub(next.as_micros()).max(0));
        metrics::gauge!("plexichat_workflow_late_seconds").set(late as f64 / 1e6);
    }
}
