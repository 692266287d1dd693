//! Events on their way to plugins that are slow, many, or tell each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::descriptor::{Descriptor, EventSpec};
use crate::event::announced::ANNOUNCED_MAX;
use crate::event::local::{MAILBOX_BYTES_MAX, MAILBOX_MAX};
use crate::manager::fake::{DO, World, eventually, fake, name, world};
use crate::message::Actor;

async fn running(descriptors: impl IntoIterator<Item = Descriptor>) -> World {
    let descriptors: Vec<Descriptor> = descriptors.into_iter().collect();
    let enabled = |plugin: &Descriptor| {
        // By name, so that a test says in the name what it wants.
        let isolation = if plugin.name.starts_with("inline") { "inline" } else { "runtime" };
        format!("[plugins.{}]\nenabled = true\nisolation = \"{isolation}\"\n", plugin.name)
    };
    let settings: String = descriptors.iter().map(enabled).collect();
    let world = world(descriptors, &settings);
    world.manager.start_all().await.unwrap();
    world
}

fn handling(own: &'static str, events: &'static [EventSpec]) -> Descriptor {
    Descriptor { events, ..fake(own) }
}

fn seen(world: &World, plugin: &str) -> usize {
    world.with(plugin, |fake| fake.seen.lock().unwrap().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_in_order_and_completion_waits_for_all() {
    let world = running([fake("a"), fake("inline-b")]).await;
    let mut completions = Vec::new();
    for number in 0..100 {
        completions.push(world.bus.publish(Event::json(DO, json!({ "number": number }))).await.unwrap());
    }
    for completion in completions {
        completion.wait().await;
    }
    for plugin in ["a", "inline-b"] {
        let numbers = world.with(plugin, |fake| {
            fake.seen.lock().unwrap().iter().map(|data| data["number"].as_u64().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "{plugin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_makes_the_emitter_wait_and_nobody_else() {
    const SLOW: &[EventSpec] = &[EventSpec { method: "act", patterns: &["custom.slow"], own: false }];
    let world = running([handling("slow", SLOW), fake("quick")]).await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let storm = tokio::spawn({
        let (bus, accepted) = (world.bus.clone(), accepted.clone());
        async move {
            // The first is slow, so that the rest waits.
            drop(bus.publish(Event::json("custom.slow", json!({ "do": "wait 300" }))).await.unwrap());
            for _ in 0..2 * MAILBOX_MAX {
                drop(bus.publish(Event::json("custom.slow", json!({}))).await.unwrap());
                accepted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    eventually("it is full", || accepted.load(Ordering::SeqCst) >= MAILBOX_MAX - 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(accepted.load(Ordering::SeqCst), MAILBOX_MAX - 1);
    assert_eq!(world.manager.get(&name("slow")).unwrap().counters.waiting_events, MAILBOX_MAX as u64);
    let began = Instant::now();
    world.tell(json!({})).await;
    assert!(began.elapsed() < Duration::from_millis(150), "{:?}", began.elapsed());
    storm.await.unwrap();
    eventually("none was lost", || seen(&world, "slow") == 2 * MAILBOX_MAX + 1).await;
}

#[test]
fn large_events_wait_in_no_greater_number_than_their_bytes_allow() {
    let mail = |size| Mail { event: Arc::new(Event::json(DO, json!({}))), size, handlers: Arc::default() };
    let mailbox = Mailbox::new();
    for number in 1..=8 {
        assert_eq!(mailbox.try_push(mail(MAILBOX_BYTES_MAX / 8)).ok(), Some(number));
    }
    assert!(matches!(mailbox.try_push(mail(1)), Err(Refused::Full(_))));
    let empty = Mailbox::new();
    assert_eq!(empty.try_push(mail(MAILBOX_BYTES_MAX + 1)).ok(), Some(1), "one alone may be larger");
    assert!(matches!(empty.try_push(mail(1)), Err(Refused::Full(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handled_makes_room_for_other_bytes() {
    let world = running([fake("a")]).await;
    let large = Arc::new(Event::json(DO, json!({ "text": "x".repeat(MAILBOX_BYTES_MAX / 8) })));
    let all = async {
        for _ in 0..16 {
            drop(world.bus.publish(large.clone()).await.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
    eventually("all arrive", || seen(&world, "a") == 16).await;
}

#[test]
fn an_event_is_as_large_as_its_text() {
    let large = Event::json(DO, json!({ "text": "x".repeat(1000) })).size();
    let small = Event::json(DO, json!({ "text": "" })).size();
    assert_eq!(large - small, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_is_shed_instead() {
    const TYPING: &[EventSpec] = &[EventSpec { method: "act", patterns: &["user_typing", DO], own: false }];
    let world = running([handling("a", TYPING)]).await;
    drop(world.bus.publish(Event::json(DO, json!({ "do": "wait 300" }))).await.unwrap());
    for _ in 0..MAILBOX_MAX + 100 {
        drop(world.bus.publish(Event::json("user_typing", json!({}))).await.unwrap());
    }
    assert_eq!(world.manager.get(&name("a")).unwrap().counters.shed, 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_sees_its_own_events_only_if_it_asks() {
    const OWN: &[EventSpec] = &[EventSpec { method: "act", patterns: &["*"], own: true }];
    const OTHERS: &[EventSpec] = &[EventSpec { method: "act", patterns: &[DO], own: false }];
    let world = running([handling("wants", OWN), handling("not", OTHERS), handling("inline-not", OTHERS)]).await;
    for actor in ["wants", "not", "inline-not"] {
        let mut event = Event::json(DO, json!({ "by": actor }));
        event.actor = Actor::plugin(actor);
        world.bus.publish(event).await.unwrap().wait().await;
    }
    let by = |plugin: &str| {
        world.with(plugin, |fake| {
            let seen = fake.seen.lock().unwrap();
            seen.iter().filter_map(|data| data["by"].as_str()).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!((by("wants"), by("not")), ("wants not inline-not".to_owned(), "wants inline-not".to_owned()));
    assert_eq!(by("inline-not"), "wants not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_events_is_cut() {
    // Each tells the other, and itself, whenever it is told.
    for plugins in [["a", "b"], ["inline-a", "inline-b"]] {
        let world = running(plugins.map(|own| {
            const OTHERS: &[EventSpec] = &[EventSpec { method: "act", patterns: &[DO], own: false }];
            handling(own, OTHERS)
        }))
        .await;
        world.tell(json!({ "emit": true })).await;
        let told = |plugin| {
            world
                .manager
                .get(&name(plugin))
                .unwrap()
                .last_error
                .is_some_and(|error| error.message.contains("chain of events"))
        };
        eventually("it is cut, and told of", || told(plugins[0]) && told(plugins[1])).await;
        // Both are told by the first event; then the two chains go to and fro.
        eventually("all have arrived", || seen(&world, plugins[0]) == 9 && seen(&world, plugins[1]) == 9).await;
        let depths = world.with(plugins[0], |fake| fake.causes.lock().unwrap().iter().map(|cause| cause.1).max());
        assert_eq!(depths, Some(CAUSE_DEPTH_MAX + 1));
        assert_eq!(world.manager.get(&name(plugins[0])).unwrap().counters.events, 9);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_gives_the_same_keys() {
    let world = running([fake("a")]).await;
    let event = Event::json(DO, json!({}));
    for _ in 0..2 {
        world.bus.publish(event.clone()).await.unwrap().wait().await;
    }
    let causes = world.with("a", |fake| fake.causes.lock().unwrap().clone());
    let key = Some(format!("{}/a/act/0", event.id));
    assert_eq!(causes, [(key.clone(), 1), (key, 1)]);
    assert_eq!(cause::current(), None, "outside of handlers there is no cause");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_plugin_makes_nobody_wait() {
    let settings = "[plugins.a]\nenabled = true\n[plugins.a.timeouts]\nevent = \"1s\"\n";
    let world = world([fake("a")], settings);
    world.manager.start_all().await.unwrap();
    let slow = world.bus.publish(Event::json(DO, json!({ "do": "wait 60000" }))).await.unwrap();
    let waiting = world.bus.publish(Event::json(DO, json!({}))).await.unwrap();
    let began = Instant::now();
    let by = Actor::system();
    let manager = world.manager.clone();
    let disabled = tokio::spawn(async move { manager.disable(&name("a"), &by).await });
    slow.wait().await;
    waiting.wait().await;
    disabled.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inline_plugin_runs_on_the_hosts_threads_whoever_emits() {
    const OTHERS: &[EventSpec] = &[EventSpec { method: "act", patterns: &[DO], own: false }];
    let world = running([fake("a"), handling("inline-b", OTHERS)]).await;
    let mut event = Event::json(DO, json!({}));
    event.actor = Actor::plugin("a");
    let services = world.with("a", |fake| fake.services.clone());
    let context = crate::context::Context::<()>::new(services.clone());
    context.spawn(async move { services.events.emit(services.scope.plugin(), event).await.unwrap() }).unwrap();
    eventually("it is told", || seen(&world, "inline-b") == 1).await;
    let thread = world.with("inline-b", |fake| fake.threads.lock().unwrap()[0].clone());
    assert_ne!(thread.as_deref(), Some("a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_arrives_in_order() {
    let world = running([fake("a"), fake("inline-b")]).await;
    for number in 0..1000 {
        world.bus.announce(Event::json(DO, json!({ "number": number })));
    }
    for plugin in ["a", "inline-b"] {
        eventually("all arrive", || seen(&world, plugin) == 1000).await;
        let numbers = world.with(plugin, |fake| {
            fake.seen.lock().unwrap().iter().map(|data| data["number"].as_u64().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>(), "{plugin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_wait_to_be_announced_than_may() {
    let world = running([fake("inline-a")]).await;
    world.bus.announce(Event::json(DO, json!({ "do": "wait 500" })));
    eventually("it is slow", || seen(&world, "inline-a") == 1).await;
    for _ in 0..ANNOUNCED_MAX + 100 {
        world.bus.announce(Event::json(DO, json!({})));
    }
    assert_eq!(world.bus.announced.dropped(), 100);
    eventually("the rest arrives", || seen(&world, "inline-a") == 1 + ANNOUNCED_MAX).await;
}

#[tokio::test]
async fn nothing_of_a_bus_is_left_when_its_last_clone_is_dropped() {
    let plugins = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    let bus = Bus::new(plugins.clone());
    drop(bus.clone());
    tokio::task::yield_now().await;
    assert!(Arc::strong_count(&plugins) > 1);
    drop(bus);
    eventually("its task has ended", || Arc::strong_count(&plugins) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_onlooker_sees_what_nobody_listens_to_and_holds_nothing_up() {
    let world = running([fake("a")]).await;
    assert!(!world.bus.is_heard("custom.nobody"));
    assert_eq!(world.bus.heard_by(DO), [name("a")]);
    let mut onlooker = world.bus.look_on();
    assert!(world.bus.is_heard("custom.nobody"));
    // Nobody reads meanwhile: what is too much for it is counted, and the emitter does not wait.
    for number in 0..LOOKED_ON + 10 {
        world.bus.publish(Event::json("custom.nobody", json!({ "number": number }))).await.unwrap().wait().await;
    }
    assert!(matches!(onlooker.next().await, Some(Seen::Missed(10))));
    let Some(Seen::Event(event)) = onlooker.next().await else { panic!("no event") };
    assert_eq!(event.data().unwrap()["number"], 10);
    drop(onlooker);
    assert!(!world.bus.is_heard("custom.nobody"), "nothing is left of it");
}
