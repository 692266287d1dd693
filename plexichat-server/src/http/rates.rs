//! How many requests come from each address: one number for each of those that ask now, and never more than a fixed count of
//! them. Knows no request.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use plexichat::id::UserId;
use plexichat::settings::EdgeLimits;

/// So many addresses are told apart; further ones share one bucket.
const ADDRESSES_MAX: usize = 65_536;
/// The bucket that they share.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// How often a full table is gone through, in nanoseconds: not for every request of a flood.
const SWEEP: u64 = 1_000_000_000;

/// In nanoseconds.
const MINUTE: u64 = 60 * 1_000_000_000;

/// Who asked how much.
#[derive(Debug)]
pub(crate) struct Rates {
    began: Instant,
    buckets: Mutex<Buckets<IpAddr>>,
}

/// A bucket for each of those who ask, which is the moment at which it will be full again (GCRA).
#[derive(Debug)]
struct Buckets<K> {
    full_again: HashMap<K, u64>,
    swept: u64,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { full_again: HashMap::new(), swept: 0 }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self { began: Instant::now(), buckets: Mutex::default() }
    }
}

impl Rates {
    /// Counts a request, unless it comes too early: then in how long it would not.
    pub(crate) fn count(&self, address: IpAddr, limits: &EdgeLimits) -> Result<(), Duration> {
        self.count_at(nanoseconds_since(self.began), address, limits)
    }

    fn count_at(&self, now: u64, address: IpAddr, limits: &EdgeLimits) -> Result<(), Duration> {
        let each = 1_000_000_000 / u64::from(limits.requests_per_second.get());
        let most = each * u64::from(limits.request_burst.get());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.count(now, address, OTHERS, each, most)
    }
}

fn nanoseconds_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    /// Takes `each` out of a bucket that holds `most`, in nanoseconds. Where the table is full, `others` share one.
    fn count(&mut self, now: u64, mut key: K, others: K, each: u64, most: u64) -> Result<(), Duration> {
        let Self { full_again, swept } = self;
        if full_again.len() >= ADDRESSES_MAX && !full_again.contains_key(&key) {
            if now - *swept >= SWEEP {
                full_again.retain(|_, full_again| *full_again > now);
                *swept = now;
            }
            if full_again.len() >= ADDRESSES_MAX {
                key = others;
            }
        }
        let full_again = full_again.entry(key).or_insert(now);
        let next = (*full_again).max(now) + each;
        if next - now > most {
            return Err(Duration::from_nanos(next - now - most));
        }
        *full_again = next;
        Ok(())
    }
}

/// Who calls a plugin's route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RouteCaller {
    /// Somebody whom the server knows.
    Person(UserId),
    /// Whoever is at an address.
    Address(IpAddr),
}

/// How often each caller calls each route of a plugin that has a limit of its own.
#[derive(Debug)]
pub(crate) struct RouteRates {
    began: Instant,
    buckets: Mutex<Buckets<(&'static str, usize, RouteCaller)>>,
}

impl Default for RouteRates {
    fn default() -> Self {
        Self { began: Instant::now(), buckets: Mutex::default() }
    }
}

impl RouteRates {
    /// Counts a call of the plugin's route with this index, unless it comes too early: then in how long it would not.
    pub(crate) fn count(
        &self,
        plugin: &'static str,
        route: usize,
        caller: RouteCaller,
        per_minute: NonZeroU32,
    ) -> Result<(), Duration> {
        let each = MINUTE / u64::from(per_minute.get());
        let others = (plugin, route, RouteCaller::Address(OTHERS));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // All of a minute's at once, if they like.
        let most = each * u64::from(per_minute.get());
        buckets.count(nanoseconds_since(self.began), (plugin, route, caller), others, each, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_second: u32, burst: u32) -> EdgeLimits {
        EdgeLimits {
            requests_per_second: per_second.try_into().unwrap(),
            request_burst: burst.try_into().unwrap(),
            ..EdgeLimits::default()
        }
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let (rates, limits) = (Rates::default(), limits(10, 3));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..3 {
            rates.count_at(0, one, &limits).unwrap();
        }
        assert_eq!(rates.count_at(0, one, &limits), Err(Duration::from_millis(100)));
        rates.count_at(0, other, &limits).unwrap();
        rates.count_at(SECOND / 10, one, &limits).unwrap();
        assert!(rates.count_at(SECOND / 10, one, &limits).is_err());
        for _ in 0..3 {
            rates.count_at(9 * SECOND, one, &limits).unwrap();
        }
    }

    #[test]
    fn each_caller_has_a_bucket_for_each_route() {
        let rates = RouteRates::default();
        let one = RouteCaller::Address("192.0.2.1".parse().unwrap());
        let other = RouteCaller::Person(UserId::new());
        let two = NonZeroU32::new(2).unwrap();
        for _ in 0..2 {
            rates.count("a", 0, one, two).unwrap();
        }
        let wait = rates.count("a", 0, one, two).unwrap_err();
        assert!((29..=30).contains(&wait.as_secs()), "{wait:?}");
        for (plugin, route, caller) in [("a", 0, other), ("a", 1, one), ("b", 0, one)] {
            rates.count(plugin, route, caller, two).unwrap();
        }
    }

    /// Fault 72: however many addresses there are, so many are kept.
    #[test]
    fn the_table_is_bounded() {
        let (rates, limits) = (Rates::default(), limits(1, 1));
        let mut refused = 0;
        for address in 1..100_000_u32 {
            refused += u32::from(rates.count_at(0, Ipv4Addr::from_bits(address).into(), &limits).is_err());
        }
        let kept = || rates.buckets.lock().unwrap().full_again.len();
        assert!(kept() <= ADDRESSES_MAX + 1, "{}", kept());
        assert!(refused > 30_000, "who comes when the table is full shares one bucket: {refused}");
        rates.count_at(5 * SECOND, Ipv4Addr::from_bits(200_000).into(), &limits).unwrap();
        assert_eq!(kept(), 1, "who has a full bucket is forgotten");
    }
}
