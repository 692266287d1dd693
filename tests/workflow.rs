//! `plugins/workflow` over the real binary: runs that post, wait, ask a model, call a service and wait for a person's word, while the
//! server is killed. Rounds of kills: `PLEXICHAT_WORKFLOW_KILLS` (20 where nothing is set).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use crate::support::bundle::fixtures;
use crate::support::load::UNLIMITED;
use crate::support::seed::Seed;
use crate::support::{Client, Setup};

const BASE: &str = "/api/v1/plugins/workflow";
/// How many runs are begun before each kill.
const EACH: usize = 5;
/// How long all runs may take to end once nobody kills the server.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the service was asked: how often under each key.
type Asked = Arc<Mutex<BTreeMap<String, u32>>>;

async fn serve(State(asked): State<Asked>, headers: HeaderMap) -> StatusCode {
    let key = headers.get("idempotency-key").expect("a key").to_str().unwrap().to_owned();
    *asked.lock().unwrap().entry(key).or_default() += 1;
    StatusCode::NO_CONTENT
}

/// A service that counts, and its port; it ends with the test.
async fn service() -> (Asked, u16) {
    let asked = Asked::default();
    let router = Router::new().route("/notify", post(serve)).with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (asked, port)
}

fn setup() -> Setup {
    Setup::of(fixtures()).config(&format!(
        "{UNLIMITED}\n[plugins.parrot]\nenabled = true\n[plugins.workflow]\nenabled = true\nprivate_network = true\n"
    ))
}

fn definition(room: &str, port: u16) -> Value {
    json!({
        "name": "release",
        "description": "Posts, waits, asks a model, a service and a person, posts",
        "steps": [
            { "post": { "room": room, "text": "begins {{ input.n }}" } },
            { "wait": { "for": "1s" } },
            { "id": "notes", "ai": { "model": "parrot/echo", "prompt": "{{ input.n }}" } },
            { "http": { "method": "POST", "url": format!("http://127.0.0.1:{port}/notify"), "json": { "n": "{{ input.n }}" } } },
            { "id": "ask", "approve": { "text": "Release {{ input.n }}?", "room": room, "moderators": true } },
            { "post": { "room": room, "text": "ends {{ input.n }}: {{ steps.notes.result.text }}" } },
        ],
    })
}

/// Starts one run, however often it is tried: its identifier where that was told.
async fn begin(client: &Client, n: &str) -> Option<String> {
    let body = json!({ "plugin": "workflow", "trigger": "wf.release.manual", "input": { "n": n }, "key": n });
    let answer = client.request("POST", "/api/v1/workflows/start", &body).await.ok()?;
    (answer.status == 202).then(|| answer.json()["id"].as_str().unwrap().to_owned())
}

/// Says yes to everything that is asked at the moment.
async fn approve_all(client: &Client) {
    let Ok(pending) = client.request("GET", &format!("{BASE}/admins/approvals"), &Value::Null).await else { return };
    if pending.status != 200 {
        return;
    }
    for approval in pending.json()["approvals"].as_array().unwrap() {
        let path = format!("{BASE}/admins/approvals/{}", approval["id"].as_str().unwrap());
        // The server may be killed meanwhile, or the question have been answered.
        let _ = client.request("POST", &path, &json!({ "approve": true })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_run_finishes_and_each_effect_is_there_once() {
    let rounds = std::env::var("PLEXICHAT_WORKFLOW_KILLS").map_or(20, |rounds| rounds.parse().expect("a number"));
    let mut seed = Seed::from_environment();
    let (asked, port) = service().await;
    let mut server = setup().start();
    let room = server.client().room("releases").await;
    let put = server.client().put(&format!("{BASE}/definitions/release"), definition(&room, port)).await;
    assert!(put.status.is_success(), "{}", put.text());

    let mut begun: BTreeMap<String, Option<String>> = BTreeMap::new();
    for round in 0..rounds {
        let client = server.client();
        begun.extend((0..EACH).map(|number| (format!("{round}-{number}"), None)));
        // Those that nobody confirmed, too: under their old keys.
        let open: Vec<String> = begun.iter().filter(|(_, run)| run.is_none()).map(|(n, _)| n.clone()).collect();
        let kill_at = Duration::from_millis(100 + seed.below(1_500));
        let working = tokio::spawn(async move {
            let mut found = Vec::new();
            for n in open {
                if let Some(run) = begin(&client, &n).await {
                    found.push((n, run));
                }
            }
            approve_all(&client).await;
            found
        });
        tokio::time::sleep(kill_at).await;
        let setup = server.kill();
        begun.extend(working.await.unwrap().into_iter().map(|(n, run)| (n, Some(run))));
        server = setup.start();
    }

    let client = server.client();
    for (n, run) in begun.iter_mut().filter(|(_, run)| run.is_none()) {
        *run = Some(begin(&client, n).await.expect("is begun"));
    }
    let began = Instant::now();
    let mut waiting: BTreeSet<String> = begun.values().flatten().cloned().collect();
    assert_eq!(waiting.len(), begun.len(), "one run for each key");
    while !waiting.is_empty() {
        approve_all(&client).await;
        for id in waiting.clone() {
            let run = client.get(&format!("/api/v1/workflows/runs/{id}")).await.expect(200);
            match run["state"].as_str().unwrap() {
                "done" => drop(waiting.remove(&id)),
                "failed" | "skipped" | "cancelled" => panic!("{run:#}"),
                _ => assert!(began.elapsed() < PATIENCE, "it does not end: {run:#}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let texts: Vec<String> =
        client.history(&room).await.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
    for n in begun.keys() {
        let places = |is_it: &dyn Fn(&str) -> bool| -> Vec<usize> {
            texts.iter().enumerate().filter(|(_, text)| is_it(text)).map(|(place, _)| place).collect()
        };
        let first = places(&|text| text == format!("begins {n}"));
        let question = places(&|text| text.contains(&format!("Release {n}?")));
        let last = places(&|text| text.starts_with(&format!("ends {n}: ")));
        assert_eq!((first.len(), question.len(), last.len()), (1, 1, 1), "{n}: {texts:#?}");
        assert!(first[0] < question[0] && question[0] < last[0], "{n}: {texts:#?}");
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), begun.len(), "one key for each run: {asked:?}");
    let twice = asked.values().filter(|times| **times > 1).count();
    assert!(twice <= rounds * EACH / 2, "asked again without a crash: {asked:?}");
    println!("{} runs were done over {rounds} kills; {twice} requests came again, under their keys", begun.len());
}
