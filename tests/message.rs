//! A message's whole road: posted, answered by a linked plugin, read back, sent once however often it is asked for, heard
//! live and after a pause.

use serde_json::{Value, json};

use crate::support::load::UNLIMITED;
use crate::support::websocket::WebSocket;
use crate::support::{Client, Setup};

#[tokio::test]
async fn a_posted_command_is_answered_by_the_plugin() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let message = client.say(&room, "/echo hello").await;
    assert_eq!((&message["text"], &message["seq"]), (&json!("/echo hello"), &json!(1)), "{message}");
    assert_eq!((&message["room_id"], &message["state"]), (&json!(room), &json!("stored")), "{message}");
    assert_eq!(message["author"]["kind"], "user", "{message}");
    let answer = client.answer_to(&room, &message).await;
    assert_eq!((&answer["text"], &answer["seq"]), (&json!("hello"), &json!(2)), "{answer}");
    assert_eq!((&answer["author"]["kind"], &answer["author"]["id"]), (&json!("plugin"), &json!("echo")), "{answer}");
    assert_eq!(client.history(&room).await, [message, answer]);
}

#[tokio::test]
async fn a_mention_is_answered_too() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let message = client.say(&room, "@echo are you there").await;
    assert_eq!(client.answer_to(&room, &message).await["text"], "are you there");
}

#[tokio::test]
async fn history_is_read_in_pages_from_either_end() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    for number in 1..=10 {
        client.say(&room, &format!("message {number}")).await;
    }
    check(&client, &room, "limit=3", &[8, 9, 10]).await;
    check(&client, &room, "after=0&limit=3", &[1, 2, 3]).await;
    check(&client, &room, "after=8", &[9, 10]).await;
    check(&client, &room, "before=4&limit=2", &[2, 3]).await;
    check(&client, &room, "after=2&before=5", &[3, 4]).await;
    check(&client, &room, "after=10", &[]).await;
    async fn check(client: &Client, room: &str, query: &str, expected: &[u64]) {
        let page = client.get(&format!("/api/v1/rooms/{room}/messages?{query}")).await.expect(200);
        let numbers: Vec<u64> =
            page["messages"].as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, expected, "{query}");
    }
}

#[tokio::test]
async fn one_key_is_one_message() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let first = client.say_with_key(&room, "/echo once", "key-1").await.unwrap().expect(201);
    let again = client.say_with_key(&room, "/echo once", "key-1").await.unwrap();
    assert!(again.status.is_success(), "{}", again.text());
    assert_eq!(again.json()["id"], first["id"]);
    let attempts = (0..20).map(|_| {
        let (client, room) = (client.clone(), room.clone());
        tokio::spawn(async move { client.say_with_key(&room, "at once", "key-2").await.unwrap().json() })
    });
    let mut identifiers = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        identifiers.push(attempt.await.unwrap()["id"].clone());
    }
    identifiers.dedup();
    assert_eq!(identifiers.len(), 1, "{identifiers:?}");
    // Another room is another message.
    let other = client.room("other").await;
    client.say_with_key(&other, "once there", "key-1").await.unwrap().expect(201);
    client.answer_to(&room, &first).await;
    let texts: Vec<Value> = client.history(&room).await.iter().map(|row| row["text"].clone()).collect();
    assert_eq!(texts.iter().filter(|text| *text == "/echo once").count(), 1, "{texts:?}");
    assert_eq!(texts.iter().filter(|text| *text == "once").count(), 1, "{texts:?}");
    assert_eq!(texts.iter().filter(|text| *text == "at once").count(), 1, "{texts:?}");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let server = Setup::new().start();
    let (client, token) = (server.client(), server.token());
    let room = client.room("lobby").await;
    let message = client.say(&room, "/echo before").await;
    client.answer_to(&room, &message).await;
    let before = client.history(&room).await;
    let server = server.restart();
    assert_eq!(server.token(), token, "the administrator's token stays");
    let client = server.client();
    assert_eq!(client.history(&room).await, before);
    let rooms = client.get("/api/v1/rooms").await.expect(200);
    assert_eq!(rooms["rooms"][0]["id"], room, "{rooms}");
    let next = client.say(&room, "after").await;
    assert_eq!(next["seq"], 3);
}

#[tokio::test]
async fn listeners_hear_live_and_catch_up_by_number() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let mut listener = WebSocket::connect(&client).await;
    listener.subscribe(&room, None).await;
    // A message sent over the same socket: its acknowledgement, then message and answer as everybody hears them.
    listener.send(json!({ "type": "send", "room_id": room, "text": "/echo live", "key": "k-1" })).await;
    let ack = listener.next_of("ack").await;
    assert_eq!((&ack["key"], &ack["message"]["text"]), (&json!("k-1"), &json!("/echo live")), "{ack}");
    let mut heard = WebSocket::connect(&client).await;
    heard.subscribe(&room, Some(0)).await;
    assert_eq!(heard.message().await["text"], "/echo live");
    assert_eq!(heard.message().await["text"], "live");
    drop(heard);
    // Away while three come in; then from where it was, without one missing or twice, and live again.
    for number in 3..=5 {
        client.say(&room, &format!("message {number}")).await;
    }
    let mut back = WebSocket::connect(&client).await;
    back.subscribe(&room, Some(2)).await;
    for number in 3..=5 {
        assert_eq!(back.message().await["seq"], number);
    }
    client.say(&room, "message 6").await;
    assert_eq!(back.message().await["seq"], 6);
}

#[tokio::test]
async fn a_listener_that_joins_under_load_misses_nothing() {
    let server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let room = client.room("lobby").await;
    const COUNT: u64 = 200;
    let writer = tokio::spawn({
        let (client, room) = (client.clone(), room.clone());
        async move {
            for number in 1..=COUNT {
                client.say(&room, &format!("message {number}")).await;
            }
        }
    });
    let listeners = (0..5).map(|number| {
        let (client, room) = (client.clone(), room.clone());
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20 * number)).await;
            let mut listener = WebSocket::connect(&client).await;
            listener.subscribe(&room, Some(0)).await;
            for expected in 1..=COUNT {
                assert_eq!(listener.message().await["seq"], expected);
            }
        })
    });
    for listener in listeners.collect::<Vec<_>>() {
        listener.await.unwrap();
    }
    writer.await.unwrap();
}
