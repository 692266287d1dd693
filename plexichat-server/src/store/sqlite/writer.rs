//! The one thread that writes. It takes whatever waits, up to a bound, into one transaction, so that many messages share
//! one trip to the disk; whoever waits for them is told by `completion`, while the next group is already under way.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use plexichat::pipeline::{Commit, Outbox};
use plexichat::store::StoreError;
use rusqlite::{Connection, Statement};
use tokio::sync::{oneshot, watch};

use super::changes::Tx;
use super::completion::{Completion, Done, text};
use super::messages::Appender;
use super::open::{self, OpenError};
use super::values::{is_damage, is_fatal, store_error};
use super::{Broken, crowded, stopping};

/// How many writes share one transaction at most.
const GROUP: usize = 256;

/// How many writes may wait.
const WAITING: usize = 4096;

/// A write other than a message: several statements that stay or go together.
pub(super) trait Work: Send {
    /// Runs the statements. Whether they are to stay, or the error that undoes them.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<Verdict>;

    /// Tells whoever waits, now that it is known whether the transaction is durable.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

/// What becomes of a work's statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Undo,
}

enum Job {
    Append(Waiting),
    Work(Box<dyn Work>),
    Close,
}

/// A message in the queue. Whoever drops it without taking it, as a closing queue does, has it refused.
struct Waiting(Option<Commit>);

impl Waiting {
    fn take(mut self) -> Option<Commit> {
        self.0.take()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(commit) = self.0.take() {
            commit.failed(stopping());
        }
    }
}

pub(super) struct Writer {
    jobs: SyncSender<Job>,
    /// Ends when the thread has closed the database.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        report: Arc<watch::Sender<Option<Broken>>>,
        outbox: Arc<OnceLock<Arc<dyn Outbox>>>,
    ) -> Result<Self, OpenError> {
        let (jobs, waiting) = sync_channel(WAITING);
        let (end, ended) = oneshot::channel();
        let system = |source| OpenError::System { doing: "start the writer of", path: path_of(&connection), source };
        let completion = Completion::start(outbox).map_err(system)?;
        let appender =
            Appender::new(&connection).map_err(|source| OpenError::reading(&path_of(&connection), source))?;
        let writing = Writing { appender, completion, report, broken: None };
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                writing.run(connection, &waiting);
                // What came too late is refused before the end is told.
                drop(waiting);
                // Whoever waits for the end may have gone.
                let _ = end.send(());
            })
            .map_err(|source| OpenError::System {
                doing: "start the writer of",
                path: "the database".into(),
                source,
            })?;
        Ok(Self { jobs, ended: Mutex::new(Some(ended)) })
    }

    /// Puts a message into the queue. Never waits: what does not fit is refused.
    pub(super) fn append(&self, commit: Commit) {
        let (refused, error) = match self.jobs.try_send(Job::Append(Waiting(Some(commit)))) {
            Ok(()) => return,
            Err(TrySendError::Full(job)) => (job, crowded()),
            Err(TrySendError::Disconnected(job)) => (job, stopping()),
        };
        if let Job::Append(waiting) = refused
            && let Some(commit) = waiting.take()
        {
            commit.failed(error);
        }
    }

    /// Puts a work into the queue. Never waits: what does not fit is refused.
    pub(super) fn work<T, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> rusqlite::Result<Result<T, E>> + Send + 'static,
        reply: oneshot::Sender<Result<T, E>>,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.put(Box::new(Closure { work: Some(work), outcome: None, reply }));
    }

    /// Puts a work into the queue. Never waits: what does not fit is refused.
    pub(super) fn put(&self, work: Box<dyn Work>) {
        let (refused, error) = match self.jobs.try_send(Job::Work(work)) {
            Ok(()) => return,
            Err(TrySendError::Full(job)) => (job, crowded()),
            Err(TrySendError::Disconnected(job)) => (job, stopping()),
        };
        if let Job::Work(work) = refused {
            work.finish(Err(error));
        }
    }

    pub(super) async fn close(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        let mut job = Job::Close;
        while let Err(TrySendError::Full(back)) = self.jobs.try_send(job) {
            job = back;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // An error says that the thread has gone, which is what was asked for.
        let _ = ended.await;
    }
}

fn path_of(connection: &Connection) -> std::path::PathBuf {
    connection.path().unwrap_or("the database").into()
}

struct Writing {
    appender: Appender,
    completion: Completion,
    report: Arc<watch::Sender<Option<Broken>>>,
    broken: Option<StoreError>,
}

impl Writing {
    fn run(mut self, connection: Connection, waiting: &Receiver<Job>) {
        let mut group = VecDeque::with_capacity(GROUP);
        let mut open = true;
        while open {
            let Ok(first) = waiting.recv() else { break };
            let more = std::iter::from_fn(|| waiting.try_recv().ok());
            for job in std::iter::once(first).chain(more) {
                if matches!(job, Job::Close) {
                    open = false;
                    break;
                }
                group.push_back(job);
                if group.len() == GROUP {
                    break;
                }
            }
            if group.is_empty() {
                continue;
            }
            // A thread that ended would leave a server that answers and stores nothing.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.commit(&connection, &mut group))) {
                self.end_after(&*panic, &connection, &mut group);
                // Dropping it could panic, too.
                std::mem::forget(panic);
            }
        }
        self.completion.end();
        // So that the one file has everything; a reader's connection may keep the log from being removed.
        if self.broken.is_none()
            && let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "writing the log back to the database");
        }
        if let Err((_, error)) = connection.close() {
            tracing::warn!(%error, "closing the database");
        }
    }

    fn commit(&mut self, connection: &Connection, group: &mut VecDeque<Job>) {
        let size = group.len();
        let mut done = Vec::with_capacity(size);
        if let Some(error) = &self.broken {
            done.extend(group.drain(..).map(|job| refuse(job, error.clone())));
            self.completion.hand_on(done);
            return;
        }
        let begun = Instant::now();
        let result = self.transact(connection, group, &mut done);
        metrics::histogram!("plexichat_store_commit_seconds").record(begun.elapsed());
        metrics::histogram!("plexichat_store_group_size").record(size as f64);
        if let Err(error) = result {
            done.extend(group.drain(..).map(|job| refuse(job, store_error(&error))));
            let reason = self.give_up(connection, &error);
            for one in &mut done {
                one.fail(&reason);
            }
        }
        self.completion.hand_on(done);
    }

    /// One transaction. What was done is in `done`, to be told once it is durable; an error means that nothing was.
    fn transact(
        &mut self,
        connection: &Connection,
        group: &mut VecDeque<Job>,
        done: &mut Vec<Done>,
    ) -> rusqlite::Result<()> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut insert = Appender::prepare(connection)?;
        self.appender.begin();
        // Not `drain`: after an error whatever is left must still be there to be refused.
        while let Some(job) = group.pop_front() {
            match job {
                Job::Append(waiting) => {
                    if let Some(commit) = waiting.take() {
                        self.append(connection, &mut insert, commit, done)?;
                    }
                }
                Job::Work(work) => run(connection, &mut self.appender, work, done)?,
                Job::Close => {}
            }
        }
        connection.prepare_cached("COMMIT")?.execute([]).map(|_| ())
    }

    fn append(
        &mut self,
        connection: &Connection,
        insert: &mut Statement<'_>,
        commit: Commit,
        done: &mut Vec<Done>,
    ) -> rusqlite::Result<()> {
        // What scanners found is stored with the message or not at all.
        let several = !commit.events().is_empty();
        if several {
            connection.prepare_cached("SAVEPOINT work")?.execute([])?;
        }
        let before = self.appender.mark();
        let appended = self.appender.append(connection, insert, &commit);
        let lost = match &appended {
            Err(error) if is_lost(connection, error) => true,
            Err(_) => {
                self.appender.back_to(before);
                several && undo(connection).is_err()
            }
            Ok(_) => false,
        };
        match appended {
            Ok(appended) => done.push(Done::appended(commit, appended)),
            Err(error) => {
                done.push(Done::Failed(commit, store_error(&error)));
                if lost {
                    return Err(error);
                }
            }
        }
        if several {
            connection.prepare_cached("RELEASE work")?.execute([])?;
        }
        Ok(())
    }

    /// Undoes the transaction, and says what those who asked are to be told.
    fn give_up(&mut self, connection: &Connection, error: &rusqlite::Error) -> StoreError {
        self.undo_all(connection);
        let reason = store_error(error);
        let fatal = is_fatal(error) || !connection.is_autocommit();
        tracing::error!(%error, fatal, "a group of writes was not stored");
        metrics::counter!("plexichat_store_failed_commits_total").increment(1);
        if fatal {
            let path = path_of(connection);
            let damage = is_damage(error).then(|| open::recovery(&path));
            let error = match damage {
                Some(_) => StoreError::Failed(format!("the database {} is damaged: {error}", path.display())),
                None => StoreError::Failed(format!("{error}; restart the server, which checks the file")),
            };
            self.store_no_more(error, damage);
        }
        reason
    }

    /// A panic while a group was stored: nobody knows how far it came, so it is undone, and nothing is stored any more.
    fn end_after(&mut self, panic: &(dyn Any + Send), connection: &Connection, group: &mut VecDeque<Job>) {
        let panic = text(panic);
        tracing::error!(panic, "storing a group of writes");
        self.undo_all(connection);
        let error = StoreError::Failed(format!("writing panicked: {panic}; restart the server"));
        self.store_no_more(error.clone(), None);
        self.completion.hand_on(group.drain(..).map(|job| refuse(job, error.clone())).collect());
    }

    fn undo_all(&mut self, connection: &Connection) {
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "undoing a transaction");
        }
        self.appender.forget();
    }

    fn store_no_more(&mut self, error: StoreError, damage: Option<String>) {
        self.broken = Some(error.clone());
        self.report.send_replace(Some(Broken { error, damage }));
    }
}

/// Whether the error took the whole transaction with it, as SQLite does when the disk is full.
fn is_lost(connection: &Connection, error: &rusqlite::Error) -> bool {
    connection.is_autocommit() || is_fatal(error) || matches!(store_error(error), StoreError::Full)
}

fn run(
    connection: &Connection,
    appender: &mut Appender,
    mut work: Box<dyn Work>,
    done: &mut Vec<Done>,
) -> rusqlite::Result<()> {
    connection.prepare_cached("SAVEPOINT work")?.execute([])?;
    let before = appender.mark();
    let mut tx = Tx::new(connection, appender);
    let result = work.run(&mut tx);
    let mut told = tx.into_told();
    if !matches!(result, Ok(Verdict::Keep)) {
        appender.back_to(before);
        told.clear();
    }
    let undone = match &result {
        Ok(Verdict::Keep) => Ok(()),
        Ok(Verdict::Undo) => undo(connection),
        Err(error) if is_lost(connection, error) => Err(None),
        Err(_) => undo(connection),
    };
    let outcome = result.as_ref().map(|_| ()).map_err(store_error);
    done.push(Done::Worked(work, outcome, told));
    match (undone, result) {
        (Ok(()), _) => connection.prepare_cached("RELEASE work")?.execute([]).map(|_| ()),
        (Err(Some(error)), _) | (Err(None), Err(error)) => Err(error),
        (Err(None), Ok(_)) => Ok(()),
    }
}

fn undo(connection: &Connection) -> Result<(), Option<rusqlite::Error>> {
    connection.prepare_cached("ROLLBACK TO work").and_then(|mut back| back.execute([])).map(|_| ()).map_err(Some)
}

fn refuse(job: Job, error: StoreError) -> Done {
    match job {
        Job::Append(waiting) => waiting.take().map_or(Done::Nothing, |commit| Done::Failed(commit, error)),
        Job::Work(work) => Done::Worked(work, Err(error), Vec::new()),
        Job::Close => Done::Nothing,
    }
}

struct Closure<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work for Closure<F, T, E>
where
    F: FnOnce(&mut Tx<'_>) -> rusqlite::Result<Result<T, E>> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<Verdict> {
        let Some(work) = self.work.take() else { return Ok(Verdict::Undo) };
        let outcome = work(tx)?;
        let verdict = if outcome.is_ok() { Verdict::Keep } else { Verdict::Undo };
        self.outcome = Some(outcome);
        Ok(verdict)
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(stopping().into()),
            (Err(error), _) => Err(error.into()),
        };
        // Whoever asked may have gone; what was stored is stored all the same.
        let _ = self.reply.send(outcome);
    }
}
