//! What stands between a sender and the store: the word filter on every road, and scanners that fail, which keep messages out.

use serde_json::{Value, json};

use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup, bundle};

const RULES: &str = r#"
[plugins.word-filter]
enabled = true
[[plugins.word-filter.config.rules]]
name = "insults"
pattern = "muppet"
action = "reject"
[[plugins.word-filter.config.rules]]
pattern = "doubtful"
action = "flag"
[[plugins.word-filter.config.rules]]
pattern = "darn"
action = "redact"
"#;

/// Posts by REST; status and text or error code.
async fn by_rest(client: &Client, room: &str, text: &str) -> (u16, Value) {
    let answer = client.post(&format!("/api/v1/rooms/{room}/messages"), json!({ "text": text })).await;
    let body = answer.json();
    let shown = if answer.status.is_success() { body["text"].clone() } else { body["error"]["code"].clone() };
    (answer.status.as_u16(), shown)
}

/// Posts by WebSocket; the text of the acknowledgement or the error's code.
async fn by_websocket(socket: &mut WebSocket, room: &str, text: &str) -> Value {
    socket.send(json!({ "type": "send", "room_id": room, "text": text, "key": text })).await;
    loop {
        let frame = socket.next().await.expect("an answer");
        if frame["key"] == text {
            return match frame["type"].as_str() {
                Some("ack") => frame["message"]["text"].clone(),
                _ => frame["error"]["code"].clone(),
            };
        }
    }
}

async fn filtered() -> (Server, Client, String) {
    let server = Setup::new().config(RULES).start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

#[tokio::test]
async fn the_filter_judges_every_road() {
    let (_server, client, room) = filtered().await;
    let mut socket = WebSocket::connect(&client).await;
    assert_eq!(by_rest(&client, &room, "you MUPPET").await, (422, json!("rejected")));
    assert_eq!(by_rest(&client, &room, "that is doubtful").await, (201, json!("that is doubtful")));
    assert_eq!(by_rest(&client, &room, "darn it").await, (201, json!("*** it")));
    assert_eq!(by_websocket(&mut socket, &room, "muppet").await, "rejected");
    assert_eq!(by_websocket(&mut socket, &room, "doubtful again").await, "doubtful again");
    assert_eq!(by_websocket(&mut socket, &room, "oh darn").await, "oh ***");
    // A plugin's own answer takes the same road.
    let command = client.say(&room, "/echo d\u{200b}arn").await;
    let answer = client.answer_to(&room, &command).await;
    assert!(!answer["text"].as_str().unwrap().contains("arn"), "{answer}");
    let texts: Vec<Value> = client.history(&room).await.iter().map(|row| row["text"].clone()).collect();
    assert_eq!(texts[..4], ["that is doubtful", "*** it", "doubtful again", "oh ***"]);
    assert!(!texts.iter().any(|text| text.as_str().unwrap().to_lowercase().contains("muppet")), "{texts:?}");
}

#[tokio::test]
async fn what_was_rejected_is_neither_stored_nor_heard() {
    let (server, client, room) = filtered().await;
    let mut listener = WebSocket::connect(&client).await;
    listener.subscribe(&room, Some(0)).await;
    for _ in 0..3 {
        by_rest(&client, &room, "muppet").await;
    }
    client.say(&room, "fine").await;
    let heard = listener.message().await;
    assert_eq!((&heard["text"], &heard["seq"]), (&json!("fine"), &json!(1)), "the first that it hears");
    assert!(!server.stderr().contains("muppet"), "what people write is not logged");
}

/// The bundle of hostile plugins, with the scanner `gate` enabled.
async fn gated() -> (Server, Client, String) {
    let server = Setup::of(bundle::fixtures()).config("[plugins.gate]\nenabled = true\n").start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

/// A message that makes the scanner fail this way is refused, is nowhere, and one line of the log names plugin and hook.
async fn fails_closed(order: &str) {
    let (server, client, room) = gated().await;
    let mut listener = WebSocket::connect(&client).await;
    listener.subscribe(&room, Some(0)).await;
    let path = format!("/api/v1/rooms/{room}/messages");
    let refused = client.post(&path, json!({ "text": format!("gate: {order}") })).await;
    let error = refused.error(503, "scanner_unavailable");
    assert!(refused.headers.contains_key("retry-after"), "{error}");
    assert!(!error.to_string().contains("was told to"), "a plugin's own text stays inside: {error}");
    let request = error["request_id"].as_str().unwrap();
    server.wait_for_log(&["WARN", "gate", "scan_message", request]);
    let log = server.stderr();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("WARN") && line.contains(request)).collect();
    assert_eq!(lines.len(), 1, "one line: {lines:#?}");
    assert!(client.history(&room).await.is_empty());
    if order != "block" {
        client.say(&room, "fine").await;
        assert_eq!(listener.message().await["text"], "fine", "the first that a listener hears");
    }
}

#[tokio::test]
async fn a_scanner_that_returns_an_error_keeps_the_message_out() {
    fails_closed("error").await;
}

#[tokio::test]
async fn a_scanner_that_panics_keeps_the_message_out() {
    fails_closed("panic").await;
}

#[tokio::test]
async fn a_scanner_that_hangs_keeps_the_message_out() {
    fails_closed("hang").await;
}

#[tokio::test]
async fn a_scanner_that_blocks_its_thread_keeps_the_message_out() {
    fails_closed("block").await;
}

#[tokio::test]
async fn a_scanner_that_quarantines_holds_the_message() {
    let (_server, client, room) = gated().await;
    let mut listener = WebSocket::connect(&client).await;
    listener.subscribe(&room, Some(0)).await;
    let held = client.say(&room, "gate: quarantine").await;
    assert_eq!(held["state"], "quarantined", "{held}");
    assert!(client.history(&room).await.is_empty(), "held back");
    client.say(&room, "fine").await;
    assert_eq!(listener.message().await["text"], "fine");
}

#[tokio::test]
async fn a_scanner_that_failed_too_often_is_not_asked_and_messages_stay_out() {
    let (_server, client, room) = gated().await;
    for _ in 0..6 {
        assert_eq!(by_rest(&client, &room, "gate: error").await, (503, json!("scanner_unavailable")));
    }
    // The breaker is open: even what the scanner would let through is refused, since nobody looked at it.
    assert_eq!(by_rest(&client, &room, "fine").await, (503, json!("scanner_unavailable")));
    assert!(client.history(&room).await.is_empty());
}
