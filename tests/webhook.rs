//! Webhooks on the built server: what programs post, with Slack's own clients, and a receiver that is down for a while.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use crate::support::server::PATIENCE;
use crate::support::{Client, Setup};

const BASE: &str = "/api/v1/plugins/webhook";

/// Makes a hook for a room: the path of its address.
async fn incoming(client: &Client, room: &str) -> String {
    let made = client.post(&format!("{BASE}/incoming"), json!({ "room_id": room, "name": "ci" })).await.expect(201);
    let url = made["url"].as_str().unwrap();
    let start = format!("http://{}", client.address());
    url.strip_prefix(&start).unwrap_or_else(|| panic!("{url} does not begin with {start}")).to_owned()
}

#[tokio::test]
async fn programs_post_and_are_answered_ok() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let path = incoming(&client, &room).await;
    let nobody = client.with_token(None);
    let alerts = json!({
        "version": "4", "status": "firing", "receiver": "chat", "groupLabels": {}, "commonLabels": { "alertname": "Down" },
        "alerts": [{ "status": "firing", "labels": { "alertname": "Down", "instance": "db1" },
                     "annotations": { "summary": "db1 is down" }, "startsAt": "2026-03-01T10:00:00Z" }],
    });
    let told = [
        (json!({ "text": "hello" }), "hello"),
        (alerts, "🔴 *1 firing · Down*\n\n🔴 db1 is down\ninstance=db1\nSince 2026-03-01 10:00:00 UTC"),
    ];
    for (body, said) in told {
        let answer = nobody.post(&path, body).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "ok"));
        let last = client.history(&room).await.pop().unwrap();
        assert_eq!(
            (&last["text"], &last["author"]["kind"], &last["author"]["name"]),
            (&json!(said), &json!("webhook"), &json!("ci"))
        );
    }
    let form = Request::post(&path).header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(b"payload=%7B%22text%22%3A%22a+form%22%7D".to_vec()).unwrap();
    assert_eq!(nobody.send(form).await.unwrap().text(), "ok");
    assert_eq!(client.history(&room).await.pop().unwrap()["text"], "a form");
    for (path, body, status, word) in [
        (&*path, json!({ "text": "" }), 400, "no_text"),
        (&*path, json!([1]), 400, "invalid_payload"),
        (&*format!("{BASE}/in/a/b"), json!({ "text": "a" }), 404, "no_service"),
    ] {
        let answer = nobody.post(path, body).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, word));
    }
    nobody.post(&format!("{BASE}/incoming"), json!({ "room_id": room, "name": "x" })).await.error(401, "unauthorized");
    // Who names a wrong room is told which, and what to do.
    let elsewhere = json!({ "room_id": "01890a5d-ac96-774b-bcce-b302099a8057", "name": "x" });
    let refused = client.post(&format!("{BASE}/incoming"), elsewhere).await.error(422, "invalid_input");
    let message = "there is no room `01890a5d-ac96-774b-bcce-b302099a8057` that you may post in \
                   (`plexichat room list` shows rooms)";
    assert_eq!(refused["details"], json!([{ "pointer": "/room_id", "message": message }]), "{refused}");
    // Its token is in no list and in no log.
    let token = path.rsplit('/').next().unwrap();
    assert!(!client.get(&format!("{BASE}/incoming")).await.text().contains(token));
    assert!(!server.stderr().contains(token) && !server.stdout().contains(token));
}

/// What a receiver was sent: the delivery and the text.
type Received = Arc<Mutex<Vec<(String, String)>>>;

async fn take(State(received): State<Received>, headers: HeaderMap, body: String) -> StatusCode {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    assert!(header("x-plexichat-signature").starts_with("sha256="), "{headers:?}");
    assert_eq!(header("x-plexichat-event"), "message_received");
    let event: Value = serde_json::from_str(&body).unwrap();
    let text = event["data"]["text"].as_str().unwrap().to_owned();
    received.lock().unwrap().push((header("x-plexichat-delivery"), text));
    StatusCode::NO_CONTENT
}

/// A receiver at this port; it ends with the test.
async fn receiver(port: u16) -> Received {
    let received = Received::default();
    let router = Router::new().route("/hook", post(take)).with_state(received.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    received
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until this holds.
async fn until<T>(what: &str, found: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn outgoing(client: &Client, port: u16, room: &str) -> String {
    let asked = json!({
        "name": "elsewhere", "url": format!("http://127.0.0.1:{port}/hook"), "events": ["message_received"], "room_id": room,
    });
    let made = client.post(&format!("{BASE}/outgoing"), asked).await.expect(201);
    assert!(made["secret"].as_str().is_some_and(|secret| secret.len() >= 32), "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// The pauses of an hour, shortened to a second.
const NEARBY: &str = "[plugins.webhook]\nprivate_network = true\n[plugins.webhook.config]\nlongest_pause_seconds = 1\n";

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_once_and_in_order() {
    let server = Setup::new().config(NEARBY).start();
    let (client, port) = (server.client(), free_port());
    let room = client.room("lobby").await;
    let hook = outgoing(&client, port, &room).await;
    let mut said = Vec::new();
    for number in 0..15 {
        said.push(format!("while down {number}"));
        client.say(&room, said.last().unwrap()).await;
    }
    let deliveries = format!("{BASE}/outgoing/{hook}/deliveries");
    until("a failed try", async || {
        let found = client.get(&deliveries).await.expect(200);
        (found["deliveries"][0]["state"] == "retrying" && found["deliveries"][0]["attempts"].as_u64() > Some(1))
            .then_some(())
    })
    .await;
    let server = server.kill_and_restart();
    let client = server.client();
    for number in 0..5 {
        said.push(format!("after the crash {number}"));
        client.say(&room, said.last().unwrap()).await;
    }
    let received = receiver(port).await;
    until("the last delivery", async || (received.lock().unwrap().len() >= said.len()).then_some(())).await;
    let texts: Vec<String> = received.lock().unwrap().iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(texts, said);
    // Nothing comes twice afterwards.
    client.say(&room, "the end").await;
    until("the end", async || received.lock().unwrap().last().filter(|(_, text)| text == "the end").map(drop)).await;
    assert_eq!(received.lock().unwrap().len(), said.len() + 1);
    let log = until("a log that is whole", async || {
        let found = client.get(&deliveries).await.expect(200)["deliveries"].as_array().unwrap().clone();
        found.iter().all(|delivery| delivery["state"] == "delivered").then_some(found)
    })
    .await;
    assert_eq!(log.len(), said.len() + 1);
    // A replay is the same delivery again.
    let first = log.last().unwrap()["id"].as_str().unwrap().to_owned();
    client.post(&format!("{deliveries}/{first}/replay"), Value::Null).await.expect(202);
    until("the replay", async || (received.lock().unwrap().len() == said.len() + 2).then_some(())).await;
    assert_eq!(received.lock().unwrap().last().unwrap(), &(first, said[0].clone()));
}

/// By default nothing private is called, whatever it is named.
#[tokio::test]
async fn private_addresses_are_not_called() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let port = free_port();
    let received = receiver(port).await;
    for host in [
        format!("http://127.0.0.1:{port}"),
        "https://localhost".into(),
        "https://169.254.169.254".into(),
        "https://[::1]".into(),
    ] {
        let asked = json!({ "name": host, "url": format!("{host}/hook"), "events": ["message_received"] });
        let made = client.post(&format!("{BASE}/outgoing"), asked).await.expect(201);
        let hook = made["id"].as_str().unwrap();
        let sent = client.post(&format!("{BASE}/outgoing/{hook}/test"), Value::Null).await.expect(202);
        let failed = until("a refusal", async || {
            let found = client.get(&format!("{BASE}/outgoing/{hook}/deliveries")).await.expect(200);
            let delivery = found["deliveries"][0].clone();
            (delivery["state"] == "failed").then_some(delivery)
        })
        .await;
        assert_eq!(failed["id"], sent["delivery"]);
        assert!(failed["error"].as_str().unwrap().contains("may not reach"), "{failed}");
        client.delete(&format!("{BASE}/outgoing/{hook}")).await.expect(204);
    }
    let hook = outgoing(&client, port, &room).await;
    client.say(&room, "nobody hears").await;
    let failed = until("a refusal of what was said", async || {
        let found = client.get(&format!("{BASE}/outgoing/{hook}/deliveries")).await.expect(200);
        found["deliveries"].as_array().unwrap().first().filter(|delivery| delivery["state"] != "retrying").cloned()
    })
    .await;
    assert_eq!((&failed["state"], &failed["event"]), (&json!("failed"), &json!("message_received")), "{failed}");
    assert!(received.lock().unwrap().is_empty());
}

/// Runs a client's script with an address of a hook and a wrong one.
async fn check(command: impl FnOnce() -> Command, from: &str) {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let path = incoming(&client, &room).await;
    let start = format!("http://{}", server.address);
    let mut command = command();
    command.args([format!("{start}{path}"), format!("{start}{BASE}/in/a/b")]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let shown = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{}", server.stderr());
    // A script that ended early would have shown less.
    assert_eq!(shown.lines().filter(|line| line.starts_with("ok ")).count(), 6, "{shown}");
    let history = client.history(&room).await;
    let said: Vec<&str> = history.iter().map(|message| message["text"].as_str().unwrap()).collect();
    let release = format!("*Release 2*\nby *ann*\n*Where*\nprod\n*Which*\n2.0\n———\nfrom {from}");
    let disk = "Look:\n\n🔴 Disk full (https://m.example.org)\nno space left\nHost: db1";
    assert_eq!(said, ["built build 7 (https://ci.example.org/7) & tested", &release, disk, "plain"]);
    assert_eq!(history[3]["author"]["name"], "robot");
}

/// `PLEXICHAT_TEST_PYTHON` names a Python that has the package; `cargo xtask test --suite webhooks --setup` makes one.
#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `slack_sdk`"]
async fn slack_s_client_for_python_posts() {
    let python = std::env::var_os("PLEXICHAT_TEST_PYTHON").expect("PLEXICHAT_TEST_PYTHON");
    let script = crate::tidy::root().join("tests/webhook/slack_client.py");
    check(
        || {
            let mut command = Command::new(python);
            command.arg(script);
            command
        },
        "Python",
    )
    .await;
}

/// `PLEXICHAT_TEST_NODE_MODULES` names a folder that has the package; `cargo xtask test --suite webhooks --setup` makes one.
#[tokio::test]
#[ignore = "needs node and PLEXICHAT_TEST_NODE_MODULES, a folder with the package `@slack/webhook`"]
async fn slack_s_client_for_node_posts() {
    let modules = std::env::var_os("PLEXICHAT_TEST_NODE_MODULES").expect("PLEXICHAT_TEST_NODE_MODULES");
    let script = crate::tidy::root().join("tests/webhook/slack_client.js");
    check(
        || {
            let mut command = Command::new("node");
            command.arg(script).arg(modules);
            command
        },
        "Node",
    )
    .await;
}
