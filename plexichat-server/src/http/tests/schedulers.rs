//! Two engines on one store: each tick is fired once and carried out once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plexichat::automation::{AutomationStore, RunFilter, RunState};
use plexichat::catalog::Catalog;
use plexichat::host::{Host, Ports};
use plexichat::message::Time;
use plexichat::pipeline::Limits;
use plexichat::prelude::*;
use plexichat::settings::{Settings, Sources};
use plexichat::testing::TestClock;

use super::ports;
use crate::live::hub::Hub;
use crate::store::Store;

/// How often each tick was carried out.
static TICKS: Mutex<BTreeMap<i64, u32>> = Mutex::new(BTreeMap::new());

/// Counts its ticks.
#[plexichat::plugin(name = "ticker", provides(Automation))]
pub(super) struct Ticker;

impl Plugin for Ticker {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl Automation for Ticker {
    fn register_triggers(triggers: Triggers<Self>) -> Triggers<Self> {
        triggers.cron("* * * * * *", "UTC", Misfire::CatchUp(10), "tick", Scope::Cluster)
    }

    async fn execute_workflow(&self, run: WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
        *TICKS.lock().unwrap_or_else(PoisonError::into_inner).entry(run.scheduled_at.as_micros()).or_default() += 1;
        Ok(Outcome::done())
    }
}

/// Two hosts, each with a store of its own over one database: each tick is fired once and carried out once, also while one of the
/// two goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_schedulers_on_one_store_make_each_tick_once() {
    const COUNT: usize = 200;
    let directory = tempfile::tempdir().unwrap();
    let began = Time::from_micros(1_800_000_000 * 1_000_000);
    let clock = Arc::new(TestClock::at(began));
    let linked = [<Ticker as plexichat::descriptor::Registered>::DESCRIPTOR];
    let settings = || {
        let bundle = "[plugins.ticker]\nenabled = true\ngrant = []\n";
        Settings::load(&Sources { bundle, linked: &linked, ..Sources::default() }).unwrap()
    };
    let mut hosts = Vec::new();
    for node in ["first", "second"] {
        let store = Store::open(&directory.path().join("plexichat.db")).unwrap();
        let hub = Hub::new(Arc::new(store.clone()));
        let ports = Ports { clock: clock.clone(), node: node.to_owned(), ..ports(&store, &hub) };
        let host = Host::new(Catalog::of(&linked).unwrap(), settings(), Limits::default(), ports);
        host.manager.start_all().await.unwrap();
        let running = tokio::spawn(host.automations.clone().run());
        hosts.push((host, store, running));
    }
    let done = async |store: &Store| {
        let filter = RunFilter { states: vec![RunState::Done], limit: 1_000, ..RunFilter::default() };
        store.runs(filter).await.unwrap()
    };
    // Both have stored their triggers before the clock goes on.
    while hosts[1].1.triggers(None).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for number in 1..=COUNT {
        if number == COUNT / 2 {
            // One is dropped in the middle of its work.
            let (host, store, running) = hosts.remove(0);
            running.abort();
            drop(host);
            drop(store);
        }
        clock.advance(Duration::from_secs(1));
        // Sometimes both look at the very moment, sometimes they are late.
        if number % 3 != 0 {
            hosts.iter().for_each(|(host, ..)| host.automations.look());
        }
        if number % 20 == 0 {
            for _ in 0..1_000 {
                hosts.iter().for_each(|(host, ..)| host.automations.look());
                if done(&hosts[0].1).await.len() >= number {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    let runs = done(&hosts[0].1).await;
    let ticks: BTreeMap<i64, u32> =
        (1..=COUNT as i64).map(|second| (began.as_micros() + second * 1_000_000, 1)).collect();
    let made: Vec<i64> = runs.iter().rev().map(|run| run.scheduled_at.as_micros()).collect();
    let mut sorted = made.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ticks.keys().copied().collect::<Vec<_>>(), "each tick made one run");
    assert_eq!(*TICKS.lock().unwrap_or_else(PoisonError::into_inner), ticks, "each was carried out once");
    for (host, ..) in hosts {
        host.automations.stop(Duration::from_secs(1)).await;
    }
}
