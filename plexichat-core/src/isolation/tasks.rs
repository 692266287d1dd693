//! The tasks that a plugin starts: where its calls run, no more than it may have, and none outlives it. Knows no call.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use super::{Contained, contain};
use crate::capability::tasks::TaskPort;
use crate::cause;
use crate::error::{PluginError, Result};
use crate::guard::Guard;
use crate::incident::Fault;

/// How many tasks a plugin may have.
pub const TASKS_MAX: usize = 1024;

/// The tasks of one instance.
#[derive(Default)]
pub(crate) struct PluginTasks {
    set: Mutex<JoinSet<()>>,
    running: Arc<AtomicUsize>,
    stopped: AtomicBool,
}

impl PluginTasks {
    pub(crate) fn count(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        // Without the lock: what is dropped is the plugin's, and may try to start another task.
        drop(set);
    }

    fn place(&self, guard: &Guard) -> Result<Place> {
        if self.running.fetch_add(1, Ordering::AcqRel) >= TASKS_MAX {
            self.running.fetch_sub(1, Ordering::AcqRel);
            let plugin = guard.plugin();
            return Err(PluginError::transient(format!(
                "plugin `{plugin}` has {TASKS_MAX} tasks, and may have no more"
            )));
        }
        Ok(Place(self.running.clone()))
    }

    /// Puts a task into the set, unless the plugin was stopped meanwhile.
    fn insert(&self, guard: &Guard, start: impl FnOnce(&mut JoinSet<()>)) -> Result<()> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, which `stop` takes after it is set: whatever is put in is aborted by it.
        if self.stopped.load(Ordering::Acquire) {
            return Err(stopped(guard));
        }
        while set.try_join_next().is_some() {}
        start(&mut set);
        Ok(())
    }
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn stopped(guard: &Guard) -> PluginError {
    PluginError::permission(format!("plugin `{}` was stopped", guard.plugin()))
}

/// The way to a plugin's tasks that the plugin holds. Weak, since its tasks may hold it and the guard holds them.
pub(crate) struct GuardedTasks(Weak<Guard>);

impl GuardedTasks {
    pub(crate) fn new(guard: &Arc<Guard>) -> Arc<Self> {
        Arc::new(Self(Arc::downgrade(guard)))
    }

    fn guard(&self) -> Result<Arc<Guard>> {
        self.0.upgrade().ok_or_else(|| PluginError::permission("this instance of the plugin was stopped"))
    }
}

impl TaskPort for GuardedTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
        let guard = self.guard()?;
        let place = guard.tasks().place(&guard)?;
        let handle = guard.handle().map_err(|_| stopped(&guard))?.clone();
        let cause = cause::current().map(|cause| cause.beside());
        let id = guard.id();
        let contained = Contained::new(id, "task", cause, move || task);
        let weak = self.0.clone();
        let run = async move {
            let _place = place;
            if let Err(panicked) = contained.await
                && let Some(guard) = weak.upgrade()
            {
                guard.report(Fault::Panic, "task", &format!("a task panicked: {}", panicked.0), 0);
            }
        };
        guard.tasks().insert(&guard, |set| {
            set.spawn_on(run, &handle);
        })
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        let guard = self.guard()?;
        let place = guard.tasks().place(&guard)?;
        let handle = guard.handle().map_err(|_| stopped(&guard))?.clone();
        let weak = self.0.clone();
        let run = move || {
            let _place = place;
            if let Err(panicked) = contain(work)
                && let Some(guard) = weak.upgrade()
            {
                guard.report(Fault::Panic, "blocking", &format!("a blocking function panicked: {}", panicked.0), 0);
            }
        };
        guard.tasks().insert(&guard, |set| {
            set.spawn_blocking_on(run, &handle);
        })
    }
}
