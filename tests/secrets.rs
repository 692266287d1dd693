//! A secret is in no output: a token and its shadow are looked for in everything that the server says.

use serde_json::{Value, json};

use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup};

#[tokio::test]
async fn a_token_is_in_no_output() {
    let canary = format!("plx_{}", "c0ffee42".repeat(8));
    let setup = Setup::new().environment("PLEXICHAT_ADMIN_TOKEN", &canary).argument("--log-format").argument("json");
    let server = setup.environment("RUST_LOG", "trace").start();
    let client = Client::new(server.address, Some(canary.clone()));
    let room = client.room("lobby").await;
    let mut said = Vec::new();
    for path in [
        "/api/v1/rooms",
        "/api/v1/plugins",
        "/api/v1/plugins/echo",
        "/api/v1/plugins/echo/config",
        "/api/v1/plugins/echo/schema",
        "/api/v1/bundle",
        "/api/v1/tokens",
        "/api/v1/system/config",
        "/api/v1/nothing",
        "/metrics",
        "/readyz",
        "/openapi.json",
    ] {
        said.push((path.to_owned(), client.get(path).await.text()));
    }
    // Mistakes are where secrets slip out.
    let broken = client.request_with("POST", "/api/v1/rooms", &json!({ "name": 7 }), &[]).await.unwrap();
    said.push(("a broken body".to_owned(), broken.text()));
    let address = client.get(&format!("/api/v1/rooms?token={canary}")).await;
    said.push(("a token in the address".to_owned(), address.text()));
    let mut socket = WebSocket::connect(&client).await;
    said.push(("the greeting".to_owned(), socket.hello.to_string()));
    socket.send(json!({ "type": "subscribe", "room_id": canary })).await;
    let frame = socket.next_of("error").await;
    said.push(("a broken frame".to_owned(), frame["error"]["code"].to_string()));
    client.say(&room, "/echo x").await;
    commands(&server, &canary, &mut said);
    said.push(("the log".to_owned(), server.stderr()));
    said.push(("stdout".to_owned(), server.stdout()));
    let setup = server.setup().clone();
    let data = setup.data_dir();
    let stopped = server.stop();
    said.push(("the log at the end".to_owned(), stopped.stderr));
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        // The token's own file, where the server wrote it, is for the owner's eyes only.
        if path.is_file() && !path.ends_with("admin-token") {
            said.push((
                path.display().to_string(),
                String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(),
            ));
        }
    }
    assert!(said.iter().any(|(place, text)| place.ends_with("plexichat.db") && !text.is_empty()));
    let secret = canary.trim_start_matches("plx_");
    let found: Vec<_> = said.iter().filter(|(_, text)| text.contains(secret)).map(|(place, _)| place).collect();
    assert!(found.is_empty(), "the token is in {found:?}");
}

fn commands(server: &Server, canary: &str, said: &mut Vec<(String, String)>) {
    for arguments in [
        &["plugin", "list"][..],
        &["plugin", "info", "echo"],
        &["token", "list"],
        &["room", "list"],
        &["bundle", "info"],
        &["config", "show"],
    ] {
        let mut command = server.setup().command();
        command.args(arguments).env("PLEXICHAT_TOKEN", canary);
        if !matches!(arguments[0], "bundle" | "config") {
            command.arg("--server").arg(format!("http://{}", server.address));
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}");
        said.push((format!("{arguments:?}"), text));
    }
}

#[tokio::test]
async fn the_first_token_is_for_the_owner_only_and_a_made_one_is_shown_once() {
    use std::os::unix::fs::PermissionsExt;

    let server = Setup::new().start();
    let file = server.setup().data_dir().join("admin-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!server.stderr().contains(&server.token()), "stderr is no terminal here");
    let client = server.client();
    let made = client.post("/api/v1/tokens", json!({ "user": "robot" })).await.expect(201);
    let token = made["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("plx_"), "{made}");
    let robot = client.with_token(Some(&token));
    robot.get("/api/v1/rooms").await.expect(200);
    let list = client.get("/api/v1/tokens").await;
    assert!(!list.text().contains(&token), "{}", list.text());
    // Revoked is revoked at once, also for who listens.
    let mut socket = WebSocket::connect(&robot).await;
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    let answer = client.request("DELETE", &path, &Value::Null).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.text());
    robot.get("/api/v1/rooms").await.error(401, "unauthorized");
    socket.closed().await;
}
