//! What the host asks of a provider, a tool and a route, asked by a test: through the guard, past broker and listener.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::Value;

use super::TestResult;
use super::running::RunningPlugin;
use crate::ai::{AiError, AiErrorKind, AiRequest, AiStream, EmbedRequest, Embeddings, Model};
use crate::descriptor::Registered;
use crate::guard::{CallError, PluginHandle};
use crate::plugin::interface::{Caller, RouteAnswer, RouteCall};
use crate::routes::{Lookup, PREFIX, Route, RouteTable};
use crate::tool::{ToolAnswer, ToolCall};

/// How long a provider may take for a whole call.
const PATIENCE: Duration = Duration::from_secs(60);

impl<P: Registered> RunningPlugin<P> {
    /// The models that the plugin says it has, by its own names.
    ///
    /// # Errors
    /// Its own, and `Internal` where the call gives nothing.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn models(&self) -> Result<Vec<Model>, AiError> {
        let handle = self.handle()?;
        let asked = handle.call("models", PATIENCE, |instance| {
            Box::pin(async move {
                match instance.ai_provider() {
                    Some(provider) => provider.models().await,
                    None => Err(not_a_provider()),
                }
            })
        });
        asked.await.map_err(lost)?
    }

    /// Asks the plugin for an answer, as the broker does, and without it: nobody chooses, tries again or judges. The model has
    /// the plugin's own name. The stream runs where the plugin does; dropping it cancels the plugin's.
    ///
    /// # Errors
    /// Its own, and `Internal` where the call gives nothing.
    ///
    /// # Cancel safety
    /// Dropping the call drops the plugin's.
    pub async fn stream(&self, request: AiRequest) -> Result<AiStream, AiError> {
        let handle = self.handle()?;
        let asked = handle.stream(None, "stream_response", PATIENCE, move |instance| {
            Box::pin(async move {
                let Some(provider) = instance.ai_provider() else { return Err(not_a_provider()) };
                let stream: BoxStream<'static, _> = provider.stream_response(request).await?.boxed();
                Ok(stream)
            })
        });
        let guarded = asked.await.map_err(lost)??;
        Ok(AiStream::new(stream::unfold(guarded, |mut guarded| async move {
            let piece = guarded.next().await?;
            Some((piece.unwrap_or_else(|error| Err(lost(error))), guarded))
        })))
    }

    /// Has the plugin make texts into vectors.
    ///
    /// # Errors
    /// Its own, and `Internal` where the call gives nothing.
    ///
    /// # Cancel safety
    /// Dropping the call drops the plugin's.
    pub async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, AiError> {
        let handle = self.handle()?;
        let asked = handle.call("embed", PATIENCE, move |instance| {
            Box::pin(async move {
                match instance.ai_provider() {
                    Some(provider) => provider.embed(request).await,
                    None => Err(not_a_provider()),
                }
            })
        });
        asked.await.map_err(lost)?
    }

    /// What models were asked by the plugin, where the test answers them with [`TestHost::ai`](super::TestHost::ai).
    pub fn asked(&self) -> Vec<AiRequest> {
        self.bench().ai.asked()
    }

    /// Calls a tool of the plugin for a person, in the room. Nobody is asked for leave.
    ///
    /// # Errors
    /// The tool's own, and where there is no such tool or the call gives nothing.
    ///
    /// # Cancel safety
    /// A dropped call may have begun.
    pub async fn tool(&self, person: &str, name: &str, arguments: Value) -> TestResult<ToolAnswer> {
        let tools = P::DESCRIPTOR.tools;
        let index = tools.iter().position(|tool| tool.name == name).ok_or_else(|| {
            let names: Vec<&str> = tools.iter().map(|tool| tool.name).collect();
            format!("plugin `{}` has no tool `{name}`; it has: {}", P::DESCRIPTOR.name, names.join(", "))
        })?;
        let key = crate::id::MessageId::new().to_string();
        let call = ToolCall::new(name, arguments, self.caller(person), Some(self.room()), &key);
        let handle = self.handle()?;
        let called = handle.call(tools[index].method, handle.timeouts().tool, move |instance| {
            Box::pin(async move { instance.tool(index, call).await })
        });
        Ok(called.await??)
    }

    /// Calls the route of the plugin that this call's method and path fit, and fills its parameters in. A path is the whole
    /// address, or what is below `/api/v1/plugins/{plugin}`. Who may call, and how large a body may be, is the server's to ask:
    /// [`caller`](Self::caller) makes whoever calls.
    ///
    /// # Errors
    /// The route's own, and where there is no such route or the call gives nothing.
    ///
    /// # Cancel safety
    /// A dropped call may have begun.
    pub async fn route(&self, call: RouteCall) -> TestResult<RouteAnswer> {
        let (route, call) = self.found(call)?;
        let (index, plugin) = (route.index, self.handle()?);
        let called =
            plugin.call(route.spec.handler, route.spec.timeout, move |instance| Box::pin(instance.route(index, call)));
        Ok(called.await??)
    }

    /// The route that a call's method and path fit, and the call with its parameters.
    pub(super) fn found(&self, mut call: RouteCall) -> TestResult<(Route, RouteCall)> {
        let table = RouteTable::new(&[P::DESCRIPTOR]);
        let below = format!("{PREFIX}{}{}", P::DESCRIPTOR.name, call.path);
        let found = [&call.path, &below].into_iter().find_map(|path| match table.find(&call.method, path) {
            Lookup::Found(route, parameters) => Some((route.clone(), parameters)),
            Lookup::OtherMethods(..) | Lookup::Nothing => None,
        });
        let Some((route, parameters)) = found else {
            let known = table.routes().map(|route| format!("{} {}", route.spec.method, route.spec.path));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(format!("there is no route `{} {}`; there are: {known}", call.method, call.path).into());
        };
        call.parameters = parameters;
        Ok((route, call))
    }

    pub(super) fn running(&self) -> TestResult<Arc<PluginHandle>> {
        Ok(self.handle()?)
    }

    /// A person, as the host knows whoever calls a route or a tool.
    pub fn caller(&self, person: &str) -> Caller {
        Caller::known(self.actor(person))
    }

    fn handle(&self) -> Result<Arc<PluginHandle>, AiError> {
        let name = P::DESCRIPTOR.plugin_name();
        let running = self.host().manager.snapshot().plugin(&name).cloned();
        running.ok_or_else(|| AiError::new(AiErrorKind::Internal, format!("plugin `{name}` does not run")))
    }
}

fn not_a_provider() -> AiError {
    AiError::new(AiErrorKind::Internal, "the plugin is no AI provider")
}

fn lost(error: CallError) -> AiError {
    AiError::new(AiErrorKind::Internal, error.to_string())
}
