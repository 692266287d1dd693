//! What bad requests get: the right status in the one shape of errors, and a server that goes on.

use std::time::{Duration, Instant};

use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup};

/// Long enough for any answer on this machine, short enough for many cases.
const SILENCE: Duration = Duration::from_millis(500);

async fn started() -> (Server, Client, String) {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

#[tokio::test]
async fn malformed_bodies() {
    let (_server, client, room) = started().await;
    let path = format!("/api/v1/rooms/{room}/messages");
    let json = [("content-type", "application/json")];
    check(&client, &path, &json, b"{", 400, "bad_json").await;
    check(&client, &path, &json, b"", 400, "bad_json").await;
    check(&client, &path, &json, b"{\"text\": \"\xff\xfe\"}", 400, "bad_encoding").await;
    check(&client, &path, &json, b"{\"text\": \"x\"} {}", 400, "bad_json").await;
    check(&client, &path, &json, "[".repeat(100_000).as_bytes(), 400, "bad_json").await;
    check(&client, &path, &json, b"{\"text\": 7}", 422, "invalid_input").await;
    check(&client, &path, &json, b"{}", 422, "invalid_input").await;
    check(&client, &path, &json, b"{\"text\": \"x\", \"colour\": 1}", 422, "invalid_input").await;
    check(&client, &path, &json, b"{\"text\": \"x\", \"text\": \"y\"}", 422, "invalid_input").await;
    check(&client, &path, &json, b"{\"text\": \"\"}", 422, "invalid_message").await;
    check(&client, &path, &[("content-type", "text/plain")], b"{\"text\": \"x\"}", 415, "unsupported_media_type").await;
    check(&client, &path, &[], b"{\"text\": \"x\"}", 415, "unsupported_media_type").await;
    assert!(client.history(&room).await.is_empty(), "nothing of it was stored");

    async fn check(client: &Client, path: &str, headers: &[(&str, &str)], body: &[u8], status: u16, code: &str) {
        let mut request = Request::builder().method(Method::POST).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = client.send(request.body(body.to_vec()).unwrap()).await.unwrap();
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!(answer.status.as_u16(), status, "{shown:?}: {}", answer.text());
        answer.error(status, code);
    }
}

#[tokio::test]
async fn a_finding_says_where() {
    let (_server, client, room) = started().await;
    let path = format!("/api/v1/rooms/{room}/messages");
    let error = client.post(&path, json!({ "text": 7 })).await.error(422, "invalid_input");
    assert_eq!(error["details"][0]["pointer"], "/text", "{error}");
}

#[tokio::test]
async fn oversized_bodies_and_texts() {
    let (_server, client, room) = started().await;
    let path = format!("/api/v1/rooms/{room}/messages");
    // Below the limit of a body, above that of a text.
    client.post(&path, json!({ "text": "x".repeat(20_000) })).await.error(413, "message_too_large");
    // A body above the limit is refused by its announced length, and while it comes in pieces.
    let announced = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 2000000\r\n\r\n",
        client.bearer().unwrap()
    );
    let answer = client.raw(announced.as_bytes(), SILENCE).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let mut pieces = announced.replace("content-length: 2000000", "transfer-encoding: chunked").into_bytes();
    for _ in 0..2000 {
        pieces.extend_from_slice(format!("400\r\n{}\r\n", "x".repeat(0x400)).as_bytes());
    }
    let answer = client.raw(&pieces, SILENCE).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") || answer.is_empty(), "{answer}");
    client.say(&room, &"x".repeat(16_000)).await;
    assert_eq!(client.history(&room).await.len(), 1);
}

#[tokio::test]
async fn any_text_that_is_unicode_comes_back_as_it_was() {
    let (_server, client, room) = started().await;
    for text in
        ["𝕳𝖊𝖑𝖑𝖔 👩‍👩‍👧‍👦", "\u{202e}right to left", "zero\u{200b}width", "<script>alert(1)</script>", "a\u{0}b", "\r\n\t x"]
    {
        let path = format!("/api/v1/rooms/{room}/messages");
        let answer = client.post(&path, json!({ "text": text })).await;
        // Refused with a reason or kept to the letter; nothing between.
        if answer.status.as_u16() == 201 {
            assert_eq!(answer.json()["text"], text);
            assert_eq!(client.history(&room).await.last().unwrap()["text"], text);
        } else {
            answer.error(422, "invalid_message");
        }
    }
    assert!(client.history(&room).await.len() >= 4);
}

#[tokio::test]
async fn who_is_not_known_is_not_let_in() {
    let (server, client, room) = started().await;
    let token = server.token();
    let wrong = format!("plx_{}", "0".repeat(token.len() - 4));
    for path in ["/api/v1/rooms", &format!("/api/v1/rooms/{room}/messages"), "/api/v1/plugins", "/api/v1/bundle"] {
        for bad in [None, Some(wrong.as_str()), Some("x"), Some("plx_"), Some(&token[..token.len() - 1])] {
            let answer = client.with_token(bad).get(path).await;
            answer.error(401, "unauthorized");
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
    // Where logs and histories keep it, a token is no use, and the answer does not repeat it.
    let answer = client.with_token(None).get(&format!("/api/v1/rooms?token={token}")).await;
    answer.error(400, "token_in_address");
    assert!(!answer.text().contains(&token));
    for open in ["/healthz", "/readyz"] {
        client.with_token(None).get(open).await.expect(200);
    }
    assert!(WebSocket::handshake(&client.with_token(None), &[]).await.is_err());
    assert!(WebSocket::handshake(&client.with_token(Some(&wrong)), &[]).await.is_err());
    assert!(WebSocket::handshake(&client, &[("origin", "https://evil.example")]).await.is_err());
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_taken() {
    let (_server, client, room) = started().await;
    let nowhere = "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f";
    client.get("/api/v1/nothing").await.error(404, "not_found");
    client.get("/api/v1/rooms/../../etc/passwd").await.error(404, "not_found");
    client.get(&format!("/api/v1/rooms/{nowhere}/messages")).await.error(404, "room_not_found");
    client
        .post(&format!("/api/v1/rooms/{nowhere}/messages"), json!({ "text": "x" }))
        .await
        .error(404, "room_not_found");
    client.get("/api/v1/rooms/not-an-id/messages").await.error(404, "not_found");
    let answer = client.request("DELETE", &format!("/api/v1/rooms/{room}/messages"), &Value::Null).await.unwrap();
    answer.error(405, "method_not_allowed");
    assert!(answer.headers.contains_key("allow"));
    for query in ["limit=0", "limit=x", "after=-1", "limit=100000", "colour=red"] {
        let answer = client.get(&format!("/api/v1/rooms/{room}/messages?{query}")).await;
        assert!(answer.status.is_client_error(), "{query}: {}", answer.text());
        assert!(answer.json()["error"]["request_id"].is_string(), "{query}: {}", answer.text());
    }
    client.post("/api/v1/rooms", json!({ "name": "" })).await.error(422, "invalid_input");
    client.post("/api/v1/rooms", json!({ "name": "x".repeat(10_000) })).await.error(422, "invalid_input");
}

#[tokio::test]
async fn heads_that_smuggle_or_bloat() {
    let (_server, client, room) = started().await;
    let token = client.bearer().unwrap().to_owned();
    let get = format!("GET /api/v1/rooms/{room}/messages HTTP/1.1\r\nauthorization: Bearer {token}\r\n");
    let many = "x-filler: 1\r\n".repeat(150);
    let large = format!("x-filler: {}\r\n", "x".repeat(100_000));
    let body = "{\"text\":\"smuggled\"}";
    let post = format!(
        "POST /api/v1/rooms/{room}/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: \
         application/json\r\n"
    );
    let length = body.len();
    for (name, request) in [
        ("no host", format!("{get}\r\n")),
        ("two hosts", format!("{get}host: a\r\nhost: b\r\n\r\n")),
        ("another host in the line", get.replace("GET /", "GET http://other/") + "host: x\r\n\r\n"),
        ("folded header", format!("{get}host: x\r\nx-a: 1\r\n 2\r\n\r\n")),
        ("space before the colon", format!("{get}host : x\r\n\r\n")),
        ("NUL in a header", format!("{get}host: x\r\nx-a: \0\r\n\r\n")),
        ("too many headers", format!("{get}host: x\r\n{many}\r\n")),
        ("too large a header", format!("{get}host: x\r\n{large}\r\n")),
        ("two lengths", format!("{post}content-length: {length}\r\ncontent-length: 5\r\n\r\n{body}")),
        ("a signed length", format!("{post}content-length: +{length}\r\n\r\n{body}")),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
    ] {
        let answer = client.raw(request.as_bytes(), SILENCE).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
    }
    assert!(client.history(&room).await.is_empty(), "nothing of it was stored");
}

/// Fault 63: heads that do not come to an end.
#[tokio::test]
async fn slow_heads_are_cut_and_disturb_nobody() {
    let (_server, client, room) = started().await;
    let began = Instant::now();
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.raw(b"GET / HTTP/1.1\r\nhost: x\r\nx-", Duration::from_secs(20)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.say(&room, "/echo quick").await;
    assert!(began.elapsed() < Duration::from_secs(2), "others wait for nobody");
    for slow in slow {
        slow.await.unwrap();
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(15), "cut after {took:?}");
}

#[tokio::test]
async fn every_answer_has_an_identifier() {
    let (_server, client, _) = started().await;
    let answer = client.get("/api/v1/rooms").await;
    assert!(answer.headers.contains_key("x-request-id"));
    let answer =
        client.request_with("GET", "/api/v1/nothing", &Value::Null, &[("x-request-id", "mine-1")]).await.unwrap();
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    assert_eq!(answer.error(404, "not_found")["request_id"], "mine-1");
    let answer =
        client.request_with("GET", "/api/v1/nothing", &Value::Null, &[("x-request-id", "a b<c>")]).await.unwrap();
    assert_ne!(answer.error(404, "not_found")["request_id"], "a b<c>");
}

#[tokio::test]
async fn the_description_has_every_road_that_these_tests_take() {
    let (_server, client, _) = started().await;
    let document = client.get("/openapi.json").await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for (path, method) in [
        ("/api/v1/rooms", "post"),
        ("/api/v1/rooms/{id}/messages", "post"),
        ("/api/v1/rooms/{id}/messages", "get"),
        ("/api/v1/plugins", "get"),
        ("/api/v1/plugins/{name}/enable", "post"),
        ("/api/v1/plugins/{name}/config", "put"),
        ("/api/v1/bundle", "get"),
        ("/healthz", "get"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path} is not in the document");
    }
    let metrics = client.get("/metrics").await;
    assert_eq!(metrics.status.as_u16(), 200);
    assert!(metrics.text().contains("plexichat_http_requests_total"), "{}", metrics.text());
}

#[tokio::test]
async fn frames_that_are_no_frames() {
    let (_server, client, room) = started().await;
    let mut socket = WebSocket::connect(&client).await;
    for bad in
        ["{", "[]", "7", "{\"type\": 7}", "{\"type\": \"subscribe\"}", "{\"type\": \"subscribe\", \"room_id\": \"x\"}"]
    {
        socket.send_text(bad).await;
        let error = socket.next_of("error").await;
        assert!(error["error"]["code"].is_string() && error["error"]["message"].is_string(), "{bad}: {error}");
    }
    // What it does not know it passes over.
    socket.send(json!({ "type": "dance" })).await;
    socket.send(json!({ "type": "send", "room_id": room, "text": "", "key": "empty" })).await;
    let error = socket.next_of("error").await;
    assert_eq!(error["key"], "empty", "{error}");
    socket.send(json!({ "type": "send", "room_id": room, "text": "fine", "key": "fine" })).await;
    assert_eq!(socket.next_of("ack").await["key"], "fine");
    // Bytes are no text: told so or shown the door, and nothing is made of them.
    let mut binary = WebSocket::connect(&client).await;
    binary.send_raw(Message::binary(b"{\"type\": \"ping\"}".to_vec())).await;
    assert!(binary.next().await.is_none_or(|frame| frame["type"] == "error"));
    socket.try_send_text(&"x".repeat(1 << 20)).await;
    let code = socket.closed().await;
    assert!(matches!(code, Some(1009) | None), "{code:?}");
    assert_eq!(client.history(&room).await.len(), 1);
}
