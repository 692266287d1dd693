//! The moderation as it comes with the bundle, and with its limits set: on every road of people, over HTTP.

use std::time::Duration;

use plexichat::message::Time;
use serde_json::{Value, json};

use crate::support::{Client, Server, Setup};

const CARD: &str = "4111 1111 1111 1111";

/// A token of ours that nobody has, put together here so that no scanner of secrets objects to this source.
fn token() -> String {
    format!("{}_{}", "plx", "0123456789abcdef".repeat(4))
}

async fn started(config: &str) -> (Server, Client, String) {
    let server = Setup::new().config(config).start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

async fn post(client: &Client, room: &str, text: &str) -> (u16, Value) {
    let answer = client.post(&format!("/api/v1/rooms/{room}/messages"), json!({ "text": text })).await;
    (answer.status.as_u16(), answer.json())
}

/// What a program sees of a refusal: the code, and which detector it was.
#[track_caller]
fn refused((status, body): (u16, Value), detector: &str) {
    let error = &body["error"];
    assert_eq!(
        (status, &error["code"], &error["details"][0]["message"]),
        (422, &json!("rejected"), &json!(detector)),
        "{body}"
    );
    assert!(error["hint"].is_string(), "{body}");
}

#[tokio::test]
async fn as_it_comes_secrets_stay_out_and_cards_are_redacted() {
    let (server, client, room) = started("").await;
    refused(post(&client, &room, &format!("my token is {}", token())).await, "token");
    let (status, stored) = post(&client, &room, &format!("pay with {CARD}, or with ４１１１-1111-1111-１１１１")).await;
    let redacted = "pay with [card number removed], or with [card number removed]";
    assert_eq!((status, &stored["text"]), (201, &json!(redacted)));
    let texts: Vec<Value> = client.history(&room).await.iter().map(|row| row["text"].clone()).collect();
    assert_eq!(texts, [redacted]);

    // Everything else is as if it was not there.
    for text in
        ["ada@lovelace.org, +49 30 901820", "see https://example.org/a?b=c", "order 4029357733", "ok", "ok", "ok"]
    {
        assert_eq!(post(&client, &room, text).await.1["text"], text);
    }
    let log = server.stderr();
    assert!(!log.contains(&token()) && !log.contains("4111"), "what people write is not logged: {log}");
}

#[tokio::test]
async fn edits_and_posts_for_later_are_judged_too() {
    let (_server, client, room) = started("").await;
    let said = client.say(&room, "fine").await;
    let path = format!("/api/v1/messages/{}", said["id"].as_str().unwrap());
    let edit = async |text: &str| client.request("PATCH", &path, &json!({ "text": text })).await.unwrap();
    edit(&token()).await.error(422, "rejected");
    assert_eq!(edit(CARD).await.expect(200)["text"], "[card number removed]");

    let later = async |text: &str, seconds: i64| {
        let due_at = Time::from_micros(Time::now().as_micros() + seconds * 1_000_000);
        client.post("/api/v1/scheduled", json!({ "room_id": room, "text": text, "due_at": due_at })).await
    };
    later(&token(), 3600).await.error(422, "rejected");
    later(&format!("later: {CARD}"), 2).await.expect(201);
    let begun = tokio::time::Instant::now();
    loop {
        let history = client.history(&room).await;
        if let Some(row) = history.get(1) {
            assert_eq!(row["text"], "later: [card number removed]");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{history:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn who_floods_is_stopped() {
    let config = "[plugins.moderation.config.flood]\nmessages = 3\nseconds = 2\n\
                  [plugins.moderation.config.duplicates]\ntimes = 1\nseconds = 3600\n";
    let (_server, client, room) = started(config).await;
    for number in 0..3 {
        assert_eq!(post(&client, &room, &format!("{number}")).await.0, 201);
    }
    refused(post(&client, &room, "one too many").await, "flood");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(post(&client, &room, "Buy cheap things now").await.0, 201);
    let other = client.room("elsewhere").await;
    refused(post(&client, &other, "buy  cheap things NOW").await, "duplicate");
}

#[tokio::test]
async fn an_operator_changes_it_while_it_runs() {
    let (_server, client, room) = started("").await;
    let config = json!({ "detectors": { "card_numbers": "quarantine" }, "links": { "block": ["*.evil.example"] } });
    client.put("/api/v1/plugins/moderation/config", config).await.expect(200);
    assert_eq!(post(&client, &room, CARD).await.1["state"], "quarantined");
    refused(post(&client, &room, "https://www.evil.example/x").await, "link");
    let wrong = json!({ "links": { "block": ["https://evil.example"] } });
    let error = client.put("/api/v1/plugins/moderation/config", wrong).await.error(422, "invalid_config");
    assert!(error.to_string().contains("/links/block/0"), "{error}");
    refused(post(&client, &room, "https://www.evil.example/x").await, "link");
}
