//! The embedded engine: one SQLite file, one thread that writes it in groups, a few that read it. Knows what is stored,
//! not who asks.

mod access;
mod accounts;
mod ai;
mod alter;
mod approvals;
mod audit;
mod automation;
mod chain;
mod changes;
mod completion;
mod files;
mod held;
mod invitations;
mod log;
mod members;
mod messages;
mod migrations;
mod open;
mod outbox;
mod plugins;
mod questions;
mod read_markers;
mod readers;
mod retention;
mod rooms;
mod scheduled;
mod search;
mod sessions;
mod snapshot;
mod tokens;
mod values;
mod writer;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use plexichat::pipeline::Outbox;
use plexichat::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

pub use files::FileRow;
pub use open::OpenError;

use access::Remembered;
pub use audit::Audit;
pub use automation::{Replayed, TriggerCount};
pub use chain::{Anchor, AuditFinding, AuditQuery, AuditReport, AuditRow, InvalidAnchor, verify_audit_file};
use changes::Tx;
use readers::Readers;
pub use sessions::Rotation;
pub use snapshot::{DatabaseFacts, check_file, database_facts, snapshot};
use writer::Writer;

/// The server's store. Cheap to clone; all clones are one store.
///
/// A write that returned is durable: it survives the process and the power.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Why the store cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What everyone is told who asks for a write.
    pub error: StoreError,
    /// What the operator can do where the file is damaged, so that starting again does not help.
    pub damage: Option<String>,
}

struct Inner {
    writer: Writer,
    readers: Readers,
    /// Held by whoever searches, so that searches leave readers to others.
    searching: Arc<Semaphore>,
    /// Who may do what in which room, so that asking costs no look-up.
    remembered: Remembered,
    /// Told when a post for later is kept.
    scheduled: Arc<Notify>,
    broken: watch::Receiver<Option<Broken>>,
    /// Who tells plugins of what is written beside messages.
    outbox: Arc<OnceLock<Arc<dyn Outbox>>>,
}

impl Store {
    /// Opens the database, making or migrating it as needed. Blocks: it reads files and starts threads.
    ///
    /// # Errors
    /// [`OpenError`]: the file is left as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let opened = open::open(path)?;
        let (report, broken) = watch::channel(None);
        let report = Arc::new(report);
        let readers = Readers::start(path)?;
        if opened.check_later {
            readers.check_in_background(path, report.clone());
        }
        let outbox = Arc::<OnceLock<_>>::default();
        let writer = Writer::start(opened.connection, report, outbox.clone())?;
        let inner = Inner {
            writer,
            readers,
            searching: Arc::new(Semaphore::new(1)),
            remembered: Remembered::default(),
            scheduled: Arc::default(),
            broken,
            outbox,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// From now on this outbox is handed every event that is stored, in the order of the commits with messages. The first
    /// one counts; without any, events are found in the store by whoever reads the outbox.
    pub fn set_outbox(&self, outbox: Arc<dyn Outbox>) {
        let _ = self.inner.outbox.set(outbox);
    }

    /// Waits until the store cannot go on: an I/O error or a damaged file. Nothing is written from then on, so the
    /// server should end and say why. For ever where all is well.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn broken(&self) -> Broken {
        let mut broken = self.inner.broken.clone();
        let reason = broken.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            // The writer ended without a complaint: the store was closed.
            None => std::future::pending().await,
        }
    }

    /// Whether the store can be read and written, for readiness.
    ///
    /// # Errors
    /// Why it cannot.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn check(&self) -> Result<(), StoreError> {
        if let Some(broken) = &*self.inner.broken.borrow() {
            return Err(broken.error.clone());
        }
        self.read(|connection| connection.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    /// Finishes the writes that were asked for, then writes no more: everything after it is refused.
    ///
    /// # Cancel safety
    /// The store closes even if nobody waits for it.
    pub async fn close(&self) {
        self.inner.writer.close().await;
    }

    /// Runs statements in the next group of writes. A refusal or an error undoes this work alone.
    async fn write<T, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> rusqlite::Result<Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        self.inner.writer.work(work, reply);
        outcome.await.unwrap_or_else(|_| Err(stopping().into()))
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.readers.run(work).await
    }
}

fn stopping() -> StoreError {
    StoreError::Unavailable("it is stopping".into())
}

fn crowded() -> StoreError {
    StoreError::Unavailable("too much waits to be stored or read".into())
}
