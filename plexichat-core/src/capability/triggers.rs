//! Triggers that a plugin makes while it runs: durable, in its own namespace, always there.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Scope;
use crate::error::Result;
use crate::event::catalog;
use crate::id::{PluginName, RunId};
use crate::message::Time;
use crate::permission::Permission;
use crate::secret::Secret;
use crate::trigger::{On, TriggerSpec};

/// Makes and ends triggers of the plugin.
#[derive(Clone)]
pub struct TriggerBook {
    scope: Arc<Scope>,
    port: Arc<dyn TriggerPort>,
}

/// A trigger that there is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Armed {
    /// What it is.
    pub spec: TriggerSpec,
    /// Whether the plugin's code registers it; the others were made by `ctx.triggers()`.
    pub fixed: bool,
    /// When it is next due, where it waits for a time.
    pub next_at: Option<Time>,
    /// Where it is called, for a webhook: a path of the server.
    pub path: Option<String>,
    /// What a caller of that path shows, for a webhook.
    pub secret: Option<Secret>,
}

impl Armed {
    /// A trigger that has just been made; hosts and tests make these.
    pub fn new(spec: TriggerSpec, fixed: bool, next_at: Option<Time>) -> Self {
        Self { spec, fixed, next_at, path: None, secret: None }
    }
}

/// What the host does for [`TriggerBook`].
#[async_trait]
pub trait TriggerPort: Send + Sync + 'static {
    /// What is wrong with a trigger, calendar included.
    fn check(&self, spec: &TriggerSpec) -> Result<()>;
    /// Makes a trigger, or replaces the one of that identifier.
    async fn put(&self, plugin: &PluginName, spec: TriggerSpec) -> Result<Armed>;
    /// Ends a trigger; whether it was there. Runs that it started go on.
    async fn remove(&self, plugin: &PluginName, id: &str) -> Result<bool>;
    /// The triggers whose identifiers begin so, sorted.
    async fn list(&self, plugin: &PluginName, prefix: &str) -> Result<Vec<Armed>>;
    /// Starts the workflow of a trigger now.
    async fn start(&self, plugin: &PluginName, id: &str, input: Value, key: Option<String>) -> Result<RunId>;
    /// Lets a run go on that waits.
    async fn wake(&self, plugin: &PluginName, run: RunId, signal: Value) -> Result<bool>;
    /// Ends a run that has not ended.
    async fn cancel(&self, plugin: &PluginName, run: RunId) -> Result<bool>;
    /// What the plugin made while it ran is gone from the store.
    fn forget(&self, plugin: &PluginName) {
        let _ = plugin;
    }
}

impl TriggerBook {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn TriggerPort>) -> Self {
        Self { scope, port }
    }

    /// What is wrong with a trigger: its cron expression and time zone, too.
    ///
    /// # Errors
    /// `Input`, which names the field; `Permission` where it needs an event that carries what people wrote and the plugin may not
    /// see these.
    pub fn check(&self, spec: &TriggerSpec) -> Result<()> {
        self.scope.check_alive()?;
        spec.check()?;
        let content = |name: &String| name == "*" || catalog::WITH_CONTENT.contains(&name.as_str());
        if let On::Event { names, .. } = &spec.on
            && names.iter().any(content)
        {
            self.scope.check(Permission::UserDataAccess, "triggers")?;
        }
        self.port.check(spec)
    }

    /// Makes a trigger, or replaces the one of that identifier: what was due stays due where only its policy, workflow or input
    /// is another. Once this returns it survives every restart.
    ///
    /// # Errors
    /// As [`check`](Self::check); `Input` also where the plugin's code registers a trigger of that identifier, or a command of
    /// that name is taken; `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made it; making it again is safe.
    pub async fn put(&self, spec: TriggerSpec) -> Result<Armed> {
        self.check(&spec)?;
        self.port.put(self.scope.plugin(), spec).await
    }

    /// Ends a trigger that was made here; whether it was there. Runs that it started go on.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have ended it.
    pub async fn remove(&self, id: &str) -> Result<bool> {
        self.scope.check_alive()?;
        self.port.remove(self.scope.plugin(), id).await
    }

    /// The plugin's triggers whose identifiers begin so, sorted; `""` for all.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Armed>> {
        self.scope.check_alive()?;
        self.port.list(self.scope.plugin(), prefix).await
    }

    /// Starts the workflow of a trigger now, whatever it waits for, with this input. The same `key` starts it once.
    ///
    /// # Errors
    /// `NotFound` where there is no such trigger; `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have started it; the same key makes it safe to try again.
    pub async fn start(&self, id: &str, input: Value, key: Option<String>) -> Result<RunId> {
        self.scope.check_alive()?;
        self.port.start(self.scope.plugin(), id, input, key).await
    }

    /// Lets a run of this plugin go on that waits, and gives it this as its signal. One that does not wait yet goes on as soon
    /// as it does. Whether there is such a run that has not ended.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have woken it.
    pub async fn wake(&self, run: RunId, signal: Value) -> Result<bool> {
        self.scope.check_alive()?;
        self.port.wake(self.scope.plugin(), run, signal).await
    }

    /// Ends a run of this plugin; whether it had not ended.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have ended it.
    pub async fn cancel(&self, run: RunId) -> Result<bool> {
        self.scope.check_alive()?;
        self.port.cancel(self.scope.plugin(), run).await
    }
}
