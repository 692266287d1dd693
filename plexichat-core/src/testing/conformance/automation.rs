//! What every store of triggers and runs must do, by what its port promises.

use std::collections::BTreeSet;
use std::ops::Deref;

use serde_json::{Value, json};

use crate::automation::{
    Added, AutomationStore, Claim, Claimed, KeptTrigger, NewRun, RunFilter, RunRecord, RunState, SIGNALS_MAX,
    Settlement,
};
use crate::id::{PluginName, RunId};
use crate::message::{Actor, Time};
use crate::trigger::{Misfire, On, RunPolicy, Scope, TriggerSpec};
use crate::workflow::{RunCause, RunStep};

/// Checks triggers and runs. `make` gives an empty store.
///
/// # Panics
/// Where the store does something else than the port says.
pub async fn automation_store<S>(make: impl AsyncFn() -> S)
where
    S: Deref<Target: AutomationStore>,
{
    triggers_carry_on_where_they_wait_for_the_same(&*make().await).await;
    fixed_triggers_come_first(&*make().await).await;
    a_tick_is_fired_once(&*make().await).await;
    a_key_makes_one_run(&*make().await).await;
    runs_are_claimed_by_who_may(&*make().await).await;
    runs_of_a_trigger_keep_their_limits(&*make().await).await;
    an_overtaken_attempt_does_not_count(&*make().await).await;
    an_attempt_ends_as_it_is_settled(&*make().await).await;
    signals_are_taken_up_once_and_in_order(&*make().await).await;
    runs_are_cancelled_and_replayed(&*make().await).await;
    runs_are_found_and_counted(&*make().await).await;
}

fn name(text: &str) -> PluginName {
    text.parse().expect("the suite's own names are valid")
}

fn one() -> BTreeSet<PluginName> {
    [name("one")].into()
}

fn at(seconds: i64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

fn spec(id: &str) -> TriggerSpec {
    TriggerSpec::new(id, On::Every { seconds: 10, misfire: Misfire::RunOnce }, "work", Scope::Cluster)
}

fn kept(id: &str, since: i64) -> KeptTrigger {
    let next_at = Some(at(since + 10));
    KeptTrigger { plugin: name("one"), spec: spec(id), fixed: false, since: at(since), next_at, secret: None }
}

fn new_run(id: &str, key: &str, due: i64) -> NewRun {
    NewRun {
        id: RunId::new(),
        plugin: name("one"),
        trigger: spec(id),
        scheduled_at: at(due),
        cause: RunCause::by(Actor::user("7", "ann"), None),
        input: json!({ "text": "ü", "list": [1, null] }),
        key: key.to_owned(),
        duplicate_of: None,
        node: None,
        dry_run: false,
        created_at: at(due),
    }
}

fn claim(now: i64, limit: u32) -> Claim {
    Claim { node: "here".to_owned(), now: at(now), lease_until: at(now + 30), plugins: one(), limit }
}

async fn add<S: AutomationStore + ?Sized>(store: &S, runs: Vec<NewRun>) -> Vec<Added> {
    store.add_runs(runs).await.expect("add_runs")
}

async fn claimed<S: AutomationStore + ?Sized>(store: &S, now: i64) -> Vec<Claimed> {
    store.claim(claim(now, 100)).await.expect("claim")
}

async fn only<S: AutomationStore + ?Sized>(store: &S, now: i64) -> Claimed {
    let mut all = claimed(store, now).await;
    assert_eq!(all.len(), 1, "one run is due at {now}");
    all.remove(0)
}

async fn settle<S: AutomationStore + ?Sized>(store: &S, run: &Claimed, settlement: Settlement, now: i64) {
    let counts = store.settle(run.run.id, run.fence, settlement, at(now), 100).await.expect("settle");
    assert!(counts, "nobody overtook the attempt");
}

async fn look<S: AutomationStore + ?Sized>(store: &S, run: RunId) -> RunRecord {
    store.run(run).await.expect("run").expect("the run").0
}

async fn triggers_carry_on_where_they_wait_for_the_same<S: AutomationStore + ?Sized>(store: &S) {
    assert_eq!(store.triggers(None).await, Ok(Vec::new()), "an empty store has no trigger");
    let first = KeptTrigger { secret: Some("s".to_owned()), ..kept("b", 100) };
    assert_eq!(store.put_trigger(first.clone()).await, Ok(Some(first.clone())));
    assert_eq!(store.trigger(name("one"), "b".to_owned()).await, Ok(Some(first.clone())));
    assert_eq!(store.trigger(name("two"), "b".to_owned()).await, Ok(None), "it is another plugin's");

    let spec = TriggerSpec { workflow: "other".to_owned(), input: json!([1]), ..first.spec.clone() };
    let again = KeptTrigger { spec: spec.clone(), secret: Some("t".to_owned()), ..kept("b", 500) };
    let carried = KeptTrigger { spec: spec.clone(), ..first.clone() };
    assert_eq!(
        store.put_trigger(again).await,
        Ok(Some(carried)),
        "it waits for the same: since, next_at and secret stay"
    );

    let on = On::Every { seconds: 11, misfire: Misfire::RunOnce };
    let another = KeptTrigger { spec: TriggerSpec { on, ..spec }, secret: None, ..kept("b", 900) };
    assert_eq!(store.put_trigger(another.clone()).await, Ok(Some(another.clone())), "it waits for something else");

    let (a, of_two) = (kept("a", 1), KeptTrigger { plugin: name("two"), ..kept("a", 1) });
    for trigger in [&of_two, &a] {
        store.put_trigger(trigger.clone()).await.expect("put");
    }
    assert_eq!(
        store.triggers(None).await,
        Ok(vec![a.clone(), another.clone(), of_two.clone()]),
        "by plugin and identifier"
    );
    assert_eq!(store.triggers(Some(name("two"))).await, Ok(vec![of_two]));
    assert_eq!(store.remove_trigger(name("one"), "a".to_owned()).await, Ok(true));
    assert_eq!(store.remove_trigger(name("one"), "a".to_owned()).await, Ok(false), "it is gone");
    assert_eq!(store.triggers(Some(name("one"))).await, Ok(vec![another]));
}

async fn fixed_triggers_come_first<S: AutomationStore + ?Sized>(store: &S) {
    let fixed = |id: &str, since: i64| KeptTrigger { fixed: true, ..kept(id, since) };
    store.put_trigger(kept("mine", 1)).await.expect("put");
    store.put_trigger(kept("code", 1)).await.expect("put");
    store.set_fixed(name("one"), vec![fixed("code", 50), fixed("more", 50)]).await.expect("set_fixed");
    let code = KeptTrigger { since: at(1), next_at: Some(at(11)), ..fixed("code", 1) };
    let all = vec![code.clone(), kept("mine", 1), fixed("more", 50)];
    assert_eq!(store.triggers(None).await, Ok(all), "one of run time under the same identifier becomes the fixed one");
    assert_eq!(store.put_trigger(kept("code", 60)).await, Ok(None), "a fixed one is not replaced");
    assert_eq!(store.remove_trigger(name("one"), "code".to_owned()).await, Ok(false), "and not removed");
    store.set_fixed(name("two"), Vec::new()).await.expect("set_fixed");
    store.set_fixed(name("one"), vec![fixed("code", 99)]).await.expect("set_fixed");
    assert_eq!(store.triggers(None).await, Ok(vec![code, kept("mine", 1)]), "those that are not among them go");
}

async fn a_tick_is_fired_once<S: AutomationStore + ?Sized>(store: &S) {
    for (id, since) in [("late", 20), ("early", 10), ("never", 30)] {
        store.put_trigger(kept(id, since)).await.expect("put");
    }
    let due = async |now: i64, plugins: BTreeSet<PluginName>, limit: u32| -> Vec<String> {
        let due = store.due_triggers(at(now), plugins, limit).await.expect("due_triggers");
        due.into_iter().map(|trigger| trigger.spec.id).collect()
    };
    assert_eq!(due(30, one(), 10).await, ["early", "late"], "the longest due first");
    assert_eq!(due(30, one(), 1).await, ["early"]);
    assert_eq!(due(30, [name("two")].into(), 10).await, [""; 0]);
    assert_eq!(store.next_due(one()).await, Ok(Some(at(20))));

    let fire = async |seen: i64, next: Option<i64>, key: &str| {
        let runs = vec![new_run("early", key, 20)];
        store.fire(name("one"), "early".to_owned(), at(seen), next.map(at), runs).await.expect("fire")
    };
    assert_eq!(fire(19, Some(40), "a").await, None, "it is due at another time");
    let added = fire(20, Some(40), "a").await;
    assert!(matches!(added.as_deref(), Some([Added::New(_)])), "{added:?}");
    assert_eq!(fire(20, Some(50), "b").await, None, "somebody was faster");
    assert!(matches!(fire(40, None, "a").await.as_deref(), Some([Added::Known(_)])), "the key is known");
    assert_eq!(due(99, one(), 10).await, ["late", "never"], "it has had its last time");
    assert_eq!(claimed(store, 99).await.len(), 1, "what was refused made no run");
    let gone = store.fire(name("one"), "gone".to_owned(), at(20), None, Vec::new()).await;
    assert_eq!(gone, Ok(None), "there is no such trigger");
}

async fn a_key_makes_one_run<S: AutomationStore + ?Sized>(store: &S) {
    let first = new_run("a", "k", 1);
    let other = NewRun { plugin: name("two"), ..new_run("a", "k", 1) };
    let (id, other_id) = (first.id, other.id);
    let added = add(store, vec![first.clone(), new_run("b", "k", 1), other]).await;
    assert_eq!(added, [Added::New(id), Added::Known(id), Added::New(other_id)], "keys are a plugin's own");
    let record = look(store, id).await;
    let NewRun { trigger, scheduled_at, cause, input, created_at, .. } = first;
    assert_eq!((record.trigger, record.scheduled_at, record.cause), (trigger, scheduled_at, cause));
    assert_eq!((record.input, record.created_at, record.due_at), (input, created_at, Some(scheduled_at)));
    assert_eq!((record.state, record.attempts, record.waits), (RunState::Queued, 0, 0));

    let like = |id: &str, key: &str, of: &str| NewRun { duplicate_of: Some(of.to_owned()), ..new_run(id, key, 5) };
    let one = like("a", "1", "x");
    let one_id = one.id;
    let added = add(store, vec![one, like("a", "2", "x"), like("a", "3", "y"), like("b", "4", "x")]).await;
    assert!(
        matches!(added[..], [Added::New(_), Added::Known(known), Added::New(_), Added::New(_)] if known == one_id),
        "{added:?}"
    );
    let all = claimed(store, 5).await;
    let open = all.iter().find(|claimed| claimed.run.id == one_id).expect("it is due");
    settle(store, open, Settlement::Done(Value::Null), 6).await;
    assert!(matches!(add(store, vec![like("a", "5", "x")]).await[..], [Added::New(_)]), "the other one has ended");
    let key = add(store, vec![new_run("a", "1", 9)]).await;
    assert_eq!(key, [Added::Known(one_id)], "a key is known as long as its run is there");
}

async fn runs_are_claimed_by_who_may<S: AutomationStore + ?Sized>(store: &S) {
    let late = new_run("a", "late", 9);
    let there = NewRun { node: Some("there".to_owned()), ..new_run("a", "there", 1) };
    let here = NewRun { node: Some("here".to_owned()), dry_run: true, ..new_run("a", "here", 3) };
    let two = NewRun { plugin: name("two"), ..new_run("a", "two", 1) };
    let ids = [new_run("a", "early", 2), here.clone(), late.clone()];
    let order: Vec<RunId> = ids.iter().map(|run| run.id).collect();
    add(store, vec![late, there, two, ids[0].clone(), here]).await;
    assert_eq!(claimed(store, 1).await, [], "none is due");
    assert_eq!(store.next_due(one()).await, Ok(Some(at(1))), "whose node it is does not matter");
    let first = store.claim(claim(9, 2)).await.expect("claim");
    assert_eq!(
        first.iter().map(|claimed| claimed.run.id).collect::<Vec<_>>(),
        order[..2],
        "the longest due first, no more than asked for"
    );
    let run = &first[1].run;
    assert_eq!((run.state, run.attempts, run.dry_run, run.node.as_deref()), (RunState::Running, 1, true, Some("here")));
    assert_eq!((run.due_at, run.started_at, run.ended_at), (None, Some(at(9)), None));
    assert_eq!(only(store, 9).await.run.id, order[2]);
    assert_eq!(claimed(store, 10).await, [], "they are somebody's");
}

async fn runs_of_a_trigger_keep_their_limits<S: AutomationStore + ?Sized>(store: &S) {
    let with = |key: &str, id: &str, policy: RunPolicy| {
        let run = new_run(id, key, 1);
        NewRun { trigger: TriggerSpec { policy, ..run.trigger.clone() }, ..run }
    };
    let two = RunPolicy { concurrency: 2, ..RunPolicy::default() };
    add(store, ["1", "2", "3"].map(|key| with(key, "two", two.clone())).into()).await;
    let first = claimed(store, 1).await;
    assert_eq!(first.len(), 2, "no more than its concurrency");
    settle(store, &first[0], Settlement::Done(Value::Null), 2).await;
    let third = only(store, 2).await;
    for claimed in [&first[1], &third] {
        settle(store, claimed, Settlement::Done(Value::Null), 2).await;
    }

    let in_order = RunPolicy { in_order: true, ..RunPolicy::default() };
    add(store, ["4", "5"].map(|key| with(key, "line", in_order.clone())).into()).await;
    let first = only(store, 3).await;
    let retry = Settlement::Retry { at: at(20), error: "later".to_owned() };
    settle(store, &first, retry, 4).await;
    assert_eq!(claimed(store, 10).await, [], "one that is tried again holds up those behind it");
    let again = only(store, 20).await;
    assert_eq!((again.run.id, again.run.attempts), (first.run.id, 2));
    settle(store, &again, Settlement::Waiting { until: None, state: json!(1) }, 21).await;
    assert_eq!(claimed(store, 30).await, [], "and so does one that is parked");
    assert_eq!(store.wake(name("one"), first.run.id, json!(1), at(31)).await, Ok(true));
    let again = only(store, 31).await;
    settle(store, &again, Settlement::Failed("no".to_owned()), 32).await;
    assert_ne!(only(store, 33).await.run.id, first.run.id, "the next one's turn");
}

async fn an_overtaken_attempt_does_not_count<S: AutomationStore + ?Sized>(store: &S) {
    add(store, vec![new_run("a", "1", 0)]).await;
    let old = only(store, 0).await;
    assert_eq!(store.next_due(one()).await, Ok(Some(at(30))), "the lease's end");
    assert_eq!(store.renew(old.run.id, old.fence, at(50)).await, Ok(true));
    assert_eq!(claimed(store, 40).await, [], "the lease goes on");
    assert_eq!(store.keep(old.run.id, old.fence, json!({ "at": 1 })).await, Ok(true));
    let new = only(store, 50).await;
    assert!(new.fence > old.fence, "a fence goes up");
    assert_eq!((new.run.attempts, new.run.kept.clone()), (2, Some(json!({ "at": 1 }))), "what was kept is there");

    let step = RunStep::new("late".to_owned(), "done".to_owned(), Value::Null, at(51));
    assert_eq!(store.renew(old.run.id, old.fence, at(99)).await, Ok(false));
    assert_eq!(store.keep(old.run.id, old.fence, json!(0)).await, Ok(false));
    assert_eq!(store.record(old.run.id, old.fence, step.clone()).await, Ok(false));
    assert_eq!(store.settle(old.run.id, old.fence, Settlement::Done(json!(0)), at(51), 1).await, Ok(false));
    assert_eq!(store.record(new.run.id, new.fence, step.clone()).await, Ok(true));
    settle(store, &new, Settlement::Done(json!(1)), 52).await;
    let settled = store.settle(new.run.id, new.fence, Settlement::Done(json!(2)), at(53), 1).await;
    assert_eq!(settled, Ok(false), "an attempt is settled once");
    let (record, steps) = store.run(new.run.id).await.expect("run").expect("the run");
    assert_eq!((record.output, steps), (Some(json!(1)), vec![step]));
    assert_eq!(store.next_due(one()).await, Ok(None));
}

async fn an_attempt_ends_as_it_is_settled<S: AutomationStore + ?Sized>(store: &S) {
    add(store, vec![new_run("a", "1", 0)]).await;
    let run = only(store, 0).await;
    let id = run.run.id;
    settle(store, &run, Settlement::GivenBack, 1).await;
    let run = only(store, 1).await;
    assert_eq!(run.run.attempts, 1, "what is given back does not count");
    settle(store, &run, Settlement::Retry { at: at(5), error: "broken".to_owned() }, 2).await;
    let record = look(store, id).await;
    assert_eq!((record.state, record.due_at, record.error.as_deref()), (RunState::Queued, Some(at(5)), Some("broken")));
    assert_eq!(claimed(store, 4).await, [], "not before");
    let run = only(store, 5).await;
    assert_eq!(run.run.attempts, 2);
    settle(store, &run, Settlement::Waiting { until: Some(at(60)), state: json!({ "part": 2 }) }, 6).await;
    let record = look(store, id).await;
    assert_eq!((record.state, record.due_at, record.error), (RunState::Waiting, Some(at(60)), None));
    assert_eq!((record.waits, record.kept), (1, Some(json!({ "part": 2 }))));
    let run = only(store, 60).await;
    assert_eq!((run.run.attempts, run.run.waits), (1, 1), "it goes on: no new attempt, and those before are forgotten");
    settle(store, &run, Settlement::Done(json!([1, "ü"])), 61).await;
    let record = look(store, id).await;
    assert_eq!((record.state, record.output), (RunState::Done, Some(json!([1, "ü"]))));
    assert_eq!((record.started_at, record.ended_at, record.busy_ms), (Some(at(0)), Some(at(61)), 400));
    assert_eq!(claimed(store, 999).await, [], "it has ended");

    let ends = [
        (Settlement::Skipped("nothing new".to_owned()), RunState::Skipped, "nothing new"),
        (Settlement::Failed("never".to_owned()), RunState::Failed, "never"),
    ];
    for (settlement, state, why) in ends {
        add(store, vec![new_run("a", why, 0)]).await;
        let run = only(store, 70).await;
        settle(store, &run, settlement, 71).await;
        let record = look(store, run.run.id).await;
        assert_eq!((record.state, record.error.as_deref(), record.ended_at), (state, Some(why), Some(at(71))));
    }
}

async fn signals_are_taken_up_once_and_in_order<S: AutomationStore + ?Sized>(store: &S) {
    add(store, vec![new_run("a", "1", 0)]).await;
    let run = only(store, 0).await;
    let id = run.run.id;
    let wake = async |signal: u64, now: i64| store.wake(name("one"), id, json!(signal), at(now)).await.expect("wake");
    let park = |until: Option<i64>| Settlement::Waiting { until: until.map(at), state: Value::Null };
    assert_eq!(store.wake(name("two"), id, Value::Null, at(0)).await, Ok(false), "it is another plugin's");
    assert!(wake(1, 1).await, "while an attempt is made");
    assert_eq!(run.run.signal, None);
    settle(store, &run, park(Some(99)), 2).await;
    let run = only(store, 2).await;
    assert_eq!(run.run.signal, Some(json!(1)), "it was not lost, and it is due at once");
    assert!(wake(2, 3).await);
    let run = only(store, 40).await;
    assert_eq!(run.run.signal, Some(json!(1)), "the attempt's lease ran out: the next one has the signal again");
    settle(store, &run, Settlement::Retry { at: at(41), error: "broken".to_owned() }, 41).await;
    let run = only(store, 41).await;
    assert_eq!(run.run.signal, Some(json!(1)), "and so has one after a failure");
    settle(store, &run, park(Some(99)), 42).await;
    let run = only(store, 42).await;
    assert_eq!(run.run.signal, Some(json!(2)), "one after the other");
    settle(store, &run, park(None), 43).await;
    assert_eq!(store.next_due(one()).await, Ok(None), "it waits for nothing but to be woken");
    assert!(wake(3, 50).await);
    let run = only(store, 50).await;
    assert_eq!((run.run.signal.clone(), run.run.waits, run.run.attempts), (Some(json!(3)), 3, 1));
    for signal in 0..SIGNALS_MAX as u64 + 5 {
        assert!(wake(signal, 51).await);
    }
    settle(store, &run, Settlement::Done(Value::Null), 52).await;
    assert!(!wake(9, 53).await, "it has ended");
    assert_eq!(look(store, id).await.signal, None);
}

async fn runs_are_cancelled_and_replayed<S: AutomationStore + ?Sized>(store: &S) {
    let by = || Actor::user("7", "ann");
    assert_eq!(store.cancel(RunId::new(), by(), at(0)).await, Ok(None), "there is no such run");
    assert_eq!(store.replay(RunId::new(), by(), at(0)).await, Ok(None));
    add(store, vec![new_run("a", "1", 0)]).await;
    let run = only(store, 0).await;
    let id = run.run.id;
    assert_eq!(store.replay(id, by(), at(1)).await, Ok(Some(RunState::Running)), "it has not ended: nothing changes");
    assert_eq!(store.cancel(id, by(), at(1)).await, Ok(Some(RunState::Cancelled)));
    assert_eq!(store.renew(id, run.fence, at(99)).await, Ok(false), "its attempt lost its fence");
    assert_eq!(store.settle(id, run.fence, Settlement::Done(Value::Null), at(2), 1).await, Ok(false));
    let record = look(store, id).await;
    assert_eq!((record.state, record.ended_at, record.due_at), (RunState::Cancelled, Some(at(1)), None));
    assert_eq!(claimed(store, 99).await, []);
    assert_eq!(store.replay(id, by(), at(100)).await, Ok(Some(RunState::Cancelled)));
    let again = only(store, 100).await;
    assert_eq!((again.run.id, again.run.attempts, again.run.ended_at), (id, 1, None), "attempts are counted anew");
    assert!(again.fence > run.fence);
    settle(store, &again, Settlement::Failed("no".to_owned()), 101).await;
    assert_eq!(store.cancel(id, by(), at(102)).await, Ok(Some(RunState::Failed)), "it has ended: nothing changes");
    assert_eq!(store.replay(id, by(), at(103)).await, Ok(Some(RunState::Failed)), "a dead letter");
    let again = only(store, 103).await;
    settle(store, &again, Settlement::Done(Value::Null), 104).await;
    assert_eq!(store.replay(id, by(), at(105)).await, Ok(Some(RunState::Done)));
    assert_eq!(claimed(store, 999).await, [], "what is done is not done again");
}

async fn runs_are_found_and_counted<S: AutomationStore + ?Sized>(store: &S) {
    // Identifiers go up in the order in which they are made.
    let (first, second) = (new_run("a", "1", 0), new_run("a", "2", 9));
    let other = NewRun { trigger: TriggerSpec { workflow: "other".to_owned(), ..spec("b") }, ..new_run("b", "3", 9) };
    let two = NewRun { plugin: name("two"), ..new_run("a", "4", 9) };
    let new = [first, second, other, two];
    let ids: Vec<RunId> = new.iter().map(|run| run.id).collect();
    add(store, new.into()).await;
    let run = only(store, 0).await;
    for step in 0..1_003 {
        let step = RunStep::new("step".to_owned(), "done".to_owned(), json!(step), at(1));
        assert_eq!(store.record(run.run.id, run.fence, step).await, Ok(true));
    }
    settle(store, &run, Settlement::Done(Value::Null), 1).await;
    let (_, steps) = store.run(run.run.id).await.expect("run").expect("the run");
    let ends = (steps.first().map(|step| step.detail.clone()), steps.last().map(|step| step.detail.clone()));
    assert_eq!((steps.len(), ends), (1_000, (Some(json!(3)), Some(json!(1_002)))), "the last steps are kept, in order");

    let find = async |filter: RunFilter| -> Vec<usize> {
        let runs = store.runs(filter).await.expect("runs");
        runs.iter().map(|run| ids.iter().position(|id| *id == run.id).expect("one of these")).collect()
    };
    let all = || RunFilter { limit: 10, ..RunFilter::default() };
    assert_eq!(find(all()).await, [3, 2, 1, 0], "the newest first");
    assert_eq!(find(RunFilter { limit: 2, ..all() }).await, [3, 2]);
    assert_eq!(find(RunFilter { before: Some(ids[2]), ..all() }).await, [1, 0], "the page after it");
    assert_eq!(find(RunFilter { plugin: Some(name("one")), ..all() }).await, [2, 1, 0]);
    assert_eq!(find(RunFilter { workflow: Some("other".to_owned()), ..all() }).await, [2]);
    assert_eq!(find(RunFilter { trigger: Some("a".to_owned()), ..all() }).await, [3, 1, 0]);
    assert_eq!(find(RunFilter { states: vec![RunState::Done, RunState::Failed], ..all() }).await, [0]);
    assert_eq!(store.run(RunId::new()).await, Ok(None));
    let counts = store.run_counts().await.expect("run_counts");
    let expected: BTreeSet<_> =
        [(name("one"), RunState::Queued, 2), (name("one"), RunState::Done, 1), (name("two"), RunState::Queued, 1)]
            .into();
    assert_eq!(counts.into_iter().collect::<BTreeSet<_>>(), expected);
}
