//! Workflows in the test kit: triggers fire, runs are attempted, parked, woken, tried again, given up; nothing is done twice or lost.

#![cfg(feature = "testing")]

use std::time::Duration;

use plexichat::automation::{RunRecord, RunState};
use plexichat::capability::clock::Clock;
use plexichat::event::catalog::FileDeleted;
use plexichat::message::{Actor, Time};
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat::trigger::RunPolicy;
use serde_json::{Value, json};

mod worker {
    use std::sync::atomic::{AtomicU32, Ordering};

    use plexichat::prelude::*;
    use plexichat::trigger::{Condition, Matches, RunPolicy};
    use serde_json::{Value, json};

    /// Does what its runs' input says.
    #[plexichat::plugin(
        name = "worker",
        provides(Automation),
        permissions(PostMessages, UserDataAccess),
        emits("round")
    )]
    pub(crate) struct Worker {
        pub(crate) ctx: Context<Self>,
        pub(crate) calls: AtomicU32,
    }

    impl Plugin for Worker {
        type Config = NoConfig;

        async fn initialize(ctx: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self { ctx, calls: AtomicU32::new(0) })
        }
    }

    #[plexichat::role]
    impl Automation for Worker {
        fn register_triggers(triggers: Triggers<Self>) -> Triggers<Self> {
            let wants = |text: &str| Condition { at: "/data/text".into(), is: Matches::Contains(text.into()) };
            triggers
                .on_event("message_received", "announce", Scope::Cluster)
                .only(wants("deploy"))
                .on_event("file_deleted", "note", Scope::Cluster)
                .policy(RunPolicy { deduplicate: Some("/event/data/why".into()), ..RunPolicy::default() })
                .every(3600, Misfire::RunOnce, "beat", Scope::Cluster)
                .input(json!({ "tune": 5 }))
                .cron("0 9 * * *", "Europe/Berlin", Misfire::CatchUp(3), "daily", Scope::Cluster)
                .webhook("inbox", "hooked")
                .command("work", "Works.", "worked")
                .manual("by_hand")
                .policy(RunPolicy { timeout_seconds: 1, ..RunPolicy::default() })
        }

        async fn execute_workflow(&self, run: WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let say = async |text: String| -> Result<()> {
                let Some(room) = run.cause.room_id else { return Err(PluginError::input("nobody said where")) };
                self.ctx.chat().post(Post::new(room, text)).await.map(drop)
            };
            match run.workflow.as_str() {
                "announce" => say("it is deployed".to_owned()).await?,
                "worked" => say(format!("worked on {}", run.input["arguments"].as_str().unwrap_or_default())).await?,
                // Each part says one thing, without keys of its own.
                "hooked" if run.state.is_none() => return Ok(Outcome::Wait { until: None, state: json!(1) }),
                "chase" => self.ctx.events().emit_json("round", json!({})).await?,
                "by_hand" => return by_hand(&run).await,
                _ => {}
            }
            Ok(Outcome::Done(json!({ "input": run.input, "signal": run.signal })))
        }
    }

    async fn by_hand(run: &WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
        let attempt = run.attempt;
        run.record("tried", "started", attempt).await?;
        match run.input["do"].as_str().unwrap_or_default() {
            "skip" => Ok(Outcome::Skip("it is a holiday".to_owned())),
            "fail" => Err(WorkflowError::retry(format!("attempt {attempt} found nobody"))),
            "fail_once" if attempt > 1 => Ok(Outcome::Done(json!(attempt))),
            "fail_once" => Err(WorkflowError::retry("not yet")),
            "give_up" => Err(WorkflowError::permanent("there is no such thing")),
            "panic" => panic!("a bug"),
            "hang" => std::future::pending().await,
            "save" => {
                let count: u32 = run.state_as()?.unwrap_or_default();
                run.save(&(count + 1)).await?;
                if count < 2 { Err(WorkflowError::retry("once more")) } else { Ok(Outcome::Done(json!(count))) }
            }
            "collect" => {
                let mut seen: Vec<Value> = run.state_as()?.unwrap_or_default();
                seen.extend(run.signal.clone());
                if seen.len() < 3 {
                    return Ok(Outcome::Wait { until: None, state: seen.into() });
                }
                Ok(Outcome::Done(seen.into()))
            }
            _ => Ok(Outcome::Done(json!({ "dry": run.dry_run, "caller": run.caller.actor() }))),
        }
    }
}

use worker::Worker;

async fn start() -> TestResult<RunningPlugin<Worker>> {
    TestHost::new().start::<Worker>().await
}

async fn by_hand(plugin: &RunningPlugin<Worker>, what: &str) -> TestResult<RunRecord> {
    let run = plugin.start_trigger("manual.by_hand", json!({ "do": what })).await?;
    plugin.idle().await?;
    Ok(plugin.run(run).await?.0)
}

async fn of(plugin: &RunningPlugin<Worker>, workflow: &str) -> TestResult<Vec<RunRecord>> {
    Ok(plugin.runs().await?.into_iter().filter(|run| run.trigger.workflow == workflow).collect())
}

#[plexichat::test]
async fn an_event_that_fits_starts_its_workflow_once() -> TestResult {
    let plugin = start().await?;
    plugin.post("ann", "lunch?").await?;
    plugin.post("ann", "DEPLOY it").await?;
    plugin.idle().await?;
    let runs = of(&plugin, "announce").await?;
    assert_eq!(runs.iter().map(|run| run.state).collect::<Vec<_>>(), [RunState::Done], "{runs:?}");
    let texts: Vec<String> = plugin.messages().into_iter().map(|row| row.text).collect();
    // Its own message has the word, too, and is its own.
    assert_eq!(texts, ["lunch?", "DEPLOY it", "it is deployed"]);
    for name in ["trigger_fired", "workflow_started", "workflow_completed"] {
        plugin.event(name).await?;
    }
    Ok(())
}

#[plexichat::test]
async fn a_run_that_would_be_a_duplicate_is_not_made() -> TestResult {
    let plugin = start().await?;
    plugin.disable().await?;
    plugin.emit(FileDeleted::new("a".into(), Actor::system(), "virus".into())).await?;
    assert_eq!(of(&plugin, "note").await?.len(), 0, "what happens while it is disabled is not for it");
    plugin.enable().await?;
    for why in ["virus", "old"] {
        plugin.emit(FileDeleted::new("a".into(), Actor::system(), why.into())).await?;
    }
    plugin.idle().await?;
    assert_eq!(of(&plugin, "note").await?.len(), 2);
    Ok(())
}

#[plexichat::test]
async fn a_chain_of_causes_ends() -> TestResult {
    let plugin = start().await?;
    let chain = json!({ "names": ["custom.round"], "kind": "event", "own": true });
    let spec = json!({ "id": "round", "on": chain, "workflow": "chase", "scope": "cluster" });
    plugin.plugin()?.ctx.triggers().put(serde_json::from_value(spec)?).await?;
    plugin.host().bus.publish(plexichat::event::Event::json("custom.round", json!({}))).await?.wait().await;
    plugin.idle().await?;
    let depths: Vec<u8> = of(&plugin, "chase").await?.iter().map(|run| run.cause.depth).collect();
    assert_eq!(depths, [0, 1, 2, 3, 4, 5, 6, 7]);
    plugin.event("plugin_error").await?;
    let failed = plugin.event("workflow_failed").await?.data()?;
    assert_eq!((&failed["trigger"], &failed["run_id"]), (&json!("round"), &json!("")));
    assert!(failed["error"].as_str().unwrap_or_default().contains("trigger `round` did not fire"), "{failed}");
    Ok(())
}

#[plexichat::test]
async fn a_command_starts_its_workflow() -> TestResult {
    let plugin = start().await?;
    assert_eq!(plugin.say("ann", "/work the garden").await?.text, "worked on the garden");
    let [run] = &of(&plugin, "worked").await?[..] else { panic!("one run") };
    assert_eq!(run.cause.actor, Some(plugin.actor("ann")));
    let spec =
        json!({ "id": "mine", "on": { "kind": "command", "name": "work" }, "workflow": "x", "scope": "cluster" });
    let clash = plugin.plugin()?.ctx.triggers().put(serde_json::from_value(spec)?).await.expect_err("a clash");
    assert!(clash.to_string().contains("trigger `command.work` of plugin `worker` has it"), "{clash}");
    Ok(())
}

#[plexichat::test]
async fn a_parked_run_is_woken_in_order_and_loses_no_signal() -> TestResult {
    let plugin = start().await?;
    let run = by_hand(&plugin, "collect").await?;
    assert_eq!(run.state, RunState::Waiting);
    for signal in [1, 2, 3] {
        assert!(plugin.wake(run.id, json!(signal)).await?);
    }
    let done = plugin.run_finished("by_hand").await?;
    assert_eq!((done.output, done.attempts), (Some(json!([1, 2, 3])), 1));
    assert!(!plugin.wake(run.id, json!(4)).await?, "it has ended");
    plugin.event("workflow_waiting").await?;
    Ok(())
}

#[plexichat::test]
async fn a_failing_run_is_tried_again_and_then_given_up() -> TestResult {
    let plugin = start().await?;
    let run = by_hand(&plugin, "fail").await?;
    assert_eq!((run.state, run.attempts, run.error.as_deref()), (RunState::Queued, 1, Some("attempt 1 found nobody")));
    plugin.advance(Duration::from_secs(10)).await?;
    let (run, steps) = plugin.run(run.id).await?;
    assert_eq!((run.state, run.attempts, run.error.as_deref()), (RunState::Failed, 3, Some("attempt 3 found nobody")));
    assert_eq!(steps.iter().map(|step| step.detail.clone()).collect::<Vec<_>>(), [json!(1), json!(2), json!(3)]);
    plugin.event("workflow_failed").await?;
    let replayed = plugin.host().automations.replay_by(run.id, Actor::system()).await?;
    assert_eq!(replayed, Some(RunState::Failed));
    plugin.idle().await?;
    assert_eq!(plugin.run(run.id).await?.0.attempts, 1);
    Ok(())
}

#[plexichat::test]
async fn an_attempt_ends_as_it_says() -> TestResult {
    let plugin = start().await?;
    let run = by_hand(&plugin, "skip").await?;
    assert_eq!((run.state, run.error.as_deref()), (RunState::Skipped, Some("it is a holiday")));
    let run = by_hand(&plugin, "give_up").await?;
    assert_eq!((run.state, run.attempts), (RunState::Failed, 1));
    let run = by_hand(&plugin, "fail_once").await?;
    plugin.advance(Duration::from_secs(2)).await?;
    assert_eq!(plugin.run(run.id).await?.0.output, Some(json!(2)));
    let run = by_hand(&plugin, "save").await?;
    plugin.advance(Duration::from_secs(10)).await?;
    assert_eq!(plugin.run(run.id).await?.0.output, Some(json!(2)), "what was saved is there again");
    Ok(())
}

#[plexichat::test]
async fn panics_and_timeouts_are_contained() -> TestResult {
    let plugin = start().await?;
    let run = by_hand(&plugin, "panic").await?;
    assert!(run.error.as_deref().unwrap_or_default().contains("panicked: a bug"), "{run:?}");
    let run = by_hand(&plugin, "hang").await?;
    assert!(run.error.as_deref().unwrap_or_default().contains("longer than 1 s"), "{run:?}");
    assert_eq!(by_hand(&plugin, "skip").await?.state, RunState::Skipped, "others go on");
    Ok(())
}

#[plexichat::test]
async fn a_cancelled_run_is_dropped_at_once() -> TestResult {
    let plugin = start().await?;
    let run = plugin.start_trigger("manual.by_hand", json!({ "do": "hang" })).await?;
    while plugin.run(run).await?.1.is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(plugin.plugin()?.ctx.triggers().cancel(run).await?);
    plugin.idle().await?;
    let (record, _) = plugin.run(run).await?;
    assert_eq!((record.state, record.error), (RunState::Cancelled, None));
    assert!(record.busy_ms < 900, "it was not waited for: {} ms", record.busy_ms);
    Ok(())
}

#[plexichat::test]
async fn a_run_is_started_once_for_a_key_and_may_be_dry() -> TestResult {
    let plugin = start().await?;
    let triggers = plugin.plugin()?.ctx.triggers();
    let first = triggers.start("manual.by_hand", Value::Null, Some("today".into())).await?;
    assert_eq!(triggers.start("manual.by_hand", Value::Null, Some("today".into())).await?, first);
    let start = plexichat::automation::Start { dry_run: true, ..Default::default() };
    let (host, name) = (plugin.host(), "worker".parse()?);
    let dry = host.automations.start_by(plugin.actor("root"), &name, "manual.by_hand", start).await?;
    plugin.idle().await?;
    assert_eq!(plugin.runs().await?.len(), 2);
    let output = plugin.run(dry).await?.0.output.unwrap_or_default();
    assert_eq!((&output["dry"], &output["caller"]["name"]), (&json!(true), &json!("root")));
    assert!(triggers.start("nothing", Value::Null, None).await.is_err());
    Ok(())
}

#[plexichat::test]
async fn a_webhook_starts_its_workflow_and_asks_for_its_secret() -> TestResult {
    let plugin = start().await?;
    let armed = plugin.triggers().await?.into_iter().find(|armed| armed.spec.id == "inbox").expect("the trigger");
    assert_eq!(armed.path.as_deref(), Some("/api/v1/plugins/worker/-/hooks/inbox"));
    let secret = armed.secret.expect("a secret");
    assert_eq!(secret.expose().len(), 64);
    let name = "worker".parse()?;
    let refused = plugin.host().automations.hook(&name, "inbox", |_| false, Default::default()).await;
    assert!(matches!(refused, Err(plexichat::automation::HookError::Refused)));
    let unknown = plugin.host().automations.hook(&name, "manual.by_hand", |_| true, Default::default()).await;
    assert!(matches!(unknown, Err(plexichat::automation::HookError::Unknown)));
    let run = plugin.call_hook("inbox", json!({ "n": 1 })).await?;
    plugin.idle().await?;
    plugin.wake(run, json!("go")).await?;
    let output = plugin.run_finished("hooked").await?.output.unwrap_or_default();
    assert_eq!((&output["input"]["body"], &output["signal"]), (&json!({ "n": 1 }), &json!("go")));
    Ok(())
}

/// Moves the clock at once, as when the machine was off.
async fn jump(plugin: &RunningPlugin<Worker>, by: Duration) -> TestResult {
    plugin.clock().advance(by);
    plugin.host().automations.look();
    plugin.idle().await
}

#[plexichat::test]
async fn what_was_missed_is_made_up_for_as_the_trigger_says() -> TestResult {
    let plugin = start().await?;
    let began = plugin.clock().now();
    plugin.advance(Duration::from_secs(3 * 3600)).await?;
    let beats = of(&plugin, "beat").await?;
    let hours: Vec<i64> =
        beats.iter().map(|run| (run.scheduled_at.as_micros() - began.as_micros()) / 3_600_000_000).collect();
    assert_eq!(hours, [1, 2, 3]);
    assert_eq!(beats[0].input, json!({ "input": { "tune": 5 } }));
    let daily = of(&plugin, "daily").await?.len();
    jump(&plugin, Duration::from_secs(10 * 86_400)).await?;
    assert_eq!(of(&plugin, "beat").await?.len(), 4, "one run for all that was missed");
    assert_eq!(of(&plugin, "daily").await?.len() - daily, 3, "the last three days");
    jump(&plugin, Duration::from_secs(1)).await?;
    assert_eq!(of(&plugin, "beat").await?.len(), 4);
    Ok(())
}

#[plexichat::test]
async fn triggers_of_run_time_survive_a_restart() -> TestResult {
    let plugin = start().await?;
    let at = Time::from_micros(plugin.clock().now().as_micros() + 60_000_000);
    let spec = plexichat::trigger::TriggerSpec {
        input: json!("call mum"),
        policy: RunPolicy { attempts: 1, ..RunPolicy::default() },
        ..plexichat::trigger::TriggerSpec::new(
            "reminder/1",
            plexichat::trigger::On::At { time: at },
            "remind",
            plexichat::trigger::Scope::Cluster,
        )
    };
    let armed = plugin.plugin()?.ctx.triggers().put(spec.clone()).await?;
    assert_eq!(armed.next_at, Some(at));
    let store = plugin.store();
    drop(plugin);
    // The clock of the new host begins now, and not an hour later.
    let plugin = TestHost::new().store(store).start::<Worker>().await?;
    plugin.advance(Duration::from_secs(61)).await?;
    let run = plugin.run_finished("remind").await?;
    assert_eq!((run.scheduled_at, run.input), (at, json!({ "input": "call mum" })));
    let listed = plugin.plugin()?.ctx.triggers().list("reminder/").await?;
    assert_eq!(listed[0].next_at, None, "it has had its time");
    assert!(plugin.plugin()?.ctx.triggers().remove("reminder/1").await?);
    Ok(())
}

#[plexichat::test]
async fn what_is_wrong_with_a_trigger_is_said() -> TestResult {
    let plugin = start().await?;
    let wrong = async |on: Value, expected: &str| -> TestResult {
        let spec = json!({ "id": "x", "on": on, "workflow": "x", "scope": "cluster" });
        let error = plugin.plugin()?.ctx.triggers().put(serde_json::from_value(spec)?).await.expect_err("an error");
        assert!(error.to_string().contains(expected), "{error}");
        Ok(())
    };
    wrong(json!({ "kind": "cron", "expression": "61 * * * *", "zone": "UTC" }), "wrong minute at column 1").await?;
    wrong(json!({ "kind": "cron", "expression": "0 * * * *", "zone": "Berlin" }), "`Europe/Berlin`").await?;
    wrong(json!({ "kind": "event", "names": ["file_delete"] }), "did you mean `file_deleted`?").await?;
    wrong(json!({ "kind": "command", "name": "ai" }), "the server itself has it").await?;
    Ok(())
}
