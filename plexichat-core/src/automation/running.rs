//! The attempts that this host makes at the moment: how each is ended early, and until when nobody else takes its run. Knows no
//! plugin and no store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::id::{PluginName, RunId};
use crate::message::Time;

/// Why an attempt ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its run is somebody else's now, or was cancelled: what it says does not count.
    Overtaken,
    /// The server stops, or the plugin does: another attempt goes on.
    GivenBack,
}

/// The attempts that are made.
#[derive(Default)]
pub(super) struct Running {
    entries: Mutex<HashMap<RunId, Entry>>,
    /// How many they are.
    count: watch::Sender<usize>,
}

struct Entry {
    plugin: PluginName,
    fence: u64,
    lease_until: Time,
    stop: watch::Sender<Option<Stop>>,
}

/// An attempt whose lease is to be kept.
pub(super) struct Leased {
    pub(super) run: RunId,
    pub(super) fence: u64,
}

impl Running {
    fn map(&self) -> MutexGuard<'_, HashMap<RunId, Entry>> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt begins. One at the same run that is still there is overtaken.
    pub(super) fn begin(self: &Arc<Self>, run: RunId, plugin: PluginName, fence: u64, lease_until: Time) -> Begun {
        let (stop, stopped) = watch::channel(None);
        let before = self.map().insert(run, Entry { plugin, fence, lease_until, stop });
        if let Some(before) = before {
            before.stop.send_replace(Some(Stop::Overtaken));
        }
        self.count.send_modify(|count| *count += 1);
        Begun { running: self.clone(), run, fence, stopped }
    }

    /// How many are made.
    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// How many are made of a plugin's runs.
    pub(super) fn count_of(&self, plugin: &PluginName) -> usize {
        self.map().values().filter(|entry| entry.plugin == *plugin).count()
    }

    /// Waits until none is made.
    pub(super) async fn idle(&self) {
        // The sender is this one's own: it is there.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Those whose leases end before this time.
    pub(super) fn leased_until(&self, time: Time) -> Vec<Leased> {
        let map = self.map();
        let ending = map.iter().filter(|(_, entry)| entry.lease_until < time);
        ending.map(|(run, entry)| Leased { run: *run, fence: entry.fence }).collect()
    }

    /// The lease of an attempt goes on.
    pub(super) fn renewed(&self, leased: &Leased, until: Time) {
        if let Some(entry) = self.map().get_mut(&leased.run).filter(|entry| entry.fence == leased.fence) {
            entry.lease_until = until;
        }
    }

    /// Ends the attempt at a run early, where it is made here. Whether it is.
    pub(super) fn stop(&self, run: RunId, why: Stop) -> bool {
        self.map().get(&run).is_some_and(|entry| {
            entry.stop.send_replace(Some(why));
            true
        })
    }

    /// Gives back the attempts of plugins of which this is true.
    pub(super) fn give_back(&self, of: impl Fn(&PluginName) -> bool) {
        for entry in self.map().values().filter(|entry| of(&entry.plugin)) {
            entry.stop.send_replace(Some(Stop::GivenBack));
        }
    }
}

/// An attempt; dropped when it is over.
pub(super) struct Begun {
    running: Arc<Running>,
    run: RunId,
    fence: u64,
    stopped: watch::Receiver<Option<Stop>>,
}

impl Begun {
    /// Waits until it is to end early.
    pub(super) async fn stopped(&self) -> Stop {
        let mut stopped = self.stopped.clone();
        let why = stopped.wait_for(Option::is_some).await.map(|why| *why);
        match why {
            Ok(why) => why.unwrap_or(Stop::Overtaken),
            // Another attempt has taken its place in the map.
            Err(_) => Stop::Overtaken,
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut map = self.running.map();
        if map.get(&self.run).is_some_and(|entry| entry.fence == self.fence) {
            map.remove(&self.run);
        }
        drop(map);
        self.running.count.send_modify(|count| *count -= 1);
    }
}
