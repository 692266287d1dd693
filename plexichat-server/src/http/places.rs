//! How many connections are open, altogether and from each address, and how many each caller keeps open of each plugin. Knows
//! no socket.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plexichat::id::PluginName;
use tokio::sync::Notify;

use super::rates::RouteCaller;

/// How many WebSockets and event streams of one plugin a caller may have open, so that nobody takes all of the plugin's places.
pub(crate) const OF_CALLER_MAX: usize = 32;

/// The connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Only addresses that have one: as many as connections at most.
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Places {
    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().all
    }

    /// Waits until fewer than this are taken. Whoever asks must be the only one that takes places.
    ///
    /// # Cancel safety
    /// Cancel safe: it takes nothing.
    pub(crate) async fn below(&self, limit: impl Fn() -> usize) {
        loop {
            let freed = self.freed.notified();
            if self.taken() < limit() {
                return;
            }
            freed.await;
        }
    }

    /// Has whoever waits look at the limit again.
    pub(crate) fn look_again(&self) {
        self.freed.notify_one();
    }

    /// Takes a place for a connection from this address, unless it has as many as this already. Without an address it is
    /// only counted among all.
    pub(crate) fn take(self: &Arc<Self>, address: Option<IpAddr>, per_address: usize) -> Option<Place> {
        let mut taken = self.lock();
        if let Some(address) = address {
            let count = taken.by_address.entry(address).or_default();
            if *count >= per_address {
                return None;
            }
            *count += 1;
        }
        taken.all += 1;
        Some(Place { places: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(Entry::Occupied(mut count)) = self.address.map(|address| taken.by_address.entry(address)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        drop(taken);
        self.places.freed.notify_one();
    }
}

/// What callers keep open of plugins: WebSockets and event streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallerPlaces {
    /// Only callers that have something open: as many as connections at most.
    taken: Arc<Mutex<HashMap<(PluginName, RouteCaller), usize>>>,
}

/// One place of a caller's, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct CallerPlace {
    places: CallerPlaces,
    whose: (PluginName, RouteCaller),
}

impl CallerPlaces {
    /// Takes a place for what this caller opens of the plugin, unless it has all that one caller may have.
    pub(crate) fn take(&self, plugin: &PluginName, caller: RouteCaller) -> Option<CallerPlace> {
        let whose = (plugin.clone(), caller);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(whose.clone()).or_default();
        if *count >= OF_CALLER_MAX {
            return None;
        }
        *count += 1;
        Some(CallerPlace { places: self.clone(), whose })
    }
}

impl Drop for CallerPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.whose.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_address_has_so_many_and_no_more() {
        let places = Arc::new(Places::default());
        let (one, other) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        let mut held: Vec<Place> = (0..3).map(|_| places.take(one, 3).unwrap()).collect();
        assert!(places.take(one, 3).is_none());
        held.push(places.take(other, 3).unwrap());
        held.extend((0..10).map(|_| places.take(None, 3).unwrap()));
        assert_eq!(places.taken(), 14);
        held.remove(0);
        assert!(places.take(one, 3).is_some());
        held.clear();
        assert_eq!(places.taken(), 0);
        assert!(places.lock().by_address.is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn one_caller_never_has_all_places_of_a_plugin() {
        let places = CallerPlaces::default();
        let (one, other): (PluginName, PluginName) = ("one".parse().unwrap(), "other".parse().unwrap());
        let ann = RouteCaller::Address("192.0.2.1".parse().unwrap());
        let ben = RouteCaller::Address("192.0.2.2".parse().unwrap());
        let mut held: Vec<CallerPlace> = (0..OF_CALLER_MAX).map(|_| places.take(&one, ann).unwrap()).collect();
        assert!(places.take(&one, ann).is_none());
        held.push(places.take(&one, ben).unwrap());
        held.push(places.take(&other, ann).unwrap());
        held.remove(0);
        held.push(places.take(&one, ann).unwrap());
        assert!(places.take(&one, ann).is_none(), "what ended freed one place");
        held.clear();
        assert!(places.taken.lock().unwrap().is_empty(), "nothing is kept of who is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_goes_on_when_one_leaves_or_the_limit_rises() {
        let places = Arc::new(Places::default());
        let held = places.take(None, 1).unwrap();
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, places.below(|| 1)).await.is_err());
        let waiting = places.below(|| 1);
        drop(held);
        tokio::time::timeout(second, waiting).await.unwrap();
        let _held = places.take(None, 1).unwrap();
        let limit = std::sync::atomic::AtomicUsize::new(1);
        let waiting = places.below(|| limit.load(std::sync::atomic::Ordering::Relaxed));
        let raise = async {
            tokio::task::yield_now().await;
            limit.store(2, std::sync::atomic::Ordering::Relaxed);
            places.look_again();
        };
        tokio::time::timeout(second, async { tokio::join!(waiting, raise) }).await.unwrap();
    }
}
