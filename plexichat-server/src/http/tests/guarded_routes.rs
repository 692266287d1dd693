//! Routes of plugins that are signed, that may be called so often, and that answer with events without end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::Request;
use futures_util::{StreamExt, stream};
use plexichat::catalog::Catalog;
use plexichat::id::PluginName;
use plexichat::message::Actor;
use plexichat::plugin::interface::{EventStream, Socket, StreamEvent};
use plexichat::prelude::*;
use plexichat::routes::Lookup;
use plexichat::settings::{AccountSettings, Settings, Sources};
use sha2::{Digest, Sha256};

use super::Fixture;
use super::plugin_routes::{ask_at, text};
use crate::http::places::OF_CALLER_MAX;
use crate::store::{Role, Scope};

/// What signs.
#[plexichat::config]
struct Config {
    /// The shared secret.
    secret: Option<Secret>,
}

/// Answers, if it is asked in the right way.
#[plexichat::plugin(name = "guarded", provides(Interface))]
struct Guarded;

impl Plugin for Guarded {
    type Config = Config;

    async fn initialize(_: Context<Self>, _: Config) -> Result<Self> {
        Ok(Self)
    }
}

const SIGNED: Auth = Auth::Signature(Signature::hmac_sha256("x-sign", "/secret").prefix("sha256="));
const TIMED: Auth =
    Auth::Signature(Signature::hmac_sha256("x-sign", "/secret").timestamp("x-time", "{timestamp}.{body}"));

#[plexichat::role]
impl Interface for Guarded {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes
            .post("/signed", SIGNED, Self::signed)
            .post("/timed", TIMED, Self::signed)
            .get("/seldom", Auth::Public, Self::seldom)
            .rate(2)
            .get("/seldom-mine", Auth::User, Self::seldom)
            .rate(2)
            .events("/events", Auth::User, Self::events)
            .events("/signed-events", SIGNED, Self::signed_events)
            .websocket("/socket", Auth::User, Self::socket)
    }
}

impl Guarded {
    async fn signed(self: Arc<Self>, call: RouteCall) -> Result<String> {
        Ok(String::from_utf8_lossy(&call.body).into_owned())
    }

    async fn seldom(self: Arc<Self>) -> Result<&'static str> {
        Ok("seldom")
    }

    async fn events(self: Arc<Self>, user: User) -> Result<EventStream> {
        let hello = StreamEvent::new(format!("hello {}", user.name())).id("1").name("greeting");
        Ok(EventStream::new(stream::iter([Ok(hello)]).chain(stream::pending())))
    }

    async fn signed_events(self: Arc<Self>) -> Result<EventStream> {
        Ok(EventStream::new(stream::iter([Ok(StreamEvent::new("signed"))])))
    }

    async fn socket(self: Arc<Self>, mut socket: Socket) -> Result<()> {
        while let Some(message) = socket.recv().await {
            socket.send(message).await?;
        }
        Ok(())
    }
}

async fn fixture(settings: &str) -> Fixture {
    let linked = [<Guarded as plexichat::descriptor::Registered>::DESCRIPTOR];
    let bundle = format!("[plugins.guarded]\nenabled = true\ngrant = []\n{settings}");
    let settings = Settings::load(&Sources { bundle: &bundle, linked: &linked, ..Sources::default() }).unwrap();
    let fixture = Fixture::of(AccountSettings::default(), Catalog::of(&linked).unwrap(), settings);
    fixture.app.host.manager.start_all().await.unwrap();
    fixture
}

const WITH_SECRET: &str = "[plugins.guarded.config]\nsecret = \"s3cret\"\n";

/// HMAC-SHA256 with `s3cret`, as hexadecimal digits.
fn signature(signed: &str) -> String {
    let mut key = [0_u8; 64];
    key[..6].copy_from_slice(b"s3cret");
    let inner = Sha256::new_with_prefix(key.map(|byte| byte ^ 0x36)).chain_update(signed).finalize();
    let outer = Sha256::new_with_prefix(key.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn check(fixture: &Fixture, path: &str, head: &[(&str, &str)], body: &str, status: u16, part: &str) {
    let path = format!("/api/v1/plugins/guarded{path}");
    let (found, answered) = text(ask_at(fixture, "POST", &path, head, body).await).await;
    assert!(found == status && answered.contains(part), "{head:?}: {found} {answered}");
    assert!(!answered.contains("s3cret"), "{answered}");
}

#[tokio::test]
async fn what_is_not_signed_never_reaches_the_plugin() {
    let fixture = fixture(WITH_SECRET).await;
    let good = format!("sha256={}", signature("hello"));
    check(&fixture, "/signed", &[("x-sign", &good)], "hello", 200, "hello").await;
    check(&fixture, "/signed", &[("x-sign", &good)], "hellO", 401, "does not fit").await;
    check(&fixture, "/signed", &[], "hello", 401, "the header `x-sign` is missing").await;
    check(&fixture, "/signed", &[("x-sign", &good[7..])], "hello", 401, "`sha256=` and 64").await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for (time, status, part) in
        [(now, 200, "hi"), (now - 400, 401, "300 s are let pass"), (now + 400, 401, "bad_signature")]
    {
        let (time, signed) = (time.to_string(), signature(&format!("{time}.hi")));
        check(&fixture, "/timed", &[("x-sign", &signed), ("x-time", &time)], "hi", status, part).await;
    }
}

#[tokio::test]
async fn events_are_signed_over_the_empty_body() {
    let fixture = fixture(WITH_SECRET).await;
    let path = "/api/v1/plugins/guarded/signed-events";
    let ask = async |signed: Option<&str>| {
        let value = signed.map(|signed| format!("sha256={}", signature(signed)));
        let head: Vec<_> = value.iter().map(|value| ("x-sign", value.as_str())).collect();
        text(ask_at(&fixture, "GET", path, &head, "").await).await
    };
    let (status, body) = ask(Some("")).await;
    assert!(status == 200 && body.contains("data: signed"), "{status} {body}");
    for signed in [None, Some("another body")] {
        let (status, body) = ask(signed).await;
        assert!(status == 401 && body.contains("bad_signature"), "{signed:?}: {status} {body}");
    }
}

/// The check of routes refuses such a plugin. Should one come past it, it is no open door.
#[tokio::test]
async fn a_websocket_with_a_signature_is_closed_to_whoever_does_not_sign() {
    let fixture = fixture(WITH_SECRET).await;
    let path = "/api/v1/plugins/guarded/socket";
    let Lookup::Found(route, _) = fixture.app.host.routes.find("GET", path) else { panic!("there is no {path}") };
    let mut route = route.clone();
    route.spec.auth = SIGNED;
    for (signed, expected) in [(None, 401), (Some("another body"), 401), (Some(""), 426)] {
        let mut request = Request::builder().uri(path);
        if let Some(signed) = signed {
            request = request.header("x-sign", format!("sha256={}", signature(signed)));
        }
        let request = request.body(Body::empty()).unwrap();
        let response = crate::http::plugin_routes::answer(&fixture.app, &route, Vec::new(), request).await;
        let (status, body) = text(response).await;
        assert_eq!(status, expected, "{signed:?}: {body}");
    }
}

#[tokio::test]
async fn without_a_secret_nothing_is_taken_for_signed() {
    let fixture = fixture("").await;
    let good = format!("sha256={}", signature("hello"));
    check(&fixture, "/signed", &[("x-sign", &good)], "hello", 503, "plexichat plugin config set guarded").await;
}

#[tokio::test]
async fn each_caller_may_call_so_often() {
    for (settings, most) in [("", 2), ("route_rate = 1", 1)] {
        let fixture = fixture(settings).await;
        let (ann, ben) = (bearer(&fixture, "ann").await, bearer(&fixture, "ben").await);
        for token in [&ann, &ben] {
            for call in 1..=most + 1 {
                let head = [("authorization", token.as_str())];
                let path = "/api/v1/plugins/guarded/seldom-mine";
                let response = ask_at(&fixture, "GET", path, &head, "").await;
                let wait = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
                let (status, body) = text(response).await;
                assert_eq!((status, wait.is_some()), if call > most { (429, true) } else { (200, false) }, "{body}");
            }
        }
    }
}

async fn bearer(fixture: &Fixture, name: &str) -> String {
    format!("Bearer {}", fixture.token(name, Role::User, &[Scope::Write]).await)
}

#[tokio::test]
async fn events_come_with_signs_of_life_and_end_with_their_plugin() {
    let fixture = fixture("").await;
    let token = bearer(&fixture, "ann").await;
    let head = [("authorization", token.as_str())];
    let response = ask_at(&fixture, "GET", "/api/v1/plugins/guarded/events", &head, "").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut pieces = response.into_body().into_data_stream();
    assert_eq!(&pieces.next().await.unwrap().unwrap()[..], b"id: 1\nevent: greeting\ndata: hello ann\n\n");
    // From here on nothing happens but that time passes.
    tokio::time::pause();
    assert_eq!(&pieces.next().await.unwrap().unwrap()[..], b": still here\n\n");
    tokio::time::resume();
    let name: PluginName = "guarded".parse().unwrap();
    fixture.app.host.manager.disable(&name, &Actor::system()).await.unwrap();
    // It ends as a whole: nothing is broken off.
    let rest = async {
        while let Some(piece) = pieces.next().await {
            piece.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rest).await.unwrap();
}

#[tokio::test]
async fn one_caller_does_not_take_all_of_a_plugins_places() {
    let fixture = fixture("").await;
    let (ann, ben) = (bearer(&fixture, "ann").await, bearer(&fixture, "ben").await);
    let ask = async |path: &str, token: &str| {
        let path = format!("/api/v1/plugins/guarded/{path}");
        ask_at(&fixture, "GET", &path, &[("authorization", token)], "").await
    };
    let mut open = Vec::new();
    for number in 0..OF_CALLER_MAX {
        let response = ask("events", &ann).await;
        assert_eq!(response.status(), 200, "{number}");
        open.push(response);
    }
    for path in ["events", "socket"] {
        let (status, body) = text(ask(path, &ann).await).await;
        assert!(status == 429 && body.contains("32 WebSockets and event streams"), "{path}: {status} {body}");
    }
    assert_eq!(ask("events", &ben).await.status(), 200, "it is another's");
    assert_eq!(ask("seldom-mine", &ann).await.status(), 200, "calls are none of these");
    open.pop();
    assert_eq!(ask("events", &ann).await.status(), 200, "one has ended");
}

#[tokio::test]
async fn a_websocket_is_opened_by_asking_for_one() {
    let fixture = fixture("").await;
    let token = bearer(&fixture, "ann").await;
    let path = "/api/v1/plugins/guarded/socket";
    assert_eq!(text(ask_at(&fixture, "GET", path, &[], "").await).await.0, 401);
    let (status, body) = text(ask_at(&fixture, "GET", path, &[("authorization", &token)], "").await).await;
    assert!(status == 426 && body.contains("upgrade_required"), "{status} {body}");
}

#[tokio::test]
async fn the_document_tells_how_to_sign_and_what_is_spoken() {
    let fixture = fixture("").await;
    let document: Value = serde_json::from_slice(&fixture.app.document).unwrap();
    let path = |path: &str| &document["paths"][format!("/api/v1/plugins/guarded{path}")];
    let names = |operation: &Value| -> Vec<String> {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&path("/timed")["post"]), ["x-sign", "x-time"]);
    assert!(path("/signed")["post"]["responses"]["401"].is_object());
    assert!(path("/events")["get"]["responses"]["200"]["content"]["text/event-stream"].is_object());
    assert!(path("/socket")["get"]["responses"]["101"].is_object());
    assert!(path("/socket")["get"]["responses"]["426"].is_object());
}
