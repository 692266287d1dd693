//! The threads that read: each with its own connection, opened when it is first needed. A reader never waits for the
//! writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use plexichat::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::completion::text;
use super::open::{self, OpenError};
use super::values::store_error;
use super::{Broken, crowded, stopping};

/// How many reads run at once.
const THREADS: usize = 3;

/// How many reads may wait.
const WAITING: usize = 1024;

type Read = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

pub(super) struct Readers {
    reads: SyncSender<Read>,
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let (reads, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..THREADS {
            let waiting = waiting.clone();
            let database = path.to_path_buf();
            thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || serve(&database, &waiting))
                .map_err(|source| OpenError::System { doing: "start a reader of", path: path.to_path_buf(), source })?;
        }
        Ok(Self { reads })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, outcome) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let result = connection.and_then(|connection| work(connection).map_err(|error| store_error(&error)));
            // Whoever asked may have gone.
            let _ = reply.send(result);
        });
        match self.reads.try_send(read) {
            Ok(()) => outcome.await.unwrap_or_else(|_| Err(StoreError::Failed("reading gave no answer".into()))),
            Err(TrySendError::Full(_)) => Err(crowded()),
            Err(TrySendError::Disconnected(_)) => Err(stopping()),
        }
    }

    /// Looks through the whole file and reports damage.
    pub(super) fn check_in_background(&self, path: &Path, report: Arc<watch::Sender<Option<Broken>>>) {
        let path = path.to_path_buf();
        let check: Read = Box::new(move |connection| {
            let Ok(connection) = connection else { return };
            if let Err(error) = open::quick_check(connection, &path) {
                let damage = error.is_damage().then(|| open::recovery(&path));
                tracing::error!(%error, "checking the database");
                report.send_replace(Some(Broken { error: StoreError::Failed(error.to_string()), damage }));
            }
        });
        // The queue is new and empty: it fits.
        let _ = self.reads.try_send(check);
    }
}

fn serve(database: &Path, waiting: &Mutex<Receiver<Read>>) {
    let mut connection = None;
    loop {
        // One thread waits with the lock, the others for the lock: each read wakes one of them.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(read) = next else { return };
        if connection.is_none() {
            match open::open_to_read(database) {
                Ok(opened) => connection = Some(opened),
                Err(error) => {
                    tracing::error!(%error, "opening the database to read it");
                    read(Err(store_error(&error)));
                    continue;
                }
            }
        }
        let Some(opened) = &connection else { continue };
        // A thread that ended would leave a server that cannot read, once the last one has.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| read(Ok(opened)))) {
            tracing::error!(panic = text(&*panic), "reading the database");
            // Dropping it could panic, too.
            std::mem::forget(panic);
            // Nobody knows what the panic left of it: the next read opens another.
            connection = None;
        }
    }
}
