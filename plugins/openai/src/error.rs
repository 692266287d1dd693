//! How the service fails, in its many dialects, and what each means. Knows no request.

use std::time::Duration;

use plexichat::ai::service::Failure;
use plexichat::capability::http::HttpResponse;
use plexichat::message::Time;
use plexichat::prelude::*;

/// What a service says of a failure, wherever it puts it.
#[derive(Debug, Default, PartialEq)]
struct Said {
    message: String,
    /// `type` and `code`, in lower case.
    words: Vec<String>,
    /// The model's context, where a field tells it.
    limit: Option<u32>,
}

/// The failure behind a status that is no success.
pub(crate) fn refused(response: &HttpResponse, now: Time) -> Failure {
    let said = match serde_json::from_slice::<Value>(&response.body) {
        Ok(body) => Said::of(&body),
        // A proxy's page says nothing that helps.
        Err(_) if response.header("content-type").is_some_and(|kind| kind.contains("html")) => Said::default(),
        Err(_) => Said { message: response.text(), ..Said::default() },
    };
    let kind = kind(response.status, &said, response.retry_after(now));
    Failure { kind, status: Some(response.status), said: said.message }
}

/// The failure that a service tells in the middle of a stream.
pub(crate) fn told(error: &Value) -> Failure {
    let said = Said::of(error);
    let status = said.words.iter().find_map(|word| word.parse::<u16>().ok().filter(|code| (400..600).contains(code)));
    let kind = kind(status.unwrap_or(500), &said, None);
    Failure { kind, status, said: said.message }
}

impl Said {
    /// `{"error": {"message", "type", "code"}}` as OpenAI has it, `{"error": "text"}`, `{"message"}`, `{"detail"}`.
    fn of(body: &Value) -> Self {
        let error = match body {
            Value::Array(items) => items.first().unwrap_or(body),
            _ => body,
        };
        let error = error.get("error").filter(|error| !error.is_null()).unwrap_or(error);
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => {
                // FastAPI's findings.
                let texts = items.iter().filter_map(|item| item.get("msg")?.as_str());
                Some(texts.collect::<Vec<_>>().join("; "))
            }
            _ => None,
        };
        let message =
            text(error).or_else(|| ["message", "detail", "error"].iter().find_map(|key| text(error.get(key)?)));
        let words = ["type", "code", "status"].iter().filter_map(|key| match error.get(key)? {
            Value::String(word) => Some(word.to_lowercase()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        let message = message.unwrap_or_default();
        let limit = error.get("n_ctx").and_then(Value::as_u64).and_then(|limit| u32::try_from(limit).ok());
        Self { words: words.collect(), limit: limit.or_else(|| limit_in(&message)), message }
    }

    fn has_word(&self, parts: &[&str]) -> bool {
        self.words.iter().any(|word| parts.iter().any(|part| word.contains(part)))
    }
}

fn kind(status: u16, said: &Said, retry_after: Option<Duration>) -> AiErrorKind {
    let message = said.message.to_lowercase();
    if said.has_word(&["context_length", "exceed_context"]) || (status < 500 && speaks_of_context(&message)) {
        return AiErrorKind::ContextLength { limit: said.limit };
    }
    if said.has_word(&["content_filter", "content_policy", "responsibleai"]) {
        return AiErrorKind::ContentFiltered;
    }
    if said.has_word(&["insufficient_quota", "billing"]) {
        // To wait helps nobody: somebody has to pay.
        return AiErrorKind::PermissionDenied;
    }
    if said.has_word(&["model_not_found"]) || (matches!(status, 400 | 404) && speaks_of_no_model(&message)) {
        return AiErrorKind::ModelNotFound;
    }
    match status {
        401 => AiErrorKind::Auth,
        402 | 403 => AiErrorKind::PermissionDenied,
        // Not of a model: the path is wrong, and with it `base_url`.
        404 | 405 => AiErrorKind::Protocol,
        408 | 504 => AiErrorKind::Timeout,
        429 => AiErrorKind::RateLimited { retry_after },
        400..=499 => AiErrorKind::InvalidRequest,
        500..=599 => AiErrorKind::Unavailable,
        _ => AiErrorKind::Protocol,
    }
}

const CONTEXT_WORDS: [&str; 4] = ["context length", "context size", "context window", "context_length"];

fn speaks_of_context(message: &str) -> bool {
    CONTEXT_WORDS.iter().any(|words| message.contains(words)) || message.contains("too many tokens")
}

fn speaks_of_no_model(message: &str) -> bool {
    message.contains("model")
        && ["not found", "does not exist", "not exist", "no such", "unknown", "not loaded"]
            .iter()
            .any(|words| message.contains(words))
}

/// The number that follows where a message speaks of the context: services write it into the sentence.
fn limit_in(message: &str) -> Option<u32> {
    let message = message.to_lowercase();
    let at = CONTEXT_WORDS.iter().filter_map(|words| Some(message.find(words)? + words.len())).min()?;
    let rest = message[at..].trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let digits: String = rest.chars().take_while(|letter| letter.is_ascii_digit() || *letter == ',').collect();
    digits.replace(',', "").parse().ok().filter(|limit| *limit > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: AiErrorKind, said: &str) {
        let headers = vec![("retry-after".to_owned(), "7".to_owned()), ("content-type".to_owned(), "text/html".into())];
        let response = HttpResponse { status, headers, body: body.as_bytes().to_vec() };
        let failure = refused(&response, Time::from_micros(0));
        assert_eq!((failure.kind, failure.status), (expected, Some(status)), "{body}: {failure:?}");
        assert!(failure.said.contains(said), "{status} {body}: {failure:?}");
    }

    #[test]
    fn by_status_and_code() {
        use AiErrorKind as Kind;
        let openai = |kind: &str, code: &str, message: &str| {
            format!(r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":"{code}"}}}}"#)
        };
        check(401, &openai("invalid_request_error", "invalid_api_key", "Incorrect API key"), Kind::Auth, "");
        check(403, &openai("x", "unsupported_country", "Not here"), Kind::PermissionDenied, "Not here");
        let no_model = "The model `gpt-9` does not exist or you do not have access to it.";
        check(404, &openai("invalid_request_error", "model_not_found", no_model), Kind::ModelNotFound, "gpt-9");
        check(404, r#"{"detail":"Not Found"}"#, Kind::Protocol, "");
        check(429, &openai("requests", "rate_limit_exceeded", "Slow down"), rate_limited(), "Slow down");
        check(429, &openai("insufficient_quota", "insufficient_quota", "Pay"), Kind::PermissionDenied, "Pay");
        check(400, &openai("x", "content_policy_violation", "No"), Kind::ContentFiltered, "No");
        check(400, &openai("x", "content_filter", "No"), Kind::ContentFiltered, "");
        check(400, &openai("invalid_request_error", "null", "Bad tool"), Kind::InvalidRequest, "Bad tool");
        check(500, &openai("server_error", "null", "Oops"), Kind::Unavailable, "");
        check(503, "<html>busy</html>", Kind::Unavailable, "");
        check(504, "", Kind::Timeout, "");
        check(302, "", Kind::Protocol, "");
    }

    fn rate_limited() -> AiErrorKind {
        AiErrorKind::RateLimited { retry_after: Some(Duration::from_secs(7)) }
    }

    #[test]
    fn other_services_say_it_in_other_words() {
        use AiErrorKind as Kind;
        check(404, r#"{"error":"model 'llama9' not found, try pulling it first"}"#, Kind::ModelNotFound, "pulling");
        let vllm = r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}"#;
        check(404, vllm, Kind::ModelNotFound, "`x`");
        check(
            422,
            r#"{"detail":[{"loc":["body"],"msg":"field required"},{"msg":"too long"}]}"#,
            Kind::InvalidRequest,
            "field required; too long",
        );
        check(
            400,
            r#"[{"error":{"code":400,"message":"odd","status":"INVALID_ARGUMENT"}}]"#,
            Kind::InvalidRequest,
            "odd",
        );
        check(
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            Kind::Unavailable,
            "Loading",
        );
    }

    #[test]
    fn the_limit_of_the_context_is_read_where_it_is_told() {
        let limit = |limit| AiErrorKind::ContextLength { limit };
        let openai = r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 10001 tokens.","code":"context_length_exceeded"}}"#;
        check(400, openai, limit(Some(8192)), "8192");
        let llama = r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":600,"n_ctx":512}}"#;
        check(400, llama, limit(Some(512)), "");
        check(400, r#"{"message":"maximum context length is 32,768 tokens"}"#, limit(Some(32_768)), "");
        check(413, r#"{"error":{"message":"too many tokens"}}"#, limit(None), "");
        // A service that is down may speak of it too.
        check(500, r#"{"error":{"message":"the context window of the GPU is gone"}}"#, AiErrorKind::Unavailable, "GPU");
    }

    #[test]
    fn failures_in_the_middle_of_a_stream() {
        let kind = |error: Value| told(&error).kind;
        assert_eq!(kind(json!({"error": {"message": "overloaded", "code": 503}})), AiErrorKind::Unavailable);
        assert_eq!(
            kind(json!({"error": {"message": "slow", "code": "429"}})),
            AiErrorKind::RateLimited { retry_after: None }
        );
        assert_eq!(kind(json!({"error": {"message": "x", "type": "content_filter"}})), AiErrorKind::ContentFiltered);
        assert_eq!(kind(json!("just text")), AiErrorKind::Unavailable);
    }
}
