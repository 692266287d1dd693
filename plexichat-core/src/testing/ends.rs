//! The ends of a test's pipeline: what was delivered is kept, what was committed is told to plugins in order. Knows no
//! plugin.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::dispatch::Dispatcher;
use crate::message::StoredRow;
use crate::pipeline::{Delivery, Fanout, Message, Outbox, Stored};

/// How often a message is told again where an answer to it could not be stored.
const TRIES: u32 = 50;

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// The messages that were committed.
    pub(super) committed: u64,
    /// Those that plugins were told of, with every handler done.
    pub(super) told: u64,
    /// Those that listeners were given.
    pub(super) delivered: u64,
}

/// Listeners and outbox of one test.
#[derive(Default)]
pub(super) struct Ends {
    queue: Mutex<VecDeque<Delivery>>,
    added: Notify,
    delivered: Mutex<Vec<Arc<StoredRow>>>,
    progress: watch::Sender<Progress>,
}

impl Ends {
    /// Watches how far it got.
    pub(super) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The first delivered message that this is true of.
    pub(super) fn delivered(&self, wanted: impl Fn(&StoredRow) -> bool) -> Option<Arc<StoredRow>> {
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.iter().find(|row| wanted(row)).cloned()
    }

    /// Tells plugins of messages, one after the other, for ever.
    pub(super) async fn tell(self: Arc<Self>, dispatcher: Arc<Dispatcher>) {
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(delivery) = next else {
                self.added.notified().await;
                continue;
            };
            for _ in 0..TRIES {
                match dispatcher.dispatch(&delivery).await {
                    Ok(()) => break,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
            self.progress.send_modify(|progress| progress.told += 1);
        }
    }
}

impl Fanout for Ends {
    fn deliver(&self, message: &Message<Stored>) {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).push(message.row().clone());
        self.progress.send_modify(|progress| progress.delivered += 1);
    }
}

impl Outbox for Ends {
    fn enqueue(&self, delivery: Delivery) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(delivery);
        self.progress.send_modify(|progress| progress.committed += 1);
        self.added.notify_one();
    }
}
