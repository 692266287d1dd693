//! The role of automations: what starts their workflows, and the workflows. Knows no host and no calendar.

use std::fmt;
use std::marker::PhantomData;

use async_trait::async_trait;
use serde_json::Value;

use crate::trigger::{Condition, Misfire, On, RunPolicy, Scope, TriggerSpec};
use crate::workflow::{Outcome, WorkflowError, WorkflowRun};

/// Reacts to events, commands, calls and time, durably.
///
/// Put `#[plexichat::role]` on the implementation. Its triggers are known without an instance: they are in the manifest. Those
/// that come from users or files are made by `ctx.triggers()` while it runs.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `provides(Automation)` and does not implement it",
    note = "add `#[plexichat::role] impl Automation for {Self} {{ .. }}`"
)]
pub trait Automation: Send + Sync + 'static {
    /// Names the triggers. Each says where it fires and which workflow it starts.
    fn register_triggers(triggers: Triggers<Self>) -> Triggers<Self>
    where
        Self: Sized,
    {
        triggers
    }

    /// Carries out one attempt at a run. It was stored before, and is attempted at least once: after a crash, again.
    ///
    /// # Errors
    /// Whether it may work later.
    ///
    /// # Cancel safety
    /// Dropped when its time is up, when the run is cancelled, and when the plugin stops.
    async fn execute_workflow(&self, run: WorkflowRun) -> Result<Outcome, WorkflowError>;
}

/// The triggers of the plugin `T`, being named. What is said of policy, filter and so on is said of the trigger named last.
#[must_use = "a trigger counts where it is returned"]
pub struct Triggers<T> {
    triggers: Vec<TriggerSpec>,
    plugin: PhantomData<fn() -> T>,
}

impl<T> Triggers<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { triggers: Vec::new(), plugin: PhantomData }
    }

    /// An event of this name starts the workflow; `*` for all. Its identifier is `event.{name}.{workflow}` unless [`id`](Self::id)
    /// says another.
    pub fn on_event(self, name: &str, workflow: &str, scope: Scope) -> Self {
        let on = On::Event { names: vec![name.to_owned()], filter: Vec::new(), own: false };
        let name = if name == "*" { "all" } else { name };
        self.trigger(TriggerSpec::new(format!("event.{name}.{workflow}"), on, workflow, scope))
    }

    /// The times of a cron expression start the workflow: five fields, or six with seconds first, in a time zone such as
    /// `Europe/Berlin`. Its identifier is `cron.{workflow}`.
    pub fn cron(self, expression: &str, zone: &str, misfire: Misfire, workflow: &str, scope: Scope) -> Self {
        let on = On::Cron { expression: expression.to_owned(), zone: zone.to_owned(), misfire };
        self.trigger(TriggerSpec::new(format!("cron.{workflow}"), on, workflow, scope))
    }

    /// The workflow is started every so many seconds. Its identifier is `every.{workflow}`.
    pub fn every(self, seconds: u64, misfire: Misfire, workflow: &str, scope: Scope) -> Self {
        let on = On::Every { seconds, misfire };
        self.trigger(TriggerSpec::new(format!("every.{workflow}"), on, workflow, scope))
    }

    /// A call of the trigger's own address starts the workflow. Its identifier is `id`, and part of the address.
    pub fn webhook(self, id: &str, workflow: &str) -> Self {
        self.trigger(TriggerSpec::new(id, On::Webhook, workflow, Scope::Cluster))
    }

    /// `/name` in a room starts the workflow; `help` says what it does. Its identifier is `command.{name}`.
    pub fn command(self, name: &str, help: &str, workflow: &str) -> Self {
        let on = On::Command { name: name.to_owned(), help: help.to_owned() };
        self.trigger(TriggerSpec::new(format!("command.{name}"), on, workflow, Scope::Cluster))
    }

    /// An administrator may start the workflow. Its identifier is `manual.{workflow}`.
    pub fn manual(self, workflow: &str) -> Self {
        self.trigger(TriggerSpec::new(format!("manual.{workflow}"), On::Manual, workflow, Scope::Cluster))
    }

    /// A trigger, whole.
    pub fn trigger(mut self, spec: TriggerSpec) -> Self {
        self.triggers.push(spec);
        self
    }

    /// Gives it this identifier. Runs and dead letters name it, so it should stay.
    pub fn id(self, id: &str) -> Self {
        self.with(|spec| id.clone_into(&mut spec.id))
    }

    /// It fires only where the event fulfils this, too.
    pub fn only(self, condition: Condition) -> Self {
        self.with(|spec| {
            if let On::Event { filter, .. } = &mut spec.on {
                filter.push(condition);
            }
        })
    }

    /// The plugin's own events fire it, too.
    pub fn own(self) -> Self {
        self.with(|spec| {
            if let On::Event { own, .. } = &mut spec.on {
                *own = true;
            }
        })
    }

    /// Gives its runs this input.
    pub fn input(self, input: Value) -> Self {
        self.with(|spec| spec.input = input)
    }

    /// Says what becomes of its runs.
    pub fn policy(self, policy: RunPolicy) -> Self {
        self.with(|spec| spec.policy = policy)
    }

    fn with(mut self, change: impl FnOnce(&mut TriggerSpec)) -> Self {
        if let Some(last) = self.triggers.last_mut() {
            change(last);
        }
        self
    }

    /// What was named, in its order.
    pub fn specs(&self) -> &[TriggerSpec] {
        &self.triggers
    }
}

impl<T> Default for Triggers<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Triggers<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.triggers).finish()
    }
}
