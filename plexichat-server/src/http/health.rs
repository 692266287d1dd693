//! `/healthz`, `/readyz`, `/metrics`: what watches over the server asks.

use std::sync::Arc;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented, StatusCode as DocumentedStatus};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plexichat::descriptor::Hook;
use schemars::JsonSchema;
use serde::Serialize;

use super::app::App;
use super::hook_counters;
use super::openapi;
use super::output::Shown;
use super::workflows;
use crate::error::{ApiError, Finding};

/// The hooks that a message needs.
const HOOKS: [Hook; 2] = [Hook::RewriteMessage, Hook::ScanMessage];

/// All is well.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Well {
    /// `ok`.
    status: &'static str,
}

const WELL: Shown<Well> = Shown(Well { status: "ok" });

pub(crate) async fn live() -> Result<Shown<Well>, ApiError> {
    Ok(WELL)
}

impl App {
    /// Why the server cannot serve; nothing where it can.
    pub(crate) async fn hindrances(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |pointer: &str, message: String| findings.push(Finding { pointer: pointer.to_owned(), message });
        if *self.stopping.borrow() {
            find("", "the server is stopping".to_owned());
        }
        if let Err(error) = self.store.check().await {
            tracing::warn!(%error, "not ready");
            find("/store", "the store cannot be used".to_owned());
        }
        let plugins = self.host.manager.snapshot();
        for hook in HOOKS {
            if let Some(plugin) = plugins.closed_by(hook) {
                let message = format!("its {} hook must have its say, and it cannot", hook.as_str());
                find(&format!("/plugins/{plugin}"), message);
            }
        }
        findings
    }

    /// Every counter, as Prometheus reads them.
    pub(crate) fn counters(&self) -> String {
        for plugin in self.host.manager.list() {
            count_plugin(plugin.name.to_string(), &plugin.counters);
        }
        let hooks = self.host.manager.snapshot().standing().counts();
        hook_counters::count(&hooks);
        self.metrics.render() + &hook_counters::seconds(&hooks)
    }
}

pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Shown<Well>, ApiError> {
    let findings = app.hindrances().await;
    if findings.is_empty() {
        return Ok(WELL);
    }
    let mut error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the server cannot serve for now");
    error.details = findings;
    Err(error.retry_after(5))
}

/// The counters as Prometheus reads them.
pub(crate) struct Counters(String);

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Counters, ApiError> {
    workflows::count(&app).await;
    Ok(Counters(app.counters()))
}

/// Copies what the guard counts by itself, without a look-up at each call.
fn count_plugin(name: String, counters: &plexichat::incident::Counters) {
    let labels = [("plugin", name)];
    metrics::counter!("plexichat_plugin_calls_total", &labels).absolute(counters.calls);
    metrics::counter!("plexichat_plugin_errors_total", &labels).absolute(counters.errors);
    metrics::counter!("plexichat_plugin_timeouts_total", &labels).absolute(counters.timeouts);
    metrics::counter!("plexichat_plugin_panics_total", &labels).absolute(counters.panics);
    metrics::counter!("plexichat_plugin_refused_total", &labels).absolute(counters.refused);
    metrics::counter!("plexichat_plugin_events_total", &labels).absolute(counters.events);
    metrics::counter!("plexichat_plugin_shed_events_total", &labels).absolute(counters.shed);
    metrics::gauge!("plexichat_plugin_calls_in_flight", &labels).set(counters.in_flight as f64);
    metrics::gauge!("plexichat_plugin_mailbox_events", &labels).set(counters.waiting_events as f64);
    metrics::gauge!("plexichat_plugin_tasks", &labels).set(counters.tasks as f64);
}

impl IntoResponse for Counters {
    fn into_response(self) -> Response {
        let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        ([(header::CONTENT_TYPE, format)], self.0).into_response()
    }
}

impl OperationOutput for Counters {
    type Inner = String;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        vec![(Some(DocumentedStatus::Code(200)), openapi::text("Counters in Prometheus' text format"))]
    }
}
