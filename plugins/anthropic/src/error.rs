//! How the service fails and what each means. Knows no request.

use std::time::Duration;

use plexichat::ai::service::Failure;
use plexichat::capability::http::HttpResponse;
use plexichat::message::Time;
use plexichat::prelude::*;

/// The failure behind a status that is no success.
pub(crate) fn refused(response: &HttpResponse, now: Time) -> Failure {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    of(&body, Some(response.status), response.retry_after(now))
}

/// The failure that the service tells in the middle of a stream.
pub(crate) fn told(error: &Value) -> Failure {
    of(error, None, None)
}

fn of(body: &Value, status: Option<u16>, retry_after: Option<Duration>) -> Failure {
    let error = body.get("error").unwrap_or(body);
    let word = error["type"].as_str().unwrap_or("");
    let message = error["message"].as_str().unwrap_or("");
    let kind = kind(word, status, message, retry_after);
    Failure { kind, status, said: message.to_owned() }
}

/// The word decides; the status, where there is none.
fn kind(word: &str, status: Option<u16>, message: &str, retry_after: Option<Duration>) -> AiErrorKind {
    let lower = message.to_lowercase();
    let is_request = matches!((word, status), ("invalid_request_error", _) | ("", Some(400)));
    if is_request && (lower.contains("too long") || lower.contains("context limit") || lower.contains("context window"))
    {
        return AiErrorKind::ContextLength { limit: limit_in(&lower) };
    }
    if lower.contains("credit balance") {
        // To wait helps nobody: somebody has to pay.
        return AiErrorKind::PermissionDenied;
    }
    match (word, status) {
        ("authentication_error", _) | ("", Some(401)) => AiErrorKind::Auth,
        ("permission_error" | "billing_error", _) | ("", Some(402 | 403)) => AiErrorKind::PermissionDenied,
        ("not_found_error", _) if lower.contains("model") => AiErrorKind::ModelNotFound,
        // Not of a model: the path is wrong, and with it `base_url`.
        ("not_found_error", _) | ("", Some(404 | 405)) => AiErrorKind::Protocol,
        ("rate_limit_error", _) | ("", Some(429)) => AiErrorKind::RateLimited { retry_after },
        ("timeout_error", _) | ("", Some(408 | 504)) => AiErrorKind::Timeout,
        ("overloaded_error" | "api_error", _) => AiErrorKind::Unavailable,
        ("invalid_request_error" | "request_too_large", _) => AiErrorKind::InvalidRequest,
        (_, Some(400..=499)) => AiErrorKind::InvalidRequest,
        (_, Some(500..=599) | None) => AiErrorKind::Unavailable,
        (_, Some(_)) => AiErrorKind::Protocol,
    }
}

/// "prompt is too long: 200251 tokens > 200000 maximum"
fn limit_in(message: &str) -> Option<u32> {
    let after = message.rsplit_once('>')?.1.trim_start();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, word: &str, message: &str, expected: AiErrorKind) {
        let headers = vec![("retry-after".to_owned(), "7".to_owned())];
        let body = match word {
            "" => message.as_bytes().to_vec(),
            word => json!({"type": "error", "error": {"type": word, "message": message}}).to_string().into_bytes(),
        };
        let failure = refused(&HttpResponse { status, headers, body }, Time::from_micros(0));
        assert_eq!((failure.kind, failure.status), (expected, Some(status)), "{word} {message}: {failure:?}");
    }

    #[test]
    fn by_word_and_by_status() {
        use AiErrorKind as Kind;
        let limited = Kind::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        let limit = |limit| Kind::ContextLength { limit };
        check(401, "authentication_error", "invalid x-api-key", Kind::Auth);
        check(403, "permission_error", "not allowed", Kind::PermissionDenied);
        check(402, "billing_error", "pay", Kind::PermissionDenied);
        check(400, "invalid_request_error", "Your credit balance is too low", Kind::PermissionDenied);
        check(404, "not_found_error", "model: claude-9", Kind::ModelNotFound);
        check(404, "not_found_error", "Not found", Kind::Protocol);
        check(413, "request_too_large", "more than 32 MB", Kind::InvalidRequest);
        check(429, "rate_limit_error", "slow down", limited);
        check(529, "overloaded_error", "Overloaded", Kind::Unavailable);
        check(500, "api_error", "oops", Kind::Unavailable);
        check(504, "timeout_error", "slow", Kind::Timeout);
        check(400, "invalid_request_error", "messages.0: bad", Kind::InvalidRequest);
        let long = "prompt is too long: 200251 tokens > 200000 maximum";
        check(400, "invalid_request_error", long, limit(Some(200_000)));
        let both = "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease it";
        check(400, "invalid_request_error", both, limit(Some(200_000)));
        for (status, kind) in [(401, Kind::Auth), (404, Kind::Protocol), (429, limited), (502, Kind::Unavailable)] {
            check(status, "", "<html>", kind);
        }
        check(302, "", "", Kind::Protocol);
    }

    #[test]
    fn in_the_middle_of_a_stream_only_the_word_counts() {
        let kind = |word: &str| told(&json!({"error": {"type": word, "message": "x"}})).kind;
        assert_eq!(kind("overloaded_error"), AiErrorKind::Unavailable);
        assert_eq!(kind("rate_limit_error"), AiErrorKind::RateLimited { retry_after: None });
        assert_eq!(kind("something_new"), AiErrorKind::Unavailable);
    }
}
