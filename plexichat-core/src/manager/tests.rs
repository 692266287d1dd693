//! What the manager does with plugins that misbehave, and with operators that change their minds.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fake::{DO, Fake, World, eventually, fake, name, world, world_over};
use super::*;
use crate::descriptor::{EventSpec, FailMode, Hook, HookPolicy, HookSpec, Requirement};
use crate::event::Event;
use crate::permission::Permission;
use crate::store::StoreError;

fn enabled(names: &[&str]) -> String {
    names.iter().map(|name| format!("[plugins.{name}]\nenabled = true\n")).collect()
}

fn requiring(own: &'static str, requires: &'static [Requirement]) -> Descriptor {
    Descriptor { requires, ..fake(own) }
}

async fn started(world: World) -> World {
    world.manager.start_all().await.unwrap();
    world
}

const NEEDS_A: &[Requirement] = &[Requirement { name: "a", version: "*" }];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_start_keeps_no_other_plugin_from_running() {
    let settings = enabled(&["good", "fails", "panics", "hangs", "blocks", "wrong"])
        + "[plugins.fails.config]\nstart = \"error\"\n[plugins.panics.config]\nstart = \"panic\"\n"
        + "[plugins.hangs.config]\nstart = \"hang\"\n[plugins.hangs.timeouts]\ninitialize = \"100ms\"\n"
        + "[plugins.blocks.config]\nstart = \"block 1500\"\n[plugins.blocks.timeouts]\ninitialize = \"100ms\"\n"
        + "[plugins.wrong.config]\nwrong = true\n";
    let names = ["good", "fails", "panics", "hangs", "blocks", "wrong"];
    let began = Instant::now();
    let world = started(world(names.map(fake), &settings)).await;
    assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
    assert_eq!(world.state("good"), "enabled");
    assert_eq!(world.state("fails"), "failed: it is broken");
    assert_eq!(world.state("panics"), "failed: `initialize` panicked: it panicked on purpose");
    assert_eq!(world.state("hangs"), "failed: `initialize` took longer than 100ms");
    assert_eq!(world.state("blocks"), "failed: `initialize` took longer than 100ms");
    assert!(world.state("wrong").contains("/wrong: is wrong"), "{}", world.state("wrong"));
    world.tell(json!({ "do": "ok" })).await;
    assert_eq!(world.with("good", |fake| fake.seen.lock().unwrap().len()), 1);
    let last = world.manager.get(&name("panics")).unwrap().last_error.unwrap();
    assert!(last.message.contains("it panicked on purpose"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_blocks_its_thread_holds_nobody_up() {
    let only_blocker = Descriptor {
        events: &[EventSpec { method: "act", patterns: &["custom.block"], own: false }],
        ..fake("blocker")
    };
    let world = started(world([only_blocker, fake("good")], &enabled(&["blocker", "good"]))).await;
    let stuck = world.bus.publish(Event::json("custom.block", json!({ "do": "block 1500" }))).await.unwrap();
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        let began = Instant::now();
        world.tell(json!({ "do": "ok" })).await;
        longest = longest.max(began.elapsed());
    }
    assert!(longest < Duration::from_millis(200), "{longest:?}");
    eventually("it is failed", || world.state("blocker").starts_with("failed")).await;
    assert!(world.state("blocker").contains("blocked its thread"), "{}", world.state("blocker"));
    stuck.wait().await;
    assert_eq!(world.state("good"), "enabled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failing_plugin_takes_no_event_from_another() {
    for isolation in ["inline", "runtime"] {
        let settings = enabled(&["bad", "good"]).replace("enabled", &format!("isolation = \"{isolation}\"\nenabled"));
        let bad = Descriptor { entry: fake("bad").entry, ..fake("bad") };
        let world = started(world([bad, fake("good")], &settings)).await;
        for _ in 0..20 {
            world.tell(json!({ "do": "ok" })).await;
            // Both panic; both go on; then their breakers open.
            world.tell(json!({ "do": "panic" })).await;
        }
        let info = world.manager.get(&name("good")).unwrap();
        assert_eq!(info.counters.panics, 10, "half of the last twenty, then it is open ({isolation})");
        assert!(info.counters.refused > 0);
        assert!(info.last_error.unwrap().message.contains("not asked"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_again_and_again_is_quarantined_until_it_is_released() {
    let world = started(world([fake("a")], &enabled(&["a"]))).await;
    let guard = world.plugins.load().plugin(&name("a")).unwrap().guard().clone();
    for _ in 0..3 {
        guard.holds_thread(crate::watchdog::Held { time: Duration::from_secs(2), step: 2 });
    }
    eventually("it is quarantined", || world.state("a").starts_with("quarantined")).await;
    eventually("that is kept", || world.store_says("a", |record| record.quarantined.is_some())).await;
    let by = Actor::system();
    let refused = world.manager.enable(&name("a"), &by).await.unwrap_err();
    assert_eq!(refused.to_string(), "plugin `a` is quarantined");
    assert_eq!(refused.hint().as_deref(), Some("release it first"));

    let again = world_over(world.store.clone(), [fake("a")], &enabled(&["a"]));
    again.manager.start_all().await.unwrap();
    assert!(again.state("a").starts_with("quarantined"), "a restart is no release: {}", again.state("a"));
    again.manager.release(&name("a"), &by).await.unwrap();
    assert_eq!(again.state("a"), "enabled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependencies_block_and_unblock() {
    let world = started(world([fake("a"), requiring("b", NEEDS_A)], &enabled(&["b"]))).await;
    let by = Actor::system();
    assert_eq!(world.state("b"), "blocked: it requires `a`, which is linked");
    world.manager.install(&name("a"), None, Grants::Settings).await.unwrap();
    assert_eq!(world.state("b"), "blocked: it requires `a`, which is installed");
    world.manager.enable(&name("a"), &by).await.unwrap();
    assert_eq!((world.state("a"), world.state("b")), ("enabled".to_owned(), "enabled".to_owned()));
    let refused = world.manager.disable(&name("a"), &by).await.unwrap_err();
    assert_eq!(refused.to_string(), "plugin `a` is required by `b`");
    assert_eq!(refused.hint().as_deref(), Some("disable b first"));
    world.manager.disable(&name("b"), &by).await.unwrap();
    world.manager.disable(&name("a"), &by).await.unwrap();
    let blocked = world.manager.enable(&name("b"), &by).await.unwrap_err();
    assert_eq!(blocked.to_string(), "plugin `b` did not start: it requires `a`, which is disabled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_without_its_grant_is_blocked() {
    const ASKS: &[Permission] = &[Permission::NetworkAccess, Permission::PostMessages];
    let asking = || Descriptor { permissions: ASKS, ..fake("a") };
    let by = Actor::system();
    let settings = "[plugins.a]\nenabled = true\ngrant = [\"post_messages\"]\n";
    let narrow = started(world([asking()], settings)).await;
    assert_eq!(narrow.state("a"), "blocked: it was not granted network_access");
    assert_eq!(narrow.manager.get(&name("a")).unwrap().granted, [Permission::PostMessages]);

    let silent = started(world([asking()], "")).await;
    silent.manager.install(&name("a"), Some("^0.1"), Grants::These(ASKS.to_vec())).await.unwrap();
    silent.manager.enable(&name("a"), &by).await.unwrap();
    assert_eq!(silent.state("a"), "enabled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn install_says_what_is_not_there() {
    let world = started(world([fake("a")], "")).await;
    assert_eq!(world.state("a"), "linked");
    let missing = world.manager.install(&name("weather"), None, Grants::Settings).await.unwrap_err();
    assert_eq!(missing.to_string(), "no plugin named `weather` is linked into this binary");
    assert!(missing.hint().unwrap().contains("add `weather` to the root `Cargo.toml`"));
    let version = world.manager.install(&name("a"), Some("^2"), Grants::Settings).await.unwrap_err();
    assert_eq!(version.to_string(), "plugin `a` is linked in version 0.1.0, not in ^2");
    assert_eq!(world.state("a"), "linked", "what was refused left nothing behind");
    world.manager.install(&name("a"), None, Grants::Settings).await.unwrap();
    world.manager.uninstall(&name("a"), PluginData::Remove, &Actor::system()).await.unwrap();
    assert_eq!(world.state("a"), "linked");
    assert!(world.store.plugins().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_configuration_takes_over_or_nothing_changes() {
    let settings =
        enabled(&["a"]) + "[plugins.a.timeouts]\ninitialize = \"200ms\"\n[plugins.a.config]\nword = \"old\"\n";
    let world = started(world([fake("a")], &settings)).await;
    let by = Actor::system();
    let word = |fake: &Fake| fake.config["word"].clone();
    let change = |value: Value, revision| {
        let manager = world.manager.clone();
        let by = by.clone();
        async move { manager.reconfigure(&name("a"), &value, revision, &by).await }
    };

    let new = change(json!({ "word": "new" }), Some(0)).await.unwrap();
    assert_eq!((new.revision, &new.value["word"]), (1, &json!("new")));
    assert_eq!(new.origins["/word"], "the API");
    assert_eq!(world.with("a", word), "new");

    let invalid = change(json!({ "wrong": 1 }), None).await.unwrap_err();
    let ManagerError::Invalid(problems) = invalid else { panic!("{invalid}") };
    assert_eq!(problems[0].to_string(), "the API: /wrong: is wrong");
    let stale = change(json!({ "word": "other" }), Some(0)).await.unwrap_err();
    assert_eq!(stale.to_string(), "the configuration has revision 1, not 0: somebody changed it meanwhile");
    for start in ["error", "panic", "hang"] {
        let settings = json!({ "word": "broken", "start": start });
        let failed = change(settings, None).await;
        assert!(matches!(failed, Err(ManagerError::NotStarted { .. })), "{failed:?}");
    }
    world.store.refuse(Some(StoreError::Full));
    let full = change(json!({ "word": "other" }), None).await.unwrap_err();
    assert!(matches!(full, ManagerError::Store(StoreError::Full)), "{full:?}");
    world.store.refuse(None);
    assert_eq!(world.with("a", word), "new", "the old instance goes on");
    assert_eq!((world.state("a").as_str(), world.manager.plugin_config(&name("a")).unwrap().revision), ("enabled", 1));
    world.tell(json!({ "do": "ok" })).await;
    assert_eq!(world.with("a", |fake| fake.seen.lock().unwrap().len()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_or_doubled_while_the_configuration_changes() {
    let world = started(world([fake("a")], &enabled(&["a"]))).await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let publisher = tokio::spawn({
        let bus = world.bus.clone();
        async move {
            for number in 0..2000 {
                let _ = bus.publish(Event::json(DO, json!({ "number": number }))).await.unwrap();
                if number % 100 == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    });
    let mut plugins = Vec::new();
    for number in 0..8 {
        plugins.push(world.plugins.load().plugin(&name("a")).unwrap().clone());
        world.manager.reconfigure(&name("a"), &json!({ "round": number }), None, &Actor::system()).await.unwrap();
    }
    publisher.await.unwrap();
    world.tell(json!({ "number": 2000 })).await;
    plugins.push(world.plugins.load().plugin(&name("a")).unwrap().clone());
    for plugin in plugins {
        let fake: &Fake = plugin.instance().as_any().downcast_ref().unwrap();
        seen.lock().unwrap().extend(fake.seen.lock().unwrap().iter().map(|data| data["number"].as_u64().unwrap()));
    }
    assert_eq!(*seen.lock().unwrap(), (0..=2000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_ends_before_a_new_configuration_takes_over() {
    let world = started(world([fake("a")], &enabled(&["a"]))).await;
    let by = Actor::system();
    let old = world.plugins.load().plugin(&name("a")).unwrap().clone();
    let slow = world.bus.publish(Event::json(DO, json!({ "do": "wait 2000" }))).await.unwrap();
    let next = world.bus.publish(Event::json(DO, json!({ "do": "ok" }))).await.unwrap();
    eventually("it has begun", || world.with("a", |fake| fake.seen.lock().unwrap().len()) == 1).await;
    let began = Instant::now();
    world.manager.reconfigure(&name("a"), &json!({ "word": "new" }), None, &by).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1800), "the operator does not wait: {:?}", began.elapsed());
    let new_has_seen = || world.with("a", |fake| fake.seen.lock().unwrap().len());
    assert_eq!(new_has_seen(), 0, "the new one gets its first event after the old one's last");
    slow.wait().await;
    assert!(began.elapsed() > Duration::from_millis(1800), "it ran to its end: {:?}", began.elapsed());
    next.wait().await;
    assert_eq!(new_has_seen(), 1);
    assert_eq!(world.manager.get(&name("a")).unwrap().last_error, None);
    let fake: &Fake = old.instance().as_any().downcast_ref().unwrap();
    eventually("the old one cleans up", || fake.cleaned.load(Ordering::SeqCst) == 1).await;
    assert_eq!(fake.seen.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_handler_is_dropped_is_the_next_ones_first() {
    let world = started(world([fake("a")], &enabled(&["a"]))).await;
    let first = world.bus.publish(Event::json(DO, json!({ "do": "wait 1500", "number": 1 }))).await.unwrap();
    let second = world.bus.publish(Event::json(DO, json!({ "number": 2 }))).await.unwrap();
    eventually("it has begun", || world.with("a", |fake| fake.seen.lock().unwrap().len()) == 1).await;
    // As when the new instance has waited long enough.
    let old = world.plugins.load().plugin(&name("a")).unwrap().clone();
    let taking_over = {
        let manager = world.manager.clone();
        tokio::spawn(
            async move { manager.reconfigure(&name("a"), &json!({ "word": "new" }), None, &Actor::system()).await },
        )
    };
    let is_new = || world.with("a", |fake| fake.config["word"] == "new");
    eventually("it is taken over", is_new).await;
    old.guard().stop();
    first.wait().await;
    second.wait().await;
    let numbers =
        world.with("a", |fake| fake.seen.lock().unwrap().iter().map(|data| data["number"].clone()).collect::<Vec<_>>());
    assert_eq!(numbers, [1, 2]);
    taking_over.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enabling_and_disabling_leaves_nothing_behind() {
    for isolation in ["inline", "runtime"] {
        let settings = format!(
            "[plugins.cycled]\nisolation = \"{isolation}\"\nenabled = true\n[plugins.cycled.config]\ntasks = 5\n"
        );
        let world = started(world([fake("cycled")], &settings)).await;
        let by = Actor::system();
        let named_threads = || threads_named("cycled");
        world.manager.disable(&name("cycled"), &by).await.unwrap();
        for _ in 0..100 {
            world.manager.enable(&name("cycled"), &by).await.unwrap();
            world.tell(json!({ "do": "ok" })).await;
            let plugin = std::sync::Arc::downgrade(world.plugins.load().plugin(&name("cycled")).unwrap());
            world.manager.disable(&name("cycled"), &by).await.unwrap();
            eventually("nobody holds the instance", || plugin.strong_count() == 0).await;
        }
        eventually("no thread is left", || named_threads() == 0).await;
        assert_eq!(world.manager.get(&name("cycled")).unwrap().counters.tasks, 0);
    }
}

fn threads_named(plugin: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok().filter(|name| name.trim() == plugin)
    };
    tasks.filter_map(named).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_disable_nothing_is_called() {
    let world = started(world([fake("a")], &enabled(&["a"]))).await;
    let plugin = world.plugins.load().plugin(&name("a")).unwrap().clone();
    let fake: &Fake = plugin.instance().as_any().downcast_ref().unwrap();
    for _ in 0..50 {
        drop(world.bus.publish(Event::json(DO, json!({ "do": "wait 20" }))).await.unwrap());
    }
    world.manager.disable(&name("a"), &Actor::system()).await.unwrap();
    let seen = fake.seen.lock().unwrap().len();
    assert!(seen < 50, "{seen}");
    world.tell(json!({ "do": "ok" })).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fake.seen.lock().unwrap().len(), seen);
    assert_eq!(fake.cleaned.load(Ordering::SeqCst), 1);
    assert!(fake.services.scope.check_alive().is_err(), "what it was given is of no use any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_takes_no_longer_than_it_may() {
    let settings = enabled(&["hangs", "blocks", "good"])
        + "[plugins.hangs.config]\ncleanup = \"hang\"\n[plugins.hangs.timeouts]\ncleanup = \"200ms\"\n"
        + "[plugins.blocks.config]\ncleanup = \"block 4000\"\n[plugins.blocks.timeouts]\ncleanup = \"200ms\"\n";
    let world = started(world(["hangs", "blocks", "good"].map(fake), &settings)).await;
    let began = Instant::now();
    world.manager.stop_all().await;
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(world.plugins.load().plugins().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_required_hook_is_missing_until_its_plugin_runs() {
    const REQUIRED: &[HookSpec] = &[HookSpec {
        hook: Hook::ScanMessage,
        policy: HookPolicy { required: true, on_error: FailMode::Open, ..Hook::ScanMessage.default_policy() },
    }];
    let scanner = || Descriptor { hooks: REQUIRED, ..fake("scanner") };
    let settings = enabled(&["scanner"]) + "[plugins.scanner.config]\nstart = \"error\"\n";
    let world = started(world([scanner()], &settings)).await;
    let missing = || world.plugins.load().closed_by(Hook::ScanMessage).cloned();
    assert_eq!(missing(), Some(name("scanner")));
    let by = Actor::system();
    world.manager.reconfigure(&name("scanner"), &json!({ "start": "ok" }), None, &by).await.unwrap();
    assert_eq!((world.state("scanner").as_str(), missing()), ("enabled", None));
    let plugins = world.plugins.load();
    let [hook] = plugins.hooks(Hook::ScanMessage) else { panic!("one hook") };
    assert_eq!(hook.on_error, FailMode::Closed, "only the operator can let messages through unscanned");
    let refused = world.manager.disable(&name("scanner"), &by).await.unwrap_err();
    assert!(refused.to_string().contains("required hook"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_that_is_wanted_and_does_not_run_keeps_messages_out() {
    const SCANS: &[HookSpec] = &[HookSpec { hook: Hook::ScanMessage, policy: Hook::ScanMessage.default_policy() }];
    let scanner = || Descriptor { hooks: SCANS, ..fake("scanner") };
    let settings = enabled(&["scanner"]) + "[plugins.scanner.config]\nstart = \"error\"\n";
    let world = started(world([scanner()], &settings)).await;
    let closed_by = || world.plugins.load().closed_by(Hook::ScanMessage).cloned();
    assert_eq!(closed_by(), Some(name("scanner")), "it failed to start");
    let by = Actor::system();
    world.manager.reconfigure(&name("scanner"), &json!({ "start": "ok" }), None, &by).await.unwrap();
    assert_eq!(closed_by(), None);
    world.manager.disable(&name("scanner"), &by).await.unwrap();
    assert_eq!(closed_by(), None, "the operator decided that messages pass without it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_holds_after_a_restart() {
    let by = Actor::system();
    let first = started(world([fake("a"), fake("b")], &enabled(&["a", "b"]))).await;
    first.manager.disable(&name("a"), &by).await.unwrap();
    first.manager.reconfigure(&name("b"), &json!({ "word": "kept" }), None, &by).await.unwrap();
    first.manager.stop_all().await;
    let second = started(world_over(first.store.clone(), [fake("a"), fake("b")], &enabled(&["a", "b"]))).await;
    assert_eq!((second.state("a").as_str(), second.state("b").as_str()), ("disabled", "enabled"));
    assert_eq!(second.with("b", |fake| fake.config["word"].clone()), "kept");
    let third = started(world_over(first.store.clone(), [fake("a")], "")).await;
    assert_eq!(third.state("b"), "blocked: it is not linked into this binary");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_is_not_done() {
    let world = started(world([fake("a")], &enabled(&["a"]))).await;
    world.store.refuse(Some(StoreError::Full));
    let by = Actor::system();
    assert!(matches!(world.manager.disable(&name("a"), &by).await, Err(ManagerError::Store(_))));
    assert_eq!(world.state("a"), "enabled");
    world.tell(json!({ "do": "ok" })).await;
    assert_eq!(world.with("a", |fake| fake.seen.lock().unwrap().len()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_asked_and_told() {
    let settings = enabled(&["a"]) + "[plugins.a.config]\nhealth = \"half\"\n";
    let listens = Descriptor {
        events: &[EventSpec { method: "act", patterns: &["plugin_health_changed", "plugin_error"], own: false }],
        ..fake("listens")
    };
    let world = started(world([fake("a"), listens], &(settings + &enabled(&["listens"])))).await;
    world.manager.ask_health().await;
    assert_eq!(world.manager.get(&name("a")).unwrap().health, Some(Health::Degraded("half".to_owned())));
    let seen = |code: &str| {
        world.with("listens", |fake| fake.seen.lock().unwrap().iter().any(|data| data.to_string().contains(code)))
    };
    eventually("the change is told", || seen("half")).await;
    world.tell(json!({ "do": "error" })).await;
    eventually("the failure is told", || seen(r#""code":"failed""#)).await;
    assert!(!seen("it is broken"), "without the plugin's own words");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_be_healthy_is_not_to_work() {
    let world = started(world([fake("a")], &enabled(&["a"]))).await;
    let breaker = || world.manager.get(&name("a")).unwrap().breaker;
    for _ in 0..4 {
        world.tell(json!({ "do": "error" })).await;
        world.manager.ask_health().await;
    }
    assert_eq!(breaker(), Some(BreakerState::Closed));
    world.tell(json!({ "do": "error" })).await;
    assert_eq!(breaker(), Some(BreakerState::Open), "five in a row, whatever it says of its health meanwhile");
    world.manager.ask_health().await;
    assert!(matches!(world.manager.get(&name("a")).unwrap().health, Some(Health::Down(_))));
}

impl World {
    fn store_says(&self, plugin: &str, is_so: impl Fn(&PluginRecord) -> bool) -> bool {
        let records = futures_util::FutureExt::now_or_never(self.store.plugins()).unwrap().unwrap();
        records.iter().find(|record| record.name.as_str() == plugin).is_some_and(is_so)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_is_refused_is_told_to_others() {
    let watches = Descriptor {
        events: &[EventSpec { method: "act", patterns: &["permission_denied"], own: false }],
        ..fake("watches")
    };
    let world = started(world([fake("a"), watches], &enabled(&["a", "watches"]))).await;
    let refused = world.with("a", |fake| fake.services.scope.check(Permission::NetworkAccess, "send"));
    assert_eq!(refused.unwrap_err().to_string(), "plugin `a` was not granted `network_access`");
    let seen = || world.with("watches", |fake| fake.seen.lock().unwrap().clone());
    eventually("it is told", || !seen().is_empty()).await;
    assert_eq!(seen(), [json!({ "plugin_id": "a", "permission": "network_access", "call": "send" })]);
}
