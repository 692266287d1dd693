//! What goes wrong, as OpenAI's API tells it: `error.{message,type,param,code}` with the status that its clients raise on. Knows
//! no request.

use std::time::Duration;

use plexichat::prelude::*;

/// The longest pause that the host makes itself before it asks a provider again.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// An error on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
    retry_after: Option<Duration>,
    /// Whether clients are told not to try again: the host has, or it would not help.
    final_: bool,
}

impl Failure {
    fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, kind, code, param: None, message: message.into(), retry_after: None, final_: false }
    }

    /// The request cannot be answered, because of this parameter.
    pub(crate) fn bad(param: &str, message: impl Into<String>) -> Self {
        let failure = Self::new(400, "invalid_request_error", None, message);
        Self { param: (!param.is_empty()).then(|| param.to_owned()), ..failure }
    }

    /// A parameter that must be there is not.
    pub(crate) fn missing(param: &str) -> Self {
        let failure = Self::bad(param, format!("Missing required parameter: '{param}'."));
        Self { code: Some("missing_required_parameter"), ..failure }
    }

    /// A parameter that is known and not offered.
    pub(crate) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self { code: Some("unsupported_parameter"), ..Self::bad(param, message) }
    }

    /// What stands under `error`.
    pub(crate) fn body(&self) -> Value {
        json!({ "message": self.message, "type": self.kind, "param": self.param, "code": self.code })
    }

    /// The answer.
    ///
    /// # Errors
    /// Never: it is plain JSON.
    pub(crate) fn answer(self) -> Result<RouteAnswer> {
        let mut answer = RouteAnswer::json(self.status, &json!({ "error": self.body() }))?;
        if let Some(after) = self.retry_after {
            // Whole seconds, and never too early.
            answer = answer.header("retry-after", &(after.as_secs() + 1).to_string());
        }
        if self.final_ {
            answer = answer.header("x-should-retry", "false");
        }
        Ok(answer)
    }
}

/// How providers, scanners and quotas refuse.
impl From<AiError> for Failure {
    fn from(error: AiError) -> Self {
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        let (kind, retry_after) = (error.kind(), error.retry_after());
        let code = Some(kind.code());
        let failure = |status, of, code| Self::new(status, of, code, error.public_message());
        let told = match kind {
            AiErrorKind::InvalidRequest => failure(400, INVALID, None),
            AiErrorKind::ContextLength { .. } => {
                Self { param: Some("messages".to_owned()), ..failure(400, INVALID, code) }
            }
            AiErrorKind::ContentFiltered => failure(400, INVALID, code),
            AiErrorKind::ModelNotFound => Self { param: Some("model".to_owned()), ..failure(404, INVALID, code) },
            AiErrorKind::RateLimited { .. } => failure(429, "requests", Some("rate_limit_exceeded")),
            AiErrorKind::QuotaExceeded { .. } => failure(429, "insufficient_quota", Some("insufficient_quota")),
            AiErrorKind::Unavailable | AiErrorKind::ScannerUnavailable | AiErrorKind::Cancelled => {
                failure(503, SERVER, code)
            }
            AiErrorKind::Timeout => failure(504, SERVER, code),
            AiErrorKind::Auth | AiErrorKind::PermissionDenied | AiErrorKind::Protocol => failure(502, SERVER, code),
            _ => failure(500, SERVER, code),
        };
        // Clients try again by themselves what the host has tried twice.
        let host_tried = kind.retryable() && retry_after.is_none_or(|after| after <= PAUSE_MAX);
        let is_hopeless =
            matches!(kind, AiErrorKind::QuotaExceeded { .. } | AiErrorKind::Auth | AiErrorKind::PermissionDenied);
        Self { retry_after, final_: host_tried || is_hopeless, ..told }
    }
}

/// What the SDK's own calls fail with.
impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        AiError::from(error).into()
    }
}

/// The body of what the host refuses before the gateway is asked.
pub(crate) fn of_host(refusal: &RouteRefusal<'_>) -> Value {
    let (kind, code) = match refusal.status {
        401 => ("invalid_request_error", "invalid_api_key"),
        403 => ("invalid_request_error", "insufficient_permissions"),
        429 => ("requests", "rate_limit_exceeded"),
        500.. => ("server_error", refusal.code),
        _ => ("invalid_request_error", refusal.code),
    };
    let message = match refusal.hint {
        Some(hint) => format!("{} ({hint})", refusal.message),
        None => refusal.message.to_owned(),
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: AiErrorKind, status: u16, code: Option<&str>, headers: &[(&str, &str)]) {
        let answer = Failure::from(AiError::new(kind, "it does not go")).answer().unwrap();
        assert_eq!(answer.status, status, "{kind:?}");
        let found: Vec<(&str, &str)> =
            answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).skip(1).collect();
        assert_eq!(found, headers, "{kind:?}");
        let plexichat::plugin::interface::RouteBody::Whole(body) = answer.body else { panic!("{kind:?}") };
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"].as_str(), code, "{kind:?}");
        let keys: Vec<&String> = body["error"].as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
    }

    #[test]
    fn each_failure_has_the_status_that_clients_raise_on() {
        let seconds = Duration::from_secs;
        let no = ("x-should-retry", "false");
        check(AiErrorKind::InvalidRequest, 400, None, &[]);
        check(AiErrorKind::ContextLength { limit: None }, 400, Some("context_length_exceeded"), &[]);
        check(AiErrorKind::ContentFiltered, 400, Some("content_filter"), &[]);
        check(AiErrorKind::ModelNotFound, 404, Some("model_not_found"), &[]);
        let limited = |after| AiErrorKind::RateLimited { retry_after: after };
        check(limited(None), 429, Some("rate_limit_exceeded"), &[no]);
        check(limited(Some(seconds(2))), 429, Some("rate_limit_exceeded"), &[("retry-after", "3"), no]);
        check(limited(Some(seconds(60))), 429, Some("rate_limit_exceeded"), &[("retry-after", "61")]);
        check(AiErrorKind::QuotaExceeded { retry_after: None }, 429, Some("insufficient_quota"), &[no]);
        check(AiErrorKind::ScannerUnavailable, 503, Some("scanner_unavailable"), &[]);
        check(AiErrorKind::Unavailable, 503, Some("provider_unavailable"), &[no]);
        check(AiErrorKind::Timeout, 504, Some("provider_timeout"), &[no]);
        check(AiErrorKind::Auth, 502, Some("provider_auth"), &[no]);
        check(AiErrorKind::Internal, 500, Some("provider_failed"), &[no]);
    }

    #[test]
    fn what_the_host_refuses_is_told_in_the_same_shape() {
        let mut refusal = RouteRefusal::new(401, "unauthorized", "there is no such token");
        refusal.hint = Some("make one");
        let expected = json!({ "error": {
            "message": "there is no such token (make one)", "type": "invalid_request_error", "param": null,
            "code": "invalid_api_key",
        } });
        assert_eq!(of_host(&refusal), expected);
        assert_eq!(of_host(&RouteRefusal::new(503, "plugin_busy", "m"))["error"]["type"], "server_error");
        assert_eq!(of_host(&RouteRefusal::new(413, "too_large", "m"))["error"]["code"], "too_large");
    }
}
