//! The queue of what the host announces without waiting: bounded, and published in order by one task. Knows no plugin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Event;

/// How many announced events wait to be published.
pub(crate) const ANNOUNCED_MAX: usize = 4096;

/// How often it is told, at most, that events were dropped.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The way into the queue. Its task ends when every clone of it is gone and the queue is empty.
#[derive(Clone)]
pub(crate) struct Announced {
    send: mpsc::Sender<Event>,
    dropped: Arc<Dropped>,
}

#[derive(Default)]
struct Dropped {
    count: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Announced {
    /// A queue whose task on this runtime gives `publish` one event after the other.
    pub(crate) fn new<F>(host: &Handle, publish: impl Fn(Event) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (send, mut receive) = mpsc::channel(ANNOUNCED_MAX);
        host.spawn(async move {
            while let Some(event) = receive.recv().await {
                publish(event).await;
            }
        });
        Self { send, dropped: Arc::default() }
    }

    /// Puts an event at the end of the queue; where it is full, the event is dropped and counted.
    pub(crate) fn push(&self, event: Event) {
        // Closed means that the runtime is going: there is nobody left to tell.
        if let Err(mpsc::error::TrySendError::Full(event)) = self.send.try_send(event) {
            self.dropped.add(&event);
        }
    }

    /// How many were dropped.
    #[cfg(test)]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.count.load(Ordering::Relaxed)
    }
}

impl Dropped {
    fn add(&self, event: &Event) {
        let dropped = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            drop(told);
            tracing::warn!(event = %event.name, dropped, "too many events wait to be announced: some are dropped");
        }
    }
}
