//! A room's assistant from outside: what is heard on a WebSocket while it answers, stopping it, leave for tools, and that a
//! crash in the middle of an answer leaves exactly one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bundle::fixtures;
use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup};

const PARROT: &str = "[plugins.parrot]\nenabled = true\n";

/// A server with the parrot, and a room whose assistant is this.
async fn started(assistant: Value) -> (Server, Client, String) {
    let server = Setup::of(fixtures()).config(PARROT).start();
    let client = server.client();
    let room = client.room("lobby").await;
    set(&client, &room, assistant).await;
    (server, client, room)
}

async fn set(client: &Client, room: &str, assistant: Value) {
    let change = json!({ "policy": { "assistant": assistant } });
    client.request("PATCH", &format!("/api/v1/rooms/{room}"), &change).await.unwrap().expect(200);
}

async fn listening(client: &Client, room: &str) -> WebSocket {
    let mut socket = WebSocket::connect(client).await;
    socket.subscribe(room, None).await;
    socket.send(json!({ "type": "ping" })).await;
    socket.next_of("pong").await;
    socket
}

/// The texts of an answer as they come, up to its end: what was shown, and the last frame.
async fn heard(socket: &mut WebSocket) -> (String, Value) {
    let mut shown = String::new();
    loop {
        let frame = socket.next().await.expect("the server to go on");
        match frame["type"].as_str() {
            Some("reply_delta") => shown.push_str(frame["text"].as_str().unwrap()),
            Some("reply_end") => return (shown, frame),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_answer_is_heard_while_it_comes_and_is_a_message_then() {
    let (_server, client, room) = started(json!(["parrot/slow"])).await;
    let mut socket = listening(&client, &room).await;
    let question = client.say(&room, "@assistant one two three").await;
    let start = socket.next_of("reply_start").await;
    assert_eq!((&start["message_id"], &start["author"]["name"]), (&question["id"], &json!("assistant")));
    let (shown, end) = heard(&mut socket).await;
    assert_eq!(shown, "@assistant one two three");
    let answer = client.answer_to(&room, &question).await;
    assert_eq!(answer["text"], shown.as_str());
    assert_eq!(answer["author"], json!({ "kind": "ai", "id": "parrot/slow", "name": "assistant" }));
    assert_eq!((&end["messages"], &end["reply_id"]), (&json!([answer["id"]]), &start["reply_id"]));
    assert_eq!(end.get("error"), None);

    // What it cost is known a moment later.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let usage = client.get("/api/v1/ai/usage").await.expect(200);
        if usage["requests"][0]["model"] == "parrot/slow" {
            break;
        }
        assert!(Instant::now() < deadline, "{usage}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn whoever_asked_stops_it_and_what_was_shown_is_kept() {
    let (_server, client, room) = started(json!({ "models": ["parrot/hang-after"], "trigger": "every" })).await;
    let mut socket = listening(&client, &room).await;
    let question = client.say(&room, "go on").await;
    let delta = socket.next_of("reply_delta").await;
    let (other, _) = client.person("other").await;
    let mut others = listening(&other, &room).await;
    others.send(json!({ "type": "cancel", "reply_id": delta["reply_id"] })).await;
    assert_eq!(others.next_of("error").await["error"]["code"], "forbidden");
    // The second piece, too, so that both are kept.
    socket.next_of("reply_delta").await;
    socket.send(json!({ "type": "cancel", "reply_id": delta["reply_id"] })).await;
    let (_, end) = heard(&mut socket).await;
    assert_eq!(end["error"]["code"], "cancelled");
    let answer = client.answer_to(&room, &question).await;
    assert_eq!(answer["text"], "Half an answer\n\n[stopped]");
    // The provider's own stream is gone within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let counted = client.say(&room, "/parrot").await;
    assert_eq!(client.answer_to(&room, &counted).await["text"], "asked 1, cancelled 1");
}

#[tokio::test]
async fn a_tool_waits_for_the_persons_leave() {
    let assistant = json!({ "models": ["parrot"], "trigger": "every", "tools": ["parrot__*"] });
    let (_server, client, room) = started(assistant).await;
    let (other, _) = client.person("other").await;
    let mut socket = listening(&client, &room).await;
    let question = client.say(&room, "parrot: call parrot__deed {\"what\": \"done\"}").await;
    let asked = socket.next_of("tool_approval").await;
    assert_eq!((&asked["tool"], &asked["arguments"]), (&json!("parrot__deed"), &json!({ "what": "done" })));
    let path = format!("/api/v1/ai/approvals/{}", asked["id"].as_str().unwrap());
    let give = json!({ "approve": true });
    assert_eq!(other.post(&path, give.clone()).await.status.as_u16(), 404);
    client.post(&path, give).await.expect(200);
    assert_eq!(client.answer_to(&room, &question).await["text"], "Let me see.\n\nThe tool said: done for admin");
}

#[tokio::test]
async fn what_cannot_be_answered_is_said_with_the_way_out() {
    let (_server, client, room) = started(json!(["parrot/auth"])).await;
    let question = client.say(&room, "@assistant hello").await;
    let answer = client.answer_to(&room, &question).await;
    assert_eq!(
        answer["text"],
        "I cannot answer (provider_auth): the provider refused this server's key. An operator has to look at the \
         provider's key."
    );
    let policy = json!({ "policy": { "assistant": { "models": ["parot/echo"] } } });
    let refused = client.request("PATCH", &format!("/api/v1/rooms/{room}"), &policy).await.unwrap();
    let error = refused.error(422, "invalid_input");
    assert_eq!(error["details"][0]["pointer"], "/policy/assistant/models/0", "{error}");
}

#[tokio::test]
async fn a_crash_in_the_middle_of_an_answer_leaves_exactly_one() {
    let (mut server, client, room) = started(json!({ "models": ["parrot/slow"], "trigger": "every" })).await;
    let words = (0..40).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
    let mut socket = listening(&client, &room).await;
    let question = client.say(&room, &words).await;
    for _ in 0..3 {
        socket.next_of("reply_delta").await;
        server = server.kill_and_restart();
        socket = listening(&server.client(), &room).await;
    }
    let client = server.client();
    let answer = client.answer_to(&room, &question).await;
    assert_eq!(answer["text"], words.as_str(), "it was asked again, and is whole");
    // Told once more after it was answered: no model is asked again.
    let server = server.kill_and_restart();
    let client = server.client();
    let counted = client.say(&room, "/parrot").await;
    assert_eq!(client.answer_to(&room, &counted).await["text"], "asked 0, cancelled 0");
    let answers: Vec<_> =
        client.history(&room).await.into_iter().filter(|row| row["reply_to"] == question["id"]).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn what_waits_for_an_answer_holds_up_nothing_and_repeats_nothing_after_a_restart() {
    let config = format!("{PARROT}[plugins.counter]\nenabled = true\n");
    let server = Setup::of(fixtures()).config(&config).start();
    let client = server.client();
    let (quiet, busy) = (client.room("quiet").await, client.room("busy").await);
    set(&client, &quiet, json!({ "models": ["parrot/hang-after"], "trigger": "every" })).await;
    let mut socket = listening(&client, &quiet).await;
    let question = client.say(&quiet, "are you there?").await;
    socket.next_of("reply_delta").await;
    for count in ["1", "2"] {
        let counted = client.say(&busy, "/count").await;
        assert_eq!(client.answer_to(&busy, &counted).await["text"], count);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = client.get("/metrics").await.text();
        if metrics.lines().any(|line| line == "plexichat_outbox_open 0") {
            break;
        }
        assert!(Instant::now() < deadline, "the question is no open entry: {metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A normal stop does not wait for it for ever, a crash not at all; then it is asked again and nothing else is.
    let began = Instant::now();
    let server = server.restart();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let server = server.kill_and_restart();
    let client = server.client();
    let counted = client.say(&busy, "/count").await;
    assert_eq!(client.answer_to(&busy, &counted).await["text"], "3", "no command ran twice");
    let mut socket = listening(&client, &quiet).await;
    assert_eq!(socket.next_of("typing").await["room_id"], quiet.as_str(), "it is answered again");
    let stop = client.say(&quiet, "/ai stop").await;
    assert_eq!(client.answer_to(&quiet, &stop).await["text"], "Stopped.");
    assert!(client.answer_to(&quiet, &question).await["text"].as_str().unwrap().ends_with("[stopped]"));
}
