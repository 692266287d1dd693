//! A tokio runtime with one thread for one plugin, made when it is first needed. A plugin that blocks blocks this thread
//! alone: callers wait, and time out, on their own.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::inline::Lost;
use super::{Contained, contain};
use crate::id::PluginName;

/// The stack of a plugin's thread. Only what is used takes memory.
const STACK: usize = 2 * 1024 * 1024;

/// How many functions that block a plugin may run at once; more wait.
const BLOCKING_THREADS: usize = 4;

/// A plugin's own runtime.
pub(crate) struct PluginRuntime {
    plugin: PluginName,
    handle: OnceLock<Handle>,
    runtime: Mutex<Owned>,
    /// Threads that have not ended.
    threads: Arc<AtomicUsize>,
}

enum Owned {
    NotYet,
    Running(Runtime),
    Stopped,
}

impl PluginRuntime {
    pub(crate) fn new(plugin: PluginName) -> Self {
        Self { plugin, handle: OnceLock::new(), runtime: Mutex::new(Owned::NotYet), threads: Arc::default() }
    }

    /// The way to the runtime, which is made now if need be.
    pub(crate) fn handle(&self) -> Result<&Handle, Lost> {
        match self.handle.get() {
            Some(handle) => Ok(handle),
            None => self.start(),
        }
    }

    fn start(&self) -> Result<&Handle, Lost> {
        let mut owned = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        match &*owned {
            Owned::Running(_) => {}
            Owned::Stopped => return Err(Lost::Stopped),
            Owned::NotYet => {
                let runtime = self.build().map_err(|error| {
                    tracing::error!(plugin = %self.plugin, %error, "the plugin's thread does not start");
                    Lost::Stopped
                })?;
                let _ = self.handle.set(runtime.handle().clone());
                *owned = Owned::Running(runtime);
            }
        }
        self.handle.get().ok_or(Lost::Stopped)
    }

    fn build(&self) -> std::io::Result<Runtime> {
        let (started, stopped) = (self.threads.clone(), self.threads.clone());
        Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name(self.plugin.as_str())
            .thread_stack_size(STACK)
            .on_thread_start(move || {
                started.fetch_add(1, Ordering::AcqRel);
            })
            .on_thread_stop(move || {
                stopped.fetch_sub(1, Ordering::AcqRel);
            })
            .enable_time()
            .build()
    }

    /// Ends the runtime: its tasks are dropped as soon as its thread lets go of them. Does not wait.
    pub(crate) fn stop(&self) {
        let owned =
            std::mem::replace(&mut *self.runtime.lock().unwrap_or_else(PoisonError::into_inner), Owned::Stopped);
        if let Owned::Running(runtime) = owned {
            runtime.shutdown_background();
        }
    }

    /// How many of its threads have not ended.
    pub(crate) fn threads(&self) -> usize {
        self.threads.load(Ordering::Acquire)
    }
}

impl Drop for PluginRuntime {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which no task may do.
        self.stop();
    }
}

/// Runs a call there and waits here. `held` is dropped when the call has really ended, which may be later than its
/// timeout.
pub(crate) async fn run<R, F, H>(
    handle: &Handle,
    call: Contained<'static, R, F>,
    held: H,
    timeout: Duration,
) -> Result<R, Lost>
where
    R: Send + 'static,
    F: FnOnce() -> BoxFuture<'static, R> + Send + 'static,
    H: Send + 'static,
{
    let mut task = AbortOnDrop(handle.spawn(Remote { call, held: Some(held) }));
    match tokio::time::timeout(timeout, &mut task.0).await {
        Ok(Ok(result)) => Ok(result?),
        Ok(Err(error)) if error.is_cancelled() => Err(Lost::Stopped),
        Ok(Err(error)) => match contain(|| std::panic::resume_unwind(error.into_panic())) {
            Ok(never) => never,
            Err(panicked) => Err(panicked.into()),
        },
        Err(_) => Err(Lost::TimedOut),
    }
}

struct Remote<R, F, H> {
    call: Contained<'static, R, F>,
    held: Option<H>,
}

impl<R, F, H> Unpin for Remote<R, F, H> {}

impl<R, F: FnOnce() -> BoxFuture<'static, R>, H> Future for Remote<R, F, H> {
    type Output = <Contained<'static, R, F> as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.call).poll(context);
        if polled.is_ready() {
            // Before whoever waits is woken: it may look at once whether there is room for another call.
            self.held = None;
        }
        polled
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            self.0.abort();
        }
    }
}
