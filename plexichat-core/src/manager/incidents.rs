//! Listens to what goes wrong with plugins: tells it as events, stops what must not go on. Decides by
//! [`lifecycle`](crate::lifecycle).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::PluginManager;
use crate::event::catalog::{PluginError, PluginHealthChanged};
use crate::guard::{Call, CallError, PluginHandle};
use crate::id::PluginName;
use crate::incident::{Fault, Incident};
use crate::lifecycle::Command;
use crate::message::{Actor, Time};
use crate::plugin::Health;

/// How often plugins are asked for their health.
const HEALTH_EVERY: Duration = Duration::from_secs(15);

/// How long the answer may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens until the manager is gone.
pub(super) fn listen(manager: &Arc<PluginManager>, mut incidents: mpsc::Receiver<Incident>) {
    let manager = Arc::downgrade(manager);
    tokio::spawn(health(manager.clone()));
    tokio::spawn(async move {
        while let Some(incident) = incidents.recv().await {
            let Some(manager) = Weak::upgrade(&manager) else { return };
            manager.handle(incident).await;
        }
    });
}

/// Asks for plugins' health again and again. Beside the incidents: a plugin that hangs does not hold those up.
async fn health(manager: Weak<PluginManager>) {
    let mut health = tokio::time::interval(HEALTH_EVERY);
    health.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        health.tick().await;
        let Some(manager) = manager.upgrade() else { return };
        manager.ask_health().await;
    }
}

impl PluginManager {
    async fn handle(&self, incident: Incident) {
        let Incident { plugin, guard, what, fault, message, milliseconds } = incident;
        // Without the plugin's own words: they may repeat what people wrote. The operator sees them in the list.
        let (code, words) = match fault {
            Fault::Error => ("failed", "it returned an error"),
            Fault::Timeout => ("timeout", "it took too long"),
            Fault::Panic => ("panicked", "it panicked"),
            Fault::Blocked => ("blocked", "it blocks its thread"),
            Fault::BreakerOpened => ("breaker_opened", "it failed too often and is not asked for a while"),
            Fault::Quarantined => ("quarantined", "it failed too often again and again"),
            Fault::Abandoned => ("abandoned", "it blocked its thread for too long"),
            Fault::CauseTooDeep => ("cause_depth", "it continued a chain of events that is too long"),
            Fault::Start => ("start_failed", "it did not start"),
        };
        let event = PluginError::new(plugin.clone(), what.to_owned(), code.to_owned(), words.to_owned(), milliseconds);
        // By the plugin itself: its own handlers are not told of their own failure.
        self.announce(&Actor::plugin(plugin.as_str()), event);
        let command = match fault {
            Fault::Quarantined => Command::Quarantine(plugin.clone(), Time::now(), message),
            Fault::Abandoned => Command::Lost(plugin.clone(), message),
            _ => return,
        };
        let _changing = self.changing.lock().await;
        // Another instance may run by now: it has done nothing wrong.
        let is_current = self.board().live.get(&plugin).is_some_and(|live| live.plugin.guard().id() == guard);
        if is_current && let Err(error) = self.perform(command, &Actor::system()).await {
            tracing::error!(%plugin, %error, "the plugin was stopped, and that could not be stored");
        }
    }

    /// Asks every running plugin for its health, and tells where it changed.
    ///
    /// # Cancel safety
    /// A dropped call may have asked some of them.
    pub async fn ask_health(&self) {
        let running: Vec<_> = self.parts.plugins.load().plugins().cloned().collect();
        let asked = running.iter().map(|plugin| async move { (plugin.name(), health_of(plugin).await) });
        for (name, health) in futures_util::future::join_all(asked).await {
            self.set_health(name, health);
        }
    }

    fn set_health(&self, name: &PluginName, health: Health) {
        let old = self.board().health.insert(name.clone(), health.clone()).unwrap_or(Health::Healthy);
        if old != health {
            tracing::info!(plugin = %name, ?old, ?health, "the plugin's health changed");
            self.announce(&Actor::system(), PluginHealthChanged::new(name.clone(), old, health));
        }
    }
}

/// Past the breaker, which it neither asks nor tells: that a plugin answers this does not mean that it works.
async fn health_of(plugin: &PluginHandle) -> Health {
    if plugin.is_open() {
        return Health::Down(CallError::Open.to_string());
    }
    let instance = plugin.instance().clone();
    let call = Call { what: "health", timeout: HEALTH_TIMEOUT, cause: None };
    let answer = plugin.guard().call_anyway(call, move || Box::pin(async move { instance.health().await }));
    answer.await.unwrap_or_else(|error| Health::Down(error.to_string()))
}
