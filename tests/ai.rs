//! AI as people and operators meet it, against the fixture that answers prompts without a network: answers over WebSocket as they
//! come, cancelled ones, quotas, usage, leave for tools, tokens for models alone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::websocket::WebSocket;
use crate::support::{Client, Server, Setup, bundle};

const PARROT: &str = "[plugins.parrot]\nenabled = true\n";

fn server(settings: &str) -> Server {
    Setup::of(bundle::fixtures()).config(&format!("{settings}\n{PARROT}")).start()
}

/// A room whose assistant answers everything with this model.
async fn room(client: &Client, name: &str, assistant: Value) -> String {
    let policy = json!({ "assistant": assistant });
    let made = client.post("/api/v1/rooms", json!({ "name": name, "policy": policy })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

fn answering(model: &str) -> Value {
    json!({ "models": [model], "trigger": "every", "name": "polly" })
}

async fn listen(client: &Client, room: &str) -> WebSocket {
    let mut socket = WebSocket::connect(client).await;
    socket.subscribe(room, Some(0)).await;
    // Once it answers, it listens.
    socket.send(json!({ "type": "ping" })).await;
    socket.next_of("pong").await;
    socket
}

/// What `/parrot` says: how often it was asked, and how many answers were cancelled.
async fn counts(client: &Client, room: &str) -> String {
    let asked = client.say(room, "/parrot").await;
    client.answer_to(room, &asked).await["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_is_shown_while_it_is_written() {
    let server = server("");
    let client = server.client();
    let room = room(&client, "lobby", answering("parrot/echo")).await;
    let mut socket = listen(&client, &room).await;
    let asked = client.say(&room, "parrot: slowly one two three four five six seven eight").await;
    assert_eq!(socket.message().await["id"], asked["id"]);

    let start = socket.next_of("reply_start").await;
    assert_eq!((&start["message_id"], &start["asked_by"]["id"]), (&asked["id"], &asked["author"]["id"]));
    let (mut shown, mut deltas, mut message, mut typing) = (String::new(), Vec::new(), Value::Null, 0);
    let end = loop {
        let frame = socket.next().await.expect("a frame");
        match frame["type"].as_str() {
            Some("reply_delta") => {
                assert_eq!((&frame["reply_id"], &frame["room_id"]), (&start["reply_id"], &json!(room)));
                assert_eq!(frame["index"], deltas.len(), "in order and without a hole");
                assert!(message.is_null(), "the message comes behind what it is made of");
                shown.push_str(frame["text"].as_str().unwrap());
                deltas.push(Instant::now());
            }
            Some("message") => message = frame,
            Some("typing") => typing += 1,
            Some("reply_end") => break frame,
            _ => {}
        }
    };
    assert_eq!(shown, "one two three four five six seven eight");
    assert_eq!(message["text"], "one two three four five six seven eight");
    assert_eq!(message["reply_to"], asked["id"]);
    assert_eq!(message["author"], json!({ "kind": "ai", "id": "parrot/echo", "name": "polly" }));
    assert_eq!((&end["messages"], &end["error"]), (&json!([message["id"]]), &Value::Null), "{end}");
    assert!(typing >= 1, "who knows no answers sees that somebody is typing");
    // Fifty milliseconds lie between two words: what waited for the end would come at once.
    let took = deltas[deltas.len() - 1] - deltas[0];
    assert!(took > Duration::from_millis(100), "{} deltas within {took:?}", deltas.len());

    // Somebody who comes back hears of it as of any message.
    let history = client.history(&room).await;
    assert_eq!(history.last().unwrap()["text"], "one two three four five six seven eight");
}

#[tokio::test]
async fn an_answer_is_cancelled_within_a_second() {
    let server = server("");
    let admin = server.client();
    let room = room(&admin, "lobby", answering("parrot/hang-after")).await;
    let (ann, _) = admin.person("ann").await;
    let (bob, _) = admin.person("bob").await;
    let mut socket = listen(&ann, &room).await;
    ann.say(&room, "hello").await;
    let reply = socket.next_of("reply_delta").await["reply_id"].clone();
    let path = format!("/api/v1/ai/replies/{}/cancel", reply.as_str().unwrap());
    bob.post(&path, json!({})).await.error(403, "forbidden");
    let began = Instant::now();
    socket.send(json!({ "type": "cancel", "reply_id": reply })).await;
    let end = socket.next_of("reply_end").await;
    assert_eq!(end["error"]["code"], "cancelled", "{end}");
    loop {
        let said = counts(&admin, &room).await;
        if said.contains("cancelled 1") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{said}");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());

    // Over REST too, and by a moderator of the room.
    ann.say(&room, "once more").await;
    let reply = loop {
        let delta = socket.next_of("reply_delta").await;
        if delta["reply_id"] != reply {
            break delta["reply_id"].clone();
        }
    };
    let path = format!("/api/v1/ai/replies/{}/cancel", reply.as_str().unwrap());
    assert_eq!(admin.post(&path, json!({})).await.status, 204);
    while socket.next_of("reply_end").await["reply_id"] != reply {}
    // It is forgotten a moment after its end was told.
    let ended = Instant::now();
    while admin.post(&path, json!({})).await.status == 204 {
        assert!(ended.elapsed() < Duration::from_secs(1), "an answer that ended can still be cancelled");
    }
    admin.post(&path, json!({})).await.error(404, "reply_not_found");
    socket.send(json!({ "type": "cancel", "reply_id": reply })).await;
    assert_eq!(socket.next_of("error").await["error"]["code"], "reply_not_found");
}

#[tokio::test]
async fn what_was_asked_is_counted_and_limited() {
    let server = server("[server.ai]\nperson_requests_per_day = 2\ndefault_models = [\"parrot\"]\n");
    let admin = server.client();
    let lobby = room(&admin, "lobby", json!({ "trigger": "every" })).await;
    let (ann, _) = admin.person("ann").await;
    for text in ["one two", "three"] {
        let asked = ann.say(&lobby, text).await;
        assert_eq!(ann.answer_to(&lobby, &asked).await["text"], text);
    }
    let mut socket = listen(&ann, &lobby).await;
    ann.say(&lobby, "four").await;
    let end = socket.next_of("reply_end").await;
    assert_eq!(end["error"]["code"], "quota_exceeded", "{end}");
    let words = end["error"]["message"].as_str().unwrap();
    assert!(words.contains("used up the requests") && words.contains("24 hours"), "{words}");
    // Others may go on.
    let asked = admin.say(&lobby, "five").await;
    // Where several talk, a model is told who said what.
    assert_eq!(admin.answer_to(&lobby, &asked).await["text"], "admin: five");

    let own = ann.get("/api/v1/ai/usage").await.expect(200);
    assert_eq!((&own["total"]["requests"], &own["total"]["input_tokens"]), (&json!(2), &json!(14)), "{own}");
    let newest = &own["requests"][0];
    assert_eq!(newest["model"], "parrot/echo", "{own}");
    assert_eq!((&newest["actor"]["name"], &newest["outcome"]), (&json!("ann"), &json!("stop")));
    assert_eq!((&newest["room_id"], &newest["estimated"]), (&json!(lobby), &json!(false)));
    let admin_id = admin.get("/api/v1/auth/me").await.expect(200)["user"]["id"].clone();
    let others = format!("/api/v1/ai/usage?user_id={}", admin_id.as_str().unwrap());
    ann.get(&others).await.error(403, "forbidden");
    let people = admin.get("/api/v1/ai/usage?by=user").await.expect(200);
    let people: Vec<_> =
        people["groups"].as_array().unwrap().iter().map(|it| (&it["actor"]["name"], &it["requests"])).collect();
    assert_eq!(people, [(&json!("ann"), &json!(2)), (&json!("admin"), &json!(1))]);
    let first = admin.get("/api/v1/ai/usage?limit=2").await.expect(200);
    let next = first["next"].as_u64().expect("another page");
    let second = admin.get(&format!("/api/v1/ai/usage?limit=2&before={next}")).await.expect(200);
    assert_eq!((second["requests"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null));
    let shown = server.cli_ok(&["ai", "usage", "--by", "model"]);
    assert!(shown.contains("parrot/echo") && shown.contains("total: 3 requests"), "{shown}");
    let metrics = admin.get("/metrics").await.text();
    assert!(metrics.contains(r#"plexichat_ai_requests_total{provider="parrot",outcome="stop"} 3"#), "{metrics}");

    let models = server.cli_ok(&["ai", "models", "--json"]);
    let models: Value = serde_json::from_str(&models).unwrap();
    let echo = models["models"].as_array().unwrap().iter().find(|model| model["id"] == "parrot/echo").unwrap();
    assert_eq!((&echo["context_tokens"], &echo["abilities"]["tools"]), (&json!(100_000), &json!(true)));
    assert_eq!(models["default_models"], json!(["parrot"]));

    // More at once where the operator says so.
    let file = server.setup().folder().join("plexichat.toml");
    std::fs::write(&file, format!("[server.ai]\nperson_requests_per_day = 4\n{PARROT}")).unwrap();
    server.signal(rustix::process::Signal::HUP);
    server.wait_for_log(&["INFO", "settings were read again"]);
    let asked = ann.say(&lobby, "six").await;
    assert_eq!(ann.answer_to(&lobby, &asked).await["text"], "ann: six");
}

#[tokio::test]
async fn a_tool_waits_for_leave_of_the_person_who_asked() {
    let server = server("");
    let admin = server.client();
    let mut assistant = answering("parrot/echo");
    assistant["tools"] = json!(["parrot__deed", "parrot__remember"]);
    let room = room(&admin, "lobby", assistant).await;
    let (ann, _) = admin.person("ann").await;
    let (mut anns, mut bobs) = (listen(&ann, &room).await, listen(&admin, &room).await);
    let asked = ann.say(&room, r#"parrot: call parrot__deed {"what": "done"}"#).await;
    let waiting = anns.next_of("tool_approval").await;
    assert_eq!((&waiting["tool"], &waiting["state"]), (&json!("parrot__deed"), &json!("pending")), "{waiting}");
    assert_eq!((&waiting["message_id"], &waiting["arguments"]), (&asked["id"], &json!({ "what": "done" })));
    let listed = ann.get("/api/v1/ai/approvals").await.expect(200);
    assert_eq!(listed["approvals"][0]["id"], waiting["id"], "{listed}");
    assert_eq!(admin.get("/api/v1/ai/approvals").await.expect(200)["approvals"], json!([]));
    let path = format!("/api/v1/ai/approvals/{}", waiting["id"].as_str().unwrap());
    admin.post(&path, json!({ "approve": true })).await.error(404, "approval_not_found");
    ann.post(&path, json!({ "approve": "yes" })).await.error(422, "invalid_input");
    let given = ann.post(&path, json!({ "approve": true })).await.expect(200);
    assert_eq!(given["state"], "given");
    assert_eq!(anns.next_of("tool_approval").await["state"], "given", "for her other devices");
    ann.post(&path, json!({ "approve": false })).await.error(409, "already_decided");
    let answer = ann.answer_to(&room, &asked).await;
    assert!(answer["text"].as_str().unwrap().ends_with("done for ann"), "{answer}");
    // Whoever else listens hears the answer, and nothing of what was asked for.
    loop {
        let frame = bobs.next().await.expect("a frame");
        assert_ne!(frame["type"], "tool_approval", "{frame}");
        if frame["type"] == "reply_end" {
            break;
        }
    }
    let audit = admin.get("/api/v1/audit?action=tool.approve").await.expect(200);
    assert_eq!(audit["rows"][0]["actor"]["name"], "ann", "{audit}");

    // Leave for the first use holds until it is taken back.
    let remember = r#"parrot: call parrot__remember {"what": "it"}"#;
    let asked = ann.say(&room, remember).await;
    let id = anns.next_of("tool_approval").await["id"].as_str().unwrap().to_owned();
    ann.post(&format!("/api/v1/ai/approvals/{id}"), json!({ "approve": true })).await.expect(200);
    ann.answer_to(&room, &asked).await;
    let asked = ann.say(&room, remember).await;
    ann.answer_to(&room, &asked).await;
    let listed = ann.get("/api/v1/ai/approvals").await.expect(200);
    let remembered = listed["remembered"].as_array().unwrap().iter().map(|tool| tool["tool"].as_str().unwrap());
    assert_eq!(remembered.collect::<Vec<_>>(), ["parrot__deed", "parrot__remember"]);
    assert_eq!(ann.delete("/api/v1/ai/remembered/parrot__remember").await.status, 204);
    assert_eq!(ann.delete("/api/v1/ai/remembered/parrot__remember").await.status, 404);
    ann.say(&room, remember).await;
    let again = loop {
        let frame = anns.next_of("tool_approval").await;
        if frame["state"] == "pending" {
            break frame;
        }
    };
    assert_eq!(again["tool"], "parrot__remember", "{again}");
}

#[tokio::test]
async fn a_token_for_models_opens_nothing_else() {
    let server = server("");
    let shown = server.cli_ok(&["token", "create", "ann", "--scope", "ai", "--name", "notebook"]);
    let client = server.client().with_token(Some(shown.trim()));
    for path in ["/api/v1/rooms", "/api/v1/auth/me", "/api/v1/ai/usage", "/api/v1/ai/models", "/api/v1/tokens"] {
        let error = client.get(path).await.error(403, "forbidden");
        assert!(error["message"].as_str().unwrap().contains("needs the scope `read`"), "{path}: {error}");
    }
    let made = client.post("/api/v1/tokens", json!({ "name": "more", "user": "ann" })).await;
    made.error(403, "forbidden");
    let tokens = server.client().get("/api/v1/tokens").await.expect(200);
    let token = tokens["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "notebook").unwrap();
    assert_eq!(token["scopes"], json!(["ai"]));
}

#[tokio::test]
async fn a_rooms_assistant_is_set_from_the_command_line() {
    let server = server("");
    server.cli_ok(&["room", "create", "lobby"]);
    let set = ["room", "policy", "lobby", "--assistant", "parrot/echo", "--assistant", "parrot", "--trigger", "every"];
    let shown = server.cli_ok(&set);
    assert!(shown.contains("assistant (parrot/echo, parrot), every message"), "{shown}");
    let shown = server.cli_ok(&["room", "policy", "lobby", "--tool", "parrot__add", "--assistant-name", "polly"]);
    assert!(shown.contains("polly (parrot/echo, parrot), every message, tools parrot__add"), "{shown}");
    let wrong = server.cli(&["room", "policy", "lobby", "--assistant", "nobody/x"]);
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("/policy/assistant/models/0: no plugin named `nobody` is linked"), "{told}");
    let wrong = server.cli(&["room", "policy", "lobby", "--history", "0"]);
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("1 to 500 are possible"), "{told}");
    let shown = server.cli_ok(&["room", "policy", "lobby", "--assistant", "none"]);
    assert!(!shown.contains("polly"), "{shown}");
}
