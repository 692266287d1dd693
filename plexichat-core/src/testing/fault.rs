//! A running plugin with a fault built in: what a test sees when a hook hangs, fails or panics. Knows no host.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::ai::{AiError, AiErrorKind, AiRequest, AiStream, EmbedRequest, Embeddings, Model, Turn};
use crate::canary::Canary;
use crate::command::{CommandCall, CommandReply};
use crate::descriptor::{Descriptor, Hook, Instance, Role};
use crate::error::{PluginError, Result};
use crate::event::Event;
use crate::file::{FileBody, FileMeta};
use crate::login::LoginAttempt;
use crate::message::{MessagePatch, MessageView, ScanError, Verdict};
use crate::plugin::Health;
use crate::plugin::ai_provider::AiProvider;
use crate::plugin::gui::{GuiReply, Interaction};
use crate::plugin::interface::{RouteAnswer, RouteCall};
use crate::plugin::security::Security;
use crate::reply::{ReplyMode, ReplyView};
use crate::tool::{ToolAnswer, ToolCall};
use crate::workflow::{Outcome as WorkflowOutcome, WorkflowError, WorkflowRun};

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never comes back.
    Timeout,
    /// It returns an error.
    Error,
    /// It panics.
    Panic,
}

/// The faults of one plugin, by the methods that have them.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<(String, Fault)>);

impl Faults {
    pub(super) fn add(&mut self, method: &str, fault: Fault) {
        self.0.push((method.to_owned(), fault));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The methods that the host never calls, so that their faults would show nothing.
    pub(super) fn unknown(&self, descriptor: &Descriptor) -> Option<String> {
        let known: Vec<&str> = callable(descriptor).into_iter().chain(["initialize"]).collect();
        let (method, _) = self.0.iter().find(|(method, _)| !known.contains(&method.as_str()))?;
        Some(format!(
            "plugin `{}` has no method `{method}` that the host calls; it has {}",
            descriptor.name,
            known.join(", ")
        ))
    }

    async fn strike(&self, method: &str) -> std::result::Result<(), String> {
        match self.0.iter().find(|(faulty, _)| faulty == method) {
            None => Ok(()),
            Some((_, Fault::Error)) => Err(format!("the test put an error into `{method}`")),
            Some((_, Fault::Panic)) => panic!("the test put a panic into `{method}`"),
            Some((_, Fault::Timeout)) => std::future::pending().await,
        }
    }

    pub(super) async fn strike_plugin(&self, method: &str) -> Result<()> {
        self.strike(method).await.map_err(PluginError::internal)
    }

    async fn strike_scan(&self, hook: Hook) -> std::result::Result<(), ScanError> {
        self.strike(hook.as_str()).await.map_err(ScanError::Internal)
    }
}

const PROVIDER_METHODS: &[&str] = &["models", "stream_response", "embed"];

/// The methods of a plugin that the host calls once it runs.
pub(super) fn callable(descriptor: &Descriptor) -> Vec<&'static str> {
    let hooks = descriptor.hooks.iter().map(|spec| spec.hook.as_str());
    let events = descriptor.events.iter().map(|spec| spec.method);
    let commands = descriptor.commands.iter().map(|spec| spec.method);
    let tools = descriptor.tools.iter().map(|spec| spec.method);
    let routes = (descriptor.entry.routes)().into_iter().map(|spec| spec.handler);
    let gui = (!(descriptor.entry.gui)().is_empty()).then_some("interact");
    let workflow = descriptor.provides.contains(&Role::Automation).then_some("execute_workflow");
    let provider = descriptor.provides.contains(&Role::AiProvider).then_some(PROVIDER_METHODS);
    let methods = hooks.chain(events).chain(commands).chain(tools).chain(routes).chain(["cleanup", "health"]);
    let methods = methods.chain(gui).chain(workflow);
    methods.chain(provider.unwrap_or_default().iter().copied()).collect()
}

/// An instance whose calls strike its faults first.
pub(super) struct Faulty {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) descriptor: &'static Descriptor,
    pub(super) faults: Faults,
}

impl Instance for Faulty {
    fn event<'a>(&'a self, handler: usize, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.faults.strike_plugin(self.descriptor.events[handler].method).await?;
            self.instance.event(handler, event).await
        })
    }

    fn command(&self, command: usize, call: CommandCall) -> BoxFuture<'_, Result<CommandReply>> {
        Box::pin(async move {
            self.faults.strike_plugin(self.descriptor.commands[command].method).await?;
            self.instance.command(command, call).await
        })
    }

    fn tool(&self, tool: usize, call: ToolCall) -> BoxFuture<'_, Result<ToolAnswer>> {
        Box::pin(async move {
            self.faults.strike_plugin(self.descriptor.tools[tool].method).await?;
            self.instance.tool(tool, call).await
        })
    }

    fn route(&self, route: usize, call: RouteCall) -> BoxFuture<'static, Result<RouteAnswer>> {
        let handler = (self.descriptor.entry.routes)().get(route).map_or("", |spec| spec.handler);
        let (faults, instance) = (self.faults.clone(), self.instance.clone());
        Box::pin(async move {
            faults.strike_plugin(handler).await?;
            instance.route(route, call).await
        })
    }

    fn interact(&self, component: usize, interaction: Interaction) -> BoxFuture<'static, Result<GuiReply>> {
        let (faults, instance) = (self.faults.clone(), self.instance.clone());
        Box::pin(async move {
            faults.strike_plugin("interact").await?;
            instance.interact(component, interaction).await
        })
    }

    fn workflow(&self, run: WorkflowRun) -> BoxFuture<'_, std::result::Result<WorkflowOutcome, WorkflowError>> {
        Box::pin(async move {
            self.faults.strike_plugin("execute_workflow").await?;
            self.instance.workflow(run).await
        })
    }

    fn security(&self) -> Option<&dyn Security> {
        self.instance.security().map(|_| self as &dyn Security)
    }

    fn ai_provider(&self) -> Option<&dyn AiProvider> {
        self.instance.ai_provider().map(|_| self as &dyn AiProvider)
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async move {
            match self.faults.strike("health").await {
                Ok(()) => self.instance.health().await,
                Err(why) => Health::Down(why),
            }
        })
    }

    fn cleanup(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.faults.strike_plugin("cleanup").await?;
            self.instance.cleanup().await
        })
    }

    fn as_any(&self) -> &dyn Any {
        self.instance.as_any()
    }
}

#[async_trait]
impl AiProvider for Faulty {
    async fn models(&self) -> std::result::Result<Vec<Model>, AiError> {
        self.faults.strike_plugin("models").await?;
        self.provider()?.models().await
    }

    async fn stream_response(&self, request: AiRequest) -> std::result::Result<AiStream, AiError> {
        self.faults.strike_plugin("stream_response").await?;
        self.provider()?.stream_response(request).await
    }

    async fn embed(&self, request: EmbedRequest) -> std::result::Result<Embeddings, AiError> {
        self.faults.strike_plugin("embed").await?;
        self.provider()?.embed(request).await
    }

    fn count_tokens(&self, model: &str, turns: &[Turn]) -> u32 {
        self.instance.ai_provider().map_or(0, |provider| provider.count_tokens(model, turns))
    }
}

impl Faulty {
    fn provider(&self) -> std::result::Result<&dyn AiProvider, AiError> {
        self.instance.ai_provider().ok_or_else(|| AiError::new(AiErrorKind::Internal, "it is no AI provider"))
    }
}

#[async_trait]
impl Security for Faulty {
    async fn rewrite_message(&self, message: &MessageView<'_>) -> std::result::Result<Option<MessagePatch>, ScanError> {
        self.faults.strike_scan(Hook::RewriteMessage).await?;
        match self.instance.security() {
            Some(security) => security.rewrite_message(message).await,
            None => Ok(None),
        }
    }

    async fn scan_message(&self, message: &MessageView<'_>) -> std::result::Result<Verdict, ScanError> {
        self.faults.strike_scan(Hook::ScanMessage).await?;
        match self.instance.security() {
            Some(security) => security.scan_message(message).await,
            None => Ok(Verdict::Allow),
        }
    }

    async fn scan_file(&self, file: &FileMeta, body: FileBody<'_>) -> std::result::Result<Verdict, ScanError> {
        self.faults.strike_scan(Hook::ScanFile).await?;
        match self.instance.security() {
            Some(security) => security.scan_file(file, body).await,
            None => Ok(Verdict::Allow),
        }
    }

    async fn scan_reply(&self, reply: &ReplyView<'_>) -> std::result::Result<Verdict, ScanError> {
        self.faults.strike_scan(Hook::ScanReply).await?;
        match self.instance.security() {
            Some(security) => security.scan_reply(reply).await,
            None => Ok(Verdict::Allow),
        }
    }

    fn reply_mode(&self) -> ReplyMode {
        self.instance.security().map(|security| security.reply_mode()).unwrap_or_default()
    }

    async fn check_login(&self, attempt: &LoginAttempt) -> std::result::Result<Verdict, ScanError> {
        self.faults.strike_scan(Hook::CheckLogin).await?;
        match self.instance.security() {
            Some(security) => security.check_login(attempt).await,
            None => Ok(Verdict::Allow),
        }
    }

    fn canaries(&self) -> Vec<Canary> {
        self.instance.security().map(|security| security.canaries()).unwrap_or_default()
    }
}
