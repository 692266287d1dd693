//! Rooms as people meet them: who sees which, who may do what in it, what one has not read, what is posted later.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::websocket::WebSocket;
use crate::support::{Client, Setup};

async fn make(client: &Client, body: Value) -> String {
    client.post("/api/v1/rooms", body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn names(client: &Client, query: &str) -> Vec<String> {
    let page = client.get(&format!("/api/v1/rooms{query}")).await.expect(200);
    let rooms = page["rooms"].as_array().unwrap();
    rooms.iter().map(|room| room["name"].as_str().unwrap_or("direct").to_owned()).collect()
}

/// Fault 77: a room, its members and its history by the identifier that somebody guessed or kept.
#[tokio::test]
async fn a_private_room_is_there_for_its_members_only() {
    let server = Setup::new().start();
    let admin = server.client();
    let ((ann, _), (bob, bob_id)) = (admin.person("ann").await, admin.person("bob").await);
    let room = make(&ann, json!({ "name": "board", "kind": "private" })).await;
    let message = ann.say(&room, "between us").await;
    let at = |path: &str| format!("/api/v1/rooms/{room}{path}");
    let stranger = async |client: &Client| {
        for path in ["", "/members", "/messages", "/stream"] {
            client.get(&at(path)).await.error(404, "room_not_found");
        }
        client.post(&at("/messages"), json!({ "text": "let me in" })).await.error(404, "room_not_found");
        client.put(&at("/members/me"), json!({})).await.error(404, "room_not_found");
        client.put(&at("/read"), json!({ "seq": 1 })).await.error(404, "room_not_found");
        client.delete(&at("")).await.error(404, "room_not_found");
        let answer = client.request("PATCH", &at(""), &json!({ "topic": "mine" })).await.unwrap();
        answer.error(404, "room_not_found");
        client.get(&format!("/api/v1/search?q=between&room_id={room}")).await.error(404, "room_not_found");
        let later = json!({ "room_id": room, "text": "later", "due_at": "2027-01-01T00:00:00Z" });
        client.post("/api/v1/scheduled", later).await.error(404, "room_not_found");
    };
    stranger(&bob).await;
    assert_eq!(names(&bob, "").await, [""; 0]);
    ann.put(&at(&format!("/members/{bob_id}")), json!({})).await.expect(201);
    assert_eq!(names(&bob, "").await, ["board"]);
    assert_eq!(bob.history(&room).await, [message]);
    bob.say(&room, "thank you").await;
    // He may read and write, not rule.
    bob.delete(&at("")).await.error(403, "forbidden");
    bob.request("PATCH", &at(""), &json!({ "topic": "mine" })).await.unwrap().error(403, "forbidden");
    // Removed, he knows of it no more.
    ann.delete(&at(&format!("/members/{bob_id}"))).await.expect(204);
    stranger(&bob).await;
    // Administrators manage it.
    assert_eq!(admin.get(&at("")).await.expect(200)["access"], "moderate");
    admin.delete(&at("")).await.expect(204);
    ann.get(&at("")).await.error(404, "room_not_found");
    make(&bob, json!({ "name": "board" })).await;
}

#[tokio::test]
async fn a_direct_room_is_one_for_each_set_of_people() {
    let server = Setup::new().start();
    let admin = server.client();
    let ((ann, ann_id), (bob, bob_id)) = (admin.person("ann").await, admin.person("bob").await);
    let room = make(&ann, json!({ "kind": "direct", "members": [bob_id] })).await;
    let again = bob.post("/api/v1/rooms", json!({ "kind": "direct", "members": [ann_id, bob_id] })).await.expect(200);
    assert_eq!((&again["id"], &again["name"]), (&json!(room), &Value::Null), "{again}");
    let people: Vec<&str> =
        again["people"].as_array().unwrap().iter().map(|person| person["name"].as_str().unwrap()).collect();
    assert_eq!(people, ["ann", "bob"]);
    ann.say(&room, "psst").await;
    assert_eq!(bob.history(&room).await.len(), 1);
    for path in ["", "/messages", "/members"] {
        admin.get(&format!("/api/v1/rooms/{room}{path}")).await.error(404, "room_not_found");
    }
    bob.delete(&format!("/api/v1/rooms/{room}/members/me")).await.error(409, "direct_room");
    ann.post("/api/v1/rooms", json!({ "kind": "direct" })).await.error(422, "invalid_input");
    let nobody = json!({ "kind": "direct", "members": ["01890c6e-8b5a-7cc0-98c4-dc0c0c07398f"] });
    ann.post("/api/v1/rooms", nobody).await.error(422, "user_not_found");
}

#[tokio::test]
async fn a_room_is_changed_by_those_who_look_after_it() {
    let server = Setup::new().start();
    let admin = server.client();
    let ((ann, _), (bob, bob_id)) = (admin.person("ann").await, admin.person("bob").await);
    let room = make(&ann, json!({ "name": "news", "topic": "what is new" })).await;
    let path = format!("/api/v1/rooms/{room}");
    let shown = ann.get(&path).await;
    assert_eq!(shown.headers["etag"], "\"1\"");
    let patch = async |client: &Client, body: Value, etag: &str| {
        client.request_with("PATCH", &path, &body, &[("if-match", etag)]).await.unwrap()
    };
    let changed = patch(&ann, json!({ "policy": { "posting": "moderators" } }), "\"1\"").await;
    assert_eq!(changed.expect(200)["policy"]["posting"], "moderators");
    patch(&ann, json!({ "topic": "too late" }), "\"1\"").await.error(412, "precondition_failed");
    patch(&ann, json!({ "policy": { "required_scanners": ["no-such"] } }), "\"2\"").await.error(422, "invalid_input");
    bob.post(&format!("{path}/messages"), json!({ "text": "me too" })).await.error(403, "forbidden");
    assert_eq!(bob.get(&path).await.expect(200)["access"], "read");
    ann.put(&format!("{path}/members/{bob_id}"), json!({ "role": "moderator" })).await.expect(201);
    bob.say(&room, "now I may").await;
    // The last owner stays until there is another.
    ann.delete(&format!("{path}/members/me")).await.error(409, "last_owner");
    ann.put(&format!("{path}/members/{bob_id}"), json!({ "role": "owner" })).await.expect(200);
    ann.delete(&format!("{path}/members/me")).await.expect(204);
    ann.post(&format!("{path}/messages"), json!({ "text": "and I" })).await.error(403, "forbidden");
}

#[tokio::test]
async fn what_one_has_not_read_is_counted_where_one_is_a_member() {
    let server = Setup::new().start();
    let admin = server.client();
    let (ann, _) = admin.person("ann").await;
    let room = admin.room("lobby").await;
    let path = format!("/api/v1/rooms/{room}");
    admin.say(&room, "before she came").await;
    assert_eq!(ann.get(&path).await.expect(200).get("unread"), None);
    ann.put(&format!("{path}/members/me"), json!({})).await.expect(201);
    admin.say(&room, "hello @ann").await;
    admin.say(&room, "hello all").await;
    // Mentions are counted a moment later.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let shown = ann.get(&path).await.expect(200);
        assert_eq!((&shown["unread"], &shown["read_seq"]), (&json!(2), &json!(1)), "{shown}");
        if shown["mentions"] == 1 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = ann.put(&format!("{path}/read"), json!({ "seq": 3 })).await.expect(200);
    assert_eq!(read, json!({ "read_seq": 3, "unread": 0, "mentions": 0 }));
    ann.put(&format!("{path}/read"), json!({ "seq": 4 })).await.error(422, "invalid_input");
    assert_eq!(names(&ann, "?joined=true").await, ["lobby"]);
}

/// Fault 73, for rooms: who is removed hears nothing more within a second.
#[tokio::test]
async fn who_is_removed_hears_no_more() {
    let server = Setup::new().start();
    let admin = server.client();
    let ((ann, _), (bob, bob_id)) = (admin.person("ann").await, admin.person("bob").await);
    let room = make(&ann, json!({ "name": "board", "kind": "private", "members": [bob_id] })).await;
    let mut socket = WebSocket::connect(&bob).await;
    socket.subscribe(&room, Some(0)).await;
    ann.say(&room, "you hear this").await;
    assert_eq!(socket.message().await["text"], "you hear this");
    ann.delete(&format!("/api/v1/rooms/{room}/members/{bob_id}")).await.expect(204);
    tokio::time::sleep(Duration::from_secs(1)).await;
    ann.say(&room, "you do not").await;
    let own = make(&bob, json!({ "name": "own" })).await;
    socket.subscribe(&own, Some(0)).await;
    bob.say(&own, "still connected").await;
    assert_eq!(socket.message().await["text"], "still connected");
}

/// A time so many milliseconds from now, as the API takes it.
fn in_millis(millis: u64) -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(millis);
    let time = plexichat::message::Time::from_micros(time.as_micros() as i64);
    serde_json::to_value(time).unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_written_for_later_is_posted_when_it_is_due() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let later = async |text: &str, due_at: String| {
        client.post("/api/v1/scheduled", json!({ "room_id": room, "text": text, "due_at": due_at })).await
    };
    later("yesterday", "2020-01-01T00:00:00Z".into()).await.error(422, "invalid_input");
    later("much later", "2099-01-01T00:00:00Z".into()).await.error(422, "invalid_input");
    later(" ", in_millis(60_000)).await.error(422, "invalid_message");
    let kept = later("in an hour", in_millis(3_600_000)).await.expect(201);
    assert_eq!((&kept["state"], &kept["text"]), (&json!("waiting"), &json!("in an hour")));
    later("soon", in_millis(1_500)).await.expect(201);
    assert_eq!(client.history(&room).await.len(), 0);
    let listed = client.get("/api/v1/scheduled").await.expect(200);
    let texts: Vec<&str> =
        listed["scheduled"].as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["soon", "in an hour"]);
    // It survives the server, and is posted once.
    let server = server.kill_and_restart();
    let client = server.client();
    let mut socket = WebSocket::connect(&client).await;
    socket.subscribe(&room, Some(0)).await;
    assert_eq!(socket.message().await["text"], "soon");
    let id = kept["id"].as_str().unwrap();
    let (other, _) = client.person("ann").await;
    other.delete(&format!("/api/v1/scheduled/{id}")).await.error(404, "not_found");
    client.delete(&format!("/api/v1/scheduled/{id}")).await.expect(204);
    assert_eq!(client.get("/api/v1/scheduled").await.expect(200), json!({ "scheduled": [] }));
    assert_eq!(client.history(&room).await.len(), 1);
}
