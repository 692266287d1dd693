//! Which scanners can be relied on: told as events where that changes. Keeps what is counted of each hook. Knows no message,
//! no instance and no breaker.

mod meter;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capability::clock::Clock;
use crate::descriptor::{FailMode, Hook};
use crate::event::Event;
use crate::event::catalog::{ScanDegraded, ScanRecovered};
use crate::id::PluginName;
use crate::message::Time;

pub use self::meter::{Failure, HookCounts, HookMeter, SAMPLED};

/// How the scanners of a host stand. Outlives their instances.
#[derive(Default)]
pub struct Standing {
    /// How many fail: nothing else is looked at while all is well.
    failing: AtomicUsize,
    scanners: Mutex<BTreeMap<PluginName, Trouble>>,
    meters: Mutex<BTreeMap<(PluginName, Hook), Arc<HookMeter>>>,
    voice: Option<Voice>,
}

/// A scanner that fails.
struct Trouble {
    hooks: BTreeSet<Hook>,
    failures: u32,
    since: Time,
}

struct Voice {
    clock: Arc<dyn Clock>,
    tell: Box<dyn Fn(Event) + Send + Sync>,
}

impl Standing {
    /// All is well so far. Changes are told to `tell`, which must not wait.
    pub(crate) fn new(clock: Arc<dyn Clock>, tell: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { voice: Some(Voice { clock, tell: Box::new(tell) }), ..Self::default() }
    }

    /// A hook gave no opinion: the first time since it last did is told.
    pub(crate) fn failed(&self, plugin: &PluginName, hook: Hook, mode: FailMode) {
        let degraded = {
            let mut scanners = self.scanners();
            let now = self.now();
            let trouble = scanners.entry(plugin.clone()).or_insert_with(|| Trouble {
                hooks: BTreeSet::new(),
                failures: 0,
                since: now,
            });
            trouble.failures = trouble.failures.saturating_add(1);
            trouble.hooks.insert(hook);
            let degraded = (trouble.failures == 1)
                .then(|| ScanDegraded::new(plugin.clone(), mode.as_str().to_owned(), trouble.failures, trouble.since));
            self.failing.store(scanners.len(), Ordering::Relaxed);
            degraded
        };
        if let Some(degraded) = degraded {
            tracing::info!(%plugin, hook = hook.as_str(), mode = mode.as_str(), "the scanner fails");
            self.tell(|| Event::new(degraded));
        }
    }

    /// A hook gave its opinion: where it had failed before, that it works again is told.
    pub(crate) fn judged(&self, plugin: &PluginName, hook: Hook) {
        if self.failing.load(Ordering::Relaxed) == 0 {
            return;
        }
        let recovered = {
            let mut scanners = self.scanners();
            let Some(trouble) = scanners.get_mut(plugin) else { return };
            trouble.hooks.remove(&hook);
            if !trouble.hooks.is_empty() {
                return;
            }
            let recovered = ScanRecovered::new(plugin.clone(), trouble.failures, trouble.since);
            scanners.remove(plugin);
            self.failing.store(scanners.len(), Ordering::Relaxed);
            recovered
        };
        tracing::info!(%plugin, hook = hook.as_str(), failures = recovered.failures, "the scanner works again");
        self.tell(|| Event::new(recovered));
    }

    /// Forgets the scanners that nobody wants to have a say any more.
    pub(crate) fn keep(&self, is_wanted: impl Fn(&PluginName) -> bool) {
        if self.failing.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut scanners = self.scanners();
        scanners.retain(|plugin, _| is_wanted(plugin));
        self.failing.store(scanners.len(), Ordering::Relaxed);
    }

    /// The counters of a hook.
    pub(crate) fn meter(&self, plugin: &PluginName, hook: Hook) -> Arc<HookMeter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.entry((plugin.clone(), hook)).or_default().clone()
    }

    /// What was counted, by plugin and hook.
    pub fn counts(&self) -> Vec<HookCounts> {
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|((plugin, hook), meter)| meter.counts(plugin.clone(), hook.as_str())).collect()
    }

    /// The scanners that fail now.
    pub fn failing(&self) -> Vec<PluginName> {
        self.scanners().keys().cloned().collect()
    }

    fn now(&self) -> Time {
        self.voice.as_ref().map_or_else(Time::now, |voice| voice.clock.now())
    }

    fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(voice) = &self.voice {
            (voice.tell)(event());
        }
    }

    fn scanners(&self) -> MutexGuard<'_, BTreeMap<PluginName, Trouble>> {
        self.scanners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Standing").field("failing", &self.failing()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Time {
            Time::from_micros(7)
        }

        fn sleep(&self, _: std::time::Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn name(text: &str) -> PluginName {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_changes_is_told() {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = told.clone();
        let standing = Standing::new(Arc::new(Still), move |event| {
            keep.lock().unwrap().push(event.name.to_string());
        });
        let take = || std::mem::take(&mut *told.lock().unwrap());
        standing.judged(&name("a"), Hook::ScanMessage);
        assert!(take().is_empty(), "it never failed");

        standing.failed(&name("a"), Hook::ScanMessage, FailMode::Closed);
        standing.failed(&name("a"), Hook::ScanMessage, FailMode::Closed);
        standing.failed(&name("a"), Hook::ScanFile, FailMode::Open);
        assert_eq!(take(), ["scan_degraded"]);
        standing.judged(&name("b"), Hook::ScanMessage);
        standing.judged(&name("a"), Hook::ScanMessage);
        assert!(take().is_empty(), "its other hook still fails");
        standing.judged(&name("a"), Hook::ScanFile);
        standing.judged(&name("a"), Hook::ScanFile);
        assert_eq!(take(), ["scan_recovered"]);

        standing.failed(&name("a"), Hook::ScanFile, FailMode::Open);
        standing.keep(|plugin| *plugin != name("a"));
        standing.judged(&name("a"), Hook::ScanFile);
        assert_eq!(take(), ["scan_degraded"], "nobody asks for it any more");
        assert!(standing.failing().is_empty());
    }
}
