//! The one shape of every error that leaves over HTTP or WebSocket, and what each failure inside looks like outside.
//! Knows no route.

use std::fmt;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plexichat::assistant::{CancelError, DecideError};
use plexichat::pipeline::Refusal;
use plexichat::problem::Problem;
use plexichat::store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of every answer with a status from 400 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong.
    pub(crate) error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ErrorDetail {
    /// A code for programs, such as `not_found`. It does not change with the wording.
    pub(crate) code: String,
    /// What failed, in words.
    pub(crate) message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// Every finding, where there is more to say than one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Vec<Finding>>,
    /// The request's identifier, as in the server's log.
    pub(crate) request_id: String,
}

/// One finding in what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Finding {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) message: String,
}

/// A failure on its way out. [`front`](crate::http) gives it the request's identifier and writes it.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) details: Vec<Finding>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), hint: None, details: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    pub(crate) fn invalid(message: impl Into<String>, details: Vec<Finding>) -> Self {
        Self { details, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", message) }
    }

    /// Our own mistake: what happened goes to the log, not to the client.
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(cause = %cause, "a request failed by a mistake of the server");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the server made a mistake")
            .hint("the operator finds the cause in the log under this request_id")
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("send `Authorization: Bearer plx_…` with a token from `plexichat token create`")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"plexichat\""))
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[must_use]
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// The error for a status that some layer answered without a body.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("not_found", "there is nothing at this address"),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this address does not take this method"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the request is too large"),
            StatusCode::UPGRADE_REQUIRED => ("upgrade_required", "this address speaks WebSocket only"),
            status if status.is_client_error() => ("bad_request", "the request cannot be answered"),
            _ => ("internal_error", "the server made a mistake"),
        };
        let error = Self::new(status, code, message);
        match status {
            StatusCode::NOT_FOUND => error.hint("GET /openapi.json lists every address"),
            StatusCode::METHOD_NOT_ALLOWED => error.hint("the `Allow` header lists the methods it takes"),
            _ => error,
        }
    }

    /// The body, for the request with this identifier.
    pub(crate) fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code.to_owned(),
                message: self.message.clone(),
                hint: self.hint.clone(),
                details: (!self.details.is_empty()).then(|| self.details.clone()),
                request_id: request_id.to_owned(),
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        let Problem { pointer, origin, mut message, hint } = problem;
        // What came with the request needs no place, and a message may name it itself.
        let here = plexichat::settings::Origin::Api.to_string();
        if let Some(origin) = origin.filter(|origin| *origin != here && !message.contains(origin.as_str())) {
            message.push_str(&format!(", set in {origin}"));
        }
        if let Some(hint) = hint {
            message.push_str(&format!(" ({hint})"));
        }
        Self { pointer, message }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let unavailable = |message| Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", message);
        match error {
            StoreError::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "storage_full",
                "the server's disk is full; nothing was stored",
            )
            .hint("free space in the data directory; reading goes on meanwhile"),
            StoreError::Unavailable(reason) => {
                tracing::warn!(reason, "the store refused");
                unavailable("the store is stopping or too busy; nothing was stored").retry_after(1)
            }
            error => {
                tracing::error!(%error, "the store failed");
                unavailable("the store failed; nothing was stored").retry_after(5)
            }
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        let message = error.to_string();
        match error {
            CancelError::Store(error) => error.into(),
            CancelError::Forbidden => Self::forbidden(message),
            _ => Self::new(StatusCode::NOT_FOUND, "reply_not_found", message),
        }
    }
}

impl From<DecideError> for ApiError {
    fn from(error: DecideError) -> Self {
        let message = error.to_string();
        match error {
            DecideError::Store(error) => error.into(),
            DecideError::Decided(_) => {
                Self::conflict("already_decided", message).hint("GET /api/v1/ai/approvals lists those that wait")
            }
            _ => Self::new(StatusCode::NOT_FOUND, "approval_not_found", message)
                .hint("GET /api/v1/ai/approvals lists those that wait"),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Store(error) = refusal {
            return error.into();
        }
        let status = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut error = Self::new(status, refusal.code(), refusal.to_string());
        error.hint = refusal.hint().map(str::to_owned);
        match refusal {
            Refusal::Invalid(problems) => error.details = problems.into_iter().map(Finding::from).collect(),
            Refusal::Rejected { finding, .. } => {
                // The code only: a finding's detail is for moderators.
                error.details = vec![Finding { pointer: "/text".to_owned(), message: finding.code }];
            }
            // Whole seconds, and never too early.
            Refusal::TooFast { retry_after } => return error.retry_after(retry_after.as_secs() + 1),
            Refusal::ScannerUnavailable { .. } => return error.retry_after(5),
            _ => {}
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plexichat::descriptor::Hook;

    use super::*;

    #[track_caller]
    fn check(error: impl Into<ApiError>, status: u16, code: &str) {
        let error = error.into();
        assert_eq!((error.status.as_u16(), error.code), (status, code));
        let body = serde_json::to_value(error.body("r-1")).unwrap();
        assert_eq!(body["error"]["request_id"], "r-1");
        assert_eq!(body["error"]["code"], code);
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    }

    #[test]
    fn a_store_that_refuses_has_its_own_status() {
        check(StoreError::Full, 507, "storage_full");
        check(StoreError::Unavailable("stopping".into()), 503, "storage_unavailable");
        check(StoreError::Failed("disk I/O error at /var/lib".into()), 503, "storage_unavailable");
    }

    #[test]
    fn what_a_layer_answers_without_a_body_gets_one() {
        check(ApiError::of_status(StatusCode::NOT_FOUND), 404, "not_found");
        check(ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED), 405, "method_not_allowed");
        check(ApiError::of_status(StatusCode::IM_A_TEAPOT), 418, "bad_request");
        check(ApiError::of_status(StatusCode::BAD_GATEWAY), 502, "internal_error");
    }

    #[test]
    fn the_cause_of_a_mistake_stays_inside() {
        let error = ApiError::internal("password=hunter2");
        assert!(!serde_json::to_string(&error.body("r")).unwrap().contains("hunter2"));
        let error = ApiError::from(StoreError::Failed("/var/lib/plexichat.db".into()));
        assert!(!serde_json::to_string(&error.body("r")).unwrap().contains("/var/lib"));
    }

    #[track_caller]
    fn check_finding(problem: Problem, message: &str) {
        assert_eq!(Finding::from(problem).message, message);
    }

    #[test]
    fn a_finding_names_a_place_once() {
        check_finding(Problem::new("/a", "is wrong"), "is wrong");
        check_finding(
            Problem::new("/a", "is wrong").origin("x.toml:1:1").hint("mend it"),
            "is wrong, set in x.toml:1:1 (mend it)",
        );
        check_finding(Problem::new("/a", "is set in x.toml:1:1").origin("x.toml:1:1"), "is set in x.toml:1:1");
        check_finding(Problem::new("/a", "is wrong").origin("the API"), "is wrong");
    }

    #[test]
    fn empty_parts_are_left_out() {
        let body = serde_json::to_value(ApiError::not_found("no such room").body("r")).unwrap();
        assert_eq!(
            body,
            serde_json::json!({ "error": { "code": "not_found", "message": "no such room", "request_id": "r" } })
        );
    }

    #[track_caller]
    fn check_refusal(refusal: Refusal, status: u16, code: &str, retry_after: Option<&str>) {
        let error = ApiError::from(refusal);
        assert_eq!((error.status.as_u16(), error.code), (status, code));
        let found = error.headers.iter().find(|(name, _)| name == "retry-after");
        assert_eq!(found.map(|(_, value)| value.to_str().unwrap()), retry_after, "{code}");
    }

    #[test]
    fn each_refusal_has_its_status() {
        check_refusal(Refusal::NoRoom, 404, "room_not_found", None);
        check_refusal(Refusal::Forbidden, 403, "forbidden", None);
        check_refusal(Refusal::TooLarge { limit: 1, found: 2 }, 413, "message_too_large", None);
        check_refusal(Refusal::Invalid(vec![Problem::new("/text", "is empty")]), 422, "invalid_message", None);
        check_refusal(Refusal::TooFast { retry_after: Duration::from_millis(10) }, 429, "rate_limited", Some("1"));
        check_refusal(Refusal::Store(StoreError::Full), 507, "storage_full", None);
        let plugin = "word-filter".parse().unwrap();
        let unavailable = Refusal::ScannerUnavailable { plugin, hook: Hook::ScanMessage };
        check_refusal(unavailable, 503, "scanner_unavailable", Some("5"));
    }

    #[test]
    fn a_rejection_tells_the_code_and_no_more() {
        let mut finding = plexichat::message::Finding::new("banned_word");
        finding.detail = Some("matched `hunter2`".to_owned());
        let error = ApiError::from(Refusal::Rejected { plugin: "word-filter".parse().unwrap(), finding });
        assert_eq!((error.status.as_u16(), error.code), (422, "rejected"));
        let body = serde_json::to_string(&error.body("r")).unwrap();
        assert!(body.contains("banned_word") && !body.contains("hunter2"), "{body}");
    }
}
