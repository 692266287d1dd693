//! How often somebody may fail: so many times in a minute, by whatever key. Bounded in memory. Knows no account.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which attempts are counted.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// How many keys are remembered.
const KEYS_MAX: usize = 10_000;

/// Attempts within the last minute, by key.
#[derive(Debug)]
pub(super) struct Attempts<K> {
    most: usize,
    keys: Mutex<HashMap<K, VecDeque<Instant>>>,
}

impl<K: Eq + Hash + Clone> Attempts<K> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, keys: Mutex::default() }
    }

    /// Counts an attempt, unless there were too many: then how long to wait.
    pub(super) fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX && !keys.contains_key(key) {
            make_room(&mut keys, now);
        }
        let times = keys.entry(key.clone()).or_default();
        while times.front().is_some_and(|time| now.saturating_duration_since(*time) >= MINUTE) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= self.most => {
                Err(MINUTE.saturating_sub(now.saturating_duration_since(*first)))
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }

    /// Takes one attempt back: it was none.
    pub(super) fn give_back(&self, key: &K) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = keys.get_mut(key) {
            times.pop_back();
            if times.is_empty() {
                keys.remove(key);
            }
        }
    }

    /// Forgets what was tried with this key.
    pub(super) fn forget(&self, key: &K) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Drops what counts no more; where all counts, the half that was tried longest ago.
fn make_room<K: Eq + Hash + Clone>(keys: &mut HashMap<K, VecDeque<Instant>>, now: Instant) {
    keys.retain(|_, times| times.back().is_some_and(|time| now.saturating_duration_since(*time) < MINUTE));
    if keys.len() < KEYS_MAX {
        return;
    }
    let mut last: Vec<Instant> = keys.values().filter_map(|times| times.back().copied()).collect();
    let middle = last.len() / 2;
    let (_, middle, _) = last.select_nth_unstable(middle);
    let middle = *middle;
    keys.retain(|_, times| times.back().is_some_and(|time| *time > middle));
}

/// An address as it is limited: what one household or machine has is one address.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        // A /64 is the least that anybody is given.
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

/// Lets the first thing in a while be told, with how many there were since the last.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    state: Mutex<(Option<Instant>, u32)>,
}

impl Sampler {
    /// How many there were with this one, where it is time to tell.
    pub(super) fn sample(&self, every: Duration, now: Instant) -> Option<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, count) = &mut *state;
        *count += 1;
        if last.is_some_and(|last| now.saturating_duration_since(last) < every) {
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 71: five tries, then one has to wait, whatever happens meanwhile.
    #[test]
    fn five_in_a_minute() {
        let attempts = Attempts::new(5);
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for second in 0..5 {
            assert_eq!(attempts.take(&"ann", after(second)), Ok(()));
        }
        for second in 5..60 {
            assert_eq!(attempts.take(&"ann", after(second)), Err(Duration::from_secs(60 - second)));
        }
        assert_eq!(attempts.take(&"bob", after(5)), Ok(()), "another's are another's");
        assert_eq!(attempts.take(&"ann", after(60)), Ok(()));
        assert_eq!(attempts.take(&"ann", after(60)), Err(Duration::from_secs(1)), "never more than five in a minute");
        attempts.give_back(&"ann");
        assert_eq!(attempts.take(&"ann", after(60)), Ok(()));
        attempts.forget(&"ann");
        assert_eq!(attempts.take(&"ann", after(60)), Ok(()));
    }

    /// Fault 72: a million made-up addresses take no more memory than ten thousand.
    #[test]
    fn keys_are_bounded() {
        let attempts = Attempts::new(5);
        let start = Instant::now();
        for number in 0..100_000_u32 {
            let _ = attempts.take(&number, start + Duration::from_micros(number.into()));
        }
        let keys = attempts.keys.lock().expect("no panic");
        assert!(keys.len() <= KEYS_MAX, "{}", keys.len());
        assert!(keys.contains_key(&99_999), "the last ones are kept");
    }

    #[track_caller]
    fn check(address: &str, network: &str) {
        assert_eq!(network_of(address.parse().expect("an address")), network.parse::<IpAddr>().expect("an address"));
    }

    #[test]
    fn a_network_is_what_one_household_has() {
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("2001:db8:1:2:ffff::1", "2001:db8:1:2::");
    }

    /// Fault 71: the log is not flooded.
    #[test]
    fn one_in_a_while_is_told() {
        let sampler = Sampler::default();
        let start = Instant::now();
        let every = Duration::from_secs(10);
        assert_eq!(sampler.sample(every, start), Some(1));
        for number in 0..99 {
            assert_eq!(sampler.sample(every, start + Duration::from_millis(number)), None);
        }
        assert_eq!(sampler.sample(every, start + every), Some(100));
    }
}
