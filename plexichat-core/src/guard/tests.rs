//! What the guard does with plugins that misbehave.

use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::error::Result as PluginResult;
use crate::manager::fake::{PanicsOnDrop, act, eventually, fake, name, world};
use crate::message::Verdict;

const SHORT: Duration = Duration::from_millis(50);

fn guard(isolation: IsolationLevel) -> Arc<Guard> {
    guard_telling(isolation, Incidents::nowhere())
}

fn guard_telling(isolation: IsolationLevel, incidents: Incidents) -> Arc<Guard> {
    Guard::new(GuardOptions {
        plugin: name("guarded"),
        isolation,
        vitals: Arc::default(),
        incidents,
        patience: Patience {
            warn: Duration::from_millis(60),
            open: Duration::from_millis(150),
            abandon: Duration::from_millis(400),
        },
    })
}

async fn call(guard: &Arc<Guard>, what: &'static str) -> Result<PluginResult<()>, CallError> {
    // Only what never ends is given little time: the machine may be busy.
    let endless = what.starts_with("hang") || what.starts_with("block");
    let timeout = if endless { SHORT } else { Duration::from_secs(10) };
    guard.call(Call { what: "test", timeout, cause: None }, move || Box::pin(act(what))).await
}

/// The outcome of one call in a word, on both levels.
#[track_caller]
fn check(what: &'static str, expected: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for isolation in [IsolationLevel::Inline, IsolationLevel::Runtime] {
        let outcome = runtime.block_on(async {
            let guard = guard(isolation);
            let outcome = call(&guard, what).await;
            assert_eq!(guard.calls.running(), 0, "a call that ended holds its place ({isolation:?})");
            outcome
        });
        let word = match outcome {
            Ok(Ok(())) => "ok".to_owned(),
            Ok(Err(error)) => format!("error: {error}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(word, expected, "{what} ({isolation:?})");
    }
}

#[test]
fn every_call_has_an_outcome() {
    check("ok", "ok");
    check("wait 10", "ok");
    check("error", "error: it is broken");
    check("input", "error: no such thing");
    check("panic", "it panicked: it panicked on purpose");
}

#[test]
fn what_takes_too_long_is_dropped() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for isolation in [IsolationLevel::Inline, IsolationLevel::Runtime] {
        runtime.block_on(async {
            let guard = guard(isolation);
            let dropped = Arc::new(AtomicUsize::new(0));
            let held = DropCount(dropped.clone());
            let began = Instant::now();
            let outcome: Result<(), _> = guard
                .call(Call { what: "test", timeout: SHORT, cause: None }, move || {
                    Box::pin(async move {
                        let _held = held;
                        std::future::pending().await
                    })
                })
                .await;
            assert_eq!(outcome, Err(CallError::Timeout));
            assert!(began.elapsed() < SHORT + Duration::from_millis(200), "{:?}", began.elapsed());
            eventually("it is dropped", || dropped.load(Ordering::SeqCst) == 1).await;
            eventually("its place is free", || guard.calls.running() == 0).await;
            assert_eq!(guard.counters().timeouts, 1);
        });
    }
}

struct DropCount(Arc<AtomicUsize>);

impl Drop for DropCount {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_drop_after_a_timeout_stays_inside() {
    for isolation in [IsolationLevel::Inline, IsolationLevel::Runtime] {
        let guard = guard(isolation);
        let outcome = call(&guard, "hang-and-panic-on-drop").await;
        assert!(matches!(outcome, Err(CallError::Timeout | CallError::Panicked(_))), "{outcome:?}");
        eventually("the panic is counted", || guard.counters().panics == 1).await;
        assert_eq!(call(&guard, "ok").await.map(|inner| inner.is_ok()), Ok(true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_takes_its_call_along() {
    for isolation in [IsolationLevel::Inline, IsolationLevel::Runtime] {
        let guard = guard(isolation);
        let held = PanicsOnDrop;
        let long = Call { what: "test", timeout: Duration::from_secs(60), cause: None };
        let waiting = guard.call(long, move || -> BoxFuture<'static, ()> {
            Box::pin(async move {
                let _held = held;
                std::future::pending().await
            })
        });
        assert!(tokio::time::timeout(SHORT, waiting).await.is_err());
        eventually("its place is free", || guard.calls.running() == 0).await;
        eventually("the panic in its drop is counted", || guard.counters().panics == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_plugin_did_wrong_opens_the_breaker() {
    let guard = guard(IsolationLevel::Inline);
    for _ in 0..50 {
        assert!(call(&guard, "input").await.unwrap().is_err());
    }
    assert!(!guard.is_open());
    for _ in 0..5 {
        assert!(call(&guard, "error").await.unwrap().is_err());
    }
    assert_eq!(call(&guard, "ok").await.unwrap_err(), CallError::Open);
    let counters = guard.counters();
    assert_eq!((counters.calls, counters.errors, counters.refused), (55, 5, 1));
    assert!(guard.vitals().last_error().unwrap().message.contains("it is broken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_that_has_no_opinion_counts_as_failed() {
    let guard = guard(IsolationLevel::Inline);
    for _ in 0..5 {
        let scan = || -> BoxFuture<'static, Result<Verdict, ScanError>> {
            Box::pin(async { Err(ScanError::Unavailable("no list".to_owned())) })
        };
        let outcome = guard.call(Call { what: "scan_message", timeout: SHORT, cause: None }, scan).await;
        assert!(outcome.unwrap().is_err());
    }
    assert!(guard.is_open());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_calls_run_than_may() {
    for isolation in [IsolationLevel::Inline, IsolationLevel::Runtime] {
        let guard = guard(isolation);
        let long = Call { what: "test", timeout: Duration::from_secs(60), cause: None };
        let running: Vec<_> = (0..CALLS_MAX)
            .map(|_| {
                let (guard, long) = (guard.clone(), long.clone());
                tokio::spawn(async move { guard.call(long, || Box::pin(act("hang"))).await })
            })
            .collect();
        eventually("all run", || guard.calls.running() == CALLS_MAX).await;
        assert_eq!(call(&guard, "hang").await.unwrap_err(), CallError::Busy);
        let waiting = tokio::spawn({
            let (guard, long) = (guard.clone(), long.clone());
            async move { guard.call(long, || Box::pin(act("ok"))).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        running[0].abort();
        assert!(waiting.await.unwrap().unwrap().is_ok(), "whoever waits gets the place that is freed");
        running.iter().for_each(|task| task.abort());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_blocks_is_found_and_given_up() {
    let (incidents, mut told) = Incidents::channel();
    let guard = guard_telling(IsolationLevel::Runtime, incidents);
    let began = Instant::now();
    assert_eq!(call(&guard, "block 1500").await.unwrap_err(), CallError::Timeout);
    assert!(began.elapsed() < Duration::from_millis(300), "the caller is free at once: {:?}", began.elapsed());
    let mut faults = Vec::new();
    while faults.last() != Some(&Fault::Abandoned) {
        faults.push(told.recv().await.expect("the guard lives").fault);
    }
    // The timeout may be told before or after it is named.
    faults.retain(|fault| *fault != Fault::Timeout);
    assert_eq!(faults, [Fault::Blocked, Fault::BreakerOpened, Fault::Abandoned]);
    assert!(guard.is_abandoned());
    assert!(began.elapsed() < Duration::from_millis(1400), "while it still blocks: {:?}", began.elapsed());
    assert_eq!(call(&guard, "ok").await.unwrap_err(), CallError::Stopped);
    assert!(guard.ended(Duration::from_secs(5)).await, "the thread ends when it blocks no longer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_only_slow_is_not_accused() {
    let guard = guard(IsolationLevel::Runtime);
    let patient = Call { what: "test", timeout: Duration::from_secs(5), cause: None };
    for _ in 0..3 {
        assert!(guard.call(patient.clone(), || Box::pin(act("wait 200"))).await.unwrap().is_ok());
    }
    assert_eq!(guard.vitals().last_error(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_has_no_more_tasks_than_it_may_and_none_outlives_it() {
    for isolation in ["inline", "runtime"] {
        let settings =
            format!("[plugins.a]\nenabled = true\nisolation = \"{isolation}\"\n[plugins.a.config]\ntasks = 1024\n");
        let world = world([fake("a")], &settings);
        world.manager.start_all().await.unwrap();
        assert_eq!(world.manager.get(&name("a")).unwrap().counters.tasks, 1024, "{:?}", world.state("a"));
        let context = world.with("a", |fake| crate::context::Context::<()>::new(fake.services.clone()));
        assert!(context.spawn(async {}).is_err(), "one too many");
        let guard = world.plugins.load().plugin(&name("a")).unwrap().guard().clone();
        world.manager.disable(&name("a"), &crate::message::Actor::system()).await.unwrap();
        eventually("no task is left", || guard.tasks().count() == 0).await;
        assert!(context.spawn(async {}).is_err(), "the old context is of no use");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_panics_is_told_of() {
    let world = world([fake("a")], "[plugins.a]\nenabled = true\n");
    world.manager.start_all().await.unwrap();
    let context = world.with("a", |fake| crate::context::Context::<()>::new(fake.services.clone()));
    context.spawn(async { panic!("in a task") }).unwrap();
    eventually("it is counted", || world.manager.get(&name("a")).unwrap().counters.panics == 1).await;
    let answer = context.blocking(|| thread::current().name().map(str::to_owned)).await.unwrap();
    assert_eq!(answer.as_deref(), Some("a"), "blocking functions run on the plugin's threads");
    assert!(context.blocking(|| panic!("in a blocking function")).await.map(|(): ()| ()).is_err());
}
