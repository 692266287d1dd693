//! People as they come in and are shut out: a browser with its cookie, a program with its token, an administrator beside
//! them, against the built binary.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup};

const PASSWORD: &str = "correct horse battery staple";
/// Close code 1008: what one came in with counts no more.
const POLICY: u16 = 1008;

/// What a page of the server's own does: it sends its cookie and says where it comes from.
struct Browser {
    client: Client,
    cookie: String,
    origin: String,
}

impl Browser {
    async fn register(server: &Server, name: &str) -> (Self, Value) {
        let invitation = server.cli_ok(&["user", "invite"]);
        let wanted = json!({ "name": name, "password": PASSWORD, "invitation": invitation.trim() });
        let client = server.client().with_token(None);
        let answer = client.post("/api/v1/auth/register", wanted).await;
        let (browser, user) = (Self::with(server, &answer), answer.expect(201)["user"].clone());
        (browser, user)
    }

    async fn log_in(server: &Server, name: &str) -> Self {
        let login = json!({ "name": name, "password": PASSWORD });
        let answer = server.client().with_token(None).post("/api/v1/auth/login", login).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Self::with(server, &answer)
    }

    fn with(server: &Server, answer: &Answer) -> Self {
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        Self {
            client: server.client().with_token(None),
            cookie: cookie.split(';').next().unwrap().to_owned(),
            origin: format!("http://{}", server.address),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let head = [("cookie", self.cookie.as_str()), ("origin", self.origin.as_str())];
        self.client.request_with(method, path, &body, &head).await.unwrap()
    }

    async fn status(&self) -> u16 {
        self.ask("GET", "/api/v1/auth/me", Value::Null).await.status.as_u16()
    }

    async fn socket(&self) -> WebSocket {
        WebSocket::connect_with(&self.client, &[("cookie", &self.cookie), ("origin", &self.origin)]).await
    }
}

/// Waits until a connection is closed for what one came in with; at most a second.
async fn closes_within_a_second(mut socket: WebSocket, since: Instant) {
    assert_eq!(socket.closed().await, Some(POLICY));
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_browser_comes_in_talks_and_leaves() {
    let server = Setup::new().start();
    let (browser, ann) = Browser::register(&server, "ann").await;
    let room = browser.ask("POST", "/api/v1/rooms", json!({ "name": "lobby" })).await.expect(201);
    let path = format!("/api/v1/rooms/{}/messages", room["id"].as_str().unwrap());
    let sent = browser.ask("POST", &path, json!({ "text": "hello" })).await.expect(201);
    assert_eq!((&sent["author"]["id"], &sent["author"]["name"]), (&ann["id"], &json!("ann")));

    let mut socket = browser.socket().await;
    assert_eq!(socket.hello["user"]["name"], "ann");
    socket.subscribe(room["id"].as_str().unwrap(), Some(0)).await;
    assert_eq!(socket.message().await["text"], "hello");

    let server = server.restart();
    let browser =
        Browser { origin: format!("http://{}", server.address), client: server.client().with_token(None), ..browser };
    assert_eq!(browser.status().await, 200, "a session outlives the server");
    let other = Browser::log_in(&server, "Ann").await;
    let socket = browser.socket().await;
    let since = Instant::now();
    assert_eq!(browser.ask("POST", "/api/v1/auth/logout", Value::Null).await.status, 204);
    closes_within_a_second(socket, since).await;
    assert_eq!((browser.status().await, other.status().await), (401, 200));
}

/// Fault 74: a page of another site has the browser send the cookie, and nothing comes of it.
#[tokio::test]
async fn a_page_of_another_site_does_nothing() {
    let server = Setup::new().start();
    let (browser, _) = Browser::register(&server, "ann").await;
    let evil = Browser { origin: "https://evil.example".to_owned(), ..browser };
    evil.ask("POST", "/api/v1/rooms", json!({ "name": "x" })).await.error(403, "cross_site");
    evil.ask("POST", "/api/v1/auth/logout", Value::Null).await.error(403, "cross_site");
    let head = [("cookie", evil.cookie.as_str()), ("origin", "https://evil.example")];
    let refused = WebSocket::handshake(&evil.client, &head).await.err().unwrap().to_string();
    assert!(refused.contains("403"), "{refused}");
    assert_eq!(evil.status().await, 200, "the session itself goes on");
}

/// Fault 73: whoever is shut out is out within a second, on what was open too, whether by token or by session.
#[tokio::test]
async fn whoever_is_shut_out_is_out_at_once() {
    let server = Setup::new().start();
    let admin = server.client();
    let (browser, ann) = Browser::register(&server, "ann").await;
    let made = browser.ask("POST", "/api/v1/tokens", json!({ "name": "mine" })).await.expect(201);
    let program = admin.with_token(made["token"].as_str());
    let (by_session, by_token) = (browser.socket().await, WebSocket::connect(&program).await);
    let bystander = WebSocket::connect(&admin).await;

    let since = Instant::now();
    server.cli_ok(&["user", "disable", "ann"]);
    let disabled = Instant::now();
    closes_within_a_second(by_session, disabled).await;
    closes_within_a_second(by_token, disabled).await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert_eq!(browser.status().await, 401);
    program.get("/api/v1/auth/me").await.error(401, "unauthorized");
    let login = json!({ "name": "ann", "password": PASSWORD });
    program.with_token(None).post("/api/v1/auth/login", login).await.error(403, "account_disabled");
    drop(bystander);

    server.cli_ok(&["user", "enable", "ann"]);
    let browser = Browser::log_in(&server, "ann").await;
    let (socket, path) = (browser.socket().await, format!("/api/v1/users/{}", ann["id"].as_str().unwrap()));
    let since = Instant::now();
    assert_eq!(admin.put(&format!("{path}/password"), json!({ "password": "another horse" })).await.status, 204);
    closes_within_a_second(socket, since).await;
    assert_eq!(browser.status().await, 401);
}

#[tokio::test]
async fn what_somebody_wrote_outlives_the_account() {
    let server = Setup::new().start();
    let admin = server.client();
    let (browser, _) = Browser::register(&server, "ann").await;
    let room = admin.room("lobby").await;
    let path = format!("/api/v1/rooms/{room}/messages");
    browser.ask("POST", &path, json!({ "text": "remember me" })).await.expect(201);
    server.cli_ok(&["user", "delete", "ann", "--yes"]);
    assert_eq!(browser.status().await, 401);
    assert_eq!(admin.history(&room).await[0]["author"]["name"], "ann");
    // The name is free, and its new owner is somebody else.
    let (_, other) = Browser::register(&server, "ann").await;
    assert_ne!(admin.history(&room).await[0]["author"]["id"], other["id"]);
}

/// Fault 71: a flood of wrong passwords and tokens is refused, logged once in a while, and nobody else notices.
#[tokio::test]
async fn guessing_is_slow_and_quiet() {
    let server =
        Setup::new().config("[server.accounts]\nbad_tokens_per_minute = 20\nregistration = \"open\"\n").start();
    let admin = server.client();
    let nobody = admin.with_token(None);
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = nobody.post("/api/v1/auth/login", json!({ "name": "admin", "password": "guess" })).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
    assert!(statuses[5..].iter().all(|status| *status == 429), "{statuses:?}");
    let forged = admin.with_token(Some("plx_guess"));
    for number in 0..500 {
        let status = forged.get("/api/v1/auth/me").await.status;
        assert_eq!(status, if number < 20 { 401 } else { 429 }, "{number}");
    }
    assert_eq!(admin.get("/api/v1/auth/me").await.status, 200, "who has a token comes in all the same");
    let lines = server.stderr().lines().filter(|line| line.contains("WARN")).count();
    assert!((1..=3).contains(&lines), "{lines} lines:\n{}", server.stderr());
}

/// Passwords, sessions and invitations are in no log, no answer and no file, not even what they were made of.
#[tokio::test]
async fn no_secret_of_a_person_is_kept_or_told() {
    let setup = Setup::new().environment("RUST_LOG", "trace");
    let server = setup.start();
    let admin = server.client();
    let (browser, _) = Browser::register(&server, "ann").await;
    let session = browser.cookie.split('=').nth(1).unwrap().to_owned();
    let mut said = vec![server.stderr(), server.stdout()];
    for path in ["/api/v1/users", "/api/v1/audit", "/api/v1/invitations", "/metrics", "/api/v1/system/config"] {
        said.push(admin.get(path).await.text());
    }
    said.push(browser.ask("GET", "/api/v1/auth/sessions", Value::Null).await.text());
    said.push(browser.ask("PUT", "/api/v1/auth/password", json!({ "old": PASSWORD, "new": 7 })).await.text());
    let data = server.setup().data_dir();
    said.push(server.stop().stderr);
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            said.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
        }
    }
    for (number, text) in said.iter().enumerate() {
        assert!(!text.contains(PASSWORD), "the password is in {number}");
        assert!(!text.contains(&session), "the session is in {number}");
        assert!(!text.contains(session.trim_start_matches("pls_")), "the session's bits are in {number}");
    }
    assert!(said.iter().any(|text| text.contains("$argon2id$v=19$m=19456,t=2,p=1$")), "the store has the hash");
}
