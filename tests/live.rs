//! Listening: who is typing, who is here, events instead of a WebSocket, and what becomes of those who flood or do not read.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::events::Events;
use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup};

async fn started() -> (Server, Client, String) {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

/// A client of somebody else, and their token's identifier.
async fn somebody(client: &Client, name: &str) -> (Client, String) {
    let made = client.post("/api/v1/tokens", json!({ "user": name })).await.expect(201);
    (client.with_token(made["token"].as_str()), made["id"].as_str().unwrap().to_owned())
}

async fn listening(client: &Client, room: &str) -> WebSocket {
    let mut socket = WebSocket::connect(client).await;
    socket.subscribe(room, None).await;
    ready(&mut socket).await;
    socket
}

/// What was sent before has been understood.
async fn ready(socket: &mut WebSocket) {
    socket.send(json!({ "type": "ping" })).await;
    socket.next_of("pong").await;
}

#[tokio::test]
async fn typing_is_told_to_the_others_once_in_a_while() {
    let (_server, client, room) = started().await;
    let (other, _) = somebody(&client, "other").await;
    let mut admin = listening(&client, &room).await;
    let mut typist = listening(&other, &room).await;
    for _ in 0..5 {
        typist.send(json!({ "type": "typing", "room_id": room })).await;
    }
    ready(&mut typist).await;
    let frame = admin.next_of("typing").await;
    assert_eq!(frame["room_id"], room.as_str());
    assert_eq!(frame["user"], json!({ "id": typist.hello["user"]["id"], "name": "other" }));
    // The other four were too many, and nobody hears of themselves: what comes next is the message.
    other.say(&room, "done").await;
    assert_eq!(kinds_until_message(&mut admin).await, ["message"]);
    assert_eq!(kinds_until_message(&mut typist).await, ["message"]);
    let nowhere = "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f";
    typist.send(json!({ "type": "typing", "room_id": nowhere })).await;
    let error = typist.next_of("error").await;
    assert_eq!((&error["room_id"], &error["error"]["code"]), (&json!(nowhere), &json!("room_not_found")), "{error}");
    assert_eq!(client.history(&room).await.len(), 1, "typing is stored nowhere");
}

/// The types of the frames up to the next message, but for who is here.
async fn kinds_until_message(socket: &mut WebSocket) -> Vec<String> {
    let mut kinds = Vec::new();
    loop {
        let frame = socket.next().await.unwrap();
        let kind = frame["type"].as_str().unwrap().to_owned();
        if kind != "presence" {
            kinds.push(kind.clone());
        }
        if kind == "message" {
            return kinds;
        }
    }
}

#[tokio::test]
async fn who_comes_is_busy_elsewhere_and_goes_is_told() {
    let (_server, client, room) = started().await;
    let (other, _) = somebody(&client, "other").await;
    let mut admin = listening(&client, &room).await;
    let mut one = listening(&other, &room).await;
    let user = one.hello["user"]["id"].as_str().unwrap().to_owned();
    let status = async |wanted: &str| {
        let path = format!("/api/v1/presence?users={user},01890c6e-8b5a-7cc0-98c4-dc0c0c07398f");
        let found = client.get(&path).await.expect(200);
        let expected = json!([
            { "user_id": user, "status": wanted },
            { "user_id": "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f", "status": "offline" },
        ]);
        assert_eq!(found["presence"], expected);
    };
    let frame = admin.next_of("presence").await;
    assert_eq!(frame, json!({ "type": "presence", "user_id": user, "status": "online" }));
    status("online").await;
    // One of two is not attended: that changes nothing. Neither is: away.
    let mut two = listening(&other, &room).await;
    one.send(json!({ "type": "presence", "status": "away" })).await;
    ready(&mut one).await;
    status("online").await;
    two.send(json!({ "type": "presence", "status": "away" })).await;
    assert_eq!(admin.next_of("presence").await["status"], "away");
    status("away").await;
    drop(one);
    two.send(json!({ "type": "presence", "status": "online" })).await;
    assert_eq!(admin.next_of("presence").await["status"], "online");
    drop(two);
    assert_eq!(admin.next_of("presence").await["status"], "offline");
    status("offline").await;
    client.get("/api/v1/presence?users=x").await.error(400, "bad_query");
}

#[tokio::test]
async fn a_stream_of_events_goes_on_where_it_was() {
    let (_server, client, room) = started().await;
    client.say(&room, "before").await;
    let mut events = Events::follow(&client, &room, "", None).await;
    let first = client.say(&room, "one").await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["id"], &event["text"]), (&json!("message"), &first["id"], &json!("one")));
    let last = events.last_id.clone().unwrap();
    assert!(last.starts_with("2."), "{last}");
    drop(events);
    client.say(&room, "two\nlines").await;
    client.say(&room, "three").await;
    let mut events = Events::follow(&client, &room, "?after_seq=0", Some(&last)).await;
    for text in ["two\nlines", "three"] {
        assert_eq!(events.next().await.unwrap()["text"], text);
    }
    let mut all = Events::follow(&client, &room, "?after_seq=0", None).await;
    assert_eq!(all.next().await.unwrap()["text"], "before");
    let path = format!("/api/v1/rooms/{room}/stream");
    let answer = client.request_with("GET", &path, &Value::Null, &[("last-event-id", "x")]).await.unwrap();
    answer.error(400, "bad_last_event_id");
    client.get("/api/v1/rooms/01890c6e-8b5a-7cc0-98c4-dc0c0c07398f/stream").await.error(404, "room_not_found");
    client.with_token(None).get(&path).await.error(401, "unauthorized");
}

#[tokio::test]
async fn what_befalls_messages_is_told_live_and_again() {
    let (server, client, room) = started().await;
    let mut early = listening(&client, &room).await;
    let mut events = Events::follow(&client, &room, "", None).await;
    let change = early.hello["change"].as_u64().unwrap();
    let mended = client.say(&room, "a mistake").await;
    let gone = client.say(&room, "too much").await;
    let address = |message: &Value| format!("/api/v1/messages/{}", message["id"].as_str().unwrap());
    let patch = json!({ "text": "mended" });
    client.request("PATCH", &address(&mended), &patch).await.unwrap().expect(200);
    let answer = client.request("PUT", &format!("{}/reactions/%F0%9F%91%8D", address(&mended)), &Value::Null).await;
    assert!(answer.as_ref().unwrap().status.is_success(), "{}", answer.unwrap().text());
    let answer = client.request("DELETE", &address(&gone), &Value::Null).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.text());
    let mut frames = Vec::new();
    while frames.len() < 5 {
        frames.push(early.next().await.unwrap());
    }
    let kinds: Vec<&str> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "message", "message_updated", "reaction", "message_deleted"]);
    assert_eq!((&frames[2]["id"], &frames[2]["text"]), (&mended["id"], &json!("mended")));
    assert_eq!((&frames[3]["message_id"], &frames[3]["on"]), (&mended["id"], &json!(true)));
    assert_eq!((&frames[4]["id"], &frames[4]["seq"]), (&gone["id"], &gone["seq"]));
    let numbers: Vec<u64> = frames[2..].iter().map(|frame| frame["change"].as_u64().unwrap()).collect();
    assert!(change < numbers[0] && numbers.is_sorted_by(|a, b| a < b), "{change} {numbers:?}");
    for frame in &frames {
        assert_eq!(events.next().await.as_ref(), Some(frame), "both roads carry the same");
    }
    assert_eq!(events.last_id, Some(format!("2.{}", numbers[2])));
    // Whoever comes back hears what they missed: the message as it is by now, then what befell those that they had.
    let server = server.restart();
    let client = server.client();
    let mut late = WebSocket::connect(&client).await;
    assert!(late.hello["change"].as_u64().unwrap() >= numbers[2]);
    late.send(json!({ "type": "subscribe", "room_id": room, "after_seq": 0, "after_change": numbers[0] })).await;
    let message = late.next_of("message").await;
    assert_eq!((&message["id"], &message["text"]), (&mended["id"], &json!("mended")));
    assert_eq!(late.next().await.unwrap()["change"], numbers[1]);
    assert_eq!(late.next().await.unwrap(), frames[4]);
}

/// Whoever is put out of a room hears no more of it, within a second; where it is deleted, nobody does.
#[tokio::test]
async fn who_may_not_listen_any_more_is_put_out() {
    let (_server, client, _) = started().await;
    let (other, _) = somebody(&client, "other").await;
    let user = WebSocket::connect(&other).await.hello["user"]["id"].as_str().unwrap().to_owned();
    let made = client.post("/api/v1/rooms", json!({ "name": "secret", "kind": "private" })).await.expect(201);
    let room = made["id"].as_str().unwrap();
    let mut refused = WebSocket::connect(&other).await;
    refused.subscribe(room, None).await;
    assert_eq!(refused.next_of("error").await["error"]["code"], "room_not_found");
    let member = format!("/api/v1/rooms/{room}/members/{user}");
    let answer = client.request("PUT", &member, &json!({ "role": "member" })).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.text());
    let mut socket = listening(&other, room).await;
    let mut events = Events::follow(&other, room, "", None).await;
    let mut admin = listening(&client, room).await;
    client.say(room, "for us").await;
    assert_eq!(socket.message().await["text"], "for us");
    let began = Instant::now();
    client.request("DELETE", &member, &Value::Null).await.unwrap().expect(204);
    assert_eq!(socket.next_of("unsubscribed").await, json!({ "type": "unsubscribed", "room_id": room }));
    let mut heard = Vec::new();
    while let Some(event) = events.next().await {
        heard.push(event["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(heard.last().map(String::as_str), Some("unsubscribed"), "{heard:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    client.say(room, "not for them").await;
    ready(&mut socket).await;
    assert_eq!(admin.message().await["text"], "for us");
    client.request("DELETE", &format!("/api/v1/rooms/{room}"), &Value::Null).await.unwrap().expect(204);
    admin.next_of("unsubscribed").await;
}

/// Fault 73: a token that is revoked ends what it opened within a second.
#[tokio::test]
async fn a_revoked_token_ends_streams_and_sockets() {
    let (_server, client, room) = started().await;
    let (other, token) = somebody(&client, "other").await;
    let mut events = Events::follow(&other, &room, "", None).await;
    let mut socket = listening(&other, &room).await;
    let began = Instant::now();
    client.request("DELETE", &format!("/api/v1/tokens/{token}"), &Value::Null).await.unwrap().expect(204);
    while events.next().await.is_some() {}
    assert_eq!(socket.closed().await, Some(1008));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_stops_ends_streams_first() {
    let (server, client, room) = started().await;
    let mut events = Events::follow(&client, &room, "", None).await;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    while events.next().await.is_some() {}
    let stopped = stopping.await.unwrap();
    assert!(stopped.status.success() && stopped.took < Duration::from_secs(10), "{stopped:?}");
}

/// A socket that sends bytes of its own making, after the handshake.
async fn raw_socket(client: &Client) -> WebSocketStream<TcpStream> {
    let mut socket = WebSocket::handshake(client, &[]).await.unwrap();
    // The greeting.
    futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap();
    socket
}

/// Writes these bytes, and reads meanwhile; the code with which the server closed. A closing that a reset overtook has none.
async fn flood(client: &Client, bytes: Vec<u8>) -> Option<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut reading, mut writing) = raw_socket(client).await.into_inner().into_split();
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(60), reading.read_to_end(&mut read)).await;
        assert!(ended.is_ok(), "the server does not close");
        // A closing is the last frame: 0x88, its length, its code.
        let closing = read.windows(4).rposition(|window| window[0] == 0x88 && (2..126).contains(&window[1]));
        closing.map(|at| u16::from_be_bytes([read[at + 2], read[at + 3]]))
    });
    // The server may close before it has read everything.
    let _ = writing.write_all(&bytes).await;
    reader.await.unwrap()
}

/// Fault 75: whatever comes over a WebSocket, it has a close code or a refusal, and the server neither grows nor stops answering.
#[tokio::test]
async fn floods_are_cut_off() {
    let (server, client, room) = started().await;
    let before = resident(&server);
    let mut bystander = listening(&client, &room).await;
    // A masked `{}`, an empty ping, and the pieces of a message that never ends: empty ones, and such with a byte.
    const TINY: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'{', b'}'];
    const PING: &[u8] = &[0x89, 0x80, 0, 0, 0, 0];
    const PIECE: &[u8] = &[0x00, 0x81, 0, 0, 0, 0, b'x'];
    const EMPTY_PIECE: &[u8] = &[0x00, 0x80, 0, 0, 0, 0];
    const BEGIN: &[u8] = &[0x01, 0x80, 0, 0, 0, 0];
    // A frame that says it has a mebibyte, and has.
    let huge = [&[0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0][..], &[b'x'; 1 << 20]].concat();
    let floods = [
        (TINY.repeat(1_000_000), 1008),
        (PING.repeat(1_000_000), 1008),
        ([BEGIN, &PIECE.repeat(200_000)].concat(), 1009),
        ([BEGIN, &EMPTY_PIECE.repeat(200_000)].concat(), 1009),
        (huge, 1009),
    ];
    for (index, (bytes, code)) in floods.into_iter().enumerate() {
        let found = flood(&client, bytes).await;
        assert!(found.is_none_or(|found| found == code), "flood {index}: {found:?}");
    }
    WebSocket::handshake(&client.with_token(None), &[]).await.unwrap_err();
    WebSocket::handshake(&client, &[("origin", "https://evil.example")]).await.unwrap_err();
    // Everybody else goes on.
    client.say(&room, "still here").await;
    assert_eq!(bystander.message().await["text"], "still here");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 32 * 1024, "it grew by {grown} KiB");
}

/// The memory that the server has touched, in KiB.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// No bucket, and no scanner: on a busy machine one may miss its quarter of a second, and this is about who listens.
const UNSCANNED: &str = "[server.limits]\nmessages_per_second = 100000\nmessage_burst = 100000\n\
                         [plugins.word-filter]\nenabled = false\n";

/// Fault 76: of so many who listen one does not read. It alone is cut off; the others get every message in order, and the
/// server holds less than a mebibyte for each.
pub(crate) async fn one_does_not_read(count: usize, messages: usize) {
    let server = Setup::new().config(UNSCANNED).start();
    let client = server.client();
    let room = client.room("lobby").await;
    let before = resident(&server);
    let mut deaf = deaf(&client, &room).await;
    let mut listeners = Vec::new();
    for _ in 1..count {
        listeners.push(listening(&client, &room).await);
    }
    let hearing: Vec<_> = listeners
        .into_iter()
        .map(|mut socket| {
            tokio::spawn(async move {
                for expected in 1..=messages as u64 {
                    assert_eq!(socket.message().await["seq"], expected);
                }
            })
        })
        .collect();
    let text = "x".repeat(8 * 1024);
    for _ in 0..messages {
        client.say(&room, &text).await;
    }
    for hearing in hearing {
        hearing.await.unwrap();
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 1024 * count as u64, "{count} connections have {grown} KiB");
    // It was cut off some ten seconds after it took nothing any more.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let got = drain(&mut deaf).await;
    assert!(got < messages, "the one that did not read got {got} messages of {messages}");
    let log = server.client().get("/metrics").await.text();
    let cut = log.lines().find(|line| line.starts_with("plexichat_websocket_connections"));
    assert_eq!(cut, Some("plexichat_websocket_connections 0"));
}

/// A listener with little room, that reads nothing once it listens.
async fn deaf(client: &Client, room: &str) -> WebSocketStream<TcpStream> {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let mut request = format!("ws://{}/api/v1/ws", client.address()).into_client_request().unwrap();
    let bearer = format!("Bearer {}", client.bearer().unwrap());
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(client.address()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    for frame in [json!({ "type": "subscribe", "room_id": room }), json!({ "type": "ping" })] {
        socket.send(Message::text(frame.to_string())).await.unwrap();
    }
    // The greeting and the pong.
    for _ in 0..2 {
        socket.next().await.unwrap().unwrap();
    }
    socket
}

/// Reads to the end, which must come; how many messages there were.
async fn drain(socket: &mut WebSocketStream<TcpStream>) -> usize {
    use futures_util::StreamExt;
    let mut count = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(5), socket.next()).await.expect("it is cut off") {
            Some(Ok(message)) if message.is_text() => count += 1,
            Some(Ok(message)) if message.is_close() => return count,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return count,
        }
    }
}

#[tokio::test]
async fn the_one_that_does_not_read_is_cut_off() {
    one_does_not_read(200, 60).await;
}
