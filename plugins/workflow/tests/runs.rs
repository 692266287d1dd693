//! Runs of workflows on the test kit's real host: triggers, approvals on every road, and crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use plexichat::automation::RunState;
use plexichat::capability::clock::Clock;
use plexichat::capability::http::HttpResponse;
use plexichat::plugin::gui::OPEN;
use plexichat::prelude::*;
use plexichat::store::memory::MemoryStore;
use plexichat::testing::{RunningPlugin, TestHost, TestResult, ai, http};
use plexichat_workflow::Workflow;

fn host(definition: &str) -> TestHost {
    TestHost::new()
        .config(json!({
            "directories": ["/flows"],
            "operators": ["alice"],
            "secrets": { "token": "s3cr3t-4711" },
        }))
        .directory("/flows")
        .file("/flows/flow.toml", definition)
        .ai(|request| {
            let asked = request.turns.last().map(plexichat::ai::Turn::joined_text).unwrap_or_default();
            Ok(ai::says(&format!("answer to {asked}")))
        })
        .http(|request| {
            let sent = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>();
            Ok(http::json(200, &json!({ "sent": sent })))
        })
}

fn texts(plugin: &RunningPlugin<Workflow>) -> Vec<String> {
    plugin.messages().into_iter().map(|row| row.text).collect()
}

/// The id of the only question that waits.
fn question(plugin: &RunningPlugin<Workflow>) -> TestResult<String> {
    let asked = texts(plugin).into_iter().find(|text| text.contains("waits for approval"));
    let asked = asked.ok_or("nobody was asked")?;
    let id = asked.split("waits for approval `").nth(1).and_then(|rest| rest.split('`').next());
    Ok(id.ok_or("no id")?.to_owned())
}

const RELEASE: &str = r#"
name = "release"
[defaults]
model = "scripted/model"
[[triggers]]
command = { name = "release", help = "releases" }
[[steps]]
id = "ask"
approve = { text = "Release {{ input.arguments }} for {{ run.by.name }}?", users = ["bob"], moderators = true, timeout = "1h" }
[[steps]]
id = "notes"
ai = { model = "MODEL", prompt = "Notes of {{ input.arguments }}" }
[[steps]]
id = "sent"
http = { url = "https://ci.example.org", json = { v = "{{ input.arguments }}" }, headers = { authorization = "Bearer {{ secret('token') }}" } }
[[steps]]
wait.for = "10m"
[[steps]]
post.text = "{{ steps.notes.result.text }}, {{ steps.ask.result.by.name }}: {{ steps.sent.result.json.sent | join('; ') }}"
"#;

fn release() -> TestHost {
    host(&RELEASE.replace("MODEL", plexichat::testing::MODEL))
}

#[plexichat::test]
async fn a_command_asks_and_goes_on() -> TestResult {
    let plugin = release().start::<Workflow>().await?;
    plugin.post("alice", "/release 1.4").await?;
    plugin.idle().await?;
    let id = question(&plugin)?;
    let refused = plugin.say("alice", &format!("/workflow approve {id}")).await?.text;
    assert!(refused.contains(&format!("approval `{id}` is for bob, moderators, administrators")), "{refused}");
    let answered = plugin.say("bob", &format!("/workflow approve {id} go")).await?.text;
    assert_eq!(answered, format!("bob approved `{id}` of workflow `release`."));
    let again = plugin.say("bob", &format!("/workflow refuse {id}")).await?.text;
    assert!(again.contains("approved by bob already") || again.contains("no approval"), "{again}");
    plugin.advance(Duration::from_secs(601)).await?;
    let run = plugin.run_finished("release").await?;
    assert_eq!((run.state, run.error.as_deref()), (RunState::Done, None));
    let said = texts(&plugin).pop().ok_or("nothing was said")?;
    let key = format!("idempotency-key: run/{}/sent", run.id);
    assert!(said.starts_with("answer to Notes of 1.4, bob: ") && said.contains(&key), "{said}");
    assert!(said.contains("authorization: Bearer ***"), "{said}");
    assert_eq!(
        plugin.http().requests()[0]
            .headers
            .iter()
            .find(|(name, _)| name == "authorization")
            .map(|(_, value)| value.as_str()),
        Some("Bearer s3cr3t-4711")
    );
    let (record, steps) = plugin.run(run.id).await?;
    assert!(!format!("{record:?}{steps:?}").contains("s3cr3t"), "{steps:?}");
    let steps: Vec<String> = steps.iter().map(|step| format!("{} {}", step.name, step.status)).collect();
    assert_eq!(
        steps,
        [
            "ask waiting",
            "ask done",
            "notes started",
            "notes done",
            "sent started",
            "sent done",
            "3 waiting",
            "3 done",
            "4 started",
            "4 done"
        ]
    );
    Ok(())
}

#[plexichat::test]
async fn the_pages_have_buttons() -> TestResult {
    let plugin = release().start::<Workflow>().await?;
    plugin.post("alice", "/release 1.4").await?;
    plugin.idle().await?;
    let id = question(&plugin)?;
    let open = |component: &'static str, person: &'static str| plugin.interact(person, component, OPEN, json!({}));
    let nothing = serde_json::to_value(open("approvals", "alice").await?)?;
    assert_eq!(nothing["blocks"][0]["text"], "Nothing waits for you.");
    let shown = serde_json::to_value(open("approvals", "bob").await?)?;
    let buttons = &shown["blocks"][2]["buttons"];
    assert_eq!((&buttons[0]["action"], &buttons[0]["values"]["id"]), (&json!("approve"), &json!(id)), "{shown}");
    let form = plugin.interact("bob", "approvals", "ask-why", json!({ "id": id })).await?;
    let GuiReply::Form(form) = form else { panic!("{form:?}") };
    assert_eq!((form.action.as_str(), &form.carry["id"]), ("refuse", &json!(id)));
    let done = plugin.interact("carol", "moderators-approvals", "refuse", json!({ "id": id, "note": "no" })).await?;
    assert!(matches!(done, GuiReply::Notice { .. }), "{done:?}");
    let run = plugin.run_finished("release").await?;
    assert_eq!(run.output, Some(json!({ "stopped": "refused: by carol" })));
    let shown = serde_json::to_value(open("workflows", "carol").await?)?;
    assert_eq!(shown["blocks"][1]["rows"][0][0], "release");
    Ok(())
}

#[plexichat::test]
async fn without_an_answer_the_time_decides() -> TestResult {
    let plugin = release().start::<Workflow>().await?;
    plugin.post("alice", "/release 1.4").await?;
    plugin.advance(Duration::from_secs(3601)).await?;
    let run = plugin.run_finished("release").await?;
    assert_eq!(run.output, Some(json!({ "stopped": "refused: nobody answered within 1h" })));
    Ok(())
}

#[plexichat::test]
async fn a_run_goes_on_with_the_version_it_began_with() -> TestResult {
    let flow = "name = 'flow'\n[[triggers]]\nid = 'hook'\nwebhook = {}\n[[steps]]\nwait.for = '1h'\n[[steps]]\nset.said = 'old {{ input.body.n }}'\n";
    let plugin = host(flow).start::<Workflow>().await?;
    plugin.call_hook("wf.flow.hook", json!({ "n": 1 })).await?;
    plugin.idle().await?;
    plugin.disk().write("/flows/flow.toml", flow.replace("old", "new"));
    plugin.say("alice", "/workflow reload").await?;
    plugin.call_hook("wf.flow.hook", json!({ "n": 2 })).await?;
    plugin.advance(Duration::from_secs(3601)).await?;
    let runs = plugin.runs().await?;
    let said: Vec<Value> =
        runs.iter().map(|run| run.output.clone().unwrap_or_default()["vars"]["said"].clone()).collect();
    assert_eq!(said, [json!("old 1"), json!("new 2")]);
    Ok(())
}

#[plexichat::test]
async fn triggers_come_and_go_with_their_definition() -> TestResult {
    let flow = "name = 'flow'\n[[triggers]]\nevery = '1h'\n[[triggers]]\ncron = { expression = '0 9 * * *', zone = 'Europe/Berlin' }\n[[steps]]\nstop = 'x'\n";
    let plugin = host(flow).start::<Workflow>().await?;
    let ids = |armed: Vec<plexichat::capability::triggers::Armed>| {
        armed.into_iter().map(|armed| armed.spec.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(plugin.triggers().await?), ["wf.flow.0", "wf.flow.1", "wf.flow.manual"]);
    plugin.advance(Duration::from_secs(3 * 3600)).await?;
    let every = plugin.runs().await?.into_iter().filter(|run| run.trigger.id == "wf.flow.0").count();
    assert_eq!(every, 3);
    plugin.disk().write("/flows/flow.toml", flow.replace("'Europe/Berlin'", "'Europe/Berlni'"));
    let told = plugin.say("alice", "/workflow reload").await?.text;
    assert!(
        told.contains("/flows/flow.toml:5:43: /triggers/1/cron/zone: ") && told.contains("goes on as it was"),
        "{told}"
    );
    assert_eq!(plugin.triggers().await?.len(), 3);
    plugin.disk().remove("/flows/flow.toml");
    plugin.say("alice", "/workflow reload").await?;
    assert!(plugin.triggers().await?.is_empty());
    Ok(())
}

/// A secret is a promise to whoever calls: no ordinary edit of the definition ends it or gives it to another webhook.
#[plexichat::test]
async fn a_webhook_keeps_its_secret_through_edits() -> TestResult {
    let (ci, shop) = ("[[triggers]]\nid = 'ci'\nwebhook = {}\n", "[[triggers]]\nid = 'shop'\nwebhook = {}\n");
    let flow = |head: &str, triggers: &str| format!("name = 'flow'\n{head}{triggers}[[steps]]\nset.x = '1'\n");
    let plugin = host(&flow("", &format!("{ci}{shop}"))).start::<Workflow>().await?;
    let secrets = async || -> TestResult<Vec<(String, Option<String>)>> {
        let armed = plugin.triggers().await?;
        let told = |secret: plexichat::secret::Secret| secret.expose().to_owned();
        Ok(armed.into_iter().map(|armed| (armed.spec.id, armed.secret.map(told))).collect())
    };
    let first = secrets().await?;
    let ids: Vec<&str> = first.iter().map(|(id, _)| &**id).collect();
    assert_eq!(ids, ["wf.flow.ci", "wf.flow.manual", "wf.flow.shop"]);
    assert!(first[0].1.is_some() && first[0].1 != first[2].1);
    for (head, triggers) in [
        ("", format!("[[triggers]]\nevery = '30d'\n{shop}{ci}")),
        ("enabled = false\n", format!("{shop}{ci}")),
        ("description = 'On again'\n", format!("{ci}{shop}")),
    ] {
        plugin.disk().write("/flows/flow.toml", flow(head, &triggers));
        plugin.say("alice", "/workflow reload").await?;
        let mut now = secrets().await?;
        now.retain(|(id, _)| id != "wf.flow.0");
        assert_eq!(now, first, "{head}{triggers}");
        let run = plugin.call_hook("wf.flow.ci", json!({})).await?;
        plugin.idle().await?;
        let (record, _) = plugin.run(run).await?;
        let expected = if head.starts_with("enabled") { RunState::Skipped } else { RunState::Done };
        assert_eq!(record.state, expected, "{record:?}");
    }
    Ok(())
}

/// A directory that is not there yet when the server starts: its triggers stay, and what fires meanwhile is tried again.
#[plexichat::test]
async fn what_cannot_be_looked_at_ends_no_trigger() -> TestResult {
    let flow = "name = 'flow'\n[[triggers]]\nid = 'hook'\nwebhook = {}\n[[steps]]\nset.x = '1'\n";
    let plugin = host(flow).start::<Workflow>().await?;
    let before = plugin.triggers().await?;
    let store = plugin.store();
    drop(plugin);
    let hidden = TestHost::new().config(json!({ "directories": ["/flows"], "operators": ["alice"] }));
    let plugin = hidden.store(store.clone()).start::<Workflow>().await?;
    assert_eq!(plugin.triggers().await?, before);
    let told = plugin.say("alice", "/workflow reload").await?.text;
    assert!(told.contains("Not taken: /flows"), "{told}");
    assert_eq!(plugin.triggers().await?, before);
    let run = plugin.call_hook("wf.flow.hook", json!({})).await?;
    plugin.idle().await?;
    let (record, _) = plugin.run(run).await?;
    assert!(!record.state.has_ended(), "{record:?}");
    drop(plugin);
    // It is there again, and the file is not: now the triggers go.
    let empty = TestHost::new().config(json!({ "directories": ["/flows"] })).directory("/flows");
    let plugin = empty.store(store).start::<Workflow>().await?;
    assert!(plugin.triggers().await?.is_empty());
    Ok(())
}

#[plexichat::test]
async fn an_operator_starts_a_workflow_in_their_room() -> TestResult {
    let flow = "name = 'flow'\n[[steps]]\npost.text = '{{ run.by.name }} asks for {{ input.version }}'\n";
    let plugin = host(flow).start::<Workflow>().await?;
    let refused = plugin.say("alice", "/workflow run flow [1]").await?.text;
    assert!(refused.contains("no JSON object"), "{refused}");
    // Nobody says who somebody else is.
    plugin.post("alice", r#"/workflow run flow {"version": "1.4", "by": {"name": "bob"}}"#).await?;
    plugin.idle().await?;
    let run = plugin.run_finished("flow").await?;
    assert_eq!((run.state, run.error.as_deref()), (RunState::Done, None));
    assert!(texts(&plugin).contains(&"alice asks for 1.4".to_owned()), "{:?}", texts(&plugin));
    Ok(())
}

/// Fault: the process dies in any step of 100 runs; every run ends, and what is done to the outside is done once for each key.
#[plexichat::test]
async fn a_hundred_runs_survive_crashes_in_every_step() -> TestResult {
    const RUNS: usize = 100;
    const CRASHES: usize = 20;
    let flow = format!(
        "name = 'flow'\n[[triggers]]\nid = 'hook'\nwebhook = {{}}\nconcurrency = 100\n\
         [[steps]]\npost = {{ room = 'ROOM', text = 'begins {{{{ input.body.n }}}}' }}\n\
         [[steps]]\nwait.for = '1m'\n\
         [[steps]]\nid = 'ask'\napprove = {{ text = 'Go on with {{{{ input.body.n }}}}?', users = ['bob'], room = 'ROOM' }}\n\
         [[steps]]\nid = 'ai'\nai = {{ model = '{}', prompt = '{{{{ input.body.n }}}}' }}\n\
         [[steps]]\nhttp = {{ url = 'https://x.example.org/{{{{ input.body.n }}}}' }}\n\
         [[steps]]\npost = {{ room = 'ROOM', text = 'ends {{{{ steps.ai.result.text }}}}' }}\n",
        plexichat::testing::MODEL
    );
    let seed = seed();
    println!("seed {seed}: run again with PLEXICHAT_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    let store = Arc::new(MemoryStore::default());
    // Under each key: how often it was answered, and that the service was down.
    let keys = Arc::new(std::sync::Mutex::new(std::collections::BTreeMap::<String, (usize, usize)>::new()));
    let crash = Arc::new(AtomicUsize::new(usize::MAX));
    let mut room = None;
    // A new host's clock stands where the first one's stood; the time went on, and the lease of whoever died ran out.
    let mut elapsed = Duration::ZERO;
    let (mut crashes, mut answered, mut started) = (0, std::collections::BTreeSet::new(), false);
    loop {
        let flow = flow.replace("ROOM", &room.map(|room: plexichat::id::RoomId| room.to_string()).unwrap_or_default());
        let (seen, countdown) = (keys.clone(), crash.clone());
        let plugin = host(&flow)
            .store(store.clone())
            .http(move |request| -> Result<HttpResponse> {
                let key = request.headers.iter().find(|(name, _)| name == "idempotency-key");
                let key = key.map(|(_, value)| value.clone()).unwrap_or_default();
                let mut seen = seen.lock().unwrap();
                let (answered, down) = seen.entry(key).or_default();
                // Down now and then.
                match countdown.load(Ordering::SeqCst) % 7 == 0 && *down == 0 {
                    true => {
                        *down += 1;
                        Err(PluginError::transient("down"))
                    }
                    false => {
                        *answered += 1;
                        Ok(http::json(200, &json!({})))
                    }
                }
            })
            .start::<Workflow>()
            .await?;
        // The definition names the room, which only a running host knows; later hosts have rooms of their own beside it.
        let Some(shared) = room else {
            room = Some(plugin.room());
            continue;
        };
        if !std::mem::replace(&mut started, true) {
            for n in 0..RUNS {
                plugin.call_hook("wf.flow.hook", json!({ "n": n })).await?;
            }
        }
        crash.store(chance.below(1000), Ordering::SeqCst);
        // Everything goes on until this host dies, somewhere; the last one lives.
        let life = match crashes < CRASHES {
            true => Duration::from_millis(10 + chance.below(120) as u64),
            false => Duration::from_secs(60),
        };
        let began = plugin.clock().now().as_micros();
        plugin.clock().advance(elapsed + Duration::from_secs(31));
        let living = async {
            loop {
                plugin.advance(Duration::from_secs(20)).await?;
                for row in store.messages(shared) {
                    let Some(rest) = row.text.split("waits for approval `").nth(1) else { continue };
                    let id = rest.split('`').next().unwrap_or_default().to_owned();
                    if answered.insert(id.clone()) {
                        plugin.post("bob", &format!("/workflow approve {id}")).await?;
                    }
                }
                if plugin.runs().await?.iter().all(|run| run.state.has_ended()) {
                    return TestResult::Ok(());
                }
            }
        };
        match tokio::time::timeout(life, living).await {
            Ok(done) => {
                done?;
                let runs = plugin.runs().await?;
                assert_eq!(runs.len(), RUNS);
                for run in runs {
                    assert_eq!(run.state, RunState::Done, "{:?}", run.error);
                }
                let texts: Vec<String> = store.messages(shared).into_iter().map(|row| row.text).collect();
                for n in 0..RUNS {
                    for text in [format!("begins {n}"), format!("ends answer to {n}")] {
                        assert_eq!(texts.iter().filter(|said| **said == text).count(), 1, "{text}");
                    }
                }
                let keys = keys.lock().unwrap();
                assert_eq!(keys.len(), RUNS, "a key for each request that has to be made");
                // Whoever died between an answer and keeping it asks again, with the same key; nobody else does.
                for (key, (answered, _)) in keys.iter() {
                    assert!((1..=1 + crashes).contains(answered), "{key}: {answered} times, {crashes} crashes");
                }
                break;
            }
            Err(_) => {
                crashes += 1;
                // An answer may have died with the host.
                answered.clear();
                if crashes > CRASHES {
                    let mut states = std::collections::BTreeMap::<String, usize>::new();
                    for run in plugin.runs().await? {
                        *states.entry(format!("{:?} {:?}", run.state, run.error)).or_default() += 1;
                    }
                    panic!("it does not end: {states:?}");
                }
                elapsed = Duration::from_micros((plugin.clock().now().as_micros() - began) as u64);
            }
        }
    }
    println!("{crashes} crashes");
    assert!(crashes >= 3, "only {crashes} crashes");
    Ok(())
}

fn seed() -> u64 {
    let set = std::env::var("PLEXICHAT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    set.unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64)
    })
}

/// A small generator of chances.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}
