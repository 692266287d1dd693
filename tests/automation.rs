//! Workflows over the real binary: killed in every phase, stopped, away for an hour, disabled, failed and replayed. Rounds of
//! kills: `PLEXICHAT_RUN_KILLS` (20 where nothing is set).

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::bundle::fixtures;
use crate::support::load::UNLIMITED;
use crate::support::seed::Seed;
use crate::support::{Client, Server, Setup};

/// How many runs are begun before each kill.
const EACH: usize = 5;
/// How long anything that must happen to a run may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn clerk(more: &str) -> Setup {
    Setup::of(fixtures()).config(&format!("{UNLIMITED}\n[plugins.clerk]\nenabled = true\n{more}"))
}

async fn begin(client: &Client, trigger: &str, input: Value, key: &str) -> Option<String> {
    let body = json!({ "plugin": "clerk", "trigger": trigger, "input": input, "key": key });
    let answer = client.request("POST", "/api/v1/workflows/start", &body).await.ok()?;
    (answer.status == 202).then(|| answer.json()["id"].as_str().unwrap().to_owned())
}

/// Waits until a run stands so.
async fn run_is(client: &Client, id: &str, state: &str) -> Value {
    let began = Instant::now();
    loop {
        let run = client.get(&format!("/api/v1/workflows/runs/{id}")).await.expect(200);
        if run["state"] == state {
            return run;
        }
        assert!(began.elapsed() < PATIENCE, "it is never {state}: {run:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All runs of a trigger, the newest first.
async fn runs(client: &Client, trigger: &str) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    loop {
        let before = found.last().map_or(String::new(), |run| format!("&before={}", run["id"].as_str().unwrap()));
        let path = format!("/api/v1/workflows/runs?plugin=clerk&trigger={trigger}&limit=500{before}");
        let page = client.get(&path).await.expect(200);
        found.extend(page["runs"].as_array().unwrap().iter().cloned());
        if page["next"].is_null() {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_run_finishes_and_each_effect_is_there_once() {
    let rounds = std::env::var("PLEXICHAT_RUN_KILLS").map_or(20, |rounds| rounds.parse().expect("a number"));
    kill_runs(rounds).await;
}

/// Begins runs that post, wait and post again, and kills the server at random moments; then every run is done, and each of its
/// two posts is there once, in their order.
pub(crate) async fn kill_runs(rounds: usize) {
    let mut seed = Seed::from_environment();
    let mut server = clerk("").start();
    let room = server.client().room("desk").await;
    let mut begun: BTreeMap<String, Option<String>> = BTreeMap::new();
    for round in 0..rounds {
        let client = server.client();
        for number in 0..EACH {
            begun.insert(format!("job-{round}-{number}"), None);
        }
        // Those that nobody confirmed, too: under their old keys.
        let open: Vec<String> = begun.iter().filter(|(_, run)| run.is_none()).map(|(name, _)| name.clone()).collect();
        let kill_at = Duration::from_millis(20 + seed.below(400));
        let inputs: Vec<(String, Value)> = open
            .into_iter()
            .map(|name| (name.clone(), json!({ "room_id": room, "name": name, "wait_ms": seed.below(300) })))
            .collect();
        let beginning = tokio::spawn(async move {
            let mut found = Vec::new();
            for (name, input) in inputs {
                if let Some(run) = begin(&client, "manual.job", input, &name).await {
                    found.push((name, run));
                }
            }
            found
        });
        tokio::time::sleep(kill_at).await;
        let setup = server.kill();
        for (name, run) in beginning.await.unwrap() {
            begun.insert(name, Some(run));
        }
        server = setup.start();
    }
    let client = server.client();
    for (name, run) in &mut begun {
        if run.is_none() {
            let input = json!({ "room_id": room, "name": name, "wait_ms": 0 });
            *run = Some(begin(&client, "manual.job", input, name).await.expect("is begun"));
        }
    }
    for (name, id) in &begun {
        let run = run_is(&client, id.as_deref().unwrap(), "done").await;
        assert_eq!(run["output"], json!({ "posted": 2 }), "{name}");
    }
    assert_eq!(runs(&client, "manual.job").await.len(), begun.len(), "one run for each key");
    let texts: Vec<String> =
        client.history(&room).await.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts.len(), 2 * begun.len(), "each run posts twice: {texts:?}");
    for name in begun.keys() {
        let place = |step: &str| texts.iter().position(|text| *text == format!("{name} {step}"));
        assert!(place("one").unwrap() < place("two").unwrap(), "{name}");
    }
    let tries: u64 = runs(&client, "manual.job").await.iter().map(|run| run["attempts"].as_u64().unwrap()).sum();
    println!("{} runs were done in {tries} attempts over {rounds} kills", begun.len());
}

/// What fails for good is a dead letter, which the doctor and the commands tell of; once the cause is mended it is replayed.
#[tokio::test]
async fn dead_letters_wait_for_who_mends_their_cause() {
    let server = clerk("[plugins.clerk.config]\npassword = \"sk-4711-hunter2\"\n").start();
    let client = server.client();
    let room = client.room("desk").await;
    let sticks = begin(&client, "manual.fail", json!({}), "a").await.unwrap();
    let locked = begin(&client, "manual.fail", json!({ "permanent": true }), "b").await.unwrap();
    assert_eq!(run_is(&client, &locked, "failed").await["attempts"], 1, "what will never work is not tried again");
    assert_eq!(run_is(&client, &sticks, "failed").await["attempts"], 2);
    let letters = server.cli_ok(&["workflow", "dead-letters"]);
    assert!(letters.contains(&locked) && letters.contains("the drawer sticks"), "{letters}");
    let doctor = server.cli_ok(&["doctor"]);
    assert!(doctor.contains("2 runs failed for good") && doctor.contains("workflow replay --all clerk"), "{doctor}");
    let counters = client.get("/metrics").await.text();
    assert!(counters.contains("plexichat_workflow_runs{plugin=\"clerk\",state=\"failed\"} 2"), "{counters}");

    let mend = client.say(&room, "/mend").await;
    assert_eq!(client.answer_to(&room, &mend).await["text"], "mended");
    let said = server.cli_ok(&["workflow", "replay", "--all", "clerk"]);
    assert!(said.contains("2 runs of clerk are queued again"), "{said}");
    run_is(&client, &sticks, "done").await;
    run_is(&client, &locked, "done").await;
    let audit = client.get("/api/v1/audit?action=run.").await.expect(200);
    let actions: Vec<&str> =
        audit["rows"].as_array().unwrap().iter().filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(actions, ["run.replay_all", "run.start", "run.start"], "{audit}");

    // No secret of the plugin is shown, whatever its workflow says.
    let run = server.cli_ok(&["workflow", "start", "clerk", "manual.secret", "--wait", "--json"]);
    let run: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(
        (&run["output"], &run["steps"][0]["detail"]),
        (&json!({ "password": "***" }), &json!({ "header": "Bearer ***" }))
    );
}

/// A run that is made when the server stops goes on at the next start, and one that is cancelled ends at once.
#[tokio::test]
async fn a_stop_gives_runs_back_and_a_cancel_ends_them() {
    // Enabled over the API, so that it can be disabled there.
    let server = Setup::of(fixtures()).config(UNLIMITED).start();
    let client = server.client();
    client.post("/api/v1/plugins/clerk/install", json!({})).await.expect(200);
    client.post("/api/v1/plugins/clerk/enable", Value::Null).await.expect(200);
    let slow = begin(&client, "manual.slow", json!({ "ms": 50_000 }), "a").await.unwrap();
    run_is(&client, &slow, "running").await;
    let server = server.restart();
    let client = server.client();
    let run = run_is(&client, &slow, "running").await;
    assert_eq!(run["attempts"], 1, "a stop is no failed attempt: {run:#}");
    let began = Instant::now();
    server.cli_ok(&["workflow", "cancel", &slow]);
    assert_eq!(run_is(&client, &slow, "cancelled").await["error"], Value::Null);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    // While its plugin does not run, nothing is lost, and nobody calls its webhooks.
    let secret: Value =
        serde_json::from_str(&server.cli_ok(&["workflow", "secret", "clerk", "hooks/in", "--json"])).unwrap();
    let (url, secret) = (secret["url"].as_str().unwrap(), secret["secret"].as_str().unwrap());
    let hook = client.with_token(Some(secret));
    let first = hook.post(url, json!({ "n": 1 })).await.expect(202);
    assert_eq!(run_is(&client, first["run_id"].as_str().unwrap(), "done").await["input"]["body"], json!({ "n": 1 }));
    client.post("/api/v1/plugins/clerk/disable", Value::Null).await.expect(200);
    hook.post(url, json!({ "n": 2 })).await.error(404, "plugin_not_running");
    let room = client.room("desk").await;
    let parked = begin(&client, "manual.job", json!({ "room_id": room, "name": "late" }), "late").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(client.get(&format!("/api/v1/workflows/runs/{parked}")).await.expect(200)["state"], "queued");
    let listed = server.cli_ok(&["workflow", "list", "--plugin", "clerk", "--prefix", "hooks/"]);
    assert!(listed.contains("its plugin does not run"), "{listed}");
    client.post("/api/v1/plugins/clerk/enable", Value::Null).await.expect(200);
    run_is(&client, &parked, "done").await;
}

/// After an hour away each trigger does what its policy says: forgets, makes up for the last time, or for the last five.
#[tokio::test]
async fn an_hour_away_is_made_up_for_by_policy() {
    let started = now();
    let server = clerk("").start();
    let client = server.client();
    let began = Instant::now();
    while runs(&client, "ticks/skip").await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "it ticks every second");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let setup = server.setup().clone();
    assert!(server.stop().status.success());
    // What an hour does: the next times lie an hour back.
    let database = rusqlite::Connection::open(setup.data_dir().join("plexichat.db")).unwrap();
    let moved = database.execute("UPDATE triggers SET next_at = next_at - 3600000000 WHERE id LIKE 'ticks/%'", []);
    assert_eq!(moved, Ok(3));
    drop(database);
    while now() % 60 > 40 {
        // No minute ends while the server starts.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let server: Server = setup.start();
    let client = server.client();
    let made = async |trigger: &str| {
        let all = runs(&client, trigger).await;
        let mut times: Vec<u64> = all.iter().map(|run| seconds(&run["scheduled_at"])).collect();
        times.sort_unstable();
        times
    };
    let again = Instant::now();
    while made("ticks/catch-up").await.len() < 5 || made("ticks/once").await.is_empty() {
        assert!(again.elapsed() < PATIENCE, "what was missed is not made up for");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A minute that was on time before is not made again.
    let minute = now() / 60 * 60;
    let last_five: Vec<u64> = (0..5).rev().map(|ago| minute - 60 * ago).collect();
    assert_eq!(made("ticks/catch-up").await, last_five);
    let once = made("ticks/once").await;
    assert_eq!(once.last(), Some(&minute));
    assert!(once.iter().all(|time| *time + 60 >= started), "one of the hour at most: {once:?}");
    let skipped = made("ticks/skip").await;
    assert!(skipped.iter().all(|time| *time + 61 >= started), "nothing of the hour is made up for: {skipped:?}");
    let mut all: Vec<u64> = runs(&client, "ticks/skip").await.iter().map(|run| seconds(&run["scheduled_at"])).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "no tick twice");
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// The seconds since 1970 of a time of the API.
fn seconds(time: &Value) -> u64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_second().cast_unsigned()
}
