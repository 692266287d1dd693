//! Two hosts on one store, under one clock: each tick is run once, whichever host is there, and whatever the clock does.

#![cfg(feature = "testing")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use plexichat::automation::{RunRecord, RunState};
use plexichat::capability::clock::Clock;
use plexichat::message::Time;
use plexichat::store::memory::MemoryStore;
use plexichat::testing::{RunningPlugin, TestClock, TestHost, TestResult};

mod ticker {
    use plexichat::prelude::*;
    use serde_json::json;

    /// Ticks every second.
    #[plexichat::plugin(name = "ticker", provides(Automation))]
    pub(crate) struct Ticker;

    impl Plugin for Ticker {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Automation for Ticker {
        fn register_triggers(triggers: Triggers<Self>) -> Triggers<Self> {
            triggers.cron("* * * * * *", "Europe/Berlin", Misfire::Skip, "tick", Scope::Cluster)
        }

        async fn execute_workflow(&self, run: WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
            // Long enough to be cut off in the middle.
            tokio_yield().await;
            Ok(Outcome::Done(json!(run.attempt)))
        }
    }

    async fn tokio_yield() {
        for _ in 0..3 {
            let mut first = true;
            std::future::poll_fn(|context| {
                if std::mem::take(&mut first) {
                    context.waker().wake_by_ref();
                    return std::task::Poll::Pending;
                }
                std::task::Poll::Ready(())
            })
            .await;
        }
    }
}

use ticker::Ticker;

struct Field {
    clock: Arc<TestClock>,
    store: Arc<MemoryStore>,
    hosts: Vec<RunningPlugin<Ticker>>,
}

impl Field {
    async fn new(hosts: usize) -> TestResult<Self> {
        // On a whole second, so that ticks are whole seconds from here.
        let clock = Arc::new(TestClock::at(Time::from_micros(1_790_000_000_000_000)));
        let store = Arc::new(MemoryStore::with_clock(clock.clone()));
        let mut field = Self { clock, store, hosts: Vec::new() };
        for _ in 0..hosts {
            field.hosts.push(TestHost::new().clock(field.clock.clone()).store(field.store.clone()).start().await?);
        }
        Ok(field)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.hosts.iter().for_each(|host| host.host().automations.look());
    }

    async fn idle(&self) -> TestResult {
        for host in &self.hosts {
            host.idle().await?;
        }
        Ok(())
    }

    async fn runs(&self) -> TestResult<Vec<RunRecord>> {
        self.hosts.last().expect("a host").runs().await
    }
}

fn second(run: &RunRecord) -> i64 {
    run.scheduled_at.as_micros() / 1_000_000 - 1_790_000_000
}

#[plexichat::test]
async fn each_of_200_ticks_is_run_once_though_a_host_is_dropped() -> TestResult {
    let mut field = Field::new(2).await?;
    for tick in 1..=200 {
        field.pass(1);
        if tick == 100 {
            // In the middle of whatever it does.
            field.hosts.remove(0);
        } else {
            field.idle().await?;
        }
    }
    // What the dropped host had taken is taken again when its lease is over.
    field.pass(31);
    field.idle().await?;
    let runs: Vec<RunRecord> = field.runs().await?.into_iter().filter(|run| second(run) <= 200).collect();
    let ticks: BTreeSet<i64> = runs.iter().map(second).collect();
    assert_eq!((runs.len(), ticks), (200, (1..=200).collect()));
    assert!(runs.iter().all(|run| run.state == RunState::Done), "all came to their end");
    let again = runs.iter().filter(|run| run.attempts > 1).map(second).collect::<Vec<_>>();
    assert!(again.iter().all(|tick| (99..=100).contains(tick)), "only what was cut off was tried again: {again:?}");
    Ok(())
}

#[plexichat::test]
async fn no_tick_comes_twice_whatever_the_clock_does() -> TestResult {
    let field = Field::new(2).await?;
    field.pass(3);
    field.idle().await?;
    // A minute too fast: all of it is within the time in which nothing counts as missed.
    field.pass(50);
    field.idle().await?;
    // An hour: what was missed is forgotten, and the tick of this moment is not.
    field.pass(3600);
    field.idle().await?;
    let before: Vec<i64> = field.runs().await?.iter().map(second).collect();
    assert_eq!(before, (1..=53).chain([3653]).collect::<Vec<_>>());
    // The clock is put back: another host that begins now makes the ticks that have had no run, and no other.
    let back = Arc::new(TestClock::at(Time::from_micros(1_790_000_000_000_000)));
    let late = TestHost::new().clock(back.clone()).store(field.store.clone()).start::<Ticker>().await?;
    for _ in 0..60 {
        back.advance(Duration::from_secs(1));
        late.host().automations.look();
        late.idle().await?;
    }
    let mut after: Vec<i64> = late.runs().await?.iter().map(second).collect();
    after.sort_unstable();
    assert_eq!(after, (1..=60).chain([3653]).collect::<Vec<_>>());
    assert!(back.now() < field.clock.now());
    Ok(())
}
