//! One instance of a plugin: started, given its events, stopped. Knows no other plugin.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::snapshot::Running;
use super::{Board, BreakerState, PluginManager, granted};
use crate::capability::Scope;
use crate::context::Services;
use crate::descriptor::{Descriptor, FailMode, Hook};
use crate::event::local::Mailbox;
use crate::guard::{Call, CallError, Guard, GuardOptions, PluginHandle};
use crate::id::PluginName;
use crate::incident::{Counters, Fault};
use crate::isolation::tasks::GuardedTasks;
use crate::permission::Permission;
use crate::settings::{HookSettings, IsolationLevel};

/// How long calls that run may go on when a plugin is stopped.
const DRAIN: Duration = Duration::from_secs(1);

/// How long a plugin's threads have to end once everything on them was dropped.
const END: Duration = Duration::from_millis(500);

/// A running instance.
pub(super) struct Live {
    pub(super) plugin: Arc<PluginHandle>,
    mailbox: Option<Arc<Mailbox>>,
    hooks: Vec<(Hook, Duration, FailMode)>,
    /// The task that hands events over.
    postman: Mutex<Option<JoinHandle<()>>>,
}

impl Live {
    /// The instance as a snapshot shows it.
    pub(super) fn running(&self) -> Running {
        Running { plugin: self.plugin.clone(), mailbox: self.mailbox.clone(), hooks: self.hooks.clone() }
    }

    pub(super) fn counters(&self) -> Counters {
        let waiting_events = self.mailbox.as_ref().map_or(0, |mailbox| mailbox.len());
        Counters { waiting_events, ..self.plugin.counters() }
    }

    pub(super) fn breaker(&self) -> BreakerState {
        let refused = self.plugin.is_open() || self.plugin.guard().is_abandoned();
        if refused { BreakerState::Open } else { BreakerState::Closed }
    }

    /// Lets it have its events. What an instance before it did not get to it gets.
    pub(super) async fn open(&self, before: Option<&Self>) {
        if let Some(before) = before {
            before.retire_postman().await;
        }
        let Some(mailbox) = &self.mailbox else { return };
        let Ok(handle) = self.plugin.guard().handle() else { return };
        let postman = handle.spawn(mailbox.clone().hand_over(self.plugin.clone(), mailbox.instance()));
        *self.postman.lock().unwrap_or_else(PoisonError::into_inner) = Some(postman);
    }

    /// Stops handing events over, after the one that is being handled.
    async fn retire_postman(&self) {
        let postman = self.postman.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut postman) = postman else { return };
        if let Some(mailbox) = &self.mailbox {
            mailbox.retire();
        }
        if tokio::time::timeout(DRAIN, &mut postman).await.is_err() {
            postman.abort();
        }
    }

    /// Takes no more events; those that wait are dropped.
    pub(super) fn close_mailbox(&self) {
        if let Some(mailbox) = &self.mailbox {
            mailbox.close();
        }
    }

    /// Stops it: whatever runs may end, within limits; then it cleans up; then everything of it is dropped. It must not
    /// be in the snapshot any more.
    pub(super) async fn stop(&self) {
        let guard = self.plugin.guard();
        guard.close();
        if !guard.is_abandoned() {
            guard.drained(DRAIN).await;
            let (instance, what, timeout) = (self.plugin.instance().clone(), "cleanup", self.plugin.timeouts().cleanup);
            let call = Call { what, timeout, cause: None };
            // What went wrong the guard has told of; it stops all the same.
            let _ = guard.call_anyway(call, move || Box::pin(async move { instance.cleanup().await })).await;
        }
        self.plugin.scope().revoke();
        guard.stop();
        if !guard.ended(END).await {
            tracing::warn!(plugin = %guard.plugin(), "the plugin was stopped, and its thread has not ended: it blocks");
        }
    }
}

impl PluginManager {
    /// Starts an instance of a linked plugin with a configuration. Why it did not start is told in the log, and returned for
    /// the operator.
    pub(super) async fn start_instance(
        &self,
        descriptor: &'static Descriptor,
        config: Value,
        before: Option<&Live>,
    ) -> Result<Live, String> {
        let name = descriptor.plugin_name();
        let settings = self.parts.settings.plugin(&name);
        let (vitals, granted) = {
            let mut board = self.board();
            let Board { vitals, records, .. } = &mut *board;
            let vitals = vitals.entry(name.clone()).or_default().clone();
            (vitals, granted(descriptor, &self.parts.settings, records.get(&name)))
        };
        let guard = Guard::new(GuardOptions {
            plugin: name.clone(),
            isolation: settings.isolation,
            vitals,
            incidents: self.incidents.clone(),
            patience: self.patience,
        });
        let scope = Scope::new(name.clone(), granted, audit);
        let services = Services {
            scope: scope.clone(),
            emits: descriptor.emits,
            events: Arc::new(self.parts.bus.clone()),
            storage: self.parts.storage.clone(),
            chat: self.parts.chat.clone(),
            http: self.parts.http.clone(),
            users: self.parts.users.clone(),
            tasks: GuardedTasks::new(&guard),
            clock: self.parts.clock.clone(),
        };
        let timeout = settings.timeouts.initialize;
        let started = guard.start(descriptor.entry.start, services, config, timeout).await;
        let cause = match started {
            Ok(Ok(instance)) => {
                let plugin = Arc::new(PluginHandle::new(descriptor, instance, scope, guard, settings.timeouts));
                return Ok(self.live(plugin, &settings.hooks, before));
            }
            Ok(Err(error)) => {
                let cause = error.to_string();
                guard.report(Fault::Start, "initialize", &cause, 0);
                cause
            }
            // The guard has told of these.
            Err(CallError::Timeout) => format!("`initialize` took longer than {timeout:?}"),
            Err(CallError::Panicked(message)) => format!("`initialize` panicked: {message}"),
            Err(error) => error.to_string(),
        };
        scope.revoke();
        guard.stop();
        Err(cause)
    }

    fn live(
        &self,
        plugin: Arc<PluginHandle>,
        hooks: &std::collections::BTreeMap<Hook, HookSettings>,
        before: Option<&Live>,
    ) -> Live {
        let descriptor = plugin.descriptor();
        let handles_events = !descriptor.events.is_empty();
        let mailbox = (handles_events && plugin.isolation() != IsolationLevel::Inline).then(|| {
            // The same mailbox for every instance while the plugin is enabled: what waits is not lost.
            before.and_then(|before| before.mailbox.clone()).unwrap_or_else(Mailbox::new)
        });
        let hooks = descriptor.hooks.iter().map(|spec| {
            let said = hooks.get(&spec.hook).copied().unwrap_or_default();
            let timeout = said.timeout.unwrap_or(spec.policy.timeout).min(spec.hook.timeout_max());
            (spec.hook, timeout, fail_mode(spec.policy.on_error, said.on_error))
        });
        Live { hooks: hooks.collect(), plugin, mailbox, postman: Mutex::default() }
    }
}

/// What happens when a hook fails: what the operator says, else what the plugin says; but to let messages through
/// unscanned, both must say so.
pub(super) fn fail_mode(plugin: FailMode, operator: Option<FailMode>) -> FailMode {
    match (plugin, operator) {
        (FailMode::Open, Some(FailMode::Open)) => FailMode::Open,
        (FailMode::Open, None) => FailMode::Closed,
        (plugin, None | Some(FailMode::Open)) => plugin,
        (_, Some(operator)) => operator,
    }
}

fn audit(plugin: &PluginName, permission: Permission) {
    tracing::warn!(target: "plexichat::audit", %plugin, %permission, "a plugin was refused what it was not granted");
}
