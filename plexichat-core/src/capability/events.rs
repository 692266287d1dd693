//! Emitting events. A plugin emits only what its descriptor declares.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Scope;
use crate::error::{PluginError, Result};
use crate::event::catalog::{WebhookDelivered, WebhookFailed, WebhookReceived};
use crate::event::{CUSTOM_PREFIX, Event, Payload};
use crate::id::PluginName;
use crate::message::{Actor, Origin};

/// Proof that the plugin `P` declared that it emits `Self`: `emits(..)` in its attribute implements it.
#[diagnostic::on_unimplemented(
    message = "plugin `{P}` emits `{Self}` without declaring it",
    label = "is not declared",
    note = "declare it: `#[plexichat::plugin(emits({Self}))]`"
)]
pub trait EmittedBy<P>: Payload {}

/// Emits events as the plugin `T`.
pub struct Events<T> {
    scope: Arc<Scope>,
    port: Arc<dyn EventPort>,
    declared: &'static [&'static str],
    plugin: PhantomData<fn() -> T>,
}

/// What the host does for [`Events`].
#[async_trait]
pub trait EventPort: Send + Sync + 'static {
    /// Hands an event to everyone who subscribed; waits while a mailbox is full. The host sets the cause.
    async fn emit(&self, plugin: &PluginName, event: Event) -> Result<()>;
}

impl<T> Events<T> {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn EventPort>, declared: &'static [&'static str]) -> Self {
        Self { scope, port, declared, plugin: PhantomData }
    }

    /// Emits a typed event; returns when every mailbox has taken it.
    ///
    /// # Errors
    /// `Permission` once the plugin was stopped; `Transient` where the chain of causes is too deep.
    ///
    /// # Cancel safety
    /// A dropped call may have reached some of the subscribers.
    pub async fn emit<E: EmittedBy<T>>(&self, payload: E) -> Result<()> {
        self.send(Event::new(payload)).await
    }

    /// Emits an event of this name (the prefix `custom.` is added) with JSON data.
    ///
    /// # Errors
    /// As [`emit`](Self::emit); `Permission` also where the plugin's attribute does not say `emits("name")`.
    ///
    /// # Cancel safety
    /// As [`emit`](Self::emit).
    pub async fn emit_json(&self, name: &str, data: Value) -> Result<()> {
        let name = if name.starts_with(CUSTOM_PREFIX) { name.to_owned() } else { format!("{CUSTOM_PREFIX}{name}") };
        self.send(Event::json(name, data)).await
    }

    /// Tells that an outside program called a webhook of the plugin: `webhook_received`. Needs no declaration: the host says whose
    /// webhook it is.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    ///
    /// # Cancel safety
    /// As [`emit`](Self::emit).
    pub async fn webhook_received(&self, hook_id: &str, status: u16) -> Result<()> {
        self.own(Event::new(WebhookReceived::new(hook_id.to_owned(), self.plugin_id(), status))).await
    }

    /// Tells that the plugin called a webhook of an outside program, and what that answered: `webhook_delivered`.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    ///
    /// # Cancel safety
    /// As [`emit`](Self::emit).
    pub async fn webhook_delivered(&self, hook_id: &str, status: u16, attempts: u32) -> Result<()> {
        self.own(Event::new(WebhookDelivered::new(hook_id.to_owned(), self.plugin_id(), status, attempts))).await
    }

    /// Tells that the plugin gave up calling a webhook of an outside program: `webhook_failed`.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    ///
    /// # Cancel safety
    /// As [`emit`](Self::emit).
    pub async fn webhook_failed(&self, hook_id: &str, status: Option<u16>, attempts: u32) -> Result<()> {
        self.own(Event::new(WebhookFailed::new(hook_id.to_owned(), self.plugin_id(), status, attempts))).await
    }

    fn plugin_id(&self) -> Option<PluginName> {
        Some(self.scope.plugin().clone())
    }

    async fn send(&self, event: Event) -> Result<()> {
        self.scope.check_alive()?;
        // Typed events too: their bound is a safe trait, which a plugin could implement by hand.
        if !self.declared.contains(&&*event.name) {
            let (plugin, name) = (self.scope.plugin(), &event.name);
            let bare = name.trim_start_matches(CUSTOM_PREFIX);
            return Err(PluginError::permission(format!(
                "plugin `{plugin}` does not declare the event `{name}`: add `emits(\"{bare}\")` to its \
                 `#[plexichat::plugin(..)]`"
            )));
        }
        self.own(event).await
    }

    async fn own(&self, mut event: Event) -> Result<()> {
        self.scope.check_alive()?;
        event.actor = Actor::plugin(self.scope.plugin().as_str());
        event.origin = Origin::Plugin;
        self.port.emit(self.scope.plugin(), event).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;

    use super::*;
    use crate::permission::PermissionSet;

    #[plexichat::event("known")]
    struct Known {
        number: u8,
    }

    #[plexichat::event("unknown")]
    struct Unknown {}

    struct Mine;
    impl EmittedBy<Mine> for Known {}
    impl EmittedBy<Mine> for Unknown {}

    #[derive(Default)]
    struct Recorded(Mutex<Vec<String>>);

    #[async_trait]
    impl EventPort for Recorded {
        async fn emit(&self, plugin: &PluginName, event: Event) -> Result<()> {
            self.0.lock().unwrap().push(format!("{plugin} {} {}", event.name, event.data()?));
            Ok(())
        }
    }

    #[test]
    fn only_what_is_declared_is_emitted() {
        let scope = Scope::new(PluginName::linked("mine"), PermissionSet::EMPTY, Box::new(|_, _, _| {}));
        let port = Arc::new(Recorded::default());
        let events = Events::<Mine>::new(scope.clone(), port.clone(), &["custom.known", "custom.loose"]);
        let refused = |outcome: Option<Result<()>>| outcome.unwrap().unwrap_err().to_string();

        events.emit(Known { number: 1 }).now_or_never().unwrap().unwrap();
        events.emit_json("loose", 2.into()).now_or_never().unwrap().unwrap();
        events.emit_json("custom.loose", 3.into()).now_or_never().unwrap().unwrap();
        assert!(refused(events.emit(Unknown {}).now_or_never()).contains("add `emits(\"unknown\")`"));
        assert!(refused(events.emit_json("other", 4.into()).now_or_never()).contains("add `emits(\"other\")`"));
        events.webhook_received("deploys", 200).now_or_never().unwrap().unwrap();
        scope.revoke();
        assert!(refused(events.webhook_received("deploys", 200).now_or_never()).contains("was stopped"));
        assert!(refused(events.emit(Known { number: 5 }).now_or_never()).contains("was stopped"));
        assert_eq!(
            *port.0.lock().unwrap(),
            [
                "mine custom.known {\"number\":1}",
                "mine custom.loose 2",
                "mine custom.loose 3",
                "mine webhook_received {\"hook_id\":\"deploys\",\"plugin_id\":\"mine\",\"status\":200}"
            ]
        );
    }
}
