//! Signing in and out, sessions, invitations and what administrators do with accounts, over the whole service.

use axum::body::Body;
use axum::http::{Request, Response, header};
use plexichat::settings::{AccountSettings, Registration};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Fixture;
use crate::http::address::Peer;
use crate::store::{AuditQuery, Role};

const PASSWORD: &str = "correct horse";
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

fn open() -> Fixture {
    Fixture::with(AccountSettings { registration: Registration::Open, ..AccountSettings::default() })
}

/// An answer's status, cookie and body.
struct Answer {
    status: u16,
    cookie: Option<String>,
    retry_after: Option<u64>,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_default())
    }
}

async fn send(fixture: &Fixture, method: &str, path: &str, head: &[(&str, &str)], body: Option<Value>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "here");
    for (name, value) in head {
        request = request.header(*name, *value);
    }
    let body = body.map_or(String::new(), |body| body.to_string());
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
    read(fixture.service.clone().oneshot(request).await.unwrap()).await
}

async fn read(response: Response<Body>) -> Answer {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let cookie = text(header::SET_COOKIE);
    let retry_after = text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
    Answer { status, cookie, retry_after, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

/// The part of a `Set-Cookie` that a browser sends back.
fn pair(cookie: &Option<String>) -> String {
    cookie.as_deref().and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned()
}

async fn register(fixture: &Fixture, name: &str) -> String {
    let wanted = json!({ "name": name, "password": PASSWORD });
    let answer = send(fixture, "POST", "/api/v1/auth/register", &[], Some(wanted)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    pair(&answer.cookie)
}

async fn log_in(fixture: &Fixture, name: &str, password: &str) -> Answer {
    let login = json!({ "name": name, "password": password });
    send(fixture, "POST", "/api/v1/auth/login", &[], Some(login)).await
}

async fn me(fixture: &Fixture, cookie: &str) -> Answer {
    send(fixture, "GET", "/api/v1/auth/me", &[("cookie", cookie)], None).await
}

#[tokio::test]
async fn somebody_registers_comes_in_and_leaves() {
    let fixture = open();
    let first = register(&fixture, "ann").await;
    assert!(first.starts_with("plexichat=pls_"), "{first}");
    assert_eq!(me(&fixture, &first).await.body["user"]["name"], "ann");

    let again = log_in(&fixture, "ANN", PASSWORD).await;
    assert_eq!(again.status, 200, "{}", again.body);
    assert!(!again.body.to_string().contains("pls_"), "the secret is in the cookie alone: {}", again.body);
    let second = pair(&again.cookie);
    assert_ne!(first, second, "each login has its own secret");
    let list = send(&fixture, "GET", "/api/v1/auth/sessions", &[("cookie", &second)], None).await;
    assert_eq!(list.body["sessions"].as_array().unwrap().len(), 2, "{}", list.body);

    let head = [("cookie", second.as_str()), OWN];
    let left = send(&fixture, "POST", "/api/v1/auth/logout", &head, None).await;
    assert_eq!(left.status, 204);
    assert!(left.cookie.is_some_and(|cookie| cookie.starts_with("plexichat=;") && cookie.contains("Max-Age=0")));
    assert_eq!(me(&fixture, &second).await.code(), (401, "unauthorized"));
    assert_eq!(me(&fixture, &first).await.status, 200, "the other session goes on");

    let other = list.body["sessions"][1]["id"].as_str().unwrap();
    let path = format!("/api/v1/auth/sessions/{other}");
    assert_eq!(send(&fixture, "DELETE", &path, &[("cookie", &first), OWN], None).await.status, 204);
    assert_eq!(me(&fixture, &first).await.status, 401);
}

#[tokio::test]
async fn who_may_register() {
    let wanted = json!({ "name": "ann", "password": PASSWORD });
    let fixture = Fixture::with(AccountSettings { registration: Registration::Off, ..AccountSettings::default() });
    let answer = send(&fixture, "POST", "/api/v1/auth/register", &[], Some(wanted.clone())).await;
    assert_eq!(answer.code(), (403, "registration_off"));

    let fixture = Fixture::new();
    let answer = send(&fixture, "POST", "/api/v1/auth/register", &[], Some(wanted.clone())).await;
    assert_eq!(answer.code(), (403, "invitation_needed"));
    let invented = json!({ "name": "ann", "password": PASSWORD, "invitation": "inv_0" });
    let answer = send(&fixture, "POST", "/api/v1/auth/register", &[], Some(invented)).await;
    assert_eq!(answer.code(), (403, "invitation_invalid"));

    let administrator = fixture.administrator().await;
    let asked = json!({ "role": "moderator", "uses": 1 });
    let (status, made) = fixture.send("POST", "/api/v1/invitations", Some(&administrator), Some(asked)).await;
    assert_eq!(status, 201, "{made}");
    let (_, list) = fixture.send("GET", "/api/v1/invitations", Some(&administrator), None).await;
    assert!(list["invitations"][0]["uses_left"] == 1 && !list.to_string().contains("inv_"), "{list}");
    let invited = |name: &str| json!({ "name": name, "password": PASSWORD, "invitation": made["invitation"] });
    // What fails uses nothing up.
    let answer = send(&fixture, "POST", "/api/v1/auth/register", &[], Some(invited("admin"))).await;
    assert_eq!(answer.code(), (409, "name_taken"));
    let answer = send(&fixture, "POST", "/api/v1/auth/register", &[], Some(invited("ann"))).await;
    assert_eq!((answer.status, &answer.body["user"]["role"]), (201, &json!("moderator")));
    let answer = send(&fixture, "POST", "/api/v1/auth/register", &[], Some(invited("bob"))).await;
    assert_eq!(answer.code(), (403, "invitation_invalid"), "it was used");
}

#[tokio::test]
async fn what_cannot_be_an_account() {
    let fixture = open();
    check(&fixture, "ann", "short", 422, "/password").await;
    check(&fixture, "annabella", "Annabella", 422, "/password").await;
    check(&fixture, " ", PASSWORD, 422, "/name").await;
    check(&fixture, "ad\u{202e}nim", PASSWORD, 422, "/name").await;
    register(&fixture, "Ann").await;
    check(&fixture, "aNN", PASSWORD, 409, "").await;

    async fn check(fixture: &Fixture, name: &str, password: &str, status: u16, pointer: &str) {
        let wanted = json!({ "name": name, "password": password });
        let answer = send(fixture, "POST", "/api/v1/auth/register", &[], Some(wanted)).await;
        assert_eq!(answer.status, status, "{name:?}: {}", answer.body);
        assert_eq!(answer.body["error"]["details"][0]["pointer"].as_str().unwrap_or(""), pointer, "{}", answer.body);
        assert!(!answer.body.to_string().contains(password), "{}", answer.body);
    }
}

/// Fault 71: five tries a minute for an account from an address; the right password does not help then, another address does.
#[tokio::test]
async fn passwords_are_not_guessed() {
    let fixture = open();
    register(&fixture, "ann").await;
    for _ in 0..5 {
        assert_eq!(log_in(&fixture, "ann", "wrong horse").await.code(), (401, "wrong_password"));
    }
    let refused = log_in(&fixture, "ann", PASSWORD).await;
    assert_eq!(refused.code(), (429, "too_many_attempts"));
    assert!(refused.retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)));
    // The same for a name that nobody has: it says nothing of who is here.
    for _ in 0..5 {
        assert_eq!(log_in(&fixture, "nobody", "wrong horse").await.code(), (401, "wrong_password"));
    }
    assert_eq!(log_in(&fixture, "nobody", "wrong horse").await.code(), (429, "too_many_attempts"));

    let elsewhere = Request::builder().method("POST").uri("/api/v1/auth/login").header(header::HOST, "here");
    let elsewhere = elsewhere.header(header::CONTENT_TYPE, "application/json");
    let elsewhere = elsewhere.extension(Peer("192.0.2.7:1".parse().unwrap()));
    let body = json!({ "name": "ann", "password": PASSWORD }).to_string();
    let answer = read(fixture.service.clone().oneshot(elsewhere.body(Body::from(body)).unwrap()).await.unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Fault 71: thirty tries a minute from an address, whatever the names.
#[tokio::test]
async fn one_address_does_not_try_every_name() {
    let fixture = open();
    let mut limited = 0;
    for number in 0..33 {
        let (status, _) = log_in(&fixture, &format!("name-{number}"), "x").await.code();
        limited += u32::from(status == 429);
    }
    assert_eq!(limited, 3);
}

/// Fault 71: tokens are not guessed either; whoever has one that counts comes in all the same.
#[tokio::test]
async fn tokens_are_not_guessed() {
    let settings = AccountSettings { bad_tokens_per_minute: 10.try_into().unwrap(), ..AccountSettings::default() };
    let fixture = Fixture::with(settings);
    let administrator = fixture.administrator().await;
    for _ in 0..10 {
        assert_eq!(fixture.send("GET", "/api/v1/auth/me", Some("plx_0"), None).await.0, 401);
    }
    for _ in 0..100 {
        assert_eq!(fixture.send("GET", "/api/v1/auth/me", Some("plx_0"), None).await.0, 429);
    }
    assert_eq!(fixture.send("GET", "/api/v1/auth/me", Some(&administrator), None).await.0, 200);
    let forged = send(&fixture, "GET", "/api/v1/auth/me", &[("cookie", "plexichat=pls_0")], None).await;
    assert_eq!(forged.status, 429, "a forged cookie is no better");
}

/// Fault 74: another site's page neither acts for whoever is signed in here, nor signs anybody in.
#[tokio::test]
async fn other_sites_do_nothing() {
    let fixture = open();
    let cookie = register(&fixture, "ann").await;
    let room = Some(json!({ "name": "mine" }));
    for foreign in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("accept", "*/*")] {
        let head = [("cookie", cookie.as_str()), foreign];
        let answer = send(&fixture, "POST", "/api/v1/rooms", &head, room.clone()).await;
        assert_eq!(answer.code(), (403, "cross_site"), "{foreign:?}");
    }
    for own in [OWN, ("origin", "http://here")] {
        let answer = send(&fixture, "POST", "/api/v1/rooms", &[("cookie", &cookie), own], room.clone()).await;
        assert!([201, 409].contains(&answer.status), "{own:?}: {}", answer.body);
    }
    let login = Some(json!({ "name": "ann", "password": PASSWORD }));
    let answer = send(&fixture, "POST", "/api/v1/auth/login", &[("origin", "https://evil.example")], login).await;
    assert_eq!(answer.code(), (403, "cross_site"));
}

#[tokio::test]
async fn a_password_is_changed_and_what_was_open_ends() {
    let fixture = open();
    let here = register(&fixture, "ann").await;
    let elsewhere = pair(&log_in(&fixture, "ann", PASSWORD).await.cookie);
    let made = send(&fixture, "POST", "/api/v1/tokens", &[("cookie", &here), OWN], Some(json!({}))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let token = made.body["token"].as_str().unwrap().to_owned();

    let head = [("cookie", here.as_str()), OWN];
    let change = |old: &str, new: &str| Some(json!({ "old": old, "new": new }));
    let wrong = send(&fixture, "PUT", "/api/v1/auth/password", &head, change("wrong horse", "battery staple")).await;
    assert_eq!(wrong.code(), (403, "forbidden"));
    let unfit = send(&fixture, "PUT", "/api/v1/auth/password", &head, change(PASSWORD, "short")).await;
    assert_eq!((unfit.status, &unfit.body["error"]["details"][0]["pointer"]), (422, &json!("/new")));
    let changed = send(&fixture, "PUT", "/api/v1/auth/password", &head, change(PASSWORD, "battery staple")).await;
    assert_eq!(changed.status, 204, "{}", changed.body);

    let fresh = pair(&changed.cookie);
    assert_ne!(fresh, here);
    assert_eq!(me(&fixture, &fresh).await.status, 200, "whoever changed it stays");
    assert_eq!(me(&fixture, &elsewhere).await.status, 401);
    assert_eq!(fixture.send("GET", "/api/v1/auth/me", Some(&token), None).await.0, 401);
    assert_eq!(log_in(&fixture, "ann", PASSWORD).await.status, 401);
    assert_eq!(log_in(&fixture, "ann", "battery staple").await.status, 200);
}

#[tokio::test]
async fn administrators_look_after_accounts() {
    let fixture = open();
    let administrator = fixture.administrator().await;
    let as_admin = async |method: &str, path: &str, body: Value| {
        fixture.send(method, path, Some(&administrator), Some(body)).await
    };
    let (status, ann) = as_admin("POST", "/api/v1/users", json!({ "name": "ann", "password": PASSWORD })).await;
    assert_eq!((status, &ann["role"]), (201, &json!("user")), "{ann}");
    assert!(!ann.to_string().contains(PASSWORD), "{ann}");
    let path = format!("/api/v1/users/{}", ann["id"].as_str().unwrap());
    let cookie = pair(&log_in(&fixture, "ann", PASSWORD).await.cookie);

    // A role counts from the next request on.
    assert_eq!(send(&fixture, "GET", "/api/v1/audit", &[("cookie", &cookie)], None).await.status, 403);
    let (_, changed) = as_admin("PATCH", &path, json!({ "role": "admin" })).await;
    assert_eq!(changed["role"], "admin");
    assert_eq!(send(&fixture, "GET", "/api/v1/audit", &[("cookie", &cookie)], None).await.status, 200);

    let (status, _) = as_admin("PATCH", &path, json!({ "role": "user", "disabled": true })).await;
    assert_eq!(status, 200);
    assert_eq!(me(&fixture, &cookie).await.status, 401);
    assert_eq!(log_in(&fixture, "ann", PASSWORD).await.code(), (403, "account_disabled"));
    assert_eq!(
        log_in(&fixture, "ann", "wrong horse").await.code(),
        (401, "wrong_password"),
        "only who knows it is told"
    );
    let (_, enabled) = as_admin("PATCH", &path, json!({ "disabled": false })).await;
    assert!(enabled.get("disabled_at").is_none(), "{enabled}");
    let (status, _) = as_admin("PUT", &format!("{path}/password"), json!({ "password": "battery staple" })).await;
    assert_eq!(status, 204);
    assert_eq!(log_in(&fixture, "ann", "battery staple").await.status, 200);

    let (status, unchanged) = as_admin("PATCH", &path, json!({})).await;
    assert_eq!(status, 422, "{unchanged}");
    let (_, list) = fixture.send("GET", "/api/v1/users?limit=1", Some(&administrator), None).await;
    assert_eq!((&list["users"][0]["name"], &list["more"]), (&json!("admin"), &json!(true)), "{list}");
    let (_, list) = fixture.send("GET", "/api/v1/users?name=ANN", Some(&administrator), None).await;
    assert_eq!(list["users"][0]["id"], ann["id"], "{list}");

    assert_eq!(as_admin("DELETE", &path, json!({})).await.0, 204);
    let (status, gone) = fixture.send("GET", &path, Some(&administrator), None).await;
    assert_eq!((status, &gone["error"]["code"]), (404, &json!("user_not_found")));
    assert_eq!(as_admin("POST", "/api/v1/users", json!({ "name": "ann" })).await.0, 201, "the name is free");

    let audit = fixture.app.store.audit_rows(AuditQuery { limit: 1000, ..AuditQuery::default() }).await.unwrap();
    let actions: Vec<&str> = audit.iter().rev().map(|row| row.action.as_str()).collect();
    for action in
        ["user.create", "user.login", "user.role", "user.disable", "user.enable", "user.password", "user.delete"]
    {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    let all = format!("{audit:?}");
    assert!(!all.contains(PASSWORD) && !all.contains("argon2"), "{all}");
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let fixture = Fixture::new();
    let administrator = fixture.administrator().await;
    let admin = fixture.app.store.user_by_name("admin".into()).await.unwrap().unwrap();
    let path = format!("/api/v1/users/{}", admin.id);
    let check = async |method: &str, body: Value, expected: u16| {
        let (status, answer) = fixture.send(method, &path, Some(&administrator), Some(body)).await;
        assert_eq!(status, expected, "{method} {answer}");
        if expected == 409 {
            assert_eq!(answer["error"]["code"], "last_administrator", "{answer}");
        }
    };
    // One who is shut out is none.
    let other = fixture.app.store.create_user("other", Role::Admin).await.unwrap();
    let act = crate::store::Act::system;
    fixture.app.authenticator.set_disabled(other.id, true, act()).await.unwrap();
    check("PATCH", json!({ "role": "moderator" }), 409).await;
    check("PATCH", json!({ "disabled": true }), 409).await;
    check("DELETE", json!({}), 409).await;
    check("PATCH", json!({ "role": "admin" }), 200).await;
    fixture.app.authenticator.set_disabled(other.id, false, act()).await.unwrap();
    check("DELETE", json!({}), 204).await;
    assert_eq!(fixture.send("GET", "/api/v1/auth/me", Some(&administrator), None).await.0, 401);
}

#[tokio::test]
async fn a_token_for_oneself_allows_no_more_than_one_may() {
    let fixture = open();
    let cookie = register(&fixture, "ann").await;
    let ask =
        async |head: &[(&str, &str)], body: Value| send(&fixture, "POST", "/api/v1/tokens", head, Some(body)).await;
    let own = [("cookie", cookie.as_str()), OWN];
    let made = ask(&own, json!({ "scopes": ["write"], "expires_in": 60 })).await;
    assert_eq!((made.status, &made.body["user"]), (201, &json!("ann")), "{}", made.body);
    assert_eq!(ask(&own, json!({ "user": "bob" })).await.code(), (403, "forbidden"));
    assert_eq!(ask(&own, json!({ "scopes": ["admin"] })).await.status, 422);
    assert_eq!(ask(&own, json!({ "role": "admin" })).await.code(), (409, "role_differs"));

    // A token makes no token that may more, or lasts longer.
    let bearer = format!("Bearer {}", made.body["token"].as_str().unwrap());
    let by_token = [("authorization", bearer.as_str())];
    assert_eq!(ask(&by_token, json!({ "scopes": ["read"] })).await.status, 422);
    assert_eq!(ask(&by_token, json!({ "expires_in": 3600 })).await.status, 422);
    let child = ask(&by_token, json!({})).await;
    assert_eq!((child.status, &child.body["scopes"]), (201, &json!(["write"])), "{}", child.body);
    assert_eq!(child.body["expires_at"], made.body["expires_at"]);

    let mut made = 2;
    while ask(&own, json!({})).await.status == 201 {
        made += 1;
    }
    assert_eq!(made, crate::auth::TOKENS_MAX, "tokens are bounded");
}

#[tokio::test]
async fn a_browser_is_given_another_secret_in_time() {
    let fixture = open();
    let fresh = register(&fixture, "ann").await;
    assert_eq!(me(&fixture, &fresh).await.cookie, None);
    fixture.app.store.age_sessions(25 * 60 * 60).await;
    fixture.app.authenticator.forget_all();
    let answer = me(&fixture, &fresh).await;
    assert_eq!(answer.status, 200);
    let second = pair(&answer.cookie);
    assert_ne!(second, fresh);
    let late = me(&fixture, &fresh).await;
    assert_eq!((late.status, late.cookie), (200, None), "a request that was under way gets no third one");
    assert_eq!(me(&fixture, &second).await.cookie, None);
}
