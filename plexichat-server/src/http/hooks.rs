//! `POST /api/v1/plugins/{plugin}/-/hooks/{trigger}`: programs outside start workflows. Whoever calls shows the trigger's secret, or
//! a signature that was made with it. Knows no workflow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody, SchemaObject};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use hmac::{Hmac, KeyInit, Mac};
use plexichat::automation::{HookCall, HookError};
use plexichat::event::catalog::WebhookReceived;
use plexichat::id::{PluginName, RunId};
use plexichat::message::{Actor, Time};
use plexichat::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::extract::{BODY_MAX, Path, check_encoding, parse_any_json, read_body_up_to};
use super::messages::{IdempotencyKey, header_parameter};
use super::output::Accepted;
use crate::error::ApiError;

const SIGNATURE: HeaderName = HeaderName::from_static("x-plexichat-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-plexichat-timestamp");
/// How far a caller's clock may be off, in seconds.
const TOLERANCE: i64 = 300;
/// How many calls of one trigger a second, in the long run, and at once.
const PER_SECOND: u32 = 50;
const BURST: u32 = 300;

/// What a workflow is not shown of a request.
const WITHHELD: [HeaderName; 4] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, SIGNATURE];

/// The address of a webhook's trigger.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct HookAddress {
    /// The plugin.
    name: String,
    /// The trigger.
    id: String,
}

/// What was started.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Started {
    /// The run that does the work.
    run_id: RunId,
}

/// A call as it came.
pub(crate) struct Called {
    headers: HeaderMap,
    query: String,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Called {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        check_encoding(&parts.headers)?;
        let body = read_body_up_to(body, BODY_MAX).await?;
        Ok(Self { headers: parts.headers, query: parts.uri.query().unwrap_or_default().to_owned(), body })
    }
}

impl OperationInput for Called {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let media = |schema, example| {
            let schema = SchemaObject { json_schema: schema, example: None, external_docs: None };
            MediaType { schema: Some(schema), example, ..MediaType::default() }
        };
        let mut body = RequestBody {
            description: Some("What the workflow is given: JSON, or a text. At most 1 MiB.".to_owned()),
            ..RequestBody::default()
        };
        let example = serde_json::json!({ "build": 4711, "status": "passed" });
        body.content.insert("application/json".to_owned(), media(schemars::json_schema!({}), Some(example)));
        body.content.insert("text/plain".to_owned(), media(schemars::json_schema!({ "type": "string" }), None));
        operation.request_body = Some(ReferenceOr::Item(body));
        for (name, description) in [
            (
                "X-PlexiChat-Signature",
                "`sha256=` and the HMAC-SHA-256 of `timestamp.body`, made with the trigger's secret",
            ),
            ("X-PlexiChat-Timestamp", "When the signature was made, in seconds since 1970; 300 s off at most"),
        ] {
            operation.parameters.push(header_parameter(context, name, description));
        }
    }
}

pub(super) async fn call(
    State(app): State<Arc<App>>,
    Path(address): Path<HookAddress>,
    IdempotencyKey(key): IdempotencyKey,
    called: Called,
) -> Result<Accepted<Started>, ApiError> {
    let HookAddress { name, id } = address;
    let plugin: PluginName = name.parse().map_err(|_| unknown())?;
    let call = HookCall {
        body: content(&called)?,
        headers: shown(&called.headers),
        query: pairs(&called.query),
        key: key.clone(),
    };
    let mut crowded = None;
    let proves = |secret: &Secret| {
        let shown = prove(&called.headers, &called.body, secret, Time::now());
        if shown {
            crowded = app.hooks.count(&format!("{plugin}/{id}")).err();
        }
        shown && crowded.is_none()
    };
    let started = app.host.automations.hook(&plugin, &id, proves, call).await;
    if let Some(wait) = crowded {
        let message = format!("the trigger is called more than {PER_SECOND} times a second");
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
            .hint("wait as long as `Retry-After` says; nothing was started")
            .retry_after(wait.as_secs() + 1));
    }
    let run_id = started.map_err(|error| refused(error, &plugin, &called.headers))?;
    let by = Actor::webhook(plugin.as_str(), &id, &id);
    app.announce(&by, None, WebhookReceived::new(id, Some(plugin), StatusCode::ACCEPTED.as_u16()));
    Ok(Accepted(Started { run_id }))
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no webhook trigger at this address")
        .hint("`plexichat workflow list` shows those that there are, with their addresses")
}

fn refused(error: HookError, plugin: &PluginName, headers: &HeaderMap) -> ApiError {
    let message = error.to_string();
    match error {
        HookError::NotRunning => ApiError::new(StatusCode::NOT_FOUND, "plugin_not_running", message)
            .hint(format!("an administrator starts it with `plexichat plugin enable {plugin}`")),
        HookError::Refused => {
            tracing::info!(%plugin, "a webhook was called without its secret");
            let is_late = headers.contains_key(SIGNATURE) && fresh(headers, Time::now()).is_none();
            let error = ApiError::unauthorized(message);
            if is_late {
                error.hint(format!(
                    "send X-PlexiChat-Timestamp with the seconds since 1970, at most {TOLERANCE} off: look at the clock"
                ))
            } else {
                error.hint(
                    "send `Authorization: Bearer <secret>`, or X-PlexiChat-Signature `sha256=<HMAC of timestamp.body>` with \
                     X-PlexiChat-Timestamp; `plexichat workflow secret` makes a new secret",
                )
            }
        }
        HookError::Store(error) => error.into(),
        _ => unknown(),
    }
}

/// JSON where it is said to be some, or looks like it where nothing is said; else the text.
fn content(called: &Called) -> Result<Value, ApiError> {
    let kind = called.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if called.body.is_empty() {
        return Ok(Value::Null);
    }
    if kind == "application/json" || kind.ends_with("+json") {
        return parse_any_json(&called.body);
    }
    let text = std::str::from_utf8(&called.body).map_err(|_| {
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "the body is neither JSON nor text")
            .hint("send UTF-8: JSON with `Content-Type: application/json`, or a text")
    })?;
    // What curl calls a form where nobody says otherwise.
    let is_unsaid = kind.is_empty() || kind == "application/x-www-form-urlencoded";
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    if is_unsaid
        && looks_like_json
        && let Ok(value) = parse_any_json(&called.body)
    {
        return Ok(value);
    }
    Ok(Value::String(text.to_owned()))
}

fn shown(headers: &HeaderMap) -> Value {
    let mut fields = Map::new();
    for (name, value) in headers.iter().filter(|(name, _)| !WITHHELD.contains(name)) {
        if let Ok(value) = value.to_str() {
            fields.entry(name.as_str()).or_insert_with(|| value.into());
        }
    }
    Value::Object(fields)
}

/// What is behind the `?`: of a name that comes twice the first.
fn pairs(query: &str) -> Value {
    let mut fields = Map::new();
    for (name, value) in url_pairs(query) {
        fields.entry(name).or_insert(Value::String(value));
    }
    Value::Object(fields)
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    let found = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(
        &axum::http::Uri::builder().path_and_query(format!("/?{query}")).build().unwrap_or_default(),
    );
    found.map(|pairs| pairs.0).unwrap_or_default()
}

/// Whether the caller has shown that it knows the secret.
fn prove(headers: &HeaderMap, body: &[u8], secret: &Secret, now: Time) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(&header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    if let Some(bearer) = bearer {
        // Hashed first, so that lengths tell nothing either.
        let (shown, kept) = (Sha256::digest(bearer.as_bytes()), Sha256::digest(secret.expose().as_bytes()));
        return shown.as_slice().ct_eq(kept.as_slice()).into();
    }
    let (Some(signature), Some(timestamp)) = (text(&SIGNATURE), fresh(headers, now)) else { return false };
    let Some(signature) = signature.strip_prefix("sha256=") else { return false };
    let made = hex(&hmac(secret.expose().as_bytes(), &[timestamp.as_bytes(), b".", body]));
    signature.to_ascii_lowercase().as_bytes().ct_eq(made.as_bytes()).into()
}

/// The timestamp, as it was sent, where it is near enough to now.
fn fresh(headers: &HeaderMap, now: Time) -> Option<&str> {
    let text = headers.get(TIMESTAMP)?.to_str().ok()?;
    let seconds: i64 = text.parse().ok()?;
    let off = (now.as_micros() / 1_000_000).checked_sub(seconds)?;
    (off.unsigned_abs() <= TOLERANCE.unsigned_abs()).then_some(text)
}

/// HMAC with SHA-256 of these, one behind the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // Keys of every length are taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How often each trigger was called: the moment at which its bucket will be full again (GCRA). Only calls that showed their
/// secret are counted, so that there are never more buckets than triggers.
#[derive(Debug, Default)]
pub(crate) struct HookRates(Mutex<HashMap<String, Instant>>);

impl HookRates {
    /// Counts a call, unless it comes too early: then in how long it would not.
    fn count(&self, trigger: &str) -> Result<(), Duration> {
        self.count_at(Instant::now(), trigger)
    }

    fn count_at(&self, now: Instant, trigger: &str) -> Result<(), Duration> {
        let each = Duration::from_secs(1) / PER_SECOND;
        let most = each * BURST;
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full_again = buckets.entry(trigger.to_owned()).or_insert(now);
        let next = (*full_again).max(now) + each;
        match next.duration_since(now).checked_sub(most) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *full_again = next;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    /// RFC 4231, cases 1, 2 and 6.
    #[test]
    fn signatures_are_hmac_sha_256() {
        assert_eq!(
            hex(&hmac(&[0x0b; 20], &[b"Hi There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(&hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"])),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[track_caller]
    fn check(fields: &[(&'static str, &str)], expected: bool) {
        let now = Time::from_micros(1_000_000_000 * 1_000_000);
        let proves = prove(&headers(fields), b"{}", &Secret::new("whs_1"), now);
        assert_eq!(proves, expected, "{fields:?}");
    }

    #[test]
    fn a_caller_shows_the_secret_or_a_signature_of_now() {
        check(&[("authorization", "Bearer whs_1")], true);
        check(&[("authorization", "bearer whs_1")], true);
        check(&[("authorization", "Bearer whs_2")], false);
        check(&[("authorization", "Basic whs_1")], false);
        check(&[], false);
        for (timestamp, expected) in [("1000000000", true), ("1000000300", true), ("999999699", false), ("x", false)] {
            let made = format!("sha256={}", hex(&hmac(b"whs_1", &[timestamp.as_bytes(), b".{}"])));
            check(&[("x-plexichat-signature", &made), ("x-plexichat-timestamp", timestamp)], expected);
            check(&[("x-plexichat-signature", &made)], false);
            // Of another body, or with another time.
            let other = format!("sha256={}", hex(&hmac(b"whs_1", &[timestamp.as_bytes(), b".[]"])));
            check(&[("x-plexichat-signature", &other), ("x-plexichat-timestamp", timestamp)], false);
        }
    }

    #[test]
    fn a_body_is_json_or_text() {
        let check = |kind: &str, body: &'static str, expected: Option<Value>| {
            let headers = if kind.is_empty() { HeaderMap::new() } else { headers(&[("content-type", kind)]) };
            let called = Called { headers, query: String::new(), body: Bytes::from_static(body.as_bytes()) };
            assert_eq!(content(&called).ok(), expected, "{kind} {body}");
        };
        check("application/json", "[1]", Some(json!([1])));
        check("application/cloudevents+json; charset=utf-8", "3", Some(json!(3)));
        check("application/json", "{", None);
        check("application/x-www-form-urlencoded", "{\"a\":1}", Some(json!({ "a": 1 })));
        check("", "{a", Some(json!("{a")));
        check("text/plain", "{\"a\":1}", Some(json!("{\"a\":1}")));
        check("text/plain", "", Some(Value::Null));
        assert_eq!(pairs("a=1&b=%C3%BC+x&a=2"), json!({ "a": "1", "b": "ü x" }));
    }

    #[test]
    fn a_trigger_is_called_so_often() {
        let (rates, now) = (HookRates::default(), Instant::now());
        for _ in 0..BURST {
            rates.count_at(now, "clerk/hook").unwrap();
        }
        assert!(rates.count_at(now, "clerk/hook").is_err());
        rates.count_at(now, "clerk/other").unwrap();
        rates.count_at(now + Duration::from_secs(1), "clerk/hook").unwrap();
    }
}
