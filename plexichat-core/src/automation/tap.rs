//! What happens starts what waits for it: events and commands become runs, which are stored before the outbox counts what it told
//! of as done. Knows no bus.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::book::OF_RUNS;
use super::{Added, Automations, KeptTrigger, NewRun, Wanted};
use crate::command::split;
use crate::dispatch::nth;
use crate::event::catalog::WorkflowFailed;
use crate::event::{CAUSE_DEPTH_MAX, Event, catalog};
use crate::guard::PluginHandle;
use crate::id::EventId;
use crate::incident::Fault;
use crate::message::ActorKind;
use crate::permission::Permission;
use crate::pipeline::Posted;
use crate::trigger::On;
use crate::workflow::RunCause;

/// The waits before a run is stored again.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_LAST: Duration = Duration::from_secs(5);

/// Hears every event that the bus is given.
#[async_trait]
pub(crate) trait Tap: Send + Sync + 'static {
    /// Whether it wants events of this name.
    fn waits_for(&self, event: &str) -> bool;

    /// Hears one. Returns when what it starts is durable.
    async fn hear(&self, event: &Event);
}

#[async_trait]
impl Tap for Automations {
    fn waits_for(&self, event: &str) -> bool {
        self.book.waits_for(event)
    }

    async fn hear(&self, event: &Event) {
        self.prepared().await;
        let hearing = self.book.hearing(&event.name);
        if hearing.is_empty() {
            return;
        }
        let Ok(envelope) = serde_json::to_value(event) else {
            tracing::warn!(event = %event.name, id = %event.id, "an event cannot be written as JSON: it starts no workflow");
            return;
        };
        let mut started = Vec::new();
        for trigger in &hearing {
            let Some(plugin) = self.running(trigger) else { continue };
            if !is_for(trigger, &plugin, event, &envelope) {
                continue;
            }
            if event.cause_depth >= CAUSE_DEPTH_MAX {
                self.too_deep(trigger, &plugin, event.id, &event.name);
                continue;
            }
            let cause = RunCause::event(event.id, event.cause_depth, event.actor.clone(), event.room_id);
            let wanted = Wanted {
                // Whoever made the event may have another clock.
                at: event.time.min(self.now()),
                key: format!("event/{}/{}", trigger.spec.id, event.id),
                ..Wanted::of(trigger, cause.clone(), json!({ "event": &envelope }))
            };
            started.push((trigger, cause, self.new_run(wanted)));
        }
        if started.is_empty() {
            return;
        }
        let added = self.store_runs(started.iter().map(|(_, _, run)| run.clone()).collect()).await;
        for ((trigger, cause, _), added) in started.iter().zip(&added) {
            self.tell_fired(trigger, cause, &[*added]);
        }
    }
}

impl Automations {
    /// Whether a message is the command of a trigger whose plugin runs.
    pub(crate) async fn commanded(&self, posted: &Posted) -> Option<(Arc<KeptTrigger>, Arc<PluginHandle>)> {
        let row = &posted.row;
        let kind = row.author.kind;
        if matches!(kind, ActorKind::Plugin | ActorKind::Ai | ActorKind::System | ActorKind::Webhook) {
            return None;
        }
        let (name, _) = split(&row.text)?;
        self.prepared().await;
        let trigger = self.book.command(name)?;
        let plugin = self.running(&trigger)?;
        Some((trigger, plugin))
    }

    /// Starts the run that a command asks for. Returns when it is durable.
    pub(crate) async fn command(&self, posted: &Posted, trigger: &KeptTrigger, plugin: &PluginHandle) {
        let row = &posted.row;
        let Some((name, arguments)) = split(&row.text) else { return };
        let event = EventId::about(row.id, nth::COMMAND);
        if posted.cause_depth >= CAUSE_DEPTH_MAX {
            self.too_deep(trigger, plugin, event, name);
            return;
        }
        let cause = RunCause::event(event, posted.cause_depth, row.author.clone(), Some(row.room_id));
        let saw = json!({
            "command": name,
            "arguments": arguments,
            "room_id": row.room_id,
            "message_id": row.id,
        });
        let run = self.new_run(Wanted {
            at: row.created_at.min(self.now()),
            key: format!("command/{}/{}", trigger.spec.id, row.id),
            ..Wanted::of(trigger, cause.clone(), saw)
        });
        let added = self.store_runs(vec![run]).await;
        self.tell_fired(trigger, &cause, &added);
    }

    /// Stores runs, however often that takes.
    async fn store_runs(&self, runs: Vec<NewRun>) -> Vec<Added> {
        let mut wait = AGAIN_FIRST;
        loop {
            match self.parts.store.add_runs(runs.clone()).await {
                Ok(added) => {
                    self.changed.notify_one();
                    return added;
                }
                Err(error) => {
                    tracing::warn!(%error, runs = runs.len(), "what an event starts could not be stored; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(AGAIN_LAST);
                }
            }
        }
    }

    /// Waits until the triggers are known, however long the store is away.
    async fn prepared(&self) {
        let mut wait = AGAIN_FIRST;
        while let Err(error) = self.prepare().await {
            tracing::debug!(%error, "the triggers could not be read yet");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN_LAST);
        }
    }

    /// The chain ends here: the log says so, `plugin_error`, and `workflow_failed` with the trigger and no run.
    fn too_deep(&self, trigger: &KeptTrigger, plugin: &PluginHandle, event: EventId, name: &str) {
        let (id, workflow) = (&trigger.spec.id, &trigger.spec.workflow);
        let message = format!(
            "trigger `{id}` did not fire at `{name}`: its workflow `{workflow}` would continue a chain of {CAUSE_DEPTH_MAX} \
             causes, which is cut here"
        );
        plugin.guard().report(Fault::CauseTooDeep, "execute_workflow", &message, 0);
        // Those who wait for these events must not make each other tell of more.
        if !OF_RUNS.contains(&name) {
            let failed = WorkflowFailed::new(String::new(), workflow.clone(), id.clone(), 0, 0, message);
            self.announce(&trigger.plugin, CAUSE_DEPTH_MAX - 1, Some(event), failed);
        }
    }

    fn running(&self, trigger: &KeptTrigger) -> Option<Arc<PluginHandle>> {
        self.parts.plugins.load().plugin(&trigger.plugin).cloned()
    }
}

fn is_for(trigger: &KeptTrigger, plugin: &PluginHandle, event: &Event, envelope: &Value) -> bool {
    let On::Event { filter, own, .. } = &trigger.spec.on else { return false };
    let may_see =
        !catalog::WITH_CONTENT.contains(&&*event.name) || plugin.scope().granted().contains(Permission::UserDataAccess);
    may_see
        && (*own || !event.actor.is_plugin(trigger.plugin.as_str()))
        && filter.iter().all(|condition| condition.holds(envelope))
}
