//! Routes that a plugin adds: who is let in, what the plugin is shown, what becomes of its answers and of its failures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use futures_util::{StreamExt, stream};
use plexichat::catalog::Catalog;
use plexichat::id::PluginName;
use plexichat::message::Actor;
use plexichat::plugin::interface::RouteAnswer;
use plexichat::prelude::*;
use plexichat::settings::{AccountSettings, Settings, Sources};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Fixture;
use crate::http::auth::Needs;
use crate::store::{Role, Scope};

/// Answers, hangs, panics and breaks off.
#[plexichat::plugin(name = "fixture", provides(Interface), absolute("/fixture/v1"))]
pub(super) struct Subject;

impl Plugin for Subject {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

/// Whether the endless stream is polled by somebody.
static STREAMING: AtomicBool = AtomicBool::new(false);

struct Streaming;

impl Drop for Streaming {
    fn drop(&mut self) {
        STREAMING.store(false, Ordering::SeqCst);
    }
}

#[plexichat::role]
impl Interface for Subject {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        let answers = |name: &'static str| move |_, _: RouteCall| async move { Ok(RouteAnswer::text(200, name)) };
        routes
            .get("/public", Auth::Public, answers("public"))
            .post("/user", Auth::User, answers("user"))
            .get("/moderator", Auth::Moderator, answers("moderator"))
            .delete("/admin", Auth::Admin, answers("admin"))
            .get("/scoped", Auth::Scope("ai"), answers("scoped"))
            .get("/unknown-scope", Auth::Scope("no-such-scope"), answers("unknown scope"))
            .get("/fixture/v1/things", Auth::User, answers("things"))
            .get("/fixture/v1/{rest...}", Auth::Public, |_, call: RouteCall| async move {
                Ok(RouteAnswer::text(200, call.parameter("rest").unwrap_or_default()))
            })
            .post("/mirror/{word}", Auth::User, |_, call: RouteCall| async move { mirror(&call) })
            .body_up_to(10)
            .get("/answers", Auth::Public, |_, _: RouteCall| async move {
                let answer = RouteAnswer::text(418, "short and stout").header("set-cookie", "a=b");
                Ok(answer.header("content-security-policy", "*").header("x-own", "mine"))
            })
            .get("/refuses", Auth::Public, |_, _: RouteCall| async move {
                Err::<RouteAnswer, _>(PluginError::input("that does not go"))
            })
            .get("/fails", Auth::Public, |_, _: RouteCall| async move {
                Err::<RouteAnswer, _>(PluginError::internal("hunter2"))
            })
            .get("/panics", Auth::Public, |_, _: RouteCall| async move {
                if true {
                    panic!("hunter2");
                }
                Ok(())
            })
            .get("/hangs", Auth::Public, |_, _: RouteCall| std::future::pending::<Result<RouteAnswer>>())
            .within(Duration::from_millis(50))
            .get("/breaks", Auth::Public, |_, _: RouteCall| async move {
                let pieces = [Ok(b"begun".to_vec()), Err(PluginError::internal("broken"))];
                Ok(RouteAnswer::stream(200, "text/plain", stream::iter(pieces)))
            })
            .get("/goes-on", Auth::Public, |_, _: RouteCall| async move {
                STREAMING.store(true, Ordering::SeqCst);
                let (streaming, first) = (Streaming, stream::iter([Ok(b"first".to_vec())]));
                let rest = stream::pending().map(move |never: std::convert::Infallible| {
                    let _ = &streaming;
                    match never {}
                });
                Ok(RouteAnswer::stream(200, "text/event-stream", first.chain(rest)))
            })
    }

    fn error_body(refusal: &RouteRefusal<'_>) -> Option<Value> {
        Some(json!({ "error": { "code": refusal.code, "message": refusal.message, "own": true } }))
    }
}

fn mirror(call: &RouteCall) -> Result<RouteAnswer> {
    let names: Vec<&str> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
    let caller = call.caller.actor().map(|actor| actor.name.to_string());
    let body = String::from_utf8_lossy(&call.body);
    let said = json!({
        "word": call.parameter("word"), "query": call.query, "headers": names, "caller": caller, "body": body,
        "request_id": call.request_id,
    });
    RouteAnswer::json(201, &said)
}

const BELOW: &str = "/api/v1/plugins/fixture";

/// The routes that ask who calls, and for what.
pub(super) const GUARDED: &[(&str, &str, Needs)] = &[
    ("GET", "/api/v1/plugins/fixture/public", Needs::Nothing),
    ("POST", "/api/v1/plugins/fixture/user", Needs::Scope(Scope::Write)),
    ("GET", "/api/v1/plugins/fixture/moderator", Needs::Role(Role::Moderator, Scope::Write)),
    ("DELETE", "/api/v1/plugins/fixture/admin", Needs::Role(Role::Admin, Scope::Admin)),
    ("GET", "/api/v1/plugins/fixture/scoped", Needs::Scope(Scope::Ai)),
    ("GET", "/api/v1/plugins/fixture/unknown-scope", Needs::Role(Role::Admin, Scope::Admin)),
    ("GET", "/fixture/v1/things", Needs::Scope(Scope::Write)),
];

/// A server with the plugin, whose section of the settings has these lines too.
pub(super) async fn fixture(settings: &str) -> Fixture {
    let linked = [<Subject as plexichat::descriptor::Registered>::DESCRIPTOR];
    let bundle = format!("[plugins.fixture]\nenabled = true\ngrant = []\n{settings}");
    let settings = Settings::load(&Sources { bundle: &bundle, linked: &linked, ..Sources::default() }).unwrap();
    let fixture = Fixture::of(AccountSettings::default(), Catalog::of(&linked).unwrap(), settings);
    fixture.app.host.manager.start_all().await.unwrap();
    fixture
}

async fn ask(
    fixture: &Fixture,
    method: &str,
    path: &str,
    head: &[(&str, &str)],
    body: &str,
) -> axum::response::Response {
    let path = if path.starts_with("/fixture") { path.to_owned() } else { format!("{BELOW}{path}") };
    ask_at(fixture, method, &path, head, body).await
}

/// Asks at a whole address.
pub(super) async fn ask_at(
    fixture: &Fixture,
    method: &str,
    path: &str,
    head: &[(&str, &str)],
    body: &str,
) -> axum::response::Response {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "here");
    for (name, value) in head {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    fixture.service.clone().oneshot(request).await.unwrap()
}

pub(super) async fn text(response: axum::response::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn check(fixture: &Fixture, request: &str, status: u16, part: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    let (found, body) = text(ask(fixture, method, path, &[], "").await).await;
    assert_eq!(found, status, "{request}: {body}");
    assert!(body.contains(part), "{request}: {body}");
    assert!(!body.contains("hunter2"), "{request}: {body}");
}

#[tokio::test]
async fn every_answer_and_every_failure_has_its_status() {
    let fixture = fixture("").await;
    check(&fixture, "GET /public", 200, "public").await;
    check(&fixture, "HEAD /public", 200, "").await;
    check(&fixture, "GET /fixture/v1/a%2Fb/c", 200, "a/b/c").await;
    check(&fixture, "POST /public", 405, r#""own":true"#).await;
    check(&fixture, "GET /nowhere", 404, r#""hint":"GET /openapi.json"#).await;
    check(&fixture, "GET /fixture/v1", 404, r#""request_id""#).await;
    check(&fixture, "POST /user", 401, r#""own":true"#).await;
    check(&fixture, "GET /refuses", 422, "that does not go").await;
    check(&fixture, "GET /fails", 500, "plugin_failed").await;
    check(&fixture, "GET /panics", 500, "plugin_failed").await;
    check(&fixture, "GET /hangs", 503, "plugin_timeout").await;
    // One route's failures are not the others'.
    check(&fixture, "GET /public", 200, "public").await;
}

#[tokio::test]
async fn routes_come_and_go_with_their_plugin() {
    let fixture = fixture("").await;
    let (manager, name) = (&fixture.app.host.manager, "fixture".parse::<PluginName>().unwrap());
    for _ in 0..2 {
        check(&fixture, "GET /fixture/v1/x", 200, "x").await;
        manager.disable(&name, &Actor::system()).await.unwrap();
        check(&fixture, "GET /public", 404, "plugin_not_running").await;
        check(&fixture, "GET /fixture/v1/x", 404, r#""own":true"#).await;
        check(&fixture, "POST /user", 401, "unauthorized").await;
        manager.enable(&name, &Actor::system()).await.unwrap();
        manager.reconfigure(&name, &json!({}), None, &Actor::system()).await.unwrap();
    }
}

#[tokio::test]
async fn a_plugin_that_fails_too_often_is_not_asked() {
    let fixture = fixture("").await;
    for _ in 0..5 {
        check(&fixture, "GET /panics", 500, "plugin_failed").await;
    }
    check(&fixture, "GET /public", 503, "plugin_unavailable").await;
}

#[tokio::test]
async fn a_plugin_is_shown_the_request_and_no_credentials() {
    let fixture = fixture("").await;
    let token = fixture.token("ann", Role::User, &[Scope::Write]).await;
    let bearer = format!("Bearer {token}");
    let head = [("authorization", bearer.as_str()), ("cookie", "plexichat=x"), ("x-mine", "1"), ("x-request-id", "r1")];
    let (status, body) = text(ask(&fixture, "POST", "/mirror/a%20b?q=1", &head, "hello").await).await;
    assert_eq!(status, 201, "{body}");
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&said["word"], &said["query"], &said["caller"]), (&json!("a b"), &json!("q=1"), &json!("ann")));
    assert_eq!((&said["body"], &said["request_id"]), (&json!("hello"), &json!("r1")));
    assert!(said["headers"].as_array().unwrap().contains(&json!("x-mine")), "{said}");
    assert!(!body.contains("authorization") && !body.contains("cookie"), "{said}");
}

#[tokio::test]
async fn the_largest_body_is_the_routes_or_the_operators() {
    for (settings, largest) in [("", 10), ("max_body = '3B'", 3)] {
        let fixture = fixture(settings).await;
        let token = format!("Bearer {}", fixture.token("ann", Role::User, &[Scope::Write]).await);
        for (size, status) in [(largest, 201), (largest + 1, 413)] {
            let head = [("authorization", token.as_str())];
            let (found, body) = text(ask(&fixture, "POST", "/mirror/a", &head, &"x".repeat(size)).await).await;
            assert_eq!(found, status, "{size}: {body}");
            assert_eq!(body.contains(r#""own":true"#), status == 413, "{body}");
        }
    }
}

#[tokio::test]
async fn an_answer_keeps_its_shape_and_loosens_nothing() {
    let fixture = fixture("").await;
    let response = ask(&fixture, "GET", "/answers", &[], "").await;
    let value = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!((value("x-own").as_deref(), value("set-cookie")), (Some("mine"), None));
    let policy = value("content-security-policy").unwrap();
    assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(text(response).await, (418, "short and stout".to_owned()));
}

#[tokio::test]
async fn a_stream_is_cut_where_it_breaks_and_dropped_where_nobody_reads() {
    let fixture = fixture("").await;
    let mut pieces = ask(&fixture, "GET", "/breaks", &[], "").await.into_body().into_data_stream();
    // What was ready before the failure may be lost with it; that the rest is missing must not be.
    let ends_badly = async {
        while let Some(piece) = pieces.next().await {
            if piece.is_err() {
                return true;
            }
        }
        false
    };
    assert!(ends_badly.await);

    let mut pieces = ask(&fixture, "GET", "/goes-on", &[], "").await.into_body().into_data_stream();
    assert_eq!(&pieces.next().await.unwrap().unwrap()[..], b"first");
    assert!(STREAMING.load(Ordering::SeqCst));
    drop(pieces);
    let dropped = async {
        while STREAMING.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), dropped).await.unwrap();
}

#[tokio::test]
async fn the_document_has_the_routes() {
    let fixture = fixture("").await;
    let document: Value = serde_json::from_slice(&fixture.app.document).unwrap();
    let operation = &document["paths"]["/api/v1/plugins/fixture/user"]["post"];
    assert_eq!(operation["x-plexichat-plugin"], "fixture");
    assert_eq!(operation["security"][0]["token"], json!(["write"]));
    assert_eq!(document["paths"]["/api/v1/plugins/fixture/public"]["get"]["security"], Value::Null);
    let tail = &document["paths"]["/fixture/v1/{rest}"]["get"];
    assert_eq!(tail["parameters"][0]["name"], "rest");
}
