//! Plugins come, go and change while the server works: over REST and the command line, kept over restarts, with no request
//! refused on the way.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bundle::fixtures;
use crate::support::load::{Load, UNLIMITED};
use crate::support::{Client, Server, Setup};

async fn plugin(client: &Client, name: &str) -> Value {
    client.get(&format!("/api/v1/plugins/{name}")).await.expect(200)
}

async fn act(client: &Client, name: &str, action: &str) -> Value {
    client.post(&format!("/api/v1/plugins/{name}/{action}"), Value::Null).await.expect(200)
}

/// Asks `/echo` and gives the answer, which must come.
async fn echo(client: &Client, room: &str) -> Value {
    let message = client.say(room, "/echo x").await;
    client.answer_to(room, &message).await["text"].clone()
}

#[tokio::test]
async fn a_disabled_plugin_is_silent_and_an_enabled_one_speaks() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    assert_eq!(plugin(&client, "echo").await["state"], "enabled");
    assert_eq!(echo(&client, &room).await, "x");
    assert_eq!(act(&client, "echo", "disable").await["state"], "disabled");
    // Twice is as good as once.
    assert_eq!(act(&client, "echo", "disable").await["state"], "disabled");
    let message = client.say(&room, "/echo nobody").await;
    let mention = client.say(&room, "@echo nobody").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answered = client.history(&room).await.into_iter().any(|row| {
        row["author"]["id"] == "echo" && (row["reply_to"] == message["id"] || row["reply_to"] == mention["id"])
    });
    assert!(!answered, "a disabled plugin answered");
    assert_eq!(act(&client, "echo", "enable").await["state"], "enabled");
    assert_eq!(echo(&client, &room).await, "x");
}

#[tokio::test]
async fn states_outlive_a_restart() {
    let server = Setup::new().start();
    let client = server.client();
    act(&client, "echo", "disable").await;
    let server = server.kill_and_restart();
    let client = server.client();
    assert_eq!(plugin(&client, "echo").await["state"], "disabled");
    act(&client, "echo", "uninstall").await;
    let server = server.restart();
    let client = server.client();
    assert_eq!(plugin(&client, "echo").await["state"], "linked", "what was uninstalled stays uninstalled");
    act(&client, "echo", "install").await;
    act(&client, "echo", "enable").await;
    let server = server.restart();
    let client = server.client();
    assert_eq!(plugin(&client, "echo").await["state"], "enabled");
    let room = client.room("lobby").await;
    assert_eq!(echo(&client, &room).await, "x");
}

#[tokio::test]
async fn a_configuration_is_swapped_and_a_bad_one_is_not() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let path = "/api/v1/plugins/echo/config";
    client.put(path, json!({ "prefix": "> " })).await.expect(200);
    assert_eq!(echo(&client, &room).await, "> x");
    let refused =
        client.put(path, json!({ "prefix": 7, "name": "", "colour": "red" })).await.error(422, "invalid_config");
    let pointers: Vec<&str> =
        refused["details"].as_array().unwrap().iter().map(|finding| finding["pointer"].as_str().unwrap()).collect();
    for pointer in ["/prefix", "/name", "/colour"] {
        assert!(pointers.contains(&pointer), "all findings at once: {refused}");
    }
    assert_eq!(echo(&client, &room).await, "> x", "the old one goes on");
    // Kept over a kill.
    let server = server.kill_and_restart();
    assert_eq!(echo(&server.client(), &room).await, "> x");
}

#[tokio::test]
async fn two_who_change_a_configuration_do_not_overwrite_each_other() {
    let server = Setup::new().start();
    let client = server.client();
    let path = "/api/v1/plugins/echo/config";
    let first = client.get(path).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let with_tag = |tag: String, prefix: &'static str| {
        let client = client.clone();
        async move { client.request_with("PUT", path, &json!({ "prefix": prefix }), &[("if-match", &tag)]).await.unwrap() }
    };
    with_tag(tag.clone(), "a").await.expect(200);
    with_tag(tag, "b").await.error(412, "precondition_failed");
    assert!(client.get(path).await.text().contains("\"a\""));
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let server = Setup::new().start();
    let client = server.client();
    let error = client.post("/api/v1/plugins/eco/enable", Value::Null).await.error(404, "not_found");
    assert!(error["message"].as_str().unwrap().contains("`eco`"), "{error}");
    client.get("/api/v1/plugins/eco").await.error(404, "not_found");
    let output = server.cli(&["plugin", "enable", "eco"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("error: ") && stderr.contains("eco") && stderr.contains("hint: "), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_refused_while_plugins_change() {
    let server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let room = client.room("lobby").await;
    let load = Load::start(&client, &room, 4, Duration::from_millis(1), |client, count| format!("{client} {count}"));
    for round in 0..15 {
        act(&client, "echo", "disable").await;
        act(&client, "word-filter", "disable").await;
        act(&client, "word-filter", "enable").await;
        act(&client, "echo", "enable").await;
        client.put("/api/v1/plugins/echo/config", json!({ "prefix": round.to_string() })).await.expect(200);
    }
    by_command(&server).await;
    let (latencies, refused) = load.stop().await;
    println!(
        "{} messages while plugins changed, p50 {:?}, p99 {:?}",
        latencies.count(),
        latencies.quantile(0.5),
        latencies.quantile(0.99)
    );
    assert!(latencies.count() > 50, "there was hardly any load");
    assert_eq!(refused, 0);
    assert_eq!(echo(&client, &room).await, "by command x");
}

/// The same by the operator's commands.
async fn by_command(server: &Server) {
    tokio::task::block_in_place(|| {
        server.cli_ok(&["plugin", "disable", "echo"]);
        assert!(
            server.cli_ok(&["plugin", "list"]).lines().any(|line| line.contains("echo") && line.contains("disabled"))
        );
        server.cli_ok(&["plugin", "enable", "echo"]);
        server.cli_ok(&["plugin", "config", "set", "echo", "prefix=by command "]);
        assert!(server.cli_ok(&["plugin", "config", "get", "echo"]).contains("by command "));
    });
}

#[tokio::test]
async fn plugins_are_told_of_rooms_people_and_the_server_itself() {
    let server = Setup::of(fixtures()).config("[plugins.counter]\nenabled = true\n").start();
    let client = server.client();
    let room = client.room("lobby").await;
    client.post("/api/v1/tokens", json!({ "user": "somebody" })).await.expect(201);
    // The same person a second time is nobody new.
    client.post("/api/v1/tokens", json!({ "user": "somebody" })).await.expect(201);
    for event in ["room_created", "user_created", "system_started"] {
        told_times(&client, &room, event, "1").await;
    }
    told_times(&client, &room, "system_stopping", "0").await;
    let server = server.restart();
    let client = server.client();
    told_times(&client, &room, "system_stopping", "1").await;
    told_times(&client, &room, "system_started", "2").await;
}

/// Asks the counter how often it was told of an event, until it says what it must.
async fn told_times(client: &Client, room: &str, event: &str, times: &str) {
    let mut answer = Value::Null;
    for _ in 0..50 {
        let message = client.say(room, &format!("/told {event}")).await;
        answer = client.answer_to(room, &message).await["text"].clone();
        if answer == times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was told of `{event}` {answer} times, not {times}");
}
