//! The same forbidden text by every road into a room: the same verdict. And with the scanner made to panic, hang or fail:
//! refused, stored nowhere, heard by nobody, one line in the log.

use std::time::Duration;

use plexichat::message::Time;
use serde_json::{Value, json};

use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup, bundle};

/// What nobody may write where the scanner `moody` runs.
const FORBIDDEN: &str = "this is forbidden";

/// A road that a person's text takes into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Road {
    Rest,
    WebSocket,
    Reply,
    Edit,
    Scheduled,
}

const ROADS: [Road; 5] = [Road::Rest, Road::WebSocket, Road::Reply, Road::Edit, Road::Scheduled];

/// A room with a message in it, somebody who listens, and a scanner in a mood.
struct Scene {
    server: Server,
    client: Client,
    room: String,
    socket: WebSocket,
    listener: WebSocket,
    /// What was said before, and may be answered and edited.
    said: Value,
}

impl Scene {
    async fn new(mood: &str) -> Self {
        let config = format!("[plugins.moody]\nenabled = true\n[plugins.moody.config]\nmood = \"{mood}\"\n");
        let server = Setup::of(bundle::fixtures()).config(&config).start();
        let client = server.client();
        let room = client.room("lobby").await;
        let said = client.say(&room, "hello").await;
        let socket = WebSocket::connect(&client).await;
        let mut listener = WebSocket::connect(&client).await;
        listener.subscribe(&room, Some(0)).await;
        assert_eq!(listener.message().await["text"], "hello");
        Self { server, client, room, socket, listener, said }
    }

    /// Sends a text by a road: the status, where the road has one, and the code that it is refused with.
    async fn send(&mut self, road: Road, text: &str) -> (Option<u16>, Value) {
        let messages = format!("/api/v1/rooms/{}/messages", self.room);
        let answer = match road {
            Road::Rest => self.client.post(&messages, json!({ "text": text })).await,
            Road::Reply => self.client.post(&messages, json!({ "text": text, "reply_to": self.said["id"] })).await,
            Road::Edit => {
                let path = format!("/api/v1/messages/{}", self.said["id"].as_str().unwrap());
                self.client.request("PATCH", &path, &json!({ "text": text })).await.unwrap()
            }
            Road::Scheduled => {
                let post = json!({ "room_id": self.room, "text": text, "due_at": soon(3600) });
                self.client.post("/api/v1/scheduled", post).await
            }
            Road::WebSocket => return (None, self.send_by_websocket(text).await),
        };
        (Some(answer.status.as_u16()), answer.json()["error"]["code"].clone())
    }

    async fn send_by_websocket(&mut self, text: &str) -> Value {
        self.socket.send(json!({ "type": "send", "room_id": self.room, "text": text, "key": text })).await;
        loop {
            let frame = self.socket.next().await.expect("an answer");
            if frame["key"] == text {
                return frame["error"]["code"].clone();
            }
        }
    }

    /// The lines of the log that warn of the scanner, once there are so many; and none comes after them.
    async fn warnings(&self, expected: usize) {
        let lines = || -> Vec<String> {
            let log = self.server.stderr();
            let is_one = |line: &&str| line.contains("WARN") && line.contains("moody") && line.contains("scan_message");
            log.lines().filter(is_one).map(str::to_owned).collect()
        };
        let begun = tokio::time::Instant::now();
        while lines().len() < expected && begun.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Whatever else would be written is written by now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(lines().len(), expected, "{:#?}", lines());
    }

    /// The room is as it was: nobody heard of what was refused, and it is stored nowhere.
    async fn is_untouched(&mut self, also: &[&str]) {
        let texts: Vec<Value> =
            self.client.history(&self.room).await.into_iter().map(|row| row["text"].clone()).collect();
        let expected: Vec<Value> = ["hello"].iter().chain(also).map(|text| json!(text)).collect();
        assert_eq!(texts, expected);
        for text in also {
            let heard = self.listener.next_of("message").await;
            assert_eq!(heard["text"], *text, "{heard}");
        }
        let scheduled = self.client.get("/api/v1/scheduled").await.expect(200);
        assert_eq!(scheduled["scheduled"], json!([]));
        assert!(!self.server.stderr().contains(FORBIDDEN), "what people write is not logged");
    }
}

/// A time so many seconds ahead, as the API takes it.
fn soon(seconds: i64) -> Value {
    json!(Time::from_micros(Time::now().as_micros() + seconds * 1_000_000))
}

/// Every road in one mood of the scanner: the status and the code, and how many lines of the log each costs.
async fn check(mood: &str, status: u16, code: &str, lines_each: usize) {
    let mut scene = Scene::new(mood).await;
    // The sample that it is shown at the start meets the same mood.
    let mut lines = lines_each;
    scene.warnings(lines).await;
    let mut said = Vec::new();
    for road in ROADS {
        let (found, refused) = scene.send(road, FORBIDDEN).await;
        assert_eq!((found.unwrap_or(status), &refused), (status, &json!(code)), "{mood}, {road:?}");
        lines += lines_each;
        scene.warnings(lines).await;
        // And nothing else is refused: the scanner is asked again, and has nothing against this.
        let harmless = format!("harmless {road:?}");
        scene.client.say(&scene.room, &harmless).await;
        said.push(harmless);
    }
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    scene.is_untouched(&said).await;
}

#[tokio::test]
async fn a_forbidden_text_is_rejected_on_every_road() {
    check("calm", 422, "rejected", 0).await;
}

#[tokio::test]
async fn a_scanner_that_panics_keeps_every_road_closed() {
    check("panic", 503, "scanner_unavailable", 1).await;
}

#[tokio::test]
async fn a_scanner_that_hangs_keeps_every_road_closed() {
    check("hang", 503, "scanner_unavailable", 1).await;
}

#[tokio::test]
async fn a_scanner_that_fails_keeps_every_road_closed() {
    check("fail", 503, "scanner_unavailable", 1).await;
}

/// The road of plugins: what a command answers is judged like what people write.
#[tokio::test]
async fn a_plugin_cannot_post_what_people_may_not_write() {
    for (mood, told) in [("calm", &["WARN", "moody", "refused"][..]), ("panic", &["WARN", "moody", "panicked"])] {
        let mut scene = Scene::new(mood).await;
        scene.client.say(&scene.room, "/tempt").await;
        if mood == "calm" {
            scene.server.wait_for_log(told);
        } else {
            // The sample at the start, and the answer.
            scene.warnings(2).await;
        }
        scene.is_untouched(&["/tempt"]).await;
    }
}

/// What was harmless when it was written is judged again when it is due.
#[tokio::test]
async fn a_scheduled_post_is_judged_when_it_is_due() {
    let scene = Scene::new("calm").await;
    let post = json!({ "room_id": scene.room, "text": "a secret", "due_at": soon(3) });
    scene.client.post("/api/v1/scheduled", post).await.expect(201);
    let config = scene.client.put("/api/v1/plugins/moody/config", json!({ "word": "secret" })).await;
    config.expect(200);
    let begun = tokio::time::Instant::now();
    let failed = loop {
        let scheduled = scene.client.get("/api/v1/scheduled").await.expect(200)["scheduled"][0].clone();
        if scheduled["state"] == "failed" {
            break scheduled;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{scheduled}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(failed["error"]["code"], "rejected", "{failed}");
    assert_eq!(scene.client.history(&scene.room).await.len(), 1);
}

/// A scanner that lets its own sample pass is not relied on: what it guards is refused, and the operator is told.
#[tokio::test]
async fn a_blind_scanner_counts_as_failed() {
    let server = Setup::of(bundle::fixtures())
        .config("[plugins.moody]\nenabled = true\n[plugins.moody.config]\nmood = \"blind\"\n")
        .start();
    let client = server.client();
    server.wait_for_log(&["WARN", "moody", "scan_message", "let the sample `word` pass"]);
    let room = client.room("lobby").await;
    let refused = client.post(&format!("/api/v1/rooms/{room}/messages"), json!({ "text": "hello" })).await;
    let error = refused.error(503, "scanner_unavailable");
    server.wait_for_log(&["WARN", "moody", "scan_message", error["request_id"].as_str().unwrap()]);
    assert_eq!(client.get("/readyz").await.status.as_u16(), 503);
    let metrics = client.get("/metrics").await.text();
    let counted = r#"plexichat_hook_failures_total{plugin="moody",hook="scan_message",kind="canary_missed"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}
