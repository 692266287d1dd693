//! What every request passes before its route and every answer after it: identifier, sanity of the head, time limit, panic
//! guard, error shape, headers, counters. Knows no route but the one that may take long.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use plexichat::plugin::interface::RouteRefusal;
use plexichat::routes::RouteTable;
use tracing::Instrument;
use uuid::Uuid;

use super::address::{ClientAddress, NO_SOCKET, Peer};
use super::edge::Edge;
use super::files;
use super::output;
use super::plugin_answer::{Own, RouteLabel};
use crate::error::ApiError;

/// How long a request may take altogether.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for what is no route of ours: a plugin's has its own times, and anything else is answered at once.
const ELSEWHERE_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// The longest identifier that is taken from a client.
const REQUEST_ID_MAX: usize = 64;
/// What pages of ours may load and who may show them: nothing from elsewhere, nobody.
const CONTENT_SECURITY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";
/// For a year browsers come back over https only.
const HTTPS_ONLY: &str = "max-age=31536000";
/// Names under which programs put tokens into addresses, where logs and histories keep them.
const TOKEN_PARAMETERS: &[&str] = &["token", "access_token", "api_key", "apikey", "key", "authorization"];

/// The request's identifier: the client's `x-request-id` where it is sane, else a new one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    fn of(request: &Request) -> Self {
        let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
        match given {
            Some(given) if is_sane(given) => Self(given.into()),
            _ => Self(Uuid::now_v7().to_string().into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let id = parts.extensions.get::<Self>().cloned();
        id.ok_or_else(|| ApiError::internal("a request without an identifier reached a route"))
    }
}

impl aide::OperationInput for RequestId {}

fn is_sane(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(plain)
}

/// The middleware around every route. The table says in which shape errors on plugins' routes are written.
pub(crate) async fn front(
    State((edge, routes)): State<(Arc<Edge>, Arc<RouteTable>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let peer = request.extensions().get::<Peer>().map_or(NO_SOCKET, |peer| peer.0.ip());
    let client = ClientAddress::of(peer, request.headers(), &edge.now());
    request.extensions_mut().insert(client);
    let method = request.method().clone();
    // Routes have few patterns, addresses have endlessly many: only the former may become labels.
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = matched.clone().unwrap_or_else(|| "none".to_owned());
    let address = request.uri().clone();
    let span = tracing::info_span!("request", request_id = id.as_str(), %method, route);

    let checked = check_head(&request).and_then(|()| count(&edge, client));
    let answer = match checked {
        Ok(()) => guarded(request, next).instrument(span.clone()).await,
        Err(error) => error.into_response(),
    };
    let route = answer.extensions().get::<RouteLabel>().map_or(route, |label| label.0.to_string());
    let shape = |error: &ApiError| match matched {
        Some(_) => None,
        None => of_plugin(&routes, address.path(), error, &id),
    };
    let response = finish(answer, &id, edge.now().https, shape);
    let (status, elapsed) = (response.status().as_u16(), begun.elapsed());
    span.in_scope(|| tracing::debug!(status, elapsed_ms = elapsed.as_secs_f64() * 1e3, "answered"));
    measure(method_label(&method), route, &response, elapsed);
    response
}

/// Counts an answer. The histogram has no status: each of its series is a dozen already.
fn measure(method: &'static str, route: String, response: &Response, elapsed: Duration) {
    let status = response.status().as_str().to_owned();
    metrics::counter!("plexichat_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("plexichat_http_request_seconds", "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());
}

fn method_label(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

async fn guarded(request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let limit = match matched {
        Some(files::UPLOAD_PATH) => files::UPLOAD_TIMEOUT,
        Some(_) => REQUEST_TIMEOUT,
        None => ELSEWHERE_TIMEOUT,
    };
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            ApiError::internal(format_args!("a handler panicked: {}", panic_text(&*panic))).into_response()
        }
        Err(_) => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            format!("the request took longer than {} s", limit.as_secs()),
        )
        .hint("what was asked for may have happened; send a message again with the same Idempotency-Key")
        .retry_after(1)
        .into_response(),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Whether the address may ask once more. This machine's own and proxies are not counted, as with connections.
fn count(edge: &Edge, client: ClientAddress) -> Result<(), ApiError> {
    let now = edge.now();
    let address = client.address();
    if address.is_loopback() || now.trusts(address) {
        return Ok(());
    }
    edge.rates.count(client.bucket(), &now.limits).map_err(|wait| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "this address asks too much at once")
            .hint("wait as long as `Retry-After` says")
            .retry_after(wait.as_secs() + 1)
    })
}

/// The rules on a request's head that hyper leaves to us.
fn check_head(request: &Request) -> Result<(), ApiError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(ApiError::bad_request("bad_host", "the request has more than one Host header")),
        (None, None) if request.version() == Version::HTTP_11 => {
            return Err(ApiError::bad_request("bad_host", "the request has no Host header"));
        }
        (Some(host), None) => {
            let host = host.to_str().unwrap_or("");
            if host.contains('@') || host.parse::<axum::http::uri::Authority>().is_err() {
                return Err(ApiError::bad_request("bad_host", "the Host header names no host"));
            }
            if request.uri().authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
                return Err(ApiError::bad_request("bad_host", "the address and the Host header name different hosts"));
            }
        }
        (None, None) => {}
    }
    if request.uri().query().is_some_and(carries_token) {
        return Err(ApiError::bad_request("token_in_address", "the address carries a token, where logs would keep it")
            .hint("send it as `Authorization: Bearer plx_…`, and revoke this one"));
    }
    Ok(())
}

fn carries_token(query: &str) -> bool {
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        TOKEN_PARAMETERS.iter().any(|token| name.eq_ignore_ascii_case(token)) || value.contains("plx_")
    })
}

/// An error as the plugin whose address it is wants it written.
fn of_plugin(routes: &RouteTable, path: &str, error: &ApiError, id: &RequestId) -> Option<Vec<u8>> {
    let plugin = routes.owner(path)?;
    let mut refusal = RouteRefusal::new(error.status.as_u16(), error.code, &error.message);
    refusal.hint = error.hint.as_deref();
    refusal.request_id = id.as_str();
    let body = (plugin.entry.route_error)(&refusal)?;
    serde_json::to_vec(&body).ok()
}

/// Writes an error's body, in another shape where there is one, and the headers that every answer has.
fn finish(
    response: Response,
    id: &RequestId,
    https: bool,
    shape: impl FnOnce(&ApiError) -> Option<Vec<u8>>,
) -> Response {
    let (mut parts, body) = response.into_parts();
    let error = match parts.extensions.remove::<ApiError>() {
        None if parts.status.is_client_error() || parts.status.is_server_error() => {
            let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
            let is_own = parts.extensions.get::<Own>().is_some();
            (!is_json && !is_own).then(|| ApiError::of_status(parts.status))
        }
        error => error,
    };
    let body = match error {
        None => body,
        Some(mut error) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            parts
                .headers
                .extend(std::mem::take(&mut error.headers).into_iter().map(|(name, value)| (Some(name), value)));
            match shape(&error) {
                Some(body) => Body::from(body),
                // Plain strings: this cannot fail.
                None => Body::from(output::line(&error.body(id.as_str())).unwrap_or_default()),
            }
        }
    };
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        parts.headers.insert("x-request-id", value);
    }
    parts.headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    parts.headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // What a route serves of somebody else's may be shut in closer, and shown in a frame of ours.
    parts.headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    parts.headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(CONTENT_SECURITY));
    if https {
        parts.headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
    }
    parts.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::super::edge::EdgeSettings;
    use super::*;

    fn router() -> Router {
        router_with(EdgeSettings::default())
    }

    fn state(settings: EdgeSettings) -> (Arc<Edge>, Arc<RouteTable>) {
        (Arc::new(Edge::new(settings)), Arc::default())
    }

    fn router_with(settings: EdgeSettings) -> Router {
        Router::new()
            .route("/good", get(|| async { "good" }))
            .route(
                "/panic",
                get(|| async {
                    if true {
                        panic!("hunter2")
                    }
                }),
            )
            .route("/slow", get(std::future::pending::<()>))
            .layer(axum::middleware::from_fn_with_state(state(settings), front))
    }

    async fn send(head: &[(&str, &str)], path: &str) -> (u16, Response) {
        let mut request = Request::builder().uri(path);
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        let response = router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        (response.status().as_u16(), response)
    }

    async fn json(response: Response) -> serde_json::Value {
        serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap()
    }

    #[track_caller]
    fn check_id(response: &Response, id: &str) {
        assert_eq!(response.headers()["x-request-id"], id);
    }

    #[tokio::test]
    async fn a_sane_identifier_is_kept_and_another_replaced() {
        check_id(&send(&[("host", "a"), ("x-request-id", "mine-1")], "/good").await.1, "mine-1");
        let long = "x".repeat(65);
        for bad in ["a b", "a\"b", "", long.as_str()] {
            let (status, response) = send(&[("host", "a"), ("x-request-id", bad)], "/good").await;
            assert_eq!(status, 200);
            assert_eq!(response.headers()["x-request-id"].len(), 36, "{bad:?}");
        }
    }

    async fn send_from(router: &Router, address: &str, forwarded: &str) -> (u16, Response) {
        let mut request = Request::builder().uri("/good").header("host", "a").body(Body::empty()).unwrap();
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        request.extensions_mut().insert(Peer(format!("{address}:4711").parse().unwrap()));
        let response = router.clone().oneshot(request).await.unwrap();
        (response.status().as_u16(), response)
    }

    /// Fault 72: whatever it writes into its headers, one address has one bucket.
    #[tokio::test]
    async fn an_address_that_asks_too_much_waits() {
        let limits = plexichat::settings::EdgeLimits {
            requests_per_second: 1.try_into().unwrap(),
            request_burst: 3.try_into().unwrap(),
            ..Default::default()
        };
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let settings = EdgeSettings { limits, trusted_proxies: proxies, ..EdgeSettings::default() };
        let router = router_with(settings);
        for number in 0..3 {
            assert_eq!(send_from(&router, "203.0.113.1", &format!("1.1.1.{number}")).await.0, 200);
        }
        let (status, response) = send_from(&router, "203.0.113.1", "1.1.1.9").await;
        assert_eq!((status, response.headers()["retry-after"].to_str().unwrap()), (429, "1"));
        assert_eq!(json(response).await["error"]["code"], "too_many_requests");
        assert_eq!(send_from(&router, "203.0.113.2", "").await.0, 200);
        for number in 0..9 {
            // Each of those behind the proxy has its own; nobody on this machine is counted.
            assert_eq!(send_from(&router, "10.0.0.1", &format!("198.51.100.{number}")).await.0, 200);
            assert_eq!(send_from(&router, "127.0.0.1", "").await.0, 200);
        }
    }

    #[tokio::test]
    async fn every_answer_says_what_browsers_may_do_with_it() {
        for (path, status) in [("/good", 200), ("/nowhere", 404), ("/panic", 500)] {
            let (found, response) = send(&[("host", "a")], path).await;
            assert_eq!(found, status);
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
            let policy = header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert_eq!(header("strict-transport-security"), None, "over http it would say nothing");
        }
        let settings = EdgeSettings { https: true, ..EdgeSettings::default() };
        let (_, response) = send_from(&router_with(settings), "127.0.0.1", "").await;
        assert_eq!(response.headers()["strict-transport-security"], HTTPS_ONLY);
    }

    /// Fault 64.
    #[tokio::test]
    async fn the_host_is_named_once() {
        assert_eq!(send(&[("host", "a")], "/good").await.0, 200);
        assert_eq!(send(&[], "/good").await.0, 400);
        assert_eq!(send(&[("host", "a"), ("host", "b")], "/good").await.0, 400);
        assert_eq!(send(&[("host", "a b")], "/good").await.0, 400);
        assert_eq!(send(&[("host", "")], "/good").await.0, 400);
        assert_eq!(send(&[("host", "x@a")], "/good").await.0, 400);
        assert_eq!(send(&[("host", "a/b")], "/good").await.0, 400);
        assert_eq!(send(&[("host", "[::1]:80")], "/good").await.0, 200);
        assert_eq!(send(&[("host", "a")], "http://b/good").await.0, 400);
        assert_eq!(send(&[("host", "a")], "http://a/good").await.0, 200);
    }

    /// Whatever clients ask for, there are no more series than methods times routes.
    #[tokio::test]
    async fn time_is_measured_by_method_and_route() {
        let recorder = crate::telemetry::exporter().unwrap().build_recorder();
        let handle = recorder.handle();
        let _here = metrics::set_default_local_recorder(&recorder);
        let router = Router::new()
            .route("/rooms/{id}", get(|| async { "room" }))
            .layer(axum::middleware::from_fn_with_state(state(EdgeSettings::default()), front));
        let asked = [("GET", "/rooms/1"), ("GET", "/rooms/2"), ("GET", "/a"), ("GET", "/b"), ("BREW", "/rooms/1")];
        for (method, path) in asked {
            let request = Request::builder().method(method).uri(path).header("host", "a").body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        let shown = handle.render();
        for line in [
            r#"plexichat_http_request_seconds_count{method="GET",route="/rooms/{id}"} 2"#,
            r#"plexichat_http_request_seconds_bucket{method="GET",route="/rooms/{id}",le="+Inf"} 2"#,
            r#"plexichat_http_request_seconds_count{method="other",route="/rooms/{id}"} 1"#,
            r#"plexichat_http_request_seconds_count{method="GET",route="none"} 2"#,
            r#"plexichat_http_requests_total{method="GET",route="/rooms/{id}",status="200"} 2"#,
        ] {
            assert!(shown.lines().any(|found| found == line), "{line} is not in\n{shown}");
        }
        assert!(!shown.contains("/rooms/1") && !shown.contains("BREW"), "{shown}");
    }

    #[tokio::test]
    async fn tokens_in_addresses_are_refused() {
        for path in ["/good?token=x", "/good?a=1&Access_Token=x", "/good?x=plx_abc"] {
            let (status, response) = send(&[("host", "a")], path).await;
            assert_eq!(status, 400, "{path}");
            assert_eq!(json(response).await["error"]["code"], "token_in_address");
        }
        assert_eq!(send(&[("host", "a")], "/good?limit=3").await.0, 200);
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_says_nothing() {
        let (status, response) = send(&[("host", "a"), ("x-request-id", "r")], "/panic").await;
        assert_eq!(status, 500);
        let body = json(response).await;
        assert_eq!((&body["error"]["code"], &body["error"]["request_id"]), (&"internal_error".into(), &"r".into()));
        assert!(!body.to_string().contains("hunter2"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_answered() {
        let (status, response) = send(&[("host", "a")], "/slow").await;
        assert_eq!(status, 503);
        assert_eq!(response.headers()["retry-after"], "1");
    }

    #[tokio::test]
    async fn what_the_router_refuses_has_the_error_shape() {
        let (status, response) = send(&[("host", "a")], "/nowhere").await;
        assert_eq!((status, json(response).await["error"]["code"].as_str()), (404, Some("not_found")));
        let request = Request::post("/good").header("host", "a").body(Body::empty()).unwrap();
        let response = router().oneshot(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &HeaderValue::from_static("GET,HEAD"))
        );
        assert_eq!(json(response).await["error"]["code"], "method_not_allowed");
    }
}
