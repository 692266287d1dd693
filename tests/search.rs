//! Finding messages: by words, in the rooms that one may read, whatever is typed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Setup};

/// Asks until the index has followed, or for ten seconds.
async fn found(client: &Client, query: &str, expected: &[&str]) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let page = client.get(&format!("/api/v1/search?{query}")).await.expect(200);
        let texts: Vec<&str> =
            page["results"].as_array().unwrap().iter().map(|hit| hit["message"]["text"].as_str().unwrap()).collect();
        if texts == expected {
            return page;
        }
        assert!(tokio::time::Instant::now() < deadline, "{query}: {texts:?} is not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn messages_are_found_by_their_words() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    for text in ["The quick brown fox", "<b>quick</b> and dirty", "slow and clean"] {
        client.say(&room, text).await;
    }
    found(&client, "q=quick", &["<b>quick</b> and dirty", "The quick brown fox"]).await;
    found(&client, "q=%22quick%20brown%22", &["The quick brown fox"]).await;
    found(&client, "q=and%20clean", &["slow and clean"]).await;
    found(&client, "q=QUI*%20fox", &["The quick brown fox"]).await;
    let page = found(&client, "q=quick&limit=1", &["<b>quick</b> and dirty"]).await;
    // Plain text in pieces: what people wrote is nobody's markup.
    let pieces = json!([
        { "text": "<b>", "match": false },
        { "text": "quick", "match": true },
        { "text": "</b> and dirty", "match": false },
    ]);
    assert_eq!(page["results"][0]["snippet"], pieces);
    found(&client, &format!("q=quick&before={}", page["next"]), &["The quick brown fox"]).await;
    // An edit and a deletion are followed.
    let message = &page["results"][0]["message"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/messages/{message}");
    client.request("PATCH", &path, &json!({ "text": "swift and dirty" })).await.unwrap().expect(200);
    found(&client, "q=quick", &["The quick brown fox"]).await;
    found(&client, "q=swift", &["swift and dirty"]).await;
    client.delete(&path).await.expect(204);
    found(&client, "q=swift", &[]).await;
}

#[tokio::test]
async fn what_one_may_not_read_is_not_found() {
    let server = Setup::new().start();
    let admin = server.client();
    let ((ann, ann_id), (bob, _)) = (admin.person("ann").await, admin.person("bob").await);
    let public = admin.room("lobby").await;
    let private = ann.post("/api/v1/rooms", json!({ "name": "board", "kind": "private" })).await.expect(201);
    let private = private["id"].as_str().unwrap();
    ann.say(&public, "a plan for all").await;
    ann.say(private, "a plan for me").await;
    found(&ann, "q=plan", &["a plan for me", "a plan for all"]).await;
    found(&bob, "q=plan", &["a plan for all"]).await;
    found(&ann, &format!("q=plan&room_id={public}"), &["a plan for all"]).await;
    found(&bob, &format!("q=plan&author={ann_id}"), &["a plan for all"]).await;
    found(&bob, "q=plan&author=me", &[]).await;
    bob.get(&format!("/api/v1/search?q=plan&room_id={private}")).await.error(404, "room_not_found");
}

#[tokio::test]
async fn nothing_that_is_typed_is_a_mistake_of_the_server() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    client.say(&room, "text OR NOT").await;
    let typed = [
        "text:",
        "a OR",
        "NOT",
        "NEAR(",
        "\"",
        "\"\"\"",
        "a\" OR \"b",
        "{text}",
        "^a",
        "a*b",
        "(",
        ")",
        "col:x AND",
        "'; DROP TABLE messages; --",
        "\0",
        "a\0b",
        "-",
        "+a",
        "\u{202e}abc",
        "🦀 crab",
        "a\\",
        "%",
        "_",
    ];
    for text in typed {
        let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = client.get(&format!("/api/v1/search?q={escaped}")).await;
        assert!(matches!(answer.status.as_u16(), 200 | 400), "{text:?}: {} {}", answer.status, answer.text());
    }
    found(&client, "q=or%20not", &["text OR NOT"]).await;
    client.get("/api/v1/search?q=").await.error(400, "bad_query");
    client.get("/api/v1/search").await.error(400, "bad_query");
    client.get(&format!("/api/v1/search?q={}", "a".repeat(201))).await.error(400, "bad_query");
    client.get("/api/v1/search?q=a&limit=101").await.error(400, "bad_query");
}
