//! A running plugin as the rest of the host sees it: its name, and the way to call it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Blame, Call, CallError, Guard};
use crate::capability::Scope;
use crate::cause::Cause;
use crate::descriptor::{Descriptor, Hook, Instance};
use crate::id::PluginName;
use crate::incident::{Counters, LastError};
use crate::reply::ReplyMode;
use crate::secret::Secret;
use crate::settings::{IsolationLevel, PluginSettings, Timeouts};

/// A running instance of a plugin. Every call goes through its guard.
pub struct PluginHandle {
    descriptor: &'static Descriptor,
    instance: Arc<dyn Instance>,
    scope: Arc<Scope>,
    guard: Arc<Guard>,
    timeouts: Timeouts,
    max_body: Option<u64>,
    route_rate: Option<NonZeroU32>,
    /// What signs calls of its routes, by where it stands in the configuration.
    signing_secrets: BTreeMap<&'static str, Secret>,
    /// The hooks that let a sample pass which they must object to, a bit for each.
    blind: AtomicU8,
    /// How it wants to see answers of models, once it was asked.
    reply_mode: OnceLock<ReplyMode>,
}

impl PluginHandle {
    pub(crate) fn new(
        descriptor: &'static Descriptor,
        instance: Arc<dyn Instance>,
        scope: Arc<Scope>,
        guard: Arc<Guard>,
        settings: &PluginSettings,
        signing_secrets: BTreeMap<&'static str, Secret>,
    ) -> Self {
        let PluginSettings { timeouts, max_body, route_rate, .. } = *settings;
        let (blind, reply_mode) = (AtomicU8::new(0), OnceLock::new());
        Self { descriptor, instance, scope, guard, timeouts, max_body, route_rate, signing_secrets, blind, reply_mode }
    }

    /// The plugin's name.
    pub fn name(&self) -> &PluginName {
        self.guard.plugin()
    }

    /// What is known of it without running it.
    pub fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    /// What this instance may do, and whether it still may.
    pub fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// Where its calls run.
    pub fn isolation(&self) -> IsolationLevel {
        self.guard.isolation()
    }

    /// How long its calls may take.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The largest body of a request to its routes, where the operator sets one.
    pub fn max_body(&self) -> Option<u64> {
        self.max_body
    }

    /// How often each caller may call one of its routes in a minute, where the operator says so.
    pub fn route_rate(&self) -> Option<NonZeroU32> {
        self.route_rate
    }

    /// The secret at this place of its configuration, by which calls of a route are signed; nothing where none is set.
    pub fn signing_secret(&self, pointer: &str) -> Option<&Secret> {
        self.signing_secrets.get(pointer)
    }

    /// What it has been asked.
    pub fn counters(&self) -> Counters {
        self.guard.counters()
    }

    /// The last thing that went wrong with the plugin, whichever instance it was.
    pub fn last_error(&self) -> Option<LastError> {
        self.guard.vitals().last_error()
    }

    /// Whether it is not asked at the moment, because it failed too often of late.
    pub fn is_open(&self) -> bool {
        self.guard.is_open()
    }

    /// Whether this hook of the instance let a sample pass that it must object to, and has not objected to all since.
    pub fn is_blind(&self, hook: Hook) -> bool {
        self.blind.load(Ordering::Acquire) & bit(hook) != 0
    }

    /// This hook let a sample pass, or has objected to all of them. Whether that is new.
    pub(crate) fn set_blind(&self, hook: Hook, blind: bool) -> bool {
        let before = match blind {
            true => self.blind.fetch_or(bit(hook), Ordering::AcqRel),
            false => self.blind.fetch_and(!bit(hook), Ordering::AcqRel),
        };
        (before & bit(hook) != 0) != blind
    }

    /// How the scanner wants to see answers of models: asked once. One that cannot say is shown the whole answer.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn reply_mode(&self) -> ReplyMode {
        if let Some(mode) = self.reply_mode.get() {
            return *mode;
        }
        let asked = self.call("reply_mode", Hook::ScanReply.default_policy().timeout, |instance| {
            Box::pin(async move { instance.security().map(|security| security.reply_mode()).unwrap_or_default() })
        });
        match asked.await {
            Ok(mode) => *self.reply_mode.get_or_init(|| mode),
            Err(_) => ReplyMode::Buffer,
        }
    }

    /// Calls the plugin. `what` names the call in the log. A call that returns an error that blames the plugin counts as a
    /// failure, and its result is returned all the same.
    ///
    /// # Errors
    /// [`CallError`] where there is no result. The plugin's state is what it was: other calls go on.
    ///
    /// # Cancel safety
    /// The plugin's call is dropped with this one, on its own thread.
    pub async fn call<R, F>(&self, what: &'static str, timeout: Duration, work: F) -> Result<R, CallError>
    where
        R: Blame + Send + 'static,
        F: FnOnce(Arc<dyn Instance>) -> BoxFuture<'static, R> + Send + 'static,
    {
        self.call_for(None, what, timeout, work).await
    }

    /// Calls the plugin to answer an event: what it posts and emits meanwhile names the cause.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn call_for<R, F>(
        &self,
        cause: Option<Cause>,
        what: &'static str,
        timeout: Duration,
        work: F,
    ) -> Result<R, CallError>
    where
        R: Blame + Send + 'static,
        F: FnOnce(Arc<dyn Instance>) -> BoxFuture<'static, R> + Send + 'static,
    {
        let instance = self.instance.clone();
        self.guard.call(Call { what, timeout, cause }, move || work(instance)).await
    }

    /// Calls an inline plugin with what the caller lends it: nothing is copied, nothing but the call's own future is
    /// allocated. Nothing where the plugin runs elsewhere.
    pub fn inline(&self) -> Option<InlineHandle<'_>> {
        (self.isolation() == IsolationLevel::Inline).then_some(InlineHandle(self))
    }

    /// Calls the plugin on this task, whatever its isolation: for inline plugins, and for tasks on the plugin's own thread.
    pub(crate) async fn call_here<'a, R, F>(
        &'a self,
        cause: Option<Cause>,
        what: &'static str,
        timeout: Duration,
        work: F,
    ) -> Result<R, CallError>
    where
        R: Blame,
        F: FnOnce(&'a dyn Instance) -> BoxFuture<'a, R>,
    {
        self.guard.call_here(Call { what, timeout, cause }, || work(&*self.instance)).await
    }

    pub(crate) fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    pub(crate) fn instance(&self) -> &Arc<dyn Instance> {
        &self.instance
    }
}

const fn bit(hook: Hook) -> u8 {
    1 << hook as u8
}

impl fmt::Debug for PluginHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PluginHandle({})", self.name())
    }
}

/// A running plugin that runs where its caller does.
#[derive(Clone, Copy)]
pub struct InlineHandle<'a>(&'a PluginHandle);

impl<'a> InlineHandle<'a> {
    /// Calls the plugin, as [`PluginHandle::call`] does.
    ///
    /// # Errors
    /// As [`PluginHandle::call`].
    ///
    /// # Cancel safety
    /// The plugin's call is dropped with this one.
    pub async fn call<R, F>(self, what: &'static str, timeout: Duration, work: F) -> Result<R, CallError>
    where
        R: Blame,
        F: FnOnce(&'a dyn Instance) -> BoxFuture<'a, R>,
    {
        self.0.call_here(None, what, timeout, work).await
    }
}
