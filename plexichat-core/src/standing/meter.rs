//! What is counted of one hook of one plugin. A call that goes well costs one atomic addition; the clock is read for one call
//! of many. Knows no plugin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::id::PluginName;

/// One call of so many is timed.
pub const SAMPLED: u64 = 64;

/// The upper ends of the buckets that timed calls are counted in, in microseconds.
const BUCKETS: [u64; 13] =
    [10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000];

/// Why a hook gave no opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// It returned an error.
    Error,
    /// It took too long.
    Timeout,
    /// It panicked.
    Panic,
    /// It failed too often of late and is not asked for a while.
    Open,
    /// Too many of its calls ran already.
    Busy,
    /// It was stopped meanwhile.
    Stopped,
    /// It let a sample pass that it must object to, and is not asked until it objects again.
    Canary,
    /// It should have its say and does not run.
    Absent,
    /// What it was to judge is larger than it can scan.
    TooLarge,
}

impl Failure {
    /// Every kind there is.
    pub const ALL: [Self; 9] = [
        Self::Error,
        Self::Timeout,
        Self::Panic,
        Self::Open,
        Self::Busy,
        Self::Stopped,
        Self::Canary,
        Self::Absent,
        Self::TooLarge,
    ];

    /// The word for it in counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Open => "breaker_open",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
            Self::Canary => "canary_missed",
            Self::Absent => "not_running",
            Self::TooLarge => "too_large",
        }
    }

    /// It, as the end of a sentence that begins with the scanner's name.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Error => "returned an error",
            Self::Timeout => "took too long",
            Self::Panic => "panicked",
            Self::Open => "failed too often of late and is not asked for a while",
            Self::Busy => "has too many calls running",
            Self::Stopped => "was stopped meanwhile",
            Self::Canary => "let a sample pass that it must object to",
            Self::Absent => "does not run",
            Self::TooLarge => "cannot scan anything that large",
        }
    }

    /// Whether the guard around the call has told the operator already.
    pub const fn is_told(self) -> bool {
        matches!(self, Self::Error | Self::Timeout | Self::Panic)
    }
}

/// The counters of one hook of one plugin. They outlive the plugin's instances.
#[derive(Debug, Default)]
pub struct HookMeter {
    calls: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
    passed: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

/// What was counted of one hook, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCounts {
    /// The plugin.
    pub plugin: PluginName,
    /// The hook's method.
    pub hook: &'static str,
    /// Calls that were begun.
    pub calls: u64,
    /// How often it gave no opinion, by why.
    pub failures: Vec<(Failure, u64)>,
    /// How often something passed without its word, since its policy is `open`.
    pub unscanned: u64,
    /// Of the calls that were timed: how many took at most so long, each with those before it.
    pub buckets: Vec<(Duration, u64)>,
    /// How many calls were timed.
    pub timed: u64,
    /// How long those took together.
    pub time: Duration,
}

impl HookMeter {
    /// A call begins; when, if it is one of those that are timed.
    pub(crate) fn begin(&self) -> Option<Instant> {
        self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLED).then(Instant::now)
    }

    /// It ended, however.
    pub(crate) fn end(&self, began: Option<Instant>) {
        let Some(began) = began else { return };
        let microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|most| microseconds <= *most).unwrap_or(BUCKETS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// It gave no opinion.
    pub(crate) fn count(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Something passed without its word.
    pub(crate) fn count_unscanned(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self, plugin: PluginName, hook: &'static str) -> HookCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut timed = 0;
        let mut buckets = Vec::with_capacity(BUCKETS.len());
        for (most, counted) in BUCKETS.iter().zip(&self.buckets) {
            timed += read(counted);
            buckets.push((Duration::from_micros(*most), timed));
        }
        HookCounts {
            plugin,
            hook,
            calls: read(&self.calls),
            failures: Failure::ALL.iter().map(|failure| (*failure, read(&self.failures[*failure as usize]))).collect(),
            unscanned: read(&self.passed),
            buckets,
            timed: timed + read(&self.buckets[BUCKETS.len()]),
            time: Duration::from_micros(read(&self.microseconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_own_counter_and_word() {
        let meter = HookMeter::default();
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            (0..=index).for_each(|_| meter.count(failure));
        }
        let counts = meter.counts("echo".parse().unwrap(), "scan_message");
        let expected: Vec<(Failure, u64)> = Failure::ALL.into_iter().zip(1..).collect();
        assert_eq!(counts.failures, expected);
        let words: std::collections::BTreeSet<_> = Failure::ALL.iter().map(|failure| failure.as_str()).collect();
        assert_eq!(words.len(), Failure::ALL.len());
    }

    #[test]
    fn one_call_of_many_is_timed() {
        let meter = HookMeter::default();
        let timed = (0..SAMPLED * 3).filter(|_| {
            let began = meter.begin();
            meter.end(began);
            began.is_some()
        });
        assert_eq!(timed.count(), 3);
        let counts = meter.counts("echo".parse().unwrap(), "scan_message");
        assert_eq!((counts.calls, counts.timed), (SAMPLED * 3, 3));
        assert!(counts.buckets.iter().is_sorted_by_key(|(_, count)| *count), "{:?}", counts.buckets);
    }

    #[test]
    fn a_slow_call_is_counted_beyond_the_last_bucket() {
        let meter = HookMeter::default();
        let began = Instant::now().checked_sub(Duration::from_secs(60));
        assert!(began.is_some(), "the machine has run for a minute");
        meter.end(began);
        let counts = meter.counts("echo".parse().unwrap(), "scan_file");
        assert_eq!((counts.timed, counts.buckets.last().unwrap().1), (1, 0));
    }
}
