//! What befalls a message after it was sent: edited, reacted to, deleted, held back and released; as the API says, as
//! listeners hear it, and as it is after a kill.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::bundle::fixtures;
use crate::support::websocket::WebSocket;
use crate::support::{Client, Setup};

const THUMB: &str = "%F0%9F%91%8D";

fn address(message: &Value) -> String {
    format!("/api/v1/messages/{}", message["id"].as_str().unwrap())
}

async fn edit(client: &Client, message: &Value, text: &str, revision: Option<&str>) -> (StatusCode, Value) {
    let headers: Vec<(&str, &str)> = revision.map(|tag| ("if-match", tag)).into_iter().collect();
    let answer = client.request_with("PATCH", &address(message), &json!({ "text": text }), &headers).await.unwrap();
    if answer.status == StatusCode::OK {
        let revision = answer.json()["revision"].to_string();
        assert_eq!(answer.headers["etag"], format!("\"{revision}\"").as_str());
    }
    (answer.status, answer.json())
}

async fn listen(client: &Client, room: &str) -> WebSocket {
    let mut socket = WebSocket::connect(client).await;
    socket.subscribe(room, None).await;
    socket.send(json!({ "type": "ping" })).await;
    socket.next_of("pong").await;
    socket
}

#[tokio::test]
async fn an_edit_names_the_revision_that_was_seen() {
    let server = Setup::new().start();
    let client = server.client();
    let (other, _) = client.person("other").await;
    let room = client.room("lobby").await;
    let message = client.say(&room, "before").await;
    let mut socket = listen(&other, &room).await;

    let (status, edited) = edit(&client, &message, "after", Some("\"1\"")).await;
    assert_eq!(
        (status, &edited["text"], &edited["revision"]),
        (StatusCode::OK, &json!("after"), &json!(2)),
        "{edited}"
    );
    assert!(edited["edited_at"].is_string() && edited["seq"] == message["seq"], "{edited}");
    let frame = socket.next_of("message_updated").await;
    assert_eq!((&frame["id"], &frame["text"], &frame["room_id"]), (&message["id"], &json!("after"), &json!(room)));
    assert!(frame["change"].is_u64(), "{frame}");

    let (status, stale) = edit(&client, &message, "late", Some("\"1\"")).await;
    assert_eq!((status, &stale["error"]["code"]), (StatusCode::PRECONDITION_FAILED, &json!("revision_mismatch")));
    let (status, others) = edit(&other, &message, "not mine", None).await;
    assert_eq!((status, &others["error"]["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{others}");
    let (status, _) = edit(&client, &json!({ "id": room }), "nothing", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "a room is no message");
    assert_eq!(client.get(&address(&message)).await.expect(200), edited);
    assert_eq!(client.history(&room).await, std::slice::from_ref(&edited));

    // What was acknowledged is there after a kill, with its revision.
    let server = server.kill_and_restart();
    let client = server.client();
    assert_eq!(client.history(&room).await, [edited]);
    assert_eq!(edit(&client, &message, "third", Some("\"2\"")).await.1["revision"], 3);
}

#[tokio::test]
async fn each_person_reacts_once_with_each_emoji() {
    let server = Setup::new().start();
    let client = server.client();
    let (other, other_id) = client.person("other").await;
    let room = client.room("lobby").await;
    let message = client.say(&room, "hello").await;
    let mut socket = listen(&client, &room).await;
    let reaction = format!("{}/reactions/{THUMB}", address(&message));
    for client in [&client, &other, &other] {
        client.put(&reaction, Value::Null).await.expect(200);
    }
    let shown = client.get(&address(&message)).await.expect(200);
    assert_eq!(shown["reactions"], json!([{ "emoji": "👍", "count": 2 }]));
    for count in 1..=2 {
        let frame = socket.next_of("reaction").await;
        assert_eq!((&frame["on"], &frame["emoji"]), (&json!(true), &json!("👍")), "{frame}");
        assert_eq!(frame["reactions"][0]["count"], count, "the third request changed nothing");
    }
    let who = client.get(&format!("{}/reactions?emoji={THUMB}", address(&message))).await.expect(200);
    let people = who["reactions"].as_array().unwrap();
    assert!(people.len() == 2 && people.iter().any(|one| one["by"]["id"] == other_id.as_str()), "{who}");
    assert_eq!(client.get(&format!("{}/reactions?limit=1", address(&message))).await.expect(200)["more"], true);
    other.delete(&reaction).await.expect(200);
    let frame = socket.next_of("reaction").await;
    assert_eq!((&frame["on"], &frame["by"]["name"]), (&json!(false), &json!("other")), "{frame}");
    let text = client.put(&format!("{}/reactions/forbidden", address(&message)), Value::Null).await;
    text.error(422, "invalid_message");
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_its_place_stays() {
    let server = Setup::new().start();
    let client = server.client();
    let (other, _) = client.person("other").await;
    let room = client.room("lobby").await;
    let first = client.say(&room, "first").await;
    let message = other.say(&room, "the word is xyzzy").await;
    let mut socket = listen(&client, &room).await;
    other.delete(&address(&first)).await.error(403, "forbidden");
    other.delete(&address(&message)).await.expect(204);
    let frame = socket.next_of("message_deleted").await;
    assert_eq!((&frame["id"], &frame["seq"]), (&message["id"], &json!(2)), "{frame}");
    for gone in [client.get(&address(&message)).await, other.delete(&address(&message)).await] {
        gone.error(404, "message_not_found");
    }
    let answer = json!({ "text": "to what", "reply_to": message["id"] });
    client.post(&format!("/api/v1/rooms/{room}/messages"), answer).await.error(422, "invalid_message");
    let third = client.say(&room, "third").await;
    assert_eq!(third["seq"], 3);
    assert_eq!(client.history(&room).await, [first, third]);
    // Whoever looks after the room may delete what others wrote.
    let others = other.say(&room, "another").await;
    client.delete(&address(&others)).await.expect(204);
    let audit = client.get("/api/v1/audit").await.expect(200).to_string();
    assert!(audit.contains("message.delete") && !audit.contains("another"), "{audit}");
}

#[tokio::test]
async fn a_moderator_decides_about_what_is_held_back() {
    let config = "[plugins.moody]\nenabled = true\n[plugins.moody.config]\nmood = \"fail\"\n\
                  [plugins.moody.hooks.scan_message]\non_error = \"quarantine\"\n";
    let server = Setup::of(fixtures()).config(config).start();
    let client = server.client();
    let (author, _) = client.person("author").await;
    let (other, _) = client.person("other").await;
    let room = client.room("lobby").await;
    let mut socket = listen(&other, &room).await;
    let held = author.say(&room, "it is forbidden").await;
    assert_eq!((&held["state"], &held["seq"]), (&json!("quarantined"), &json!(1)), "{held}");
    let shown = author.say(&room, "hello").await;
    assert_eq!(socket.next_of("message").await["id"], shown["id"], "listeners do not hear of what is held back");
    assert_eq!(author.history(&room).await, std::slice::from_ref(&shown));
    other.get(&address(&held)).await.error(404, "message_not_found");
    author.get(&address(&held)).await.expect(200);
    assert_eq!(edit(&author, &held, "let me", None).await.1["error"]["code"], "message_held");

    let release = format!("/api/v1/quarantine/{}/release", held["id"].as_str().unwrap());
    for person in [&other, &author] {
        person.post(&release, Value::Null).await.error(403, "forbidden");
        person.get("/api/v1/quarantine").await.error(403, "forbidden");
    }
    let list = client.get("/api/v1/quarantine").await.expect(200);
    assert_eq!(list["messages"][0]["message"], held, "{list}");
    let found = &list["messages"][0]["findings"][0];
    assert_eq!((&found["plugin"], &found["finding"]["code"]), (&json!("moody"), &json!("scanner_unavailable")));

    let released = client.post(&release, Value::Null).await.expect(200);
    assert_eq!(released["state"], "stored");
    let frame = socket.next_of("message_updated").await;
    assert_eq!((&frame["id"], &frame["text"]), (&held["id"], &json!("it is forbidden")));
    assert_eq!(author.history(&room).await, [released, shown.clone()]);
    client.post(&release, Value::Null).await.error(409, "message_not_held");

    // An edit that is held back takes the message away until somebody decides.
    let (_, edited) = edit(&author, &shown, "forbidden after all", None).await;
    assert_eq!((&edited["state"], &edited["revision"]), (&json!("quarantined"), &json!(2)), "{edited}");
    assert_eq!(socket.next_of("message_deleted").await["id"], shown["id"]);
    assert_eq!(author.history(&room).await.len(), 1);
    let reject = format!("/api/v1/quarantine/{}/reject", shown["id"].as_str().unwrap());
    client.post(&reject, Value::Null).await.expect(204);
    assert_eq!(client.get("/api/v1/quarantine").await.expect(200)["messages"], json!([]));
    author.get(&address(&shown)).await.error(404, "message_not_found");
}

/// Fault 77: who may not know of a room learns nothing of its messages by their identifiers.
#[tokio::test]
async fn a_message_of_a_private_room_is_not_there_for_others() {
    let server = Setup::new().start();
    let client = server.client();
    let (author, _) = client.person("author").await;
    let (other, _) = client.person("other").await;
    let room = author.post("/api/v1/rooms", json!({ "name": "ours", "kind": "private" })).await.expect(201);
    let room = room["id"].as_str().unwrap();
    let message = author.say(room, "between us").await;
    let (path, id) = (address(&message), message["id"].as_str().unwrap());
    let text = json!({ "text": "mine now" });
    for (method, path, body) in [
        ("GET", path.clone(), &Value::Null),
        ("PATCH", path.clone(), &text),
        ("DELETE", path.clone(), &Value::Null),
        ("GET", format!("{path}/reactions"), &Value::Null),
        ("PUT", format!("{path}/reactions/{THUMB}"), &Value::Null),
        ("DELETE", format!("{path}/reactions/{THUMB}"), &Value::Null),
    ] {
        let answer = other.request(method, &path, body).await.unwrap();
        // As of a message that never was, but for its identifier.
        let nowhere = path.replace(id, "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f");
        let unknown = other.request(method, &nowhere, body).await.unwrap();
        assert_eq!(
            answer.error(404, "message_not_found")["message"],
            unknown.error(404, "message_not_found")["message"]
        );
    }
    assert_eq!(author.history(room).await, [message], "and changed nothing");
}
