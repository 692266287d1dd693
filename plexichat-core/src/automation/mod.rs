//! Durable runs of workflows: what is due is fired, what is queued is attempted, what happens starts what waits for it. Over the
//! store's port; knows no engine and no HTTP.

mod port;

pub use self::port::{
    Added, AutomationStore, Claim, Claimed, KeptTrigger, NewRun, RunFilter, RunRecord, RunState, SIGNALS_MAX,
    Settlement,
};

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

use crate::capability::clock::Clock;
use crate::capability::triggers::{Armed, TriggerPort};
use crate::error::{PluginError, Result};
use crate::id::{PluginName, RunId};
use crate::manager::snapshot::Snapshot;
use crate::message::{Actor, Time};
use crate::pipeline::Announcer;
use crate::secret::Secret;
use crate::trigger::{On, TriggerSpec};
use crate::workflow::RunCause;

/// What workflows run on.
pub(crate) struct Parts {
    pub(crate) plugins: Arc<ArcSwap<Snapshot>>,
    pub(crate) store: Arc<dyn AutomationStore>,
    pub(crate) announcer: Arc<dyn Announcer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node: String,
}

/// Fires triggers and attempts runs.
pub struct Automations {
    parts: Parts,
    /// Told when something may be due earlier than before.
    changed: Notify,
}

impl Automations {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, changed: Notify::new() }
    }

    /// Where triggers and runs are kept.
    pub fn store(&self) -> &Arc<dyn AutomationStore> {
        &self.parts.store
    }

    fn now(&self) -> Time {
        self.parts.clock.now()
    }
}

/// The address at which a webhook trigger is called.
pub fn hook_path(plugin: &PluginName, id: &str) -> String {
    format!("{}{plugin}/-/hooks/{id}", crate::routes::PREFIX)
}

fn armed(trigger: KeptTrigger) -> Armed {
    let path = matches!(trigger.spec.on, On::Webhook).then(|| hook_path(&trigger.plugin, &trigger.spec.id));
    let secret = trigger.secret.map(Secret::new);
    Armed { path, secret, ..Armed::new(trigger.spec, trigger.fixed, trigger.next_at) }
}

#[async_trait]
impl TriggerPort for Automations {
    fn check(&self, spec: &TriggerSpec) -> Result<()> {
        spec.check()
    }

    async fn put(&self, plugin: &PluginName, spec: TriggerSpec) -> Result<Armed> {
        let now = self.now();
        let trigger =
            KeptTrigger { plugin: plugin.clone(), spec, fixed: false, since: now, next_at: None, secret: None };
        let id = trigger.spec.id.clone();
        let Some(trigger) = self.parts.store.put_trigger(trigger).await? else {
            return Err(PluginError::input(format!("`{id}` is a trigger that the plugin's code registers")));
        };
        self.changed.notify_one();
        Ok(armed(trigger))
    }

    async fn remove(&self, plugin: &PluginName, id: &str) -> Result<bool> {
        Ok(self.parts.store.remove_trigger(plugin.clone(), id.to_owned()).await?)
    }

    async fn list(&self, plugin: &PluginName, prefix: &str) -> Result<Vec<Armed>> {
        let triggers = self.parts.store.triggers(Some(plugin.clone())).await?;
        Ok(triggers.into_iter().filter(|trigger| trigger.spec.id.starts_with(prefix)).map(armed).collect())
    }

    async fn start(&self, plugin: &PluginName, id: &str, input: Value, key: Option<String>) -> Result<RunId> {
        let triggers = self.parts.store.triggers(Some(plugin.clone())).await?;
        let trigger = triggers.into_iter().find(|trigger| trigger.spec.id == id);
        let Some(trigger) = trigger else {
            return Err(PluginError::not_found(format!("there is no trigger `{id}`")));
        };
        let (now, run) = (self.now(), RunId::new());
        let added = self.parts.store.add_runs(vec![NewRun {
            id: run,
            plugin: plugin.clone(),
            trigger: trigger.spec,
            scheduled_at: now,
            cause: RunCause::by(Actor::plugin(plugin.as_str()), None),
            input,
            key: format!("start/{}", key.unwrap_or_else(|| run.to_string())),
            duplicate_of: None,
            node: None,
            dry_run: false,
            created_at: now,
        }]);
        let added = added.await?;
        self.changed.notify_one();
        match added.first() {
            Some(Added::New(run) | Added::Known(run)) => Ok(*run),
            None => Err(PluginError::internal("the store made no run")),
        }
    }

    async fn wake(&self, plugin: &PluginName, run: RunId, signal: Value) -> Result<bool> {
        let woken = self.parts.store.wake(plugin.clone(), run, signal, self.now()).await?;
        self.changed.notify_one();
        Ok(woken)
    }

    async fn cancel(&self, plugin: &PluginName, run: RunId) -> Result<bool> {
        match self.parts.store.run(run).await? {
            Some((record, _)) if record.plugin == *plugin && !record.state.has_ended() => {
                Ok(self.parts.store.cancel(run, Actor::plugin(plugin.as_str()), self.now()).await?.is_some())
            }
            _ => Ok(false),
        }
    }
}
