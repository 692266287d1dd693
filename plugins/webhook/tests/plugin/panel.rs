//! What people see of webhooks on the pages, and what its buttons do.

use plexichat::plugin::gui::OPEN;
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult, http};
use plexichat_webhook::Webhook;

/// What a component shows, as JSON.
async fn shown(plugin: &RunningPlugin<Webhook>, component: &str, action: &str, values: Value) -> TestResult<Value> {
    Ok(serde_json::to_value(plugin.interact("ann", component, action, values).await?)?)
}

/// What the first button with this action says.
fn pressed(shown: &Value, action: &str) -> TestResult<Value> {
    let blocks = shown["blocks"].as_array().ok_or_else(|| format!("no blocks: {shown}"))?;
    let mut buttons = blocks.iter().filter_map(|block| block["buttons"].as_array()).flatten();
    let button = buttons.find(|button| button["action"] == action);
    Ok(button.ok_or_else(|| format!("no button `{action}`: {shown}"))?["values"].clone())
}

/// The words of a kind of blocks.
fn words<'a>(shown: &'a Value, kind: &str) -> Vec<&'a str> {
    let blocks = shown["blocks"].as_array().into_iter().flatten();
    blocks.filter(|block| block["block"] == kind).filter_map(|block| block["text"].as_str()).collect()
}

#[plexichat::test]
async fn incoming_webhooks_are_made_and_taken_away() -> TestResult {
    let plugin = TestHost::new().start::<Webhook>().await?;
    assert_eq!(shown(&plugin, "incoming", "new", json!({})).await?["type"], "form");
    let errors = shown(&plugin, "incoming", "make", json!({ "name": "", "room_id": plugin.room() })).await?;
    assert_eq!(errors["errors"][0]["pointer"], "/name", "{errors}");
    let elsewhere = json!({ "name": "ci", "room_id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    let errors = shown(&plugin, "incoming", "make", elsewhere).await?;
    assert_eq!(errors["errors"][0]["pointer"], "/room_id", "{errors}");
    assert!(errors["errors"][0]["message"].as_str().is_some_and(|text| text.contains("you may post in")), "{errors}");
    let made = shown(&plugin, "incoming", "make", json!({ "name": "ci", "room_id": plugin.room(), "signature": true }))
        .await?;
    let codes = words(&made, "code");
    assert!(codes.len() == 2 && codes[0].contains("/api/v1/plugins/webhook/in/"), "{made}");
    let list = shown(&plugin, "incoming", OPEN, json!({})).await?;
    assert_eq!(words(&list, "heading"), ["ci"]);
    assert!(codes.iter().all(|code| !list.to_string().contains(code)), "{list}");
    let again = shown(&plugin, "incoming", "rotate", pressed(&list, "rotate")?).await?;
    assert_ne!(words(&again, "code"), codes);
    let list = shown(&plugin, "incoming", "delete", pressed(&list, "delete")?).await?;
    assert!(words(&list, "heading").is_empty(), "{list}");
    let here = shown(&plugin, "here", "make", json!({ "name": "here" })).await?;
    assert_eq!(words(&here, "code").len(), 1, "{here}");
    Ok(())
}

#[plexichat::test]
async fn outgoing_webhooks_are_made_tried_and_switched_off() -> TestResult {
    let plugin = TestHost::new().http(|_| Ok(http::text(200, ""))).start::<Webhook>().await?;
    let asked = |url: &str| json!({ "name": "ops", "url": url, "events": ["message_received"] });
    let errors = shown(&plugin, "outgoing", "make", asked("example.org")).await?;
    assert_eq!(errors["errors"][0]["pointer"], "/url", "{errors}");
    let made = shown(&plugin, "outgoing", "make", asked("https://example.org")).await?;
    assert_eq!(words(&made, "code").len(), 1, "{made}");
    let list = shown(&plugin, "outgoing", OPEN, json!({})).await?;
    shown(&plugin, "outgoing", "test", pressed(&list, "test")?).await?;
    plugin.idle().await?;
    let deliveries = shown(&plugin, "outgoing", "deliveries", pressed(&list, "deliveries")?).await?;
    assert!(
        words(&deliveries, "text").iter().any(|line| line.contains("webhook_test: delivered, 200")),
        "{deliveries}"
    );
    shown(&plugin, "outgoing", "replay", pressed(&deliveries, "replay")?).await?;
    plugin.idle().await?;
    assert_eq!(plugin.http().requests().len(), 2);
    for number in 0..21 {
        plugin.post("ann", &format!("message {number}")).await?;
        plugin.idle().await?;
    }
    let deliveries = shown(&plugin, "outgoing", "deliveries", pressed(&list, "deliveries")?).await?;
    let lines: Vec<&str> = words(&deliveries, "text");
    assert!(lines.len() == 20 && lines.iter().all(|line| line.contains("message_received")), "{lines:?}");
    let list = shown(&plugin, "outgoing", "disable", pressed(&list, "disable")?).await?;
    assert!(list.to_string().contains("disabled"), "{list}");
    let errors = shown(&plugin, "outgoing", "test", pressed(&list, "enable")?).await?;
    assert!(errors["errors"][0]["message"].as_str().is_some_and(|text| text.contains("enable it first")), "{errors}");
    let list = shown(&plugin, "outgoing", "delete", pressed(&list, "delete")?).await?;
    assert!(words(&list, "heading").is_empty(), "{list}");
    Ok(())
}
