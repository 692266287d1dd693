//! `/api/v1/audit`: who did what, and whether the record of it is whole. And how routes write into it.

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::extract::Query;
use super::output::Shown;
use super::rooms::limit;
use crate::error::ApiError;
use crate::store::{Anchor, Audit, AuditQuery, AuditReport, AuditRow};

/// How many rows a page has where nothing is said.
const PAGE: u32 = 50;
/// How many rows a page may have.
const PAGE_MAX: u32 = 500;

/// Which page of the audit log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditPage {
    /// Only rows before the one with this number.
    before: Option<u64>,
    /// Only what this person or plugin did, by identifier or name.
    actor: Option<String>,
    /// Only this action, such as `plugin.enable`; `plugin.` is every action on plugins.
    action: Option<String>,
    /// Only what was done to this: an identifier or a name.
    subject: Option<String>,
    /// How many rows it has at most: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
}

/// Rows of the audit log, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditList {
    /// The rows.
    rows: Vec<AuditRow>,
    /// Whether there are older ones.
    more: bool,
}

/// What the log is verified against.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditExpected {
    /// A `head` that was noted elsewhere before: a number and a hash, such as `12:9f86d081…`.
    expect: Option<String>,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<AuditPage>,
) -> Result<Shown<AuditList>, ApiError> {
    let AuditPage { before, actor, action, subject, limit: wanted } = page;
    let wanted = limit(wanted, PAGE, PAGE_MAX)?;
    let query = AuditQuery { before, actor, action, subject, limit: wanted + 1 };
    let mut rows = app.store.audit_rows(query).await?;
    let more = rows.len() > wanted as usize;
    rows.truncate(wanted as usize);
    Ok(Shown(AuditList { rows, more }))
}

pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    Query(expected): Query<AuditExpected>,
) -> Result<Shown<AuditReport>, ApiError> {
    let expected = expected.expect.map(|text| text.parse::<Anchor>()).transpose();
    let expected = expected.map_err(|error| ApiError::bad_request("bad_query", format!("`expect` {error}")))?;
    Ok(Shown(app.store.verify_audit(expected).await?))
}

/// Writes what was done already. It cannot be undone, so a store that refuses is told to the operator.
pub(crate) async fn write(app: &App, audit: Audit) {
    let (action, subject) = (audit.action, audit.subject.clone());
    if let Err(error) = app.store.audit(audit).await {
        tracing::error!(%error, action, subject, "what was done is not in the audit log");
    }
}
