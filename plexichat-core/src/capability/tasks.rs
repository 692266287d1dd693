//! Tasks that end with the plugin.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Scope;
use crate::error::Result;

/// What the host does for spawned tasks: they run where the plugin runs, and end with it.
pub trait TaskPort: Send + Sync + 'static {
    /// Runs a task on the plugin's runtime.
    ///
    /// # Errors
    /// `Transient` where the plugin already has as many tasks as it may.
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()>;
    /// Runs a function that blocks on a thread for such.
    ///
    /// # Errors
    /// As `spawn`.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) -> Result<()>;
}

/// Starts tasks that end with the plugin.
#[derive(Clone)]
pub(crate) struct Tasks {
    pub(crate) scope: Arc<Scope>,
    pub(crate) port: Arc<dyn TaskPort>,
}

impl Tasks {
    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
        self.scope.check_alive()?;
        self.port.spawn(task)
    }

    pub(crate) fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.scope.check_alive()?;
        self.port.spawn_blocking(work)
    }
}
