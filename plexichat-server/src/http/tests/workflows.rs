//! Workflows over REST and webhooks, with the engine behind: who may start, see, end and replay what.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use plexichat::catalog::Catalog;
use plexichat::message::Time;
use plexichat::prelude::*;
use plexichat::settings::{AccountSettings, Settings, Sources};
use plexichat::trigger::RunPolicy;
use serde_json::{Value, json};
use sha2::Sha256;

use super::Fixture;
use super::plugin_routes::{ask_at, text};
use crate::store::{Role, Scope as TokenScope};

/// Its settings.
#[plexichat::config]
pub(super) struct Drawer {
    /// Never shown.
    key: Secret,
}

/// Files, fails, waits.
#[plexichat::plugin(name = "clerk", provides(Automation))]
pub(super) struct Clerk {
    context: Context<Self>,
    drawer: Drawer,
}

impl Plugin for Clerk {
    type Config = Drawer;

    async fn initialize(context: Context<Self>, drawer: Drawer) -> Result<Self> {
        Ok(Self { context, drawer })
    }
}

#[plexichat::role]
impl Automation for Clerk {
    fn register_triggers(triggers: Triggers<Self>) -> Triggers<Self> {
        triggers
            .manual("file")
            .manual("wait")
            .manual("fail")
            .policy(RunPolicy { attempts: 1, ..RunPolicy::default() })
            .webhook("hooks/in", "file")
    }

    async fn execute_workflow(&self, run: WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
        match run.workflow.as_str() {
            "wait" => Ok(Outcome::Wait { until: None, state: json!({}) }),
            "fail" if self.context.storage().get::<bool>("mended").await?.is_none() => {
                self.context.storage().set("mended", &true).await?;
                Err(WorkflowError::permanent(format!("{} does not fit", self.drawer.key.expose())))
            }
            _ => {
                run.record("file", "done", json!({ "with": self.drawer.key.expose() })).await?;
                Ok(Outcome::Done(run.input))
            }
        }
    }
}

async fn fixture() -> Fixture {
    let linked = [<Clerk as plexichat::descriptor::Registered>::DESCRIPTOR];
    let bundle = "[plugins.clerk]\nenabled = true\ngrant = []\n[plugins.clerk.config]\nkey = \"sk-4711-hunter2\"\n";
    let settings = Settings::load(&Sources { bundle, linked: &linked, ..Sources::default() }).unwrap();
    let fixture = Fixture::of(AccountSettings::default(), Catalog::of(&linked).unwrap(), settings);
    fixture.app.host.manager.start_all().await.unwrap();
    tokio::spawn(fixture.app.host.automations.clone().run());
    fixture
}

/// Waits until a run stands so.
async fn run_is(fixture: &Fixture, token: &str, id: &Value, state: &str) -> Value {
    let path = format!("/api/v1/workflows/runs/{}", id.as_str().unwrap());
    for _ in 0..500 {
        let (status, run) = fixture.send("GET", &path, Some(token), None).await;
        assert_eq!(status, 200, "{run}");
        assert!(!run.to_string().contains("hunter2"), "{run}");
        if run["state"] == state {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("run {id} is never {state}");
}

async fn start(fixture: &Fixture, token: &str, trigger: &str, more: Value) -> (u16, Value) {
    let mut body = json!({ "plugin": "clerk", "trigger": trigger });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fixture.send("POST", "/api/v1/workflows/start", Some(token), Some(body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_are_listed_started_ended_and_replayed() {
    let fixture = fixture().await;
    let admin = fixture.administrator().await;
    let (status, run) = start(&fixture, &admin, "manual.file", json!({ "input": { "n": 1 }, "key": "once" })).await;
    assert_eq!(status, 202, "{run}");
    let (_, again) = start(&fixture, &admin, "manual.file", json!({ "input": { "n": 2 }, "key": "once" })).await;
    assert_eq!(again["id"], run["id"], "the same key");
    let done = run_is(&fixture, &admin, &run["id"], "done").await;
    assert_eq!((&done["output"]["n"], &done["steps"][0]["detail"]), (&json!(1), &json!({ "with": "***" })), "{done}");
    assert_eq!((&done["cause"]["actor"]["name"], &done["attempts"]), (&json!("admin"), &json!(1)));

    // One that waits is ended; one that ended is not.
    let (_, waits) = start(&fixture, &admin, "manual.wait", json!({ "dry_run": true })).await;
    assert_eq!(run_is(&fixture, &admin, &waits["id"], "waiting").await["dry_run"], true);
    let of = |id: &Value, verb: &str| format!("/api/v1/workflows/runs/{}/{verb}", id.as_str().unwrap());
    let (status, ended) = fixture.send("POST", &of(&waits["id"], "cancel"), Some(&admin), None).await;
    assert_eq!((status, &ended["state"]), (200, &json!("cancelled")), "{ended}");
    let (status, refused) = fixture.send("POST", &of(&run["id"], "cancel"), Some(&admin), None).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("run_has_ended")));
    let (status, refused) = fixture.send("POST", &of(&run["id"], "replay"), Some(&admin), None).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("run_not_failed")));

    // A dead letter, and what became of it.
    let (_, fails) = start(&fixture, &admin, "manual.fail", json!({})).await;
    let failed = run_is(&fixture, &admin, &fails["id"], "failed").await;
    assert_eq!(failed["error"], "*** does not fit");
    let (_, dead) = fixture.send("GET", "/api/v1/workflows/dead-letters", Some(&admin), None).await;
    assert_eq!(dead["runs"].as_array().unwrap().len(), 1, "{dead}");
    assert!(!dead.to_string().contains("hunter2"), "{dead}");
    let all = json!({ "plugin": "clerk" });
    let (_, replayed) = fixture.send("POST", "/api/v1/workflows/dead-letters/replay", Some(&admin), Some(all)).await;
    assert_eq!(replayed, json!({ "replayed": 1, "more": false }));
    run_is(&fixture, &admin, &fails["id"], "done").await;

    // What there is, for moderators too; with what starts it and how its runs stand.
    let moderator = fixture.token("mo", Role::Moderator, &[TokenScope::Read, TokenScope::Write]).await;
    let (status, list) = fixture.send("GET", "/api/v1/workflows?plugin=clerk", Some(&moderator), None).await;
    assert_eq!(status, 200, "{list}");
    let hook = list["triggers"].as_array().unwrap().iter().find(|trigger| trigger["trigger"] == "hooks/in").unwrap();
    assert_eq!((&hook["url"], &hook["active"]), (&json!("/api/v1/plugins/clerk/-/hooks/hooks/in"), &json!(true)));
    let file = list["triggers"].as_array().unwrap().iter().find(|trigger| trigger["trigger"] == "manual.file").unwrap();
    assert_eq!(file["runs"], json!({ "done": 1 }), "{list}");
    let (_, page) = fixture.send("GET", "/api/v1/workflows?limit=2", Some(&moderator), None).await;
    let next = page["next"].as_str().unwrap();
    let (_, rest) = fixture.send("GET", &format!("/api/v1/workflows?after={next}"), Some(&moderator), None).await;
    assert_eq!(rest["triggers"].as_array().unwrap().len(), 2, "{rest}");
    let (_, runs) =
        fixture.send("GET", "/api/v1/workflows/runs?state=done,failed&limit=1", Some(&moderator), None).await;
    assert_eq!((&runs["runs"][0]["id"], &runs["next"]), (&fails["id"], &fails["id"]), "{runs}");
    let (status, _) = start(&fixture, &moderator, "manual.file", json!({})).await;
    assert_eq!(status, 403);
    let (status, missing) = start(&fixture, &admin, "manual.nothing", json!({})).await;
    assert_eq!((status, missing["error"]["hint"].is_string()), (404, true), "{missing}");

    let (_, counters) = text(ask_at(&fixture, "GET", "/metrics", &[], "").await).await;
    assert_eq!(counters.matches("hunter2").count(), 0);
    fixture.app.host.automations.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_start_workflows_for_who_shows_their_secret() {
    let fixture = fixture().await;
    let admin = fixture.administrator().await;
    let body = json!({ "plugin": "clerk", "trigger": "hooks/in" });
    let (status, made) = fixture.send("POST", "/api/v1/workflows/secret", Some(&admin), Some(body.clone())).await;
    assert_eq!(status, 200, "{made}");
    let (path, secret) = (made["url"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let (_, list) = fixture.send("GET", "/api/v1/workflows", Some(&admin), None).await;
    assert!(!list.to_string().contains(secret), "it is shown once");
    let call = async |head: &[(&str, &str)], body: &str| {
        let (status, text) = text(ask_at(&fixture, "POST", path, head, body).await).await;
        (status, serde_json::from_str::<Value>(&text).unwrap_or_default())
    };

    let bearer = format!("Bearer {secret}");
    let json_type = ("content-type", "application/json");
    let head = [("authorization", bearer.as_str()), json_type, ("idempotency-key", "a"), ("x-own", "1")];
    let (status, started) = call(&head, r#"{"build": 1}"#).await;
    assert_eq!(status, 202, "{started}");
    let run = run_is(&fixture, &admin, &started["run_id"], "done").await;
    assert_eq!((&run["input"]["body"], &run["input"]["headers"]["x-own"]), (&json!({ "build": 1 }), &json!("1")));
    assert!(!run.to_string().contains(secret), "{run}");
    let (_, again) = call(&head, r#"{"build": 2}"#).await;
    assert_eq!(again["run_id"], started["run_id"], "the same key");

    let now = (Time::now().as_micros() / 1_000_000).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{now}.signed").as_bytes());
    let made: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = format!("sha256={made}");
    let head = [("x-plexichat-signature", signature.as_str()), ("x-plexichat-timestamp", now.as_str())];
    let (status, started) = call(&head, "signed").await;
    assert_eq!(status, 202, "{started}");
    let run = run_is(&fixture, &admin, &started["run_id"], "done").await;
    assert_eq!(run["input"]["body"], "signed");
    assert_eq!(call(&head, "another").await.0, 401);

    for (head, status) in [(&[][..], 401), (&[("authorization", "Bearer whs_0")][..], 401)] {
        let (found, refused) = call(head, "x").await;
        assert_eq!((found, refused["error"]["hint"].is_string()), (status, true), "{refused}");
    }
    let (status, _) = call(&[("authorization", bearer.as_str()), json_type], "{").await;
    assert_eq!(status, 400);
    let wrong = "/api/v1/plugins/clerk/-/hooks/manual.file";
    assert_eq!(text(ask_at(&fixture, "POST", wrong, &[("authorization", &bearer)], "").await).await.0, 404);

    let (status, _) = fixture.send("POST", "/api/v1/workflows/secret", Some(&admin), Some(body)).await;
    assert_eq!(status, 200);
    assert_eq!(call(&[("authorization", bearer.as_str())], "x").await.0, 401, "the old secret counts no more");
    fixture.app.host.automations.stop(Duration::from_secs(1)).await;
}
