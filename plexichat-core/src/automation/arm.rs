//! What plugins, administrators and callers from outside do with triggers and runs: make, end, start, wake, cancel. Fires nothing by
//! itself.

use async_trait::async_trait;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::running::Stop;
use super::{Added, Automations, KeptTrigger, RunState, Wanted, check, hook_path};
use crate::assistant::command::NAME as RESERVED_COMMAND;
use crate::capability::triggers::{Armed, TriggerPort};
use crate::cause;
use crate::descriptor::Descriptor;
use crate::error::{PluginError, Result};
use crate::event::CAUSE_DEPTH_MAX;
use crate::id::{PluginName, RunId};
use crate::message::Actor;
use crate::secret::Secret;
use crate::store::StoreError;
use crate::trigger::{On, TriggerSpec};
use crate::workflow::RunCause;

/// How somebody starts a workflow by hand.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// What the run is given.
    pub input: Value,
    /// Whether it is to do nothing to the outside.
    pub dry_run: bool,
    /// The same key starts it once.
    pub key: Option<String>,
}

/// What came with a call of a webhook trigger.
#[derive(Debug, Clone, Default)]
pub struct HookCall {
    /// The body: JSON, or a text where it is none.
    pub body: Value,
    /// The headers, as an object; without credentials.
    pub headers: Value,
    /// What is behind the `?`, as an object.
    pub query: Value,
    /// The same key starts it once.
    pub key: Option<String>,
}

/// Why a call of a webhook trigger started nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// There is no such trigger, or it waits for something else.
    #[error("there is no webhook trigger at this address")]
    Unknown,
    /// Neither its secret nor a signature with it came along.
    #[error("the secret or signature is missing or wrong")]
    Refused,
    /// Its plugin does not run.
    #[error("the plugin does not run at the moment")]
    NotRunning,
    /// The store could not be asked: the caller may try again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a caller of a webhook shows: 32 bytes that nobody can guess, in hexadecimal.
pub(super) fn new_secret() -> String {
    let mut digest = Sha256::new();
    // Of each identifier 4 bytes at least are random.
    for _ in 0..16 {
        digest.update(RunId::new().as_bytes());
    }
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn armed(trigger: KeptTrigger) -> Armed {
    let path = matches!(trigger.spec.on, On::Webhook).then(|| hook_path(&trigger.plugin, &trigger.spec.id));
    let secret = trigger.secret.map(Secret::new);
    Armed { path, secret, ..Armed::new(trigger.spec, trigger.fixed, trigger.next_at) }
}

impl Automations {
    /// Starts the workflow of a trigger now, whatever it waits for, for this actor.
    ///
    /// # Errors
    /// `NotFound` where there is no such trigger; `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have started it; the same key makes it safe to try again.
    pub async fn start_by(&self, by: Actor, plugin: &PluginName, id: &str, start: Start) -> Result<RunId> {
        self.start_for(RunCause::by(by, None), "manual", plugin, id, start).await
    }

    async fn start_for(
        &self,
        cause: RunCause,
        road: &str,
        plugin: &PluginName,
        id: &str,
        start: Start,
    ) -> Result<RunId> {
        self.prepare().await?;
        let trigger = self.parts.store.trigger(plugin.clone(), id.to_owned()).await?;
        let Some(trigger) = trigger else {
            return Err(PluginError::not_found(format!("plugin `{plugin}` has no trigger `{id}`")));
        };
        let Start { input, dry_run, key } = start;
        let key = key.unwrap_or_else(|| RunId::new().to_string());
        let wanted =
            Wanted { at: self.now(), key: format!("{road}/{id}/{key}"), dry_run, ..Wanted::of(&trigger, cause, input) };
        Ok(self.start_wanted(wanted).await?)
    }

    async fn start_wanted(&self, wanted: Wanted<'_>) -> std::result::Result<RunId, StoreError> {
        let (trigger, cause) = (wanted.trigger, wanted.cause.clone());
        let added = self.parts.store.add_runs(vec![self.new_run(wanted)]).await?;
        self.changed.notify_one();
        self.tell_fired(trigger, &cause, &added);
        match added.first() {
            Some(Added::New(run) | Added::Known(run)) => Ok(*run),
            None => Err(StoreError::Failed("it made no run".to_owned())),
        }
    }

    /// Starts the workflow of a webhook trigger. `proves` is given the trigger's secret and says whether the caller has shown that
    /// it knows it; compare in constant time.
    ///
    /// # Errors
    /// [`HookError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have started it; the same key makes it safe to try again.
    pub async fn hook(
        &self,
        plugin: &PluginName,
        id: &str,
        proves: impl FnOnce(&Secret) -> bool + Send,
        call: HookCall,
    ) -> std::result::Result<RunId, HookError> {
        self.prepare().await?;
        let trigger = self.parts.store.trigger(plugin.clone(), id.to_owned()).await?;
        let Some((trigger, secret)) = trigger.and_then(|trigger| {
            let secret = trigger.secret.clone().filter(|_| matches!(trigger.spec.on, On::Webhook))?;
            Some((trigger, Secret::new(secret)))
        }) else {
            return Err(HookError::Unknown);
        };
        if !proves(&secret) {
            return Err(HookError::Refused);
        }
        if self.parts.plugins.load().plugin(plugin).is_none() {
            return Err(HookError::NotRunning);
        }
        let HookCall { body, headers, query, key } = call;
        let key = key.unwrap_or_else(|| RunId::new().to_string());
        let cause = RunCause::by(Actor::webhook(plugin.as_str(), id, id), None);
        let saw = json!({ "body": body, "headers": headers, "query": query });
        let wanted = Wanted { at: self.now(), key: format!("hook/{id}/{key}"), ..Wanted::of(&trigger, cause, saw) };
        Ok(self.start_wanted(wanted).await?)
    }

    /// Ends a run for this actor, its attempt at once where it is made here. How it stands then; nothing where there is no such run.
    ///
    /// # Errors
    /// Where the store fails.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have ended it.
    pub async fn cancel_by(&self, run: RunId, by: Actor) -> std::result::Result<Option<RunState>, StoreError> {
        let state = self.parts.store.cancel(run, by, self.now()).await?;
        if state == Some(RunState::Cancelled) {
            self.running.stop(run, Stop::Overtaken);
            self.changed.notify_one();
        }
        Ok(state)
    }

    /// Queues a run that failed or was cancelled again, for this actor. How it stood; nothing where there is no such run.
    ///
    /// # Errors
    /// Where the store fails.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have queued it.
    pub async fn replay_by(&self, run: RunId, by: Actor) -> std::result::Result<Option<RunState>, StoreError> {
        let state = self.parts.store.replay(run, by, self.now()).await?;
        self.changed.notify_one();
        Ok(state)
    }

    /// Whose command this is already, if it is somebody's other than this trigger's.
    fn owner_of_command(&self, name: &str, plugin: &PluginName, id: &str) -> Option<String> {
        if name == RESERVED_COMMAND {
            return Some("the server itself has it".to_owned());
        }
        let has = |descriptor: &&&Descriptor| descriptor.commands.iter().any(|command| command.name == name);
        if let Some(owner) = self.parts.linked.iter().find(has) {
            return Some(format!("plugin `{}` has it", owner.name));
        }
        let owner = self.book.command(name)?;
        let is_this = owner.plugin == *plugin && owner.spec.id == id;
        (!is_this).then(|| format!("trigger `{}` of plugin `{}` has it", owner.spec.id, owner.plugin))
    }
}

#[async_trait]
impl TriggerPort for Automations {
    fn check(&self, spec: &TriggerSpec) -> Result<()> {
        check(spec)
    }

    async fn put(&self, plugin: &PluginName, spec: TriggerSpec) -> Result<Armed> {
        check(&spec)?;
        self.prepare().await?;
        let _making = self.making.lock().await;
        let id = spec.id.clone();
        if let On::Command { name, .. } = &spec.on
            && let Some(owner) = self.owner_of_command(name, plugin, &id)
        {
            return Err(PluginError::input(format!(
                "trigger `{id}` of plugin `{plugin}` cannot have the command `/{name}`: {owner}"
            )));
        }
        let trigger = Self::kept(plugin, spec, false, self.now());
        let Some(trigger) = self.parts.store.put_trigger(trigger).await? else {
            return Err(PluginError::input(format!("`{id}` is a trigger that the plugin's code registers")));
        };
        self.book.put(&trigger);
        self.changed.notify_one();
        Ok(armed(trigger))
    }

    async fn remove(&self, plugin: &PluginName, id: &str) -> Result<bool> {
        self.prepare().await?;
        let _making = self.making.lock().await;
        let removed = self.parts.store.remove_trigger(plugin.clone(), id.to_owned()).await?;
        if removed {
            self.book.remove(plugin, id);
        }
        Ok(removed)
    }

    async fn list(&self, plugin: &PluginName, prefix: &str) -> Result<Vec<Armed>> {
        self.prepare().await?;
        let triggers = self.parts.store.triggers(Some(plugin.clone())).await?;
        Ok(triggers.into_iter().filter(|trigger| trigger.spec.id.starts_with(prefix)).map(armed).collect())
    }

    async fn start(&self, plugin: &PluginName, id: &str, input: Value, key: Option<String>) -> Result<RunId> {
        let mut by = RunCause::by(Actor::plugin(plugin.as_str()), None);
        if let Some(cause) = cause::current() {
            (by.event_id, by.depth) = (Some(cause.event_id()), cause.next_depth());
        }
        if by.depth >= CAUSE_DEPTH_MAX {
            return Err(PluginError::input(format!(
                "trigger `{id}` of plugin `{plugin}` would continue a chain of {CAUSE_DEPTH_MAX} causes, which is cut here"
            )));
        }
        self.start_for(by, "start", plugin, id, Start { input, dry_run: false, key }).await
    }

    async fn wake(&self, plugin: &PluginName, run: RunId, signal: Value) -> Result<bool> {
        let woken = self.parts.store.wake(plugin.clone(), run, signal, self.now()).await?;
        self.changed.notify_one();
        Ok(woken)
    }

    fn forget(&self, plugin: &PluginName) {
        self.book.forget(plugin);
    }

    async fn cancel(&self, plugin: &PluginName, run: RunId) -> Result<bool> {
        match self.parts.store.run(run).await? {
            Some((record, _)) if record.plugin == *plugin && !record.state.has_ended() => {
                Ok(self.cancel_by(run, Actor::plugin(plugin.as_str())).await? == Some(RunState::Cancelled))
            }
            _ => Ok(false),
        }
    }
}
