//! The table of routes × who calls: nobody gets in whom the table does not let in, and nobody sees what is another's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use plexichat::message::Time;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Fixture, plugin_routes};
use crate::auth::TokenRequest;
use crate::http::address::Peer;
use crate::http::auth::Needs;
use crate::http::routes::{self, Method, Route};
use crate::store::{Act, Role, Scope, TokenId, User};

/// Who calls.
enum Caller {
    /// Somebody without anything, or with something that does not count.
    Nobody(&'static str, Option<String>),
    /// Somebody with a token that may be used for this.
    Token { role: Role, scopes: &'static [Scope], token: String },
    /// Somebody with a session, from a page of ours or of another site.
    Session { user: User, site: &'static str },
}

struct Answer {
    status: u16,
    code: String,
    message: String,
}

impl Answer {
    /// Whether it comes from before the route.
    fn is_of_the_guard(&self) -> bool {
        self.status == 401 || (self.status == 403 && self.message.starts_with("this needs the"))
    }
}

/// A call from an address that nobody had before, so that no limit by address counts.
async fn call(fixture: &Fixture, method: &str, path: &str, head: &[(&str, String)], body: Value) -> Answer {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), 1);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "here");
    for (name, value) in head {
        request = request.header(*name, value);
    }
    let request = request.header(header::CONTENT_TYPE, "application/json").extension(Peer(address));
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = tokio::time::timeout(Duration::from_secs(20), fixture.service.clone().oneshot(request)).await;
    let response = response.unwrap_or_else(|_| panic!("{method} {path} did not answer")).unwrap();
    let status = response.status().as_u16();
    if status < 400 {
        // Some go on for ever.
        return Answer { status, code: String::new(), message: String::new() };
    }
    let body = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    Answer { status, code: text("code"), message: text("message") }
}

fn method(route: &Route) -> &'static str {
    match route.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

/// The route's address, of something that is not there.
fn nowhere(route: &Route) -> String {
    let id = plexichat::id::RoomId::new().to_string();
    let path =
        route.path.replace("{id}", &id).replace("{*id}", &id).replace("{name}", "echo").replace("{user_id}", "me");
    let path = path.replace("{plugin}", "echo").replace("{component}", "panel").replace("{action}", "open");
    path.replace("{emoji}", "%F0%9F%91%8D")
}

fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {token}"))]
}

async fn token(fixture: &Fixture, user: &User, scopes: &[Scope], expires_at: Option<Time>) -> (String, TokenId) {
    let request = TokenRequest { name: "walk".to_owned(), scopes: Some(scopes.to_vec()), expires_at };
    let (secret, info) = fixture.app.authenticator.create(user, request, Act::system()).await.unwrap();
    (secret.expose().to_owned(), info.id)
}

async fn callers(fixture: &Fixture) -> Vec<Caller> {
    let make = async |name: &str, role| fixture.app.store.create_user(name, role).await.unwrap();
    let (user, other) = (make("user", Role::User).await, make("other", Role::User).await);
    let (moderator, admin) = (make("moderator", Role::Moderator).await, make("admin", Role::Admin).await);
    let gone = make("gone", Role::Admin).await;

    let soon = Time::from_micros(Time::now().as_micros() + 50_000);
    let (expired, _) = token(fixture, &admin, &Scope::ALL, Some(soon)).await;
    let (revoked, id) = token(fixture, &admin, &Scope::ALL, None).await;
    assert!(fixture.app.authenticator.revoke(id, None, Act::system()).await.unwrap());
    let (disabled, _) = token(fixture, &gone, &Scope::ALL, None).await;
    fixture.app.authenticator.set_disabled(gone.id, true, Act::system()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;

    let mut callers = vec![
        Caller::Nobody("nothing", None),
        Caller::Nobody("an unknown token", Some("plx_0000".to_owned())),
        Caller::Nobody("an expired token", Some(expired)),
        Caller::Nobody("a revoked token", Some(revoked)),
        Caller::Nobody("a token of somebody shut out", Some(disabled)),
    ];
    const BOTH: &[Scope] = &[Scope::Read, Scope::Write];
    for (person, scopes) in [
        (&user, BOTH),
        (&other, BOTH),
        (&user, &[Scope::Read]),
        (&user, &[Scope::Write]),
        (&user, &[Scope::Ai]),
        (&moderator, BOTH),
        (&moderator, &[Scope::Read]),
        (&admin, &Scope::ALL),
        (&admin, BOTH),
        (&admin, &[Scope::Read]),
        (&admin, &[Scope::Admin]),
    ] {
        let (token, _) = token(fixture, person, scopes, None).await;
        callers.push(Caller::Token { role: person.role, scopes, token });
    }
    for person in [user, moderator, admin] {
        for site in ["same-origin", "cross-site"] {
            callers.push(Caller::Session { user: person.clone(), site });
        }
    }
    callers
}

/// Faults 73 and 77: every route × everybody. What the table needs is what the router asks.
#[tokio::test]
async fn nobody_gets_in_whom_the_table_does_not_let_in() {
    let fixture = plugin_routes::fixture("").await;
    let callers = callers(&fixture).await;
    let table = routes::table();
    assert!(table.len() > 40, "{}", table.len());
    for route in &table {
        let (verb, path) = (method(route), nowhere(route));
        for caller in &callers {
            check(&fixture, route.needs, verb, &path, caller).await;
        }
    }
    for (verb, path, needs) in plugin_routes::GUARDED {
        for caller in &callers {
            check(&fixture, *needs, verb, path, caller).await;
        }
    }
}

async fn check(fixture: &Fixture, needs: Needs, verb: &str, path: &str, caller: &Caller) {
    let (head, may, who) = match caller {
        Caller::Nobody(who, token) => {
            let may = needs == Needs::Nothing;
            (token.as_deref().map(bearer).unwrap_or_default(), may, (*who).to_owned())
        }
        Caller::Token { role, scopes, token } => {
            let scope = needs.scope().is_none_or(|scope| {
                // Who may do everything may ask models too.
                scopes.contains(&scope) || (scope == Scope::Ai && scopes.contains(&Scope::Admin))
            });
            (bearer(token), scope && *role >= needs.role(), format!("{role:?} with {scopes:?}"))
        }
        Caller::Session { user, site } => {
            let secret = fixture.app.authenticator.session_of(user).await;
            let head =
                vec![("cookie", format!("plexichat={}", secret.expose())), ("sec-fetch-site", (*site).to_owned())];
            (head, user.role >= needs.role(), format!("{:?} from {site}", user.role))
        }
    };
    let place = format!("{verb} {path} by {who}");
    if may && path == "/api/v1/system/backup" {
        // It needs a whole data directory; that it takes a backup is tested elsewhere.
        return;
    }
    let answer = call(fixture, verb, path, &head, json!({})).await;
    assert!(answer.status < 500 || answer.status == 503, "{place}: {} {}", answer.status, answer.message);
    let forged = matches!(caller, Caller::Session { site: "cross-site", .. }) && verb != "GET";
    if forged && needs != Needs::Nothing {
        assert_eq!((answer.status, answer.code.as_str()), (403, "cross_site"), "{place}");
        return;
    }
    if may {
        // What the route itself says, or refuses for reasons of its own: `login` knows no password here.
        assert!(!answer.is_of_the_guard(), "{place}: {} {}", answer.status, answer.message);
        return;
    }
    let expected = if matches!(caller, Caller::Nobody(..)) { (401, "unauthorized") } else { (403, "forbidden") };
    assert_eq!((answer.status, answer.code.as_str()), expected, "{place}: {}", answer.message);
    assert!(answer.is_of_the_guard(), "{place}: {}", answer.message);
}

/// Fault 73: a token in the address is refused whatever it may be used for, since logs keep addresses.
#[tokio::test]
async fn no_route_takes_a_token_in_its_address() {
    let fixture = Fixture::new();
    let token = fixture.administrator().await;
    for route in routes::table() {
        for query in [format!("access_token={token}"), format!("q={token}"), "token=x".to_owned()] {
            let path = format!("{}?{query}", nowhere(&route));
            let answer = call(&fixture, method(&route), &path, &bearer(&token), json!({})).await;
            assert_eq!((answer.status, answer.code.as_str()), (400, "token_in_address"), "{path}");
        }
    }
}

/// Fault 77: what is somebody else's looks to a stranger as what is not there, on every route that names it.
#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let fixture = Fixture::new();
    let store = &fixture.app.store;
    let ann = store.create_user("ann", Role::User).await.unwrap();
    let bob = store.create_user("bob", Role::Moderator).await.unwrap();
    let carol = store.create_user("carol", Role::User).await.unwrap();
    let (anns, token_id) = token(&fixture, &ann, &[Scope::Read, Scope::Write], None).await;
    let (bobs, _) = token(&fixture, &bob, &[Scope::Read, Scope::Write], None).await;
    fixture.app.authenticator.session_of(&ann).await;
    let session_id = store.sessions(ann.id).await.unwrap()[0].id;

    let post = async |path: &str, body: Value| {
        let (status, made) = fixture.send("POST", path, Some(&anns), Some(body)).await;
        assert_eq!(status, 201, "{path}: {made}");
        made["id"].as_str().unwrap().to_owned()
    };
    let room = post("/api/v1/rooms", json!({ "name": "secret", "kind": "private" })).await;
    let direct = post("/api/v1/rooms", json!({ "kind": "direct", "members": [carol.id] })).await;
    let mut resources =
        vec![("/api/v1/tokens/{id}", token_id.to_string()), ("/api/v1/auth/sessions/{id}", session_id.to_string())];
    for room in [room, direct] {
        let message = post(&format!("/api/v1/rooms/{room}/messages"), json!({ "text": "hush" })).await;
        let due = Time::from_micros(Time::now().as_micros() + 3_600_000_000);
        let scheduled = json!({ "room_id": room, "text": "hush", "due_at": due });
        resources.push(("/api/v1/scheduled/{id}", post("/api/v1/scheduled", scheduled).await));
        resources.push(("/api/v1/messages/{id}", message));
        resources.push(("/api/v1/files/{id}", upload(&fixture, &anns, &room).await));
        resources.push(("/api/v1/rooms/{id}", room));
    }

    let mut looked = 0;
    for route in routes::table() {
        for (prefix, id) in resources.iter().filter(|(prefix, _)| route.path.starts_with(prefix)) {
            let (verb, nowhere) = (method(&route), nowhere(&route));
            let there = route.path.replace("{id}", id).replace("{user_id}", "me").replace("{emoji}", "%F0%9F%91%8D");
            for body in bodies(&bob, id) {
                let found = call(&fixture, verb, &there, &bearer(&bobs), body.clone()).await;
                let missing = call(&fixture, verb, &nowhere, &bearer(&bobs), body.clone()).await;
                let place = format!("{verb} {there} ({prefix}) with {body}");
                assert!(found.status >= 400, "{place}: {}", found.status);
                assert_eq!(
                    (found.status, found.code, found.message),
                    (missing.status, missing.code, missing.message),
                    "{place}"
                );
                looked += 1;
            }
        }
    }
    assert!(looked > 30, "{looked}");
}

async fn upload(fixture: &Fixture, token: &str, room: &str) -> String {
    let request = Request::builder().method("POST").uri(format!("/api/v1/rooms/{room}/files?name=hush.txt"));
    let request = request.header(header::HOST, "here").header(header::AUTHORIZATION, format!("Bearer {token}"));
    let request = request.header(header::CONTENT_TYPE, "text/plain").body(Body::from("hush")).unwrap();
    let response = fixture.service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 201);
    let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    serde_json::from_slice::<Value>(&body).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Bodies that fit the routes of rooms and messages, so that what they do is reached.
fn bodies(bob: &User, id: &str) -> [Value; 7] {
    [
        json!({}),
        json!({ "text": "mine" }),
        json!({ "topic": "mine", "revision": 1 }),
        json!({ "role": "owner" }),
        json!({ "seq": 1 }),
        json!({ "members": [bob.id] }),
        json!({ "room_id": id, "text": "mine" }),
    ]
}
