//! Routes of plugins over the real binary: typed, signed and seldom ones, WebSockets and events; and that they come and go under
//! load without a request of another plugin's failing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::bundle::fixtures;
use crate::support::events::Events;
use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup};

const BELOW: &str = "/api/v1/plugins/switchboard";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with the plugin enabled over REST: what the file says could not be changed.
async fn server() -> Server {
    let plugins = "[plugins.switchboard.config]\nsecret = \"s3cret\"\n[plugins.openai-gateway]\nenabled = true\n";
    let limits = "[server.limits]\nrequests_per_second = 1000000\nrequest_burst = 1000000\n";
    let server = Setup::of(fixtures()).config(&format!("{limits}{plugins}")).start();
    let client = server.client();
    act(&client, "install").await;
    act(&client, "enable").await;
    server
}

async fn act(client: &Client, action: &str) {
    client.post(&format!("/api/v1/plugins/switchboard/{action}"), Value::Null).await.expect(200);
}

/// HMAC-SHA256 with `s3cret`, as hexadecimal digits.
fn signature(signed: &[u8]) -> String {
    let mut key = [0_u8; 64];
    key[..6].copy_from_slice(b"s3cret");
    let inner = Sha256::new_with_prefix(key.map(|byte| byte ^ 0x36)).chain_update(signed).finalize();
    let outer = Sha256::new_with_prefix(key.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn typed_signed_and_seldom_routes_answer() {
    let server = server().await;
    let client = server.client();
    let made = client.post(&format!("{BELOW}/lines"), json!({ "number": "42" })).await.expect(201);
    assert_eq!((&made["number"], &made["by"]), (&json!("42"), &json!("admin")));
    let line = format!("{BELOW}/lines/{}", made["id"]);
    assert_eq!(client.get(&line).await.expect(200), made);
    assert_eq!(client.get(&format!("{BELOW}/lines/no-number")).await.status.as_u16(), 404);
    let lines = client.get(&format!("{BELOW}/lines?limit=1")).await.expect(200);
    assert_eq!(lines.as_array().map(Vec::len), Some(1));
    assert_eq!(client.delete(&line).await.status.as_u16(), 204);
    assert_eq!(client.get(&line).await.status.as_u16(), 404);
    let refused = client.post(&format!("{BELOW}/lines"), json!({ "number": "", "rings": 99 })).await;
    assert_eq!(refused.status.as_u16(), 422);
    let told = refused.text();
    assert!(told.contains("/number") && told.contains("/rings"), "{told}");
    assert_eq!(client.with_token(None).get(&format!("{BELOW}/lines")).await.status.as_u16(), 401);

    let anybody = client.with_token(None);
    let order = json!({ "number": "1", "rings": 1 });
    let path = format!("{BELOW}/signed");
    let signed = format!("sha256={}", signature(order.to_string().as_bytes()));
    let sign = |signed: &str| vec![("x-switchboard-signature", signed.to_owned())];
    for (headers, status) in [(sign(&signed), 200), (sign(&signed.replace('a', "b")), 401), (Vec::new(), 401)] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = anybody.request_with("POST", &path, &order, &headers).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{headers:?}: {}", answer.text());
    }

    for call in 1..=4 {
        let answer = client.get(&format!("{BELOW}/seldom")).await;
        assert_eq!(answer.status.as_u16(), if call == 4 { 429 } else { 200 });
        assert_eq!(answer.headers.contains_key("retry-after"), call == 4);
    }
    assert!(!server.stderr().contains("s3cret"));
}

async fn open(client: &Client, headers: &[(&'static str, &str)]) -> Result<WebSocketStream<TcpStream>, Error> {
    WebSocket::handshake_at(client, &format!("{BELOW}/talk"), headers).await
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> Message {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message").expect("it is open").unwrap() {
            Message::Ping(_) | Message::Pong(_) => {}
            message => return message,
        }
    }
}

/// The code and the reason of a closing.
async fn closed(socket: &mut WebSocketStream<TcpStream>) -> (u16, String) {
    match hear(socket).await {
        Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_websocket_is_spoken_with_its_plugin() {
    let server = server().await;
    let client = server.client();
    for (said, code) in [("bye", 1000), ("wrong", 1008), ("fail", 1011), ("panic", 1011)] {
        let mut socket = open(&client, &[]).await.unwrap();
        assert!(matches!(hear(&mut socket).await, Message::Text(text) if text.starts_with("hello ")));
        socket.send(Message::binary(vec![0, 1, 2])).await.unwrap();
        assert_eq!(hear(&mut socket).await, Message::binary(vec![0, 1, 2]));
        socket.send(Message::text(said)).await.unwrap();
        let (found, reason) = closed(&mut socket).await;
        assert_eq!(found, code, "{said}: {reason}");
        assert!(!reason.contains("dead") && !reason.contains("wires"), "{reason}");
    }
    let mut socket = open(&client, &[]).await.unwrap();
    hear(&mut socket).await;
    socket.send(Message::text("x".repeat(64 * 1024 + 1))).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1009);

    let refused = open(&client.with_token(None), &[]).await.unwrap_err();
    assert!(matches!(refused, Error::Http(answer) if answer.status().as_u16() == 401));
    let refused = open(&client, &[("origin", "https://evil.example")]).await.unwrap_err();
    assert!(matches!(refused, Error::Http(answer) if answer.status().as_u16() == 403));
}

#[tokio::test]
async fn events_go_on_where_they_ended() {
    let server = server().await;
    let client = server.client();
    let path = format!("{BELOW}/ticks/stream");
    let mut events = Events::open(&client, &path, None).await;
    assert_eq!(events.next().await, Some(json!(1)));
    assert_eq!(events.next().await, Some(json!(2)));
    let mut events = Events::open(&client, &path, Some("41")).await;
    assert_eq!(events.next().await, Some(json!(42)));
}

#[tokio::test]
async fn what_is_open_ends_with_the_plugin_and_calls_in_flight_end_well() {
    let server = server().await;
    let client = server.client();
    let mut socket = open(&client, &[]).await.unwrap();
    hear(&mut socket).await;
    let mut events = Events::open(&client, &format!("{BELOW}/ticks/stream"), None).await;
    events.next().await.expect("a tick");
    let slow = client.clone();
    let in_flight = tokio::spawn(async move { slow.get(&format!("{BELOW}/slow?milliseconds=1000")).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    act(&client, "disable").await;
    assert_eq!(closed(&mut socket).await.0, 1001);
    let ended = async { while events.next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends");
    let answer = in_flight.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "done"));
    assert_eq!(client.get(&format!("{BELOW}/slow")).await.status.as_u16(), 404);
    assert!(matches!(open(&client, &[]).await, Err(Error::Http(answer)) if answer.status().as_u16() == 404));
    act(&client, "enable").await;
    let mut socket = open(&client, &[]).await.unwrap();
    assert!(matches!(hear(&mut socket).await, Message::Text(_)));
}

/// Calls an address until told to stop, and counts what was answered by its status; 0 for what was broken off.
fn call_on(client: &Client, path: &'static str, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<(u16, u64)>> {
    let (client, stop) = (client.clone(), stop.clone());
    tokio::spawn(async move {
        let mut counts: Vec<(u16, u64)> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let status = match client.request("GET", path, &Value::Null).await {
                Ok(answer) => answer.status.as_u16(),
                Err(error) => {
                    eprintln!("{path}: {error}");
                    0
                }
            };
            match counts.iter_mut().find(|(known, _)| *known == status) {
                Some((_, count)) => *count += 1,
                None => counts.push((status, 1)),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        counts
    })
}

#[tokio::test]
async fn plugins_go_and_come_back_under_load_and_no_other_request_fails() {
    let server = server().await;
    let client = server.client();
    let stop = Arc::new(AtomicBool::new(false));
    let others: Vec<_> =
        ["/v1/models", "/v1/models", "/api/v1/rooms", "/readyz"].map(|path| call_on(&client, path, &stop)).into();
    let own: Vec<_> = [
        "/api/v1/plugins/switchboard/slow?milliseconds=5",
        "/api/v1/plugins/switchboard/slow?milliseconds=20",
        "/api/v1/plugins/switchboard/lines",
        "/api/v1/plugins/switchboard/page",
    ]
    .map(|path| call_on(&client, path, &stop))
    .into();
    let turns = AtomicU64::new(0);
    let began = SystemTime::now();
    while began.elapsed().unwrap() < Duration::from_secs(6) || turns.load(Ordering::Relaxed) < 5 {
        act(&client, "disable").await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        act(&client, "enable").await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        turns.fetch_add(1, Ordering::Relaxed);
    }
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for calls in others {
        let counts = calls.await.unwrap();
        assert!(matches!(counts.as_slice(), [(200, count)] if *count > 50), "another's request failed: {counts:?}");
        answered += counts[0].1;
    }
    let (mut good, mut gone) = (0, 0);
    for calls in own {
        for (status, count) in calls.await.unwrap() {
            match status {
                200 => good += count,
                // It does not run, or stopped between being found and being asked.
                404 | 503 => gone += count,
                _ => panic!("{count} calls of the disabled plugin were answered with {status}"),
            }
        }
    }
    println!("{} turns: {answered} requests of others, {good} answered and {gone} not", turns.load(Ordering::Relaxed));
    assert!(good > 100 && gone > 0, "{good} {gone}");
}
