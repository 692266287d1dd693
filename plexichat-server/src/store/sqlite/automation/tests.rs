//! What the port says, over a file: what is claimed and counted, what survives the process, what old runs cost.

use std::collections::BTreeSet;

use plexichat::automation::{
    Added, AutomationStore, Claim, Claimed, KeptTrigger, NewRun, RunFilter, RunState, Settlement,
};
use plexichat::id::{PluginName, RunId};
use plexichat::message::{Actor, Time};
use plexichat::secret::Secret;
use plexichat::trigger::{On, RunPolicy, Scope, TriggerSpec};
use plexichat::workflow::{RunCause, RunStep};
use serde_json::{Value, json};

use super::{claims, look, triggers};
use crate::store::sqlite::AuditQuery;
use crate::store::testing::Place;
use crate::store::{Act, Replayed, Store};

fn plugin() -> PluginName {
    "clerk".parse().expect("a name")
}

fn at(seconds: i64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

fn trigger(id: &str) -> TriggerSpec {
    TriggerSpec::new(id, On::Manual, "file", Scope::Cluster)
}

fn run(spec: &TriggerSpec, key: &str, due: i64) -> NewRun {
    NewRun {
        id: RunId::new(),
        plugin: plugin(),
        trigger: spec.clone(),
        scheduled_at: at(due),
        cause: RunCause::TIME,
        input: json!({ "key": key }),
        key: key.to_owned(),
        duplicate_of: None,
        node: None,
        dry_run: false,
        created_at: at(due),
    }
}

fn claim(now: i64, limit: u32) -> Claim {
    Claim { node: "main".into(), now: at(now), lease_until: at(now + 30), plugins: [plugin()].into(), limit }
}

async fn one(store: &Store, now: i64) -> Claimed {
    let mut claimed = store.claim(claim(now, 1)).await.expect("claims");
    claimed.pop().expect("one is due")
}

async fn state(store: &Store, id: RunId) -> RunState {
    store.run(id).await.expect("reads").expect("is there").0.state
}

#[tokio::test]
async fn a_run_survives_the_process_with_all_that_it_kept() {
    let place = Place::new();
    let store = place.open();
    let mut new = run(&trigger("daily"), "tick/1", 10);
    new.trigger.input = json!({ "room": "lobby" });
    new.cause = RunCause::by(Actor::user("1", "ann"), None);
    let (id, spec) = (new.id, new.trigger.clone());
    assert_eq!(store.add_runs(vec![new.clone()]).await, Ok(vec![Added::New(id)]));
    let again = NewRun { id: RunId::new(), ..new };
    assert_eq!(store.add_runs(vec![again]).await, Ok(vec![Added::Known(id)]), "the same key");
    let Claimed { run: claimed, fence } = one(&store, 10).await;
    assert_eq!((claimed.id, claimed.attempts, &claimed.trigger, claimed.state), (id, 1, &spec, RunState::Running));
    assert_eq!(claimed.due_at, None, "it runs");
    assert_eq!(store.keep(id, fence, json!({ "step": 2 })).await, Ok(true));
    let step = RunStep::new("post".into(), "done".into(), json!({ "seq": 1 }), at(11));
    assert_eq!(store.record(id, fence, step.clone()).await, Ok(true));
    store.close().await;

    let store = place.open();
    assert!(store.claim(claim(20, 1)).await.expect("claims").is_empty(), "its lease has not run out");
    assert_eq!(store.release_runs(at(21)).await, Ok(1), "nobody else uses the database");
    let Claimed { run: claimed, fence: second } = one(&store, 21).await;
    assert_eq!((claimed.id, claimed.attempts, claimed.kept), (id, 2, Some(json!({ "step": 2 }))));
    assert_eq!(claimed.cause.actor, Some(Actor::user("1", "ann")));
    // Whoever was overtaken counts no more.
    assert_eq!(store.keep(id, fence, json!({})).await, Ok(false));
    assert_eq!(store.record(id, fence, step.clone()).await, Ok(false));
    assert_eq!(store.renew(id, fence, at(99)).await, Ok(false));
    assert_eq!(store.settle(id, fence, Settlement::Done(json!(1)), at(41), 5).await, Ok(false));
    assert_eq!(store.renew(id, second, at(99)).await, Ok(true));
    assert_eq!(store.settle(id, second, Settlement::Done(json!(2)), at(41), 700).await, Ok(true));
    let (record, steps) = store.run(id).await.expect("reads").expect("is there");
    assert_eq!((record.state, record.output, record.busy_ms), (RunState::Done, Some(json!(2)), 700));
    assert_eq!((record.started_at, record.ended_at, steps), (Some(at(10)), Some(at(41)), vec![step]));
}

#[tokio::test]
async fn no_signal_is_lost() {
    let place = Place::new();
    let store = place.open();
    let new = run(&trigger("ask"), "1", 0);
    let id = new.id;
    store.add_runs(vec![new]).await.expect("adds");
    let park = async |store: &Store, now: i64| {
        let claimed = one(store, now).await;
        let settled = Settlement::Waiting { until: None, state: json!({ "asked": true }) };
        assert_eq!(store.settle(id, claimed.fence, settled, at(now), 1).await, Ok(true));
        claimed.run
    };
    park(&store, 1).await;
    assert_eq!(store.next_due([plugin()].into()).await, Ok(None), "it waits for somebody");
    for answer in ["yes", "no"] {
        assert_eq!(store.wake(plugin(), id, json!(answer), at(2)).await, Ok(true));
    }
    // An attempt that was given the first crashes: the next is given it, too.
    assert_eq!(one(&store, 2).await.run.signal, Some(json!("yes")));
    drop(store);
    let store = place.open();
    assert_eq!(park(&store, 40).await.signal, Some(json!("yes")));
    assert_eq!(store.next_due([plugin()].into()).await, Ok(Some(at(40))), "another one waits");
    let again = one(&store, 41).await;
    assert_eq!(
        (again.run.signal, again.run.attempts),
        (Some(json!("no")), 1),
        "a crash counts, what was before a wait does not"
    );
    let failed = Settlement::Retry { at: at(50), error: "not now".into() };
    assert_eq!(store.settle(id, again.fence, failed, at(42), 1).await, Ok(true));
    assert_eq!(park(&store, 50).await.signal, Some(json!("no")), "and so is one that is tried again");
    assert_eq!(store.next_due([plugin()].into()).await, Ok(None));
    let other: PluginName = "other".parse().expect("a name");
    assert_eq!(store.wake(other, id, json!(1), at(60)).await, Ok(false), "not its own");
}

#[tokio::test]
async fn a_trigger_bounds_its_runs() {
    let place = Place::new();
    let store = place.open();
    let policy = RunPolicy { concurrency: 2, ..RunPolicy::default() };
    let spec = TriggerSpec { policy, ..trigger("two") };
    let ordered = TriggerSpec { policy: RunPolicy { in_order: true, ..RunPolicy::default() }, ..trigger("line") };
    let runs: Vec<NewRun> = (0..4).map(|n| run(&spec, &format!("two/{n}"), 10 - n)).collect();
    let line: Vec<NewRun> = (0..3).map(|n| run(&ordered, &format!("line/{n}"), n)).collect();
    let firsts = (line[0].id, line[1].id);
    store.add_runs(runs.iter().chain(&line).cloned().collect()).await.expect("adds");
    let claimed = store.claim(claim(20, 10)).await.expect("claims");
    let ids: Vec<RunId> = claimed.iter().map(|claimed| claimed.run.id).collect();
    assert_eq!(ids, [firsts.0, runs[3].id, runs[2].id], "the longest due first, two at once, one in a line");
    assert!(store.claim(claim(21, 10)).await.expect("claims").is_empty());
    let retry = Settlement::Retry { at: at(100), error: "down".into() };
    store.settle(firsts.0, claimed[0].fence, retry, at(22), 1).await.expect("settles");
    assert!(store.claim(claim(23, 10)).await.expect("claims").is_empty(), "the line waits for its first");
    store.cancel(firsts.0, Actor::system(), at(24)).await.expect("cancels");
    assert_eq!(one(&store, 24).await.run.id, firsts.1);

    // While one like it has not ended, another is not made.
    let mut first = run(&trigger("once"), "a", 0);
    first.duplicate_of = Some("ann".into());
    let second = NewRun { id: RunId::new(), key: "b".into(), ..first.clone() };
    let added = store.add_runs(vec![first.clone(), second.clone()]).await;
    assert_eq!(added, Ok(vec![Added::New(first.id), Added::Known(first.id)]));
    store.cancel(first.id, Actor::system(), at(1)).await.expect("cancels");
    assert_eq!(store.add_runs(vec![second.clone()]).await, Ok(vec![Added::New(second.id)]));

    // What is for another node is left to it.
    let mut theirs = run(&trigger("node"), "theirs", 0);
    theirs.node = Some("second".into());
    store.add_runs(vec![theirs.clone()]).await.expect("adds");
    let mine = store.claim(claim(25, 10)).await.expect("claims");
    assert!(mine.iter().all(|claimed| claimed.run.id != theirs.id), "{mine:?}");
    let claimed = store.claim(Claim { node: "second".into(), ..claim(25, 10) }).await.expect("claims");
    assert_eq!(claimed.len(), 1);
}

#[tokio::test]
async fn cancelling_and_replaying_are_noted_with_who_did_it() {
    let place = Place::new();
    let store = place.open();
    let new = run(&trigger("daily"), "1", 0);
    let id = new.id;
    store.add_runs(vec![new]).await.expect("adds");
    let claimed = one(&store, 1).await;
    let act = Act::new(Actor::user("1", "ann"), Some("10.0.0.1".into()), Some("r-1".into()));
    let ended = store.cancel_run(id, act.clone()).await;
    assert_eq!(ended, Ok(Some((RunState::Running, RunState::Cancelled))));
    let late = store.settle(id, claimed.fence, Settlement::Done(Value::Null), at(2), 1).await;
    assert_eq!(late, Ok(false), "its attempt lost its fence");
    assert_eq!(store.replay_run(id, act.clone()).await, Ok(Some(RunState::Cancelled)));
    let now = Time::now().as_micros() / 1_000_000 + 1;
    let again = one(&store, now).await;
    assert_eq!((again.run.attempts, again.run.id), (1, id), "counted anew");
    let dead = Settlement::Failed("never".into());
    assert_eq!(store.settle(id, again.fence, dead, at(now), 1).await, Ok(true));
    let replayed = store.replay_dead_letters(plugin(), None, 10, act.clone()).await;
    assert_eq!(replayed, Ok(Replayed { replayed: 1, more: false }));
    assert_eq!(state(&store, id).await, RunState::Queued);
    assert_eq!(store.cancel(id, Actor::plugin("clerk"), at(now)).await, Ok(Some(RunState::Cancelled)));

    let rows = store.audit_rows(AuditQuery { limit: 10, ..AuditQuery::default() }).await.expect("reads");
    let told: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.subject.clone(), row.ip.as_deref())).collect();
    let ip = Some("10.0.0.1");
    assert_eq!(
        told,
        [
            ("run.replay_all", "clerk".to_owned(), ip),
            ("run.replay", id.to_string(), ip),
            ("run.cancel", id.to_string(), ip)
        ],
        "what a plugin does to its own runs is its business"
    );
    assert_eq!(store.cancel_run(RunId::new(), act.clone()).await, Ok(None));
    assert_eq!(store.replay_run(RunId::new(), act).await, Ok(None));
}

#[tokio::test]
async fn what_is_old_or_of_a_plugin_that_is_gone_goes() {
    use plexichat::store::{PluginData, PluginStore};
    let place = Place::new();
    let store = place.open();
    let runs: Vec<NewRun> = (0..4).map(|n| run(&trigger("daily"), &n.to_string(), 0)).collect();
    store.add_runs(runs.clone()).await.expect("adds");
    let claimed = store.claim(claim(1, 3)).await.expect("claims");
    let step = RunStep::new("post".into(), "done".into(), Value::Null, at(1));
    store.record(claimed[0].run.id, claimed[0].fence, step).await.expect("records");
    let ends = [Settlement::Done(Value::Null), Settlement::Failed("no".into()), Settlement::Skipped("no".into())];
    for (claimed, (end, time)) in claimed.iter().zip(ends.into_iter().zip([10, 10, 20])) {
        store.settle(claimed.run.id, claimed.fence, end, at(time), 1).await.expect("settles");
    }
    assert_eq!(store.remove_runs(at(15), false, 10).await, Ok(1), "dead letters stay longer");
    assert_eq!(store.remove_runs(at(15), true, 10).await, Ok(1));
    assert_eq!(store.run(claimed[0].run.id).await, Ok(None));
    let kept = store.runs(RunFilter { limit: 10, ..RunFilter::default() }).await.expect("reads");
    assert_eq!(kept.iter().map(|run| run.id).collect::<Vec<_>>(), [runs[3].id, runs[2].id], "the newest first");

    let since = at(0);
    let kept = KeptTrigger { plugin: plugin(), spec: trigger("x"), fixed: true, since, next_at: None, secret: None };
    let made = KeptTrigger { spec: trigger("y"), fixed: false, ..kept.clone() };
    store.set_fixed(plugin(), vec![kept.clone()]).await.expect("sets");
    assert_eq!(store.put_trigger(made.clone()).await, Ok(Some(made.clone())));
    store.remove_plugin(plugin(), PluginData::Keep).await.expect("removes");
    assert_eq!(store.triggers(None).await, Ok(vec![kept.clone(), made]));
    store.remove_plugin(plugin(), PluginData::Remove).await.expect("removes");
    assert_eq!(store.triggers(None).await, Ok(vec![kept]), "what its code says is there while its code is");
    assert_eq!(store.run_counts().await, Ok(vec![]));
}

#[tokio::test]
async fn a_webhooks_secret_is_set_anew() {
    let place = Place::new();
    let store = place.open();
    let spec = TriggerSpec { on: On::Webhook, ..trigger("hook") };
    let secret = Some("old".to_owned());
    let kept = KeptTrigger { plugin: plugin(), spec, fixed: true, since: at(0), next_at: None, secret };
    let manual = KeptTrigger { spec: trigger("manual"), secret: None, ..kept.clone() };
    store.set_fixed(plugin(), vec![kept.clone(), manual]).await.expect("sets");
    let set = async |id: &str| {
        store.set_trigger_secret(plugin(), id.to_owned(), Secret::new("new".to_owned()), Act::system()).await
    };
    assert_eq!(set("hook").await, Ok(true));
    assert_eq!((set("manual").await, set("nothing").await), (Ok(false), Ok(false)));
    // The plugin starts again, and the secret stays.
    store.set_fixed(plugin(), vec![KeptTrigger { secret: Some("other".into()), ..kept }]).await.expect("sets");
    let triggers = store.triggers(Some(plugin())).await.expect("reads");
    assert_eq!(triggers.iter().map(|kept| kept.secret.as_deref()).collect::<Vec<_>>(), [Some("new")]);
}

/// What is asked often looks at what is open, not at what has ended.
#[tokio::test]
async fn ended_runs_cost_nothing() {
    let place = Place::new();
    let store = place.open();
    store
        .write(|tx| {
            tx.execute_batch(
                r#"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
                   INSERT INTO runs (id, plugin, trigger, workflow, spec, state, scheduled_at, cause, input, key, dry_run,
                                     created_at, ended_at)
                   SELECT randomblob(16), 'clerk', 'daily', 'file', '{}', 'done', n, '{}', '{}', n, 0, n, n FROM n"#,
            )?;
            Ok::<_, rusqlite::Error>(Ok::<_, plexichat::store::StoreError>(()))
        })
        .await
        .expect("fills");
    let check = async |statement: &'static str, plan: &str| {
        let found = store.read(move |connection| {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
            let bound = vec![rusqlite::types::Null; explained.parameter_count()];
            let lines = explained.query_map(rusqlite::params_from_iter(bound), |row| row.get::<_, String>(3))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        });
        assert_eq!(found.await.expect("explains").join("; "), plan, "{statement}");
    };
    check(claims::NEXT_TRIGGER, "SEARCH runs USING COVERING INDEX runs_due_by_trigger ((plugin,trigger)>(?,?))").await;
    check(claims::DUE, "SEARCH runs USING COVERING INDEX runs_due_by_trigger (plugin=? AND trigger=? AND due_at<?)")
        .await;
    check(claims::HELD, "SEARCH runs USING COVERING INDEX runs_running (plugin=? AND trigger=? AND due_at>?)").await;
    check(claims::FIRST, "SEARCH runs USING INDEX runs_open (plugin=? AND trigger=?)").await;
    check(claims::DUPLICATE, "SEARCH runs USING INDEX runs_duplicates (plugin=? AND trigger=? AND duplicate_of=?)")
        .await;
    check(look::NEXT, "SEARCH runs USING COVERING INDEX runs_by_due (due_at>?)").await;
    check(look::TRIGGER_COUNTS, "SCAN runs USING COVERING INDEX runs_by_trigger").await;
    check(triggers::DUE, "SEARCH triggers USING INDEX triggers_by_time (next_at<?)").await;
    check(triggers::NEXT, "SEARCH triggers USING COVERING INDEX triggers_by_time (next_at>?)").await;

    let new = run(&trigger("daily"), "new", 0);
    store.add_runs(vec![new]).await.expect("adds");
    assert_eq!(store.next_due(BTreeSet::from([plugin()])).await, Ok(Some(at(0))));
    assert!(store.claim(claim(-1, 10)).await.expect("claims").is_empty());
}

/// A receiver that is down holds up a trigger's runs by the thousand: those of others are taken all the same.
#[tokio::test]
async fn runs_behind_a_held_one_hold_up_no_other() {
    let place = Place::new();
    let store = place.open();
    let policy = RunPolicy { in_order: true, ..RunPolicy::default() };
    let line = TriggerSpec { policy, ..trigger("line") };
    let runs: Vec<NewRun> = (0..2_000).map(|n| run(&line, &n.to_string(), 0)).collect();
    store.add_runs(runs).await.expect("adds");
    let first = one(&store, 1).await;
    // What is due later is nobody's yet.
    store.add_runs(vec![run(&trigger("later"), "later", 9)]).await.expect("adds");
    for n in 0..10 {
        store.add_runs(vec![run(&trigger("other"), &format!("other {n}"), 0)]).await.expect("adds");
        let claimed = store.claim(claim(2, 10)).await.expect("claims");
        assert_eq!(claimed.iter().map(|claimed| claimed.run.trigger.id.as_str()).collect::<Vec<_>>(), ["other"]);
        store
            .settle(claimed[0].run.id, claimed[0].fence, Settlement::Done(Value::Null), at(3), 1)
            .await
            .expect("settles");
    }
    store.settle(first.run.id, first.fence, Settlement::Done(Value::Null), at(4), 1).await.expect("settles");
    assert_eq!(one(&store, 5).await.run.trigger.id, "line", "and the next of the line");
}
