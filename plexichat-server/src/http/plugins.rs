//! `/api/v1/plugins`: what is linked, how far it is, its configuration. What is sent has its own types here; the manager's
//! may change.

use std::collections::BTreeMap;
use std::sync::Arc;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use plexichat::descriptor::Role;
use plexichat::id::PluginName;
use plexichat::incident::{Counters, LastError};
use plexichat::manager::{BreakerState, Grants, ManagerError, PluginConfig, PluginInfo, PluginManager};
use plexichat::manifest::Manifest;
use plexichat::permission::Permission;
use plexichat::plugin::Health;
use plexichat::problem::Problem;
use plexichat::settings::IsolationLevel;
use plexichat::store::PluginData;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tracing::Instrument;

use super::app::App;
use super::audit;
use super::auth::{By, Caller};
use super::extract::{Json, OptionalJson, Path};
use super::messages::header_parameter;
use super::output::{Shown, Versioned};
use crate::auth::Principal;
use crate::error::{ApiError, Finding};
use crate::store::{Act, Audit, Scope};

/// A linked plugin, and how far it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownPlugin {
    /// Its name.
    name: PluginName,
    /// Its version.
    version: String,
    /// What kind of plugin it is; nothing where it was installed and is not linked any more.
    #[serde(rename = "type")]
    kind: Option<Role>,
    /// What it does.
    description: String,
    /// `linked`, `installed`, `starting`, `enabled`, `disabled`, `blocked`, `failed` or `quarantined`.
    state: &'static str,
    /// Why it does not run, or is not asked, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// Whether it is asked at the moment, or failed too often of late; nothing while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<BreakerState>,
    /// Whether it can do its work, as it said last; nothing while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health>,
    /// The permissions it has.
    granted: Vec<Permission>,
    /// Where its calls run.
    isolation: IsolationLevel,
    /// What it has been asked since the server started.
    counters: Counters,
    /// The last thing that went wrong, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
    /// Everything it says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Manifest>,
}

/// The plugins of this server, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PluginList {
    /// The plugins, without their manifests.
    plugins: Vec<ShownPlugin>,
}

/// A plugin's configuration. Secrets are shown as `***`; one that is sent back so stays as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownConfig {
    /// What counts: every layer together.
    config: Value,
    /// How many times it was set here. `If-Match` with it keeps two people from overwriting each other.
    revision: u64,
    /// Where each value was set, by JSON pointer.
    origins: BTreeMap<String, String>,
    /// The values that cannot be set here, by JSON pointer, and where they are set.
    pinned: BTreeMap<String, String>,
    /// What is wrong with it: while there is any, the plugin cannot start.
    problems: Vec<Problem>,
}

/// What an install grants.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Install {
    /// The permissions; what the bundle and the settings grant where nothing is said.
    grant: Option<Vec<Permission>>,
    /// The version that is expected, as a Cargo requirement.
    version: Option<String>,
}

/// What an uninstall takes along.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Uninstall {
    /// Whether what the plugin stored goes too.
    remove_data: bool,
}

/// No more to be said.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The address of a plugin.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PluginAddress {
    /// The plugin's name.
    name: PluginName,
}

/// The version that the caller has seen.
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        match value.to_str().map(str::trim) {
            Ok("*") => Ok(Self(None)),
            Ok(tag) => match tag.trim_matches('"').parse() {
                Ok(revision) => Ok(Self(Some(revision))),
                Err(_) => Err(stale(format!("`{tag}` is no version that this server has given"))),
            },
            Err(_) => Err(stale("the If-Match header is no version that this server has given".to_owned())),
        }
    }
}

impl OperationInput for IfMatch {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let description = "The `ETag` that was read: 412 where somebody has changed it since.";
        operation.parameters.push(header_parameter(context, "If-Match", description));
    }
}

impl ShownPlugin {
    fn of(info: PluginInfo, caller: &Caller) -> Self {
        // What went wrong inside may name hosts and paths: it is for those who can mend it.
        let operator = caller.0.may(Scope::Admin);
        let cause = info.cause().filter(|_| operator);
        Self {
            name: info.name,
            version: info.version,
            kind: info.manifest.as_ref().map(|manifest| manifest.kind),
            description: info.description,
            state: info.state.as_str(),
            cause,
            breaker: info.breaker,
            health: info.health,
            granted: info.granted,
            isolation: info.isolation,
            counters: info.counters,
            last_error: info.last_error.filter(|_| operator),
            manifest: info.manifest,
        }
    }
}

impl From<PluginConfig> for ShownConfig {
    fn from(config: PluginConfig) -> Self {
        let PluginConfig { value, revision, origins, pinned, problems, .. } = config;
        Self { config: value, revision, origins, pinned, problems }
    }
}

pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Shown<PluginList>, ApiError> {
    let shown = |info: PluginInfo| ShownPlugin { manifest: None, ..ShownPlugin::of(info, &caller) };
    Ok(Shown(PluginList { plugins: app.host.manager.list().into_iter().map(shown).collect() }))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(plugin): Path<PluginAddress>,
) -> Result<Shown<ShownPlugin>, ApiError> {
    shown(&app, &caller, &plugin.name)
}

pub(crate) async fn schema(
    State(app): State<Arc<App>>,
    Path(plugin): Path<PluginAddress>,
) -> Result<Shown<Value>, ApiError> {
    let manifest = app.host.manager.get(&plugin.name).and_then(|info| info.manifest);
    manifest.map(|manifest| Shown(manifest.config_schema)).ok_or_else(|| unknown(&plugin.name))
}

pub(crate) async fn install(
    State(app): State<Arc<App>>,
    caller: Caller,
    By(act): By,
    Path(plugin): Path<PluginAddress>,
    OptionalJson(install): OptionalJson<Install>,
) -> Result<Shown<ShownPlugin>, ApiError> {
    let audit = act.audit("plugin.install", &plugin.name, Value::Null);
    let grants = install.grant.map_or(Grants::Settings, Grants::These);
    let name = plugin.name.clone();
    let info = whole(&app, audit, async move |manager| {
        let info = manager.install(&name, install.version.as_deref(), grants).await?;
        let detail = json!({ "version": info.version, "granted": info.granted });
        Ok((info, detail))
    })
    .await?;
    tracing::info!(plugin = %plugin.name, by = %caller.0.user().id, "a plugin was installed");
    Ok(Shown(ShownPlugin::of(info, &caller)))
}

pub(crate) async fn uninstall(
    State(app): State<Arc<App>>,
    caller: Caller,
    By(act): By,
    Path(plugin): Path<PluginAddress>,
    OptionalJson(uninstall): OptionalJson<Uninstall>,
) -> Result<Shown<ShownPlugin>, ApiError> {
    let data = if uninstall.remove_data { PluginData::Remove } else { PluginData::Keep };
    let audit = act.audit("plugin.uninstall", &plugin.name, Value::Null);
    let (name, by) = (plugin.name.clone(), caller.0.actor().clone());
    whole(&app, audit, async move |manager| {
        manager.uninstall(&name, data, &by).await?;
        Ok(((), json!({ "remove_data": uninstall.remove_data })))
    })
    .await?;
    tracing::info!(plugin = %plugin.name, by = %caller.0.user().id, "a plugin was uninstalled");
    shown(&app, &caller, &plugin.name)
}

pub(crate) async fn enable(
    State(app): State<Arc<App>>,
    caller: Caller,
    By(act): By,
    Path(plugin): Path<PluginAddress>,
    OptionalJson(Nothing {}): OptionalJson<Nothing>,
) -> Result<Shown<ShownPlugin>, ApiError> {
    let audit = act.audit("plugin.enable", &plugin.name, Value::Null);
    let (name, by) = (plugin.name.clone(), caller.0.actor().clone());
    let info = whole(&app, audit, async move |manager| Ok((manager.enable(&name, &by).await?, json!({})))).await?;
    tracing::info!(plugin = %plugin.name, by = %caller.0.user().id, "a plugin was enabled");
    Ok(Shown(ShownPlugin::of(info, &caller)))
}

pub(crate) async fn disable(
    State(app): State<Arc<App>>,
    caller: Caller,
    By(act): By,
    Path(plugin): Path<PluginAddress>,
    OptionalJson(Nothing {}): OptionalJson<Nothing>,
) -> Result<Shown<ShownPlugin>, ApiError> {
    let audit = act.audit("plugin.disable", &plugin.name, Value::Null);
    let (name, by) = (plugin.name.clone(), caller.0.actor().clone());
    let info = whole(&app, audit, async move |manager| Ok((manager.disable(&name, &by).await?, json!({})))).await?;
    tracing::info!(plugin = %plugin.name, by = %caller.0.user().id, "a plugin was disabled");
    Ok(Shown(ShownPlugin::of(info, &caller)))
}

pub(crate) async fn release(
    State(app): State<Arc<App>>,
    caller: Caller,
    By(act): By,
    Path(plugin): Path<PluginAddress>,
    OptionalJson(Nothing {}): OptionalJson<Nothing>,
) -> Result<Shown<ShownPlugin>, ApiError> {
    let audit = act.audit("plugin.release", &plugin.name, Value::Null);
    let (name, by) = (plugin.name.clone(), caller.0.actor().clone());
    let info = whole(&app, audit, async move |manager| Ok((manager.release(&name, &by).await?, json!({})))).await?;
    tracing::info!(plugin = %plugin.name, by = %caller.0.user().id, "a plugin was released");
    Ok(Shown(ShownPlugin::of(info, &caller)))
}

pub(crate) async fn config(
    State(app): State<Arc<App>>,
    Path(plugin): Path<PluginAddress>,
) -> Result<Versioned<ShownConfig>, ApiError> {
    let config = app.host.manager.plugin_config(&plugin.name)?;
    Ok(Versioned { version: config.revision, value: config.into() })
}

pub(crate) async fn set_config(
    State(app): State<Arc<App>>,
    caller: Caller,
    By(act): By,
    Path(plugin): Path<PluginAddress>,
    IfMatch(revision): IfMatch,
    Json(config): Json<Map<String, Value>>,
) -> Result<Versioned<ShownConfig>, ApiError> {
    let config = configure(&app, &caller.0, act, &plugin.name, config, revision).await?;
    Ok(Versioned { version: config.revision, value: config.into() })
}

/// Gives a plugin another configuration.
///
/// # Errors
/// What the manager refuses.
///
/// # Cancel safety
/// The change is carried through though the call is dropped.
pub(super) async fn configure(
    app: &Arc<App>,
    caller: &Principal,
    act: Act,
    plugin: &PluginName,
    config: Map<String, Value>,
    revision: Option<u64>,
) -> Result<PluginConfig, ApiError> {
    let audit = act.audit("plugin.configure", plugin, Value::Null);
    // Names only: a value may be a secret.
    let keys: Vec<String> = config.keys().cloned().collect();
    let wanted = Value::Object(config);
    let (name, by) = (plugin.clone(), caller.actor().clone());
    let config = whole(app, audit, async move |manager| {
        let config = manager.reconfigure(&name, &wanted, revision, &by).await?;
        let detail = json!({ "revision": config.revision, "keys": keys });
        Ok((config, detail))
    })
    .await?;
    tracing::info!(%plugin, by = %caller.user().id, revision = config.revision, "a plugin was configured");
    Ok(config)
}

/// Carries a change through to its end, though the client may hang up in the middle of it, and into the audit log with what
/// it says of itself.
async fn whole<T, C, F>(app: &Arc<App>, audit: Audit, change: C) -> Result<T, ApiError>
where
    T: Send + 'static,
    C: FnOnce(Arc<PluginManager>) -> F + Send + 'static,
    F: Future<Output = Result<(T, Value), ManagerError>> + Send + 'static,
{
    let app = app.clone();
    let change = async move {
        let (done, detail) = change(app.host.manager.clone()).await?;
        audit::write(&app, Audit { detail, ..audit }).await;
        Ok::<_, ManagerError>(done)
    };
    match tokio::spawn(change.in_current_span()).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(ApiError::internal(format_args!("a change of plugins did not end: {error}"))),
    }
}

fn shown(app: &App, caller: &Caller, name: &PluginName) -> Result<Shown<ShownPlugin>, ApiError> {
    let info = app.host.manager.get(name).ok_or_else(|| unknown(name))?;
    Ok(Shown(ShownPlugin::of(info, caller)))
}

fn unknown(name: &PluginName) -> ApiError {
    ManagerError::NotLinked(name.clone()).into()
}

pub(crate) fn stale(message: String) -> ApiError {
    ApiError::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", message)
        .hint("read it again and repeat the change")
}

impl From<ManagerError> for ApiError {
    fn from(error: ManagerError) -> Self {
        let (message, hint) = (error.to_string(), error.hint());
        let findings = |problems: Vec<Problem>| problems.into_iter().map(Finding::from).collect();
        let mut refused = match error {
            ManagerError::Store(error) => return error.into(),
            ManagerError::Invalid(problems) => {
                let message = "the configuration is not valid; the old one goes on";
                return Self { code: "invalid_config", ..Self::invalid(message, findings(problems)) };
            }
            ManagerError::Revision { .. } => return stale(message),
            ManagerError::NotLinked(_) => Self::not_found(message),
            ManagerError::Pinned(problems) => Self { details: findings(problems), ..Self::conflict("pinned", message) },
            ManagerError::Version { .. } => Self::conflict("other_version", message),
            ManagerError::NotStarted { .. } => Self::conflict("not_started", message),
            _ => Self::conflict("refused", message),
        };
        refused.hint = hint;
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: ManagerError, status: u16, code: &str, pointer: Option<&str>) {
        let error = ApiError::from(error);
        assert_eq!((error.status.as_u16(), error.code), (status, code));
        assert_eq!(error.details.first().map(|finding| finding.pointer.as_str()), pointer, "{code}");
    }

    #[test]
    fn each_refusal_of_the_manager_has_its_status() {
        let name: PluginName = "echo".parse().unwrap();
        check(ManagerError::NotLinked(name.clone()), 404, "not_found", None);
        check(ManagerError::Revision { expected: 1, found: 2 }, 412, "precondition_failed", None);
        check(ManagerError::NotStarted { name, cause: "bad".into() }, 409, "not_started", None);
        let problem = || vec![Problem::new("/prefix", "is set in plexichat.toml:3:1").origin("plexichat.toml:3:1")];
        check(ManagerError::Pinned(problem()), 409, "pinned", Some("/prefix"));
        check(ManagerError::Invalid(problem()), 422, "invalid_config", Some("/prefix"));
        check(ManagerError::Store(plexichat::store::StoreError::Full), 507, "storage_full", None);
    }
}
