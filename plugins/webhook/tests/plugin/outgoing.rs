//! Outgoing webhooks: what receivers are sent, and what becomes of it when they are down, gone or wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use plexichat::capability::http::{HttpRequest, HttpResponse};
use plexichat::capability::storage::StoragePort;
use plexichat::error::ErrorKind;
use plexichat::prelude::*;
use plexichat::store::StoreError;
use plexichat::store::memory::MemoryStore;
use plexichat::testing::{RunningPlugin, TestHost, TestResult, http};
use plexichat_webhook::Webhook;

use crate::support::{Asked, ask};

const HOUR: Duration = Duration::from_secs(3600);

/// Somebody who is called: 0 is down, anything else the status of every answer.
#[derive(Clone, Default)]
struct Receiver(Arc<AtomicU16>);

impl Receiver {
    fn set(&self, status: u16) {
        self.0.store(status, Ordering::SeqCst);
    }

    fn host(&self) -> TestHost {
        let state = self.0.clone();
        TestHost::new().http(move |_| match state.load(Ordering::SeqCst) {
            0 => Err(PluginError::new(ErrorKind::Upstream { retry_after: None }, "`example.org` cannot be reached")),
            status => Ok(answer(status)),
        })
    }
}

fn answer(status: u16) -> HttpResponse {
    http::text(status, "")
}

async fn hook(plugin: &RunningPlugin<Webhook>, more: Value) -> TestResult<String> {
    let mut asked = json!({ "name": "elsewhere", "url": "https://example.org/hook", "events": ["message_received"] });
    for (key, value) in more.as_object().into_iter().flatten() {
        asked[key] = value.clone();
    }
    let made = ask(plugin, Asked::post("/outgoing", asked)).await?.json(201)?;
    Ok(made["id"].as_str().ok_or("no id")?.to_owned())
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    let found = request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value.as_str())
}

fn text(request: &HttpRequest) -> String {
    let event: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    event["data"]["text"].as_str().unwrap_or_default().to_owned()
}

async fn deliveries(plugin: &RunningPlugin<Webhook>, hook: &str) -> TestResult<Vec<Value>> {
    let list = ask(plugin, Asked::get(&format!("/outgoing/{hook}/deliveries"))).await?.json(200)?;
    Ok(list["deliveries"].as_array().ok_or("no list")?.clone())
}

#[plexichat::test]
async fn a_receiver_is_called_for_what_happens() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(204);
    let plugin = receiver.host().start::<Webhook>().await?;
    let id =
        hook(&plugin, json!({ "headers": { "Authorization": "Bearer t0ken" }, "secret": "s3cret-s3cret" })).await?;
    plugin.post("ann", "hello").await?;
    plugin.idle().await?;
    let calls = plugin.http().requests();
    let [call] = calls.as_slice() else { return Err(format!("{} calls", calls.len()).into()) };
    assert_eq!(
        (call.method.as_str(), call.url.as_str(), text(call).as_str()),
        ("POST", "https://example.org/hook", "hello")
    );
    assert_eq!(
        (header(call, "x-plexichat-event"), header(call, "authorization")),
        ("message_received", "Bearer t0ken")
    );
    assert!(header(call, "x-plexichat-signature").starts_with("sha256=") && !call.redirects);
    let log = deliveries(&plugin, &id).await?;
    assert_eq!(
        (&log[0]["state"], &log[0]["status"], &log[0]["attempts"]),
        (&json!("delivered"), &json!(204), &json!(1))
    );
    assert_eq!(log[0]["id"], header(call, "x-plexichat-delivery"));
    let event = plugin.event("webhook_delivered").await?.data()?;
    assert_eq!((&event["hook_id"], &event["status"]), (&json!(id), &json!(204)));
    // What is secret is in no answer.
    let list = ask(&plugin, Asked::get("/outgoing")).await?.text();
    assert!(!list.contains("s3cret") && !list.contains("t0ken") && list.contains("Authorization"), "{list}");
    Ok(())
}

#[plexichat::test]
async fn a_receiver_that_is_down_for_an_hour_misses_nothing() -> TestResult {
    let receiver = Receiver::default();
    let plugin = receiver.host().start::<Webhook>().await?;
    let id = hook(&plugin, json!({})).await?;
    let said: Vec<String> = (0..20).map(|number| format!("message {number}")).collect();
    for text in &said {
        plugin.post("ann", text).await?;
        plugin.advance(Duration::from_secs(180)).await?;
    }
    assert_eq!(deliveries(&plugin, &id).await?.last().map(|first| first["state"].clone()), Some(json!("retrying")));
    receiver.set(200);
    let before = plugin.http().requests().len();
    plugin.advance(Duration::from_secs(400)).await?;
    let calls = plugin.http().requests().split_off(before);
    assert_eq!(calls.iter().map(text).collect::<Vec<_>>(), said);
    let mut names: Vec<&str> = calls.iter().map(|call| header(call, "x-plexichat-delivery")).collect();
    names.dedup();
    assert_eq!(names.len(), said.len());
    let log = deliveries(&plugin, &id).await?;
    assert!(log.len() == said.len() && log.iter().all(|delivery| delivery["state"] == "delivered"));
    Ok(())
}

#[plexichat::test]
async fn what_waits_survives_a_restart() -> TestResult {
    let receiver = Receiver::default();
    let plugin = receiver.host().start::<Webhook>().await?;
    hook(&plugin, json!({})).await?;
    for text in ["one", "two"] {
        plugin.post("ann", text).await?;
    }
    plugin.advance(Duration::from_secs(10)).await?;
    let store = plugin.store();
    drop(plugin);
    let other = Receiver::default();
    other.set(200);
    let plugin = other.host().store(store).start::<Webhook>().await?;
    plugin.advance(HOUR).await?;
    assert_eq!(plugin.http().requests().iter().map(text).collect::<Vec<_>>(), ["one", "two"]);
    Ok(())
}

#[plexichat::test]
async fn a_delivery_is_given_up_after_a_day_and_can_be_replayed() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(503);
    let plugin = receiver.host().start::<Webhook>().await?;
    let id = hook(&plugin, json!({})).await?;
    plugin.post("ann", "lost").await?;
    plugin.advance(25 * HOUR).await?;
    let failed = deliveries(&plugin, &id).await?.remove(0);
    assert_eq!((&failed["state"], &failed["status"]), (&json!("failed"), &json!(503)));
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("given up after 24 h")), "{failed}");
    assert_eq!(plugin.event("webhook_failed").await?.data()?["status"], 503);
    receiver.set(200);
    let name = failed["id"].as_str().ok_or("no id")?;
    let before = plugin.http().requests().len();
    ask(&plugin, Asked::post(&format!("/outgoing/{id}/deliveries/{name}/replay"), Value::Null)).await?.json(202)?;
    plugin.idle().await?;
    let calls = plugin.http().requests().split_off(before);
    assert_eq!(
        calls.iter().map(|call| (text(call), header(call, "x-plexichat-delivery"))).collect::<Vec<_>>(),
        [("lost".to_owned(), name)]
    );
    let log = deliveries(&plugin, &id).await?;
    assert_eq!((log.len(), &log[0]["state"]), (1, &json!("delivered")));
    Ok(())
}

#[plexichat::test]
async fn what_a_receiver_refuses_does_not_hold_up_the_rest() -> TestResult {
    let plugin = TestHost::new()
        .http(|request| Ok(answer(if text(request) == "odd" { 422 } else { 200 })))
        .start::<Webhook>()
        .await?;
    let id = hook(&plugin, json!({})).await?;
    for text in ["odd", "even"] {
        plugin.post("ann", text).await?;
    }
    plugin.idle().await?;
    let states: Vec<Value> = deliveries(&plugin, &id).await?.iter().map(|delivery| delivery["state"].clone()).collect();
    assert_eq!(states, ["delivered", "failed"]);
    Ok(())
}

#[plexichat::test]
async fn a_receiver_that_is_gone_is_called_no_more() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(410);
    let plugin = receiver.host().start::<Webhook>().await?;
    let id = hook(&plugin, json!({})).await?;
    plugin.post("ann", "one").await?;
    plugin.idle().await?;
    plugin.post("ann", "two").await?;
    plugin.idle().await?;
    assert_eq!(plugin.http().requests().len(), 1);
    let list = ask(&plugin, Asked::get("/outgoing")).await?.json(200)?;
    let hook = &list["outgoing"][0];
    assert!(
        hook["enabled"] == false && hook["disabled_because"].as_str().is_some_and(|why| why.contains("410")),
        "{hook}"
    );
    assert!(ask(&plugin, Asked::post(&format!("/outgoing/{id}/test"), Value::Null)).await.is_err());
    receiver.set(200);
    ask(&plugin, Asked::post(&format!("/outgoing/{id}/enable"), Value::Null)).await?.json(200)?;
    ask(&plugin, Asked::post(&format!("/outgoing/{id}/test"), Value::Null)).await?.json(202)?;
    plugin.idle().await?;
    let calls = plugin.http().requests();
    assert_eq!(calls.last().map(|call| header(call, "x-plexichat-event")), Some("webhook_test"));
    Ok(())
}

#[plexichat::test]
async fn filters_formats_and_hooks_that_are_away() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(200);
    let plugin = receiver.host().start::<Webhook>().await?;
    let elsewhere = "01890a5d-ac96-774b-bcce-b302099a8057";
    hook(&plugin, json!({ "url": "https://a.org", "room_id": elsewhere })).await?;
    hook(&plugin, json!({ "url": "https://b.org", "filter": [{ "at": "/data/text", "contains": "deploy" }] })).await?;
    hook(&plugin, json!({ "url": "https://c.org", "format": "slack", "room_id": plugin.room() })).await?;
    let away = hook(&plugin, json!({ "url": "https://d.org" })).await?;
    assert_eq!(ask(&plugin, Asked::delete(&format!("/outgoing/{away}"))).await?.status, 204);
    for text in ["Deploy it", "or not"] {
        plugin.post("ann", text).await?;
    }
    plugin.idle().await?;
    let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for call in plugin.http().requests() {
        let body: Value = serde_json::from_slice(&call.body)?;
        let said = body["text"].as_str().or(body["data"]["text"].as_str()).unwrap_or_default().to_owned();
        calls.entry(call.url).or_default().push(said);
    }
    let c = vec!["*ann*: Deploy it".to_owned(), "*ann*: or not".to_owned()];
    assert_eq!(
        calls,
        BTreeMap::from([("https://b.org".to_owned(), vec!["Deploy it".to_owned()]), ("https://c.org".to_owned(), c)])
    );
    Ok(())
}

/// What comes through an incoming hook is not sent out again: two hooks that lead into each other would never end.
#[plexichat::test]
async fn what_came_through_a_webhook_stays() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(200);
    let plugin = receiver.host().start::<Webhook>().await?;
    hook(&plugin, json!({ "events": ["*"] })).await?;
    let before = plugin.http().requests().len();
    let made =
        ask(&plugin, Asked::post("/incoming", json!({ "room_id": plugin.room(), "name": "ci" }))).await?.json(201)?;
    let url = made["url"].as_str().unwrap_or_default();
    let path = url.strip_prefix("http://chat.example.org/api/v1/plugins/webhook").unwrap_or_default();
    assert_eq!(ask(&plugin, Asked::program(path, json!({ "text": "a" }).to_string())).await?.text(), "ok");
    plugin.idle().await?;
    assert_eq!(plugin.http().requests().len(), before);
    Ok(())
}

#[plexichat::test]
async fn hooks_of_the_configuration() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(200);
    let of = |url: &str| json!({ "outgoing": [{ "name": "ops", "url": url, "events": ["message_received"], "headers": { "x-key": "k3y" } }] });
    let plugin = receiver.host().config(of("https://a.org")).start::<Webhook>().await?;
    plugin.post("ann", "one").await?;
    plugin.idle().await?;
    plugin.reconfigure(of("https://b.org")).await?;
    plugin.post("ann", "two").await?;
    plugin.idle().await?;
    let list = ask(&plugin, Asked::get("/outgoing")).await?.json(200)?;
    let id = list["outgoing"][0]["id"].as_str().ok_or("no id")?;
    assert!(list["outgoing"][0]["configured"] == true && !list.to_string().contains("k3y"), "{list}");
    let refused = ask(&plugin, Asked::delete(&format!("/outgoing/{id}"))).await.unwrap_err().to_string();
    assert!(refused.contains("stands in the configuration"), "{refused}");
    plugin.reconfigure(json!({})).await?;
    plugin.post("ann", "three").await?;
    plugin.idle().await?;
    let calls: Vec<(String, String)> =
        plugin.http().requests().iter().map(|call| (call.url.clone(), text(call))).collect();
    assert_eq!(calls, [("https://a.org".to_owned(), "one".to_owned()), ("https://b.org".to_owned(), "two".to_owned())]);
    Ok(())
}

/// What a refused configuration says is nowhere, and what ran before goes on.
#[plexichat::test]
async fn a_refused_configuration_changes_nothing() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(200);
    let of = |name: &str, url: &str, event: &str| json!({ "name": name, "url": url, "events": [event] });
    let old = json!({ "outgoing": [
        of("ops", "https://a.org", "message_received"),
        of("late", "https://late.org", "room_created"),
    ] });
    let plugin = receiver.host().config(old).start::<Webhook>().await?;
    let list = ask(&plugin, Asked::get("/outgoing")).await?.text();
    let triggers = plugin.triggers().await?;
    let wrong = json!({ "outgoing": [
        of("ops", "https://b.org", "message_received"),
        of("new", "https://new.org", "message_received"),
        of("odd", "https://odd.org", "mesage_received"),
    ] });
    let refused = plugin.reconfigure(wrong).await.unwrap_err().to_string();
    assert!(refused.contains("the outgoing webhook `odd` of the configuration"), "{refused}");
    assert_eq!(ask(&plugin, Asked::get("/outgoing")).await?.text(), list);
    assert_eq!(plugin.triggers().await?, triggers);
    plugin.post("ann", "one").await?;
    plugin.idle().await?;
    let urls: Vec<String> = plugin.http().requests().into_iter().map(|call| call.url).collect();
    assert_eq!(urls, ["https://a.org"]);
    Ok(())
}

/// A hook is listed as called exactly where it is called, also after the store failed.
#[plexichat::test]
async fn hooks_and_their_triggers_stay_together() -> TestResult {
    let plugin = Receiver::default().host().start::<Webhook>().await?;
    let id = hook(&plugin, json!({})).await?;
    ask(&plugin, Asked::post(&format!("/outgoing/{id}/disable"), Value::Null)).await?.json(200)?;
    plugin.store().refuse(Some(StoreError::Full));
    assert!(hook(&plugin, json!({})).await.is_err());
    assert!(ask(&plugin, Asked::post(&format!("/outgoing/{id}/enable"), Value::Null)).await.is_err());
    plugin.store().refuse(None);
    let list = ask(&plugin, Asked::get("/outgoing")).await?.json(200)?;
    assert!(list["outgoing"].as_array().is_some_and(|hooks| hooks.len() == 1), "{list}");
    assert_eq!((&list["outgoing"][0]["enabled"], plugin.triggers().await?), (&json!(false), Vec::new()));
    // What a crash between the two leaves behind is taken away at the next start.
    let (store, name) = (plugin.store(), "webhook".parse()?);
    ask(&plugin, Asked::post(&format!("/outgoing/{id}/enable"), Value::Null)).await?.json(200)?;
    StoragePort::remove(&*store, &name, &format!("outgoing/{id}")).await?;
    assert_eq!(plugin.triggers().await?.len(), 1);
    plugin.reconfigure(json!({ "deliveries_kept": 7 })).await?;
    assert_eq!(plugin.triggers().await?, Vec::new());
    Ok(())
}

/// What a store in memory answers at once.
fn now<T>(answered: impl Future<Output = T>) -> Option<T> {
    match std::pin::pin!(answered).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

#[plexichat::test]
async fn a_call_in_flight_leaves_nothing_of_a_hook_that_was_deleted() -> TestResult {
    let store: Arc<OnceLock<Arc<MemoryStore>>> = Arc::default();
    let (during, name) = (store.clone(), "webhook".parse()?);
    let host = TestHost::new().http(move |_| {
        // Somebody deletes the hook while its receiver answers.
        let store = during.get().ok_or_else(|| PluginError::internal("it was called too early"))?;
        for key in now(StoragePort::keys(&**store, &name, "outgoing/")).into_iter().flatten().flatten() {
            assert!(now(StoragePort::remove(&**store, &name, &key)).is_some_and(|removed| removed.is_ok()));
        }
        Ok(answer(200))
    });
    let plugin = host.start::<Webhook>().await?;
    let store = store.get_or_init(|| plugin.store());
    hook(&plugin, json!({})).await?;
    plugin.post("ann", "hello").await?;
    plugin.event("webhook_delivered").await?;
    plugin.idle().await?;
    let left = StoragePort::keys(&**store, &"webhook".parse()?, "").await?;
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// Events are kept beside the deliveries, no longer than these.
#[plexichat::test]
async fn old_deliveries_are_forgotten_with_their_events() -> TestResult {
    let receiver = Receiver::default();
    receiver.set(200);
    let plugin = receiver.host().config(json!({ "deliveries_kept": 2 })).start::<Webhook>().await?;
    let id = hook(&plugin, json!({})).await?;
    for text in ["one", "two", "three"] {
        plugin.post("ann", text).await?;
        plugin.idle().await?;
    }
    let log = deliveries(&plugin, &id).await?;
    assert_eq!(log.len(), 2);
    let (store, name) = (plugin.store(), "webhook".parse()?);
    let mut events = StoragePort::keys(&*store, &name, "event/").await?;
    events.reverse();
    let expected: Vec<String> =
        log.iter().map(|told| format!("event/{id}/{}", told["id"].as_str().unwrap_or_default())).collect();
    assert_eq!(events, expected);
    let gone = plugin.runs().await?.first().ok_or("no run")?.id;
    let replay = Asked::post(&format!("/outgoing/{id}/deliveries/{gone}/replay"), Value::Null);
    assert!(ask(&plugin, replay).await.unwrap_err().to_string().contains("there is no such delivery"));
    assert_eq!(ask(&plugin, Asked::delete(&format!("/outgoing/{id}"))).await?.status, 204);
    assert_eq!(StoragePort::keys(&*store, &name, "").await?, Vec::<String>::new());
    Ok(())
}

#[plexichat::test]
async fn wrong_hooks_are_refused_with_the_place() -> TestResult {
    let plugin = Receiver::default().host().start::<Webhook>().await?;
    for (more, part) in [
        (json!({ "url": "ftp://example.org" }), "/url"),
        (json!({ "url": "https://user:pw@example.org" }), "/url"),
        (json!({ "events": [] }), "/events"),
        (json!({ "events": ["mesage_received"] }), "mesage_received"),
        (json!({ "template": "{{" }), "/template"),
        (json!({ "headers": { "host": "x" } }), "/headers"),
        (json!({ "secret": "short" }), "/secret"),
        (json!({ "colour": "red" }), "colour"),
    ] {
        let refused = hook(&plugin, more.clone()).await.unwrap_err().to_string();
        assert!(refused.contains(part), "{more}: {refused}");
        assert!(!refused.contains("pw@"), "{refused}");
    }
    Ok(())
}
