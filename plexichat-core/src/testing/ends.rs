//! The ends of a test's pipeline: what was delivered is kept, what was committed is told to plugins in order. Knows no
//! plugin.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, watch};

use super::frames::SeenReply;
use crate::assistant::ReplyFrame;
use crate::dispatch::{Dispatcher, Retry};
use crate::message::StoredRow;
use crate::pipeline::{Change, ChangeRow, Delivery, Fanout, Message, Outbox, Stored};

/// A test does not wait for a minute until an answer is given up.
pub(super) const RETRY: Retry =
    Retry { first: Duration::from_millis(10), scanner: Duration::from_millis(10), last: Duration::from_millis(100) };

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// The messages and events that were committed.
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
    /// Everything that was ever in the queue.
    kept: Mutex<Vec<Delivery>>,
    added: Notify,
    delivered: Mutex<Vec<Arc<StoredRow>>>,
    changes: Mutex<Vec<ChangeRow>>,
    replies: Mutex<Vec<SeenReply>>,
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

    /// Puts everything that was ever in the queue into it once more.
    pub(super) fn again(&self) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.into_iter().for_each(|delivery| self.add(delivery));
    }

    fn add(&self, delivery: Delivery) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(delivery);
        self.progress.send_modify(|progress| progress.committed += 1);
        self.added.notify_one();
    }

    /// What listeners were told that befell messages.
    pub(super) fn changes(&self) -> Vec<ChangeRow> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What listeners were told of answers on their way.
    pub(super) fn replies(&self) -> Vec<SeenReply> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells plugins of messages for ever: as the server's outbox does, the next one as soon as one is handed over.
    pub(super) async fn tell(self: Arc<Self>, dispatcher: Dispatcher) {
        let mut telling = FuturesUnordered::new();
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let handing = async {
                match next {
                    Some(delivery) => Some(dispatcher.hand_over(&delivery).await),
                    None => {
                        self.added.notified().await;
                        None
                    }
                }
            };
            let mut handing = pin!(handing);
            loop {
                tokio::select! {
                    Some(()) = telling.next() => self.progress.send_modify(|progress| progress.told += 1),
                    handed = &mut handing => {
                        telling.extend(handed);
                        break;
                    }
                }
            }
        }
    }
}

impl Fanout for Ends {
    fn deliver(&self, message: &Message<Stored>) {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).push(message.row().clone());
        self.progress.send_modify(|progress| progress.delivered += 1);
    }

    fn changed(&self, change: &Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change.row().clone());
    }

    fn deliver_delta(&self, frame: &ReplyFrame) {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).push(SeenReply::of(frame));
    }
}

impl Outbox for Ends {
    fn enqueue(&self, delivery: Delivery) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(delivery.clone());
        self.add(delivery);
    }
}
