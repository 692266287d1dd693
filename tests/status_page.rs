//! The status page in the built server: its routes tell of what happens there, to whoever may know.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Setup};

const STATUS: &str = "/api/v1/plugins/status-page/status";
const METRICS: &str = "/api/v1/plugins/status-page/metrics";

/// Asks until the status is this one: what was seen will do for a few seconds.
async fn status_becomes(client: &Client, wanted: &str) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let report = client.get(STATUS).await.expect(200);
        if report["status"] == wanted {
            return report;
        }
        assert!(tokio::time::Instant::now() < deadline, "it stays as it is: {report}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn states(report: &Value) -> Vec<(&str, &str)> {
    let parts = report["components"].as_array().unwrap().iter();
    parts.map(|part| (part["name"].as_str().unwrap(), part["status"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn anybody_is_told_states_and_nothing_else() {
    let server = Setup::new().start();
    let nobody = server.client().with_token(None);
    let report = status_becomes(&nobody, "operational").await;
    let parts = states(&report);
    assert!(parts.starts_with(&[("server", "operational"), ("delivery", "operational")]), "{report}");
    assert!(parts.contains(&("status-page", "operational")), "{report}");
    let mut keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["components", "label", "status", "title"]);
    let german =
        nobody.request_with("GET", STATUS, &Value::Null, &[("accept-language", "de-CH, en;q=0.3")]).await.unwrap();
    assert_eq!(german.expect(200)["label"], "Alles läuft");
    assert_eq!(german.headers["cache-control"], "public, max-age=5");
    nobody.get(METRICS).await.error(401, "unauthorized");
    let (person, _) = server.client().person("ulf").await;
    person.get(METRICS).await.error(403, "forbidden");
}

#[tokio::test]
async fn figures_change_when_messages_are_posted() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let before = client.get(METRICS).await.expect(200);
    for number in 0..7 {
        client.say(&room, &format!("message {number}")).await;
    }
    let after = client.get(METRICS).await.expect(200);
    let stored = |figures: &Value| figures["messages_stored"].as_u64().unwrap();
    assert_eq!(stored(&after) - stored(&before), 7, "{before}\n{after}");
    assert!(after["messages_per_second"].as_f64().unwrap() > 0.0, "{after}");
    assert_eq!((&after["ready"], &after["version"]), (&json!(true), &before["version"]));
    // All that `/metrics` shows is there, the times of hooks too.
    let named =
        |name: &str| after["figures"].as_array().unwrap().iter().filter(|figure| figure["name"] == name).count();
    let shown = client.get("/metrics").await.text();
    for name in ["plexichat_messages_stored_total", "plexichat_plugin_calls_total", "plexichat_hook_calls_total"] {
        let lines = shown.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
        assert!(named(name) > 0 && named(name) == lines.max(1), "{name}: {} of {lines}", named(name));
    }
    assert!(named("plexichat_hook_seconds_count") > 0, "{after}");
}

#[tokio::test]
async fn what_does_not_work_shows() {
    let config = "[plugins.status-page.config]\ntitle = 'Ours'\ncomponents = ['server', 'echo']\n";
    let server = Setup::new().config(config).start();
    let client = server.client();
    let nobody = client.with_token(None);
    assert_eq!(
        states(&status_becomes(&nobody, "operational").await),
        [("server", "operational"), ("echo", "operational")]
    );
    client.post("/api/v1/plugins/echo/disable", json!({})).await.expect(200);
    let report = status_becomes(&nobody, "degraded").await;
    assert_eq!((states(&report)[1], &report["title"]), (("echo", "down"), &json!("Ours")));
}

#[tokio::test]
async fn what_is_not_public_is_not_there_for_anybody() {
    let server = Setup::new().config("[plugins.status-page.config]\npublic = false\n").start();
    let client = server.client();
    assert_eq!(client.with_token(None).get(STATUS).await.status.as_u16(), 404);
    assert_eq!(client.get(METRICS).await.expect(200)["report"]["status"], "operational");
}
