//! The status page on the test kit's real host: what anybody, administrators and the dashboard are told of a server.

use std::time::Duration;

use plexichat::guard::{GuardedAnswer, GuardedBody};
use plexichat::plugin::gui::{Audience, OPEN, Slot, ViewKind};
use plexichat::plugin::interface::Caller;
use plexichat::prelude::*;
use plexichat::routes::Lookup;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_status_page::StatusPage;

plexichat::compliance!(StatusPage);

const STORED: &str = "plexichat_messages_stored_total";

async fn start(config: Value) -> TestResult<RunningPlugin<StatusPage>> {
    let plugin = TestHost::new().config(config).start::<StatusPage>().await?;
    plugin.server().set_plugin("echo", "enabled", "healthy");
    Ok(plugin)
}

async fn ask(plugin: &RunningPlugin<StatusPage>, path: &str, language: &str) -> TestResult<GuardedAnswer> {
    let path = format!("/api/v1/plugins/status-page{path}");
    let Lookup::Found(route, parameters) = plugin.host().routes.find("GET", &path) else {
        return Err(format!("no route answers {path}").into());
    };
    let mut call = RouteCall::new("GET", &path, Caller::nobody());
    call.parameters = parameters;
    call.headers = vec![("accept-language".to_owned(), language.to_owned())];
    let handle = plugin.host().running("status-page").ok_or("it does not run")?;
    Ok(handle.route(route.index, call, route.spec.timeout).await??)
}

async fn json_of(plugin: &RunningPlugin<StatusPage>, path: &str, language: &str) -> TestResult<Value> {
    match ask(plugin, path, language).await?.body {
        GuardedBody::Whole(bytes) => Ok(std::str::from_utf8(&bytes)?.parse()?),
        GuardedBody::Stream(_) => Err("it is a stream".into()),
    }
}

/// The states, as `server=operational` and so on, behind that of all.
fn states(report: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or("no text").to_owned();
    let parts = report["components"].as_array().into_iter().flatten();
    let parts = parts.map(|part| format!("{}={}", word(&part["name"]), word(&part["status"])));
    std::iter::once(word(&report["status"])).chain(parts).collect()
}

#[plexichat::test]
async fn anybody_is_told_names_and_states_in_their_language() -> TestResult {
    let plugin = start(json!({ "title": "Our chat" })).await?;
    let report = json_of(&plugin, "/status", "").await?;
    assert_eq!(states(&report), ["operational", "server=operational", "delivery=operational", "echo=operational"]);
    assert_eq!((&report["title"], &report["label"]), (&json!("Our chat"), &json!("Everything works")));
    let german = json_of(&plugin, "/status", "de-AT, en;q=0.5").await?;
    assert_eq!(
        (&german["label"], &german["components"][1]["title"]),
        (&json!("Alles läuft"), &json!("Zustellung an Plugins"))
    );
    let keys: Vec<&String> = report.as_object().ok_or("no object")?.keys().collect();
    assert_eq!(keys.len(), 4, "nothing else: {keys:?}");
    let answer = ask(&plugin, "/status", "").await?;
    assert!(
        answer.headers.contains(&("cache-control".to_owned(), "public, max-age=5".to_owned())),
        "{:?}",
        answer.headers
    );
    Ok(())
}

#[plexichat::test]
async fn what_is_not_public_is_not_there() -> TestResult {
    let plugin = start(json!({ "public": false })).await?;
    let refused = ask(&plugin, "/status", "").await.unwrap_err().to_string();
    assert!(refused.contains("not public"), "{refused}");
    assert_eq!(json_of(&plugin, "/metrics", "").await?["report"]["status"], "operational");
    Ok(())
}

#[plexichat::test]
async fn what_is_wrong_shows_after_a_few_seconds() -> TestResult {
    let plugin = start(json!({ "thresholds": { "delivery_degraded_secs": 2 } })).await?;
    json_of(&plugin, "/status", "").await?;
    plugin.server().set_metric("plexichat_outbox_oldest_seconds", &[], 3.0);
    plugin.server().set_plugin("echo", "failed", "");
    assert_eq!(json_of(&plugin, "/status", "").await?["status"], "operational", "as it was a moment ago");
    plugin.clock().advance(Duration::from_secs(3));
    let report = json_of(&plugin, "/status", "").await?;
    assert_eq!(states(&report), ["degraded", "server=operational", "delivery=degraded", "echo=down"]);
    plugin.server().set_ready(false);
    plugin.clock().advance(Duration::from_secs(3));
    assert_eq!(json_of(&plugin, "/status", "").await?["status"], "down");
    Ok(())
}

#[plexichat::test]
async fn administrators_are_told_figures_and_rates() -> TestResult {
    let plugin = start(json!({})).await?;
    plugin.server().set_metric(STORED, &[("origin", "rest")], 100.0);
    // The task's first look, then a minute's messages.
    look(&plugin);
    plugin.server().set_metric(STORED, &[("origin", "rest")], 130.0);
    plugin.server().set_metric(STORED, &[("origin", "websocket")], 20.0);
    plugin.clock().advance(Duration::from_secs(10));
    let figures = json_of(&plugin, "/metrics", "").await?;
    assert_eq!((&figures["messages_stored"], &figures["messages_per_second"]), (&json!(150), &json!(5.0)), "{figures}");
    assert_eq!((&figures["uptime_secs"], &figures["ready"]), (&json!(20), &json!(true)));
    assert_eq!(figures["plugins"][0]["name"], "echo");
    let named = figures["figures"].as_array().ok_or("no figures")?;
    assert!(named.iter().any(|figure| figure["name"] == STORED && figure["value"] == 20.0), "{named:?}");
    Ok(())
}

/// Lets the plugin's task take its look: it sleeps, wakes up, and sleeps again.
fn look(plugin: &RunningPlugin<StatusPage>) {
    asleep(plugin);
    plugin.clock().advance(Duration::from_secs(10));
    asleep(plugin);
}

fn asleep(plugin: &RunningPlugin<StatusPage>) {
    let patience = std::time::Instant::now() + Duration::from_secs(15);
    while plugin.clock().sleepers() == 0 {
        assert!(std::time::Instant::now() < patience, "the plugin's task does not look");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[plexichat::test]
async fn the_dashboard_shows_blocks() -> TestResult {
    let plugin = start(json!({})).await?;
    plugin.server().set_plugin("parrot", "quarantined", "");
    plugin.server().set_metric("plexichat_plugin_calls_total", &[("plugin", "echo")], 8.0);
    plugin.server().set_metric("plexichat_plugin_errors_total", &[("plugin", "echo")], 2.0);
    for action in [OPEN, "look-again"] {
        let GuiReply::Blocks { blocks } = plugin.interact("alice", "overview", action, json!({})).await? else {
            return Err("it shows no blocks".into());
        };
        let meters: Vec<(f64, f64)> = blocks
            .iter()
            .filter_map(|block| match block {
                Block::Meter { value, max, .. } => Some((*value, *max)),
                _ => None,
            })
            .collect();
        assert_eq!(meters, [(3.0, 4.0), (6.0, 8.0)], "the parts that work, and echo's calls that went well");
        let texts = &plugin.host().texts;
        let said = |text: &Text| texts.text("status-page", "de", text);
        let labels: Vec<String> = blocks
            .iter()
            .filter_map(|block| match block {
                Block::Meter { label, .. } => Some(said(label)),
                _ => None,
            })
            .collect();
        assert_eq!(labels, ["3 von 4 Teilen laufen", "echo: 8 Aufrufe in der letzten Minute, 2 davon fehlgeschlagen"]);
    }
    Ok(())
}

#[plexichat::test]
async fn it_adds_a_page_a_widget_and_a_panel() -> TestResult {
    let plugin = start(json!({})).await?;
    let components: Vec<(Slot, ViewKind, Audience)> =
        plugin.components().into_iter().map(|component| (component.slot, component.view, component.audience)).collect();
    assert_eq!(
        components,
        [
            (Slot::MenuItem, ViewKind::Page { path: "ui/status.html".to_owned() }, Audience::Everyone),
            (Slot::DashboardWidget, ViewKind::Handler, Audience::Admins),
            (Slot::SettingsPanel, ViewKind::Config, Audience::Admins),
        ]
    );
    Ok(())
}

#[plexichat::test]
async fn every_language_has_every_text() -> TestResult {
    let plugin = start(json!({})).await?;
    let texts = &plugin.host().texts;
    for (key, english, german) in
        [("menu", "Status", "Status"), ("all-degraded", "Some parts have problems", "Einzelne Teile haben Probleme")]
    {
        assert_eq!(texts.text("status-page", "en", &Text::key(key)), english);
        assert_eq!(texts.text("status-page", "de", &Text::key(key)), german);
    }
    let time = |days: u32| Text::key("duration").with("days", days).with("hours", 2).with("minutes", 5);
    assert_eq!(texts.text("status-page", "en", &time(0)), "2 h 5 min");
    assert_eq!(texts.text("status-page", "en", &time(1)), "1 day, 2 h 5 min");
    assert_eq!(texts.text("status-page", "de", &time(9)), "9 Tagen, 2 Std. 5 Min.");
    Ok(())
}

#[plexichat::test]
async fn thresholds_that_contradict_each_other_are_refused() -> TestResult {
    let plugin = start(json!({})).await?;
    let refused = plugin
        .reconfigure(json!({ "thresholds": { "delivery_degraded_secs": 60, "delivery_down_secs": 60 } }))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("delivery_down_secs"), "{refused}");
    Ok(())
}
