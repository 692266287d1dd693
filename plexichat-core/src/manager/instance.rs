//! One instance of a plugin: started, given its events, stopped. Knows no other plugin.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::driver::unread;
use super::snapshot::{Running, RunningHook, Snapshot};
use super::{Board, BreakerState, PluginManager, granted};
use crate::capability::{Audit, Scope};
use crate::cause;
use crate::context::Services;
use crate::descriptor::{Descriptor, FailMode, Hook};
use crate::event::Event;
use crate::event::bus::Bus;
use crate::event::catalog::PermissionDenied;
use crate::event::local::Mailbox;
use crate::guard::{Call, CallError, Guard, GuardOptions, PluginHandle};
use crate::incident::{Counters, Fault};
use crate::isolation::tasks::GuardedTasks;
use crate::message::{Actor, Origin};
use crate::pipeline::Announcer;
use crate::routes;
use crate::settings::{HookSettings, IsolationLevel};
use crate::translate::Speech;

/// How long calls that run may go on when the server stops, and how long a change of configuration waits for them before
/// it is answered.
pub(super) const DRAIN: Duration = Duration::from_secs(1);

/// How long calls that run may go on, at least, when another instance takes over.
const TAKE_OVER_MIN: Duration = Duration::from_secs(5);

/// How long a plugin's threads have to end once everything on them was dropped.
const END: Duration = Duration::from_millis(500);

/// A running instance.
pub(super) struct Live {
    pub(super) plugin: Arc<PluginHandle>,
    mailbox: Option<Arc<Mailbox>>,
    hooks: Vec<RunningHook>,
    /// The task that hands events over.
    postman: Mutex<Option<JoinHandle<()>>>,
    /// The instance before, which ends what it has begun.
    before: tokio::sync::Mutex<Option<Before>>,
}

/// An instance that ends what it has begun while another one has taken over.
struct Before {
    live: Arc<Live>,
    ending: JoinHandle<()>,
}

impl Live {
    /// The instance as a snapshot shows it.
    pub(super) fn running(&self) -> Running {
        Running { plugin: self.plugin.clone(), mailbox: self.mailbox.clone(), hooks: self.hooks.clone() }
    }

    pub(super) fn hooks(&self) -> &[RunningHook] {
        &self.hooks
    }

    pub(super) fn counters(&self) -> Counters {
        let waiting_events = self.mailbox.as_ref().map_or(0, |mailbox| mailbox.len());
        Counters { waiting_events, ..self.plugin.counters() }
    }

    pub(super) fn breaker(&self) -> BreakerState {
        let refused = self.plugin.is_open() || self.plugin.guard().is_abandoned();
        if refused { BreakerState::Open } else { BreakerState::Closed }
    }

    /// Lets it have its events. What an instance before it did not get to it gets, after the event that one has.
    pub(super) fn open(&self, before: Option<&Self>) {
        let Some(mailbox) = &self.mailbox else { return };
        if before.is_some() {
            mailbox.retire();
        }
        let Ok(handle) = self.plugin.guard().handle() else { return };
        let postman = handle.spawn(mailbox.clone().hand_over(self.plugin.clone(), mailbox.instance()));
        *self.postman.lock().unwrap_or_else(PoisonError::into_inner) = Some(postman);
    }

    /// Lets the instance before end what it has begun, then stops it. Returns when that is so, and after a moment in any
    /// case: it goes on by itself.
    pub(super) async fn succeed(&self, live: Arc<Self>, snapshot: Arc<Snapshot>) {
        let old = live.clone();
        let ending = tokio::spawn(async move { old.end(snapshot).await });
        let mut before = self.before.lock().await;
        let before = before.insert(Before { live, ending });
        let _ = tokio::time::timeout(DRAIN, &mut before.ending).await;
    }

    /// Waits until the instance before has ended: no third one is started beside the two.
    pub(super) async fn is_alone(&self) {
        let mut before = self.before.lock().await;
        if let Some(before) = before.as_mut().filter(|before| !before.ending.is_finished()) {
            let _ = (&mut before.ending).await;
        }
        *before = None;
    }

    /// Ends what it has begun, each call within its own limit, and stops. What its handlers have not answered by then the
    /// next instance gets.
    async fn end(&self, snapshot: Arc<Snapshot>) {
        let timeouts = self.plugin.timeouts();
        let limit = timeouts.event.max(timeouts.command).max(TAKE_OVER_MIN);
        let began = Instant::now();
        let postman = self.postman.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut postman) = postman
            && tokio::time::timeout(limit, &mut postman).await.is_err()
        {
            postman.abort();
            self.mailbox.iter().for_each(|mailbox| mailbox.take_back());
        }
        unread(snapshot, limit.saturating_sub(began.elapsed())).await;
        self.stop(limit.saturating_sub(began.elapsed())).await;
    }

    /// Takes no more events; those that wait are dropped.
    pub(super) fn close_mailbox(&self) {
        if let Some(mailbox) = &self.mailbox {
            mailbox.close();
        }
    }

    /// Stops it, and the instance before it where that has not ended: whatever runs may end, within this limit; then it
    /// cleans up; then everything of it is dropped. It must not be in the snapshot any more.
    pub(super) async fn stop(&self, limit: Duration) {
        let before = self.before.lock().await.take();
        let stopping_before = async {
            let Some(Before { live, mut ending }) = before else { return };
            if !ending.is_finished() && tokio::time::timeout(limit, &mut ending).await.is_err() {
                ending.abort();
                live.drop_all().await;
            }
        };
        futures_util::future::join(stopping_before, self.stop_this(limit)).await;
    }

    async fn stop_this(&self, limit: Duration) {
        let guard = self.plugin.guard();
        guard.close();
        if !guard.is_abandoned() {
            guard.drained(limit).await;
            let (instance, what, timeout) = (self.plugin.instance().clone(), "cleanup", self.plugin.timeouts().cleanup);
            let call = Call { what, timeout, cause: None };
            // What went wrong the guard has told of; it stops all the same.
            let _ = guard.call_anyway(call, move || Box::pin(async move { instance.cleanup().await })).await;
        }
        self.drop_all().await;
    }

    /// Drops everything of it.
    async fn drop_all(&self) {
        let guard = self.plugin.guard();
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
        let settings = self.settings().plugin(&name);
        let (vitals, granted) = {
            let mut board = self.board();
            let Board { vitals, records, .. } = &mut *board;
            let vitals = vitals.entry(name.clone()).or_default().clone();
            (vitals, granted(descriptor, &self.settings(), records.get(&name)))
        };
        let guard = Guard::new(GuardOptions {
            plugin: name.clone(),
            isolation: settings.isolation,
            vitals,
            incidents: self.incidents.clone(),
            patience: self.patience,
        });
        let scope = Scope::new(name.clone(), granted, audit(self.parts.bus.clone()));
        let services = Services {
            scope: scope.clone(),
            emits: descriptor.emits,
            events: Arc::new(self.parts.bus.clone()),
            storage: self.parts.storage.clone(),
            chat: self.parts.chat.clone(),
            ai: self.parts.ai.clone(),
            http: self.parts.http.clone(),
            sockets: self.parts.sockets.clone(),
            files: self.parts.files.clone(),
            users: self.parts.users.clone(),
            tasks: GuardedTasks::new(&guard),
            clock: self.parts.clock.clone(),
            triggers: self.parts.triggers.clone(),
            tools: self.parts.tools.clone(),
            admin: self.parts.admin.clone(),
            assets: descriptor.assets,
            texts: Arc::new(Speech::of(descriptor.locales)),
            public_url: self.settings().server.public_url.clone(),
        };
        let timeout = settings.timeouts.initialize;
        let signing_secrets = routes::signing_secrets(descriptor, &config);
        let started = guard.start(descriptor.entry.start, services, config, timeout).await;
        let cause = match started {
            Ok(Ok(instance)) => {
                let plugin =
                    Arc::new(PluginHandle::new(descriptor, instance, scope, guard, &settings, signing_secrets));
                let live = self.live(plugin, &settings.hooks, before);
                // Before anybody relies on it.
                self.check_canaries_of(&live.plugin, &live.hooks).await;
                return Ok(live);
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
            let most = spec.policy.max_bytes.unwrap_or(u64::MAX);
            RunningHook {
                hook: spec.hook,
                timeout: said.timeout.unwrap_or(spec.policy.timeout).min(spec.hook.timeout_max()),
                max_bytes: said.max_bytes.map_or(most, |said| said.min(most)),
                on_error: fail_mode(spec.policy.on_error, said.on_error),
            }
        });
        Live { hooks: hooks.collect(), plugin, mailbox, postman: Mutex::default(), before: Default::default() }
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

/// Tells of what a plugin was refused, in the log and as an event.
fn audit(bus: Bus) -> Audit {
    Box::new(move |plugin, permission, call| {
        tracing::warn!(target: "plexichat::audit", %plugin, %permission, call, "a plugin was refused what it was not granted");
        let mut event = Event::new(PermissionDenied::new(plugin.clone(), permission, call.to_owned()));
        event.actor = Actor::plugin(plugin.as_str());
        event.origin = Origin::Plugin;
        // A handler of this event that is refused something itself continues the chain, which is cut somewhere.
        if let Some(cause) = cause::current() {
            event.cause_id = Some(cause.event_id());
            event.cause_depth = cause.next_depth();
        }
        bus.announce(event);
    })
}
