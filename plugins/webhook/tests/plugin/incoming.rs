//! Incoming webhooks: hooks that people make, and what programs post to them.

use plexichat::error::ErrorKind;
use plexichat::message::ActorKind;
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_webhook::Webhook;

use crate::support::{Asked, ask};

async fn start() -> TestResult<RunningPlugin<Webhook>> {
    TestHost::new().start::<Webhook>().await
}

/// Makes a hook; its address' path.
async fn hook(plugin: &RunningPlugin<Webhook>, more: Value) -> TestResult<(Value, String)> {
    let mut asked = json!({ "room_id": plugin.room(), "name": "ci" });
    for (key, value) in more.as_object().into_iter().flatten() {
        asked[key] = value.clone();
    }
    let made = ask(plugin, Asked::post("/incoming", asked)).await?.json(201)?;
    let url = made["url"].as_str().ok_or("no url")?;
    let path = url.strip_prefix("http://chat.example.org/api/v1/plugins/webhook").ok_or(url)?.to_owned();
    Ok((made, path))
}

/// What a program posts and is answered, and what then stands in the room last.
async fn check(
    path: &str,
    plugin: &RunningPlugin<Webhook>,
    body: Value,
    expected: (u16, &str),
    said: Option<&str>,
) -> TestResult {
    let before = plugin.messages().len();
    let answer = ask(plugin, Asked::program(path, body.to_string())).await?;
    assert_eq!((answer.status, answer.text().as_str()), expected, "{body}");
    let messages = plugin.messages();
    assert_eq!(messages.get(before).map(|row| &*row.text), said, "{body}");
    Ok(())
}

#[plexichat::test]
async fn programs_post_into_a_room() -> TestResult {
    let plugin = start().await?;
    let (made, path) = hook(&plugin, json!({})).await?;
    check(
        &path,
        &plugin,
        json!({ "text": "built <https://ci.org/7|#7>" }),
        (200, "ok"),
        Some("built #7 (https://ci.org/7)"),
    )
    .await?;
    let row = plugin.messages().pop().ok_or("no message")?;
    assert_eq!((row.author.kind, &*row.author.name), (ActorKind::Webhook, "ci"));
    assert_eq!(*row.author.id, *format!("webhook/{}", made["id"].as_str().unwrap_or_default()));
    check(&path, &plugin, json!({ "text": "a", "username": "Bot" }), (200, "ok"), Some("a")).await?;
    assert_eq!(plugin.messages().pop().map(|row| row.author.name.to_string()).as_deref(), Some("Bot"));
    check(&path, &plugin, json!({ "attachments": [{ "fallback": "b" }] }), (200, "ok"), Some("b")).await?;
    check(&path, &plugin, json!({ "text": "" }), (400, "no_text"), None).await?;
    check(&path, &plugin, json!([]), (400, "invalid_payload"), None).await?;
    let event = plugin.event("webhook_received").await?;
    assert_eq!(event.data()?, json!({ "hook_id": made["id"], "plugin_id": "webhook", "status": 200 }));
    Ok(())
}

#[plexichat::test]
async fn a_wrong_address_is_no_service() -> TestResult {
    let plugin = start().await?;
    let (made, path) = hook(&plugin, json!({})).await?;
    let wrong =
        [format!("/in/{}/0000", made["id"].as_str().unwrap_or_default()), "/in/a/b".into(), "/in/..%2Fx/b".into()];
    for wrong in wrong {
        check(&wrong, &plugin, json!({ "text": "a" }), (404, "no_service"), None).await?;
    }
    // Neither list nor store tell the token.
    let token = path.rsplit('/').next().unwrap_or_default();
    let list = ask(&plugin, Asked::get("/incoming")).await?.text();
    assert!(list.contains("\"ci\"") && !list.contains(token), "{list}");
    Ok(())
}

#[plexichat::test]
async fn hooks_are_rotated_and_deleted() -> TestResult {
    let plugin = start().await?;
    let (made, old) = hook(&plugin, json!({ "signature": true })).await?;
    let id = made["id"].as_str().unwrap_or_default();
    let made_again = ask(&plugin, Asked::post(&format!("/incoming/{id}/rotate"), Value::Null)).await?.json(200)?;
    assert!(
        made_again["secret"].is_string() && made_again["secret"] != made["secret"] && made_again["url"] != made["url"]
    );
    check(&old, &plugin, json!({ "text": "a" }), (404, "no_service"), None).await?;
    let url = made_again["url"].as_str().unwrap_or_default();
    let new = url.strip_prefix("http://chat.example.org/api/v1/plugins/webhook").unwrap_or_default();
    check(new, &plugin, json!({ "text": "a" }), (401, "invalid_signature"), None).await?;
    assert_eq!(ask(&plugin, Asked::delete(&format!("/incoming/{id}"))).await?.status, 204);
    check(new, &plugin, json!({ "text": "a" }), (404, "no_service"), None).await?;
    assert!(ask(&plugin, Asked::delete(&format!("/incoming/{id}"))).await.is_err());
    Ok(())
}

#[plexichat::test]
async fn hooks_are_made_for_rooms_that_one_may_post_in() -> TestResult {
    let plugin = start().await?;
    let elsewhere = json!({ "room_id": "01890a5d-ac96-774b-bcce-b302099a8057", "name": "ci" });
    let refused = ask(&plugin, Asked::post("/incoming", elsewhere)).await.unwrap_err();
    let refused = refused.downcast_ref::<PluginError>().ok_or("no error of the plugin")?;
    // Its words are the caller's to read, which those of `NotFound` are not.
    assert_eq!(refused.kind(), ErrorKind::Input);
    let [problem] = refused.problems() else { return Err(format!("not one problem: {refused}").into()) };
    assert_eq!(
        (&*problem.pointer, &*problem.message, problem.hint.as_deref()),
        (
            "/room_id",
            "there is no room `01890a5d-ac96-774b-bcce-b302099a8057` that you may post in",
            Some("`plexichat room list` shows rooms")
        )
    );
    for wrong in [
        json!({ "name": "ci" }),
        json!({ "room_id": plugin.room(), "name": "" }),
        json!({ "room_id": plugin.room(), "name": "a", "template": "{{" }),
    ] {
        assert!(ask(&plugin, Asked::post("/incoming", wrong.clone())).await.is_err(), "{wrong}");
    }
    Ok(())
}

#[plexichat::test]
async fn a_call_that_is_sent_again_is_posted_once() -> TestResult {
    let plugin = start().await?;
    let (_, path) = hook(&plugin, json!({})).await?;
    for _ in 0..3 {
        let call = Asked::program(&path, json!({ "text": "once" }).to_string()).header("idempotency-key", "k1");
        assert_eq!(ask(&plugin, call).await?.text(), "ok");
    }
    assert_eq!(plugin.messages().len(), 1);
    Ok(())
}

/// Refuses `bad`, and is down for `down`.
mod warden {
    use plexichat::prelude::*;

    #[plexichat::plugin(name = "warden", provides(Security), scan_message(timeout = "250ms", on_error = "closed"))]
    pub(super) struct Warden;

    impl Plugin for Warden {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Warden {
        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            match message.text {
                "bad" => Ok(Verdict::Reject(Finding::new("bad_word"))),
                "down" => Err(ScanError::from(PluginError::transient("no answer"))),
                _ => Ok(Verdict::Allow),
            }
        }
    }
}

#[plexichat::test]
async fn what_scanners_say_is_told() -> TestResult {
    let plugin = TestHost::new().beside::<warden::Warden>().start::<Webhook>().await?;
    let (_, path) = hook(&plugin, json!({})).await?;
    let rejected = "rejected: the message was rejected by `warden`: bad_word";
    check(&path, &plugin, json!({ "text": "bad" }), (422, rejected), None).await?;
    let answer = ask(&plugin, Asked::program(&path, json!({ "text": "down" }).to_string())).await?;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")), "{}", answer.text());
    assert!(answer.text().starts_with("service_unavailable: the scan_message hook of `warden` is not available"));
    Ok(())
}
