//! Tells those who wait what became of their writes, in the order of the commits, on a thread of its own: delivering and
//! waking up costs the writer nothing. Knows no database.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use plexichat::message::StoredRow;
use plexichat::pipeline::{Commit, Committed, Delivery, Outbox};
use plexichat::store::StoreError;

use super::writer::Work;

/// How many groups may wait to be told: beyond it the writer waits, and the queue before it fills and refuses.
const GROUPS: usize = 64;

/// A write whose outcome is known.
pub(super) enum Done {
    Stored(Commit, Committed),
    Known(Commit, Box<StoredRow>),
    Failed(Commit, StoreError),
    /// With what the outbox is told if it is kept.
    Worked(Box<dyn Work>, Result<(), StoreError>, Vec<Delivery>),
    Nothing,
}

/// What appending a message came to, if its transaction commits.
pub(super) enum Appended {
    New(Committed),
    Known(Box<StoredRow>),
    NoRoom(StoreError),
}

impl Done {
    pub(super) fn appended(commit: Commit, appended: Appended) -> Self {
        match appended {
            Appended::New(committed) => Self::Stored(commit, committed),
            Appended::Known(row) => Self::Known(commit, row),
            Appended::NoRoom(error) => Self::Failed(commit, error),
        }
    }

    /// The transaction failed after all.
    pub(super) fn fail(&mut self, reason: &StoreError) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Stored(commit, _) | Self::Known(commit, _) => Self::Failed(commit, reason.clone()),
            // What was refused for a reason of its own keeps it.
            Self::Failed(commit, error) => Self::Failed(commit, error),
            Self::Worked(work, Ok(()), _) => Self::Worked(work, Err(reason.clone()), Vec::new()),
            Self::Worked(work, error, told) => Self::Worked(work, error, told),
            Self::Nothing => Self::Nothing,
        };
    }

    fn tell(self, outbox: Option<&dyn Outbox>) {
        match self {
            Self::Stored(commit, committed) => commit.stored(committed),
            Self::Known(commit, row) => commit.known(*row),
            Self::Failed(commit, error) => commit.failed(error),
            Self::Worked(work, committed, told) => {
                // Whoever panics on the way must not keep the outbox from its next number.
                if let Some(outbox) = outbox {
                    told.into_iter().for_each(|delivery| outbox.enqueue(delivery));
                }
                work.finish(committed);
            }
            Self::Nothing => {}
        }
    }
}

pub(super) struct Completion {
    groups: Option<SyncSender<Vec<Done>>>,
    thread: Option<JoinHandle<()>>,
}

impl Completion {
    /// What plugins are to be told goes to the outbox, where there is one: without one it is read from the store later.
    pub(super) fn start(outbox: Arc<OnceLock<Arc<dyn Outbox>>>) -> std::io::Result<Self> {
        let (groups, waiting) = sync_channel::<Vec<Done>>(GROUPS);
        let thread = thread::Builder::new().name("store-completion".into()).spawn(move || {
            for group in waiting {
                for done in group {
                    // A panic in whoever is told must not keep the others from being told.
                    if let Err(panic) =
                        catch_unwind(AssertUnwindSafe(|| done.tell(outbox.get().map(|outbox| &**outbox))))
                    {
                        tracing::error!(panic = text(&*panic), "telling the outcome of a write");
                        std::mem::forget(panic);
                    }
                }
            }
        })?;
        Ok(Self { groups: Some(groups), thread: Some(thread) })
    }

    pub(super) fn hand_on(&self, group: Vec<Done>) {
        // The thread ends only with the sender, which is here.
        let _ = self.groups.as_ref().map(|groups| groups.send(group));
    }

    /// Waits until everybody was told.
    pub(super) fn end(&mut self) {
        self.groups = None;
        if let Some(thread) = self.thread.take() {
            // It catches every panic, so there is nothing to hear of it.
            let _ = thread.join();
        }
    }
}

/// What the panic said.
pub(super) fn text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}
