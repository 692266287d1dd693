//! A provider whose answers a test writes: for plugins that ask models. It runs beside the plugin under test, behind the real
//! broker and the real scanners. Knows no plugin.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde_json::json;

use super::bench::Bench;
use crate::ai::{
    AiDelta, AiError, AiErrorKind, AiRequest, AiStream, EmbedRequest, Embeddings, FinishReason, Model, Usage,
};
use crate::command::{CommandCall, CommandReply};
use crate::descriptor::{Descriptor, Entry, Instance, Package, Role};
use crate::error::Result;
use crate::event::Event;
use crate::plugin::Health;
use crate::plugin::ai_provider::AiProvider;
use crate::plugin::security::Security;

/// The model that a test's script answers for, as plugins ask for it.
pub const MODEL: &str = "test-models/model";

type Script = dyn Fn(&AiRequest) -> Result<AiStream, AiError> + Send + Sync;

/// Records what models are asked and answers from a script.
#[derive(Default)]
pub(super) struct ScriptedAi {
    script: Option<Box<Script>>,
    asked: Mutex<Vec<AiRequest>>,
}

impl ScriptedAi {
    pub(super) fn answer(&mut self, script: impl Fn(&AiRequest) -> Result<AiStream, AiError> + Send + Sync + 'static) {
        self.script = Some(Box::new(script));
    }

    pub(super) fn is_there(&self) -> bool {
        self.script.is_some()
    }

    pub(super) fn asked(&self) -> Vec<AiRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An answer that is this text, for scripts: word by word, as models speak.
pub fn says(text: &str) -> AiStream {
    let mut pieces: Vec<AiDelta> = text.split_inclusive(' ').map(AiDelta::text).collect();
    let output_tokens = pieces.len() as u64;
    pieces.push(AiDelta::Usage(Usage { output_tokens, ..Usage::default() }));
    pieces.push(AiDelta::finish(FinishReason::Stop));
    AiStream::of(pieces)
}

/// An answer that calls this tool, for scripts.
pub fn calls(tool: &str, arguments: &serde_json::Value) -> AiStream {
    let call = AiDelta::ToolCall {
        index: 0,
        id: Some("call-1".to_owned()),
        name: Some(tool.to_owned()),
        arguments: arguments.to_string(),
    };
    AiStream::of([call, AiDelta::finish(FinishReason::ToolCalls)])
}

/// The plugin that answers.
pub(super) static PROVIDER: Descriptor = Descriptor {
    name: "test-models",
    package: Package {
        name: "plexichat-test-models",
        version: env!("CARGO_PKG_VERSION"),
        description: "Answers what a test's script says",
        authors: env!("CARGO_PKG_AUTHORS"),
        license: "MIT OR Apache-2.0",
        repository: env!("CARGO_PKG_REPOSITORY"),
        rust_version: env!("CARGO_PKG_RUST_VERSION"),
    },
    entry_point: "plexichat::testing::Scripted",
    category: "testing",
    tags: &[],
    core: "*",
    provides: &[Role::AiProvider],
    permissions: &[],
    requires: &[],
    hooks: &[],
    events: &[],
    commands: &[],
    tools: &[],
    emits: &[],
    absolute_routes: &[],
    assets: &[],
    locales: &[],
    entry: Entry {
        config_schema: || json!({"type": "object", "additionalProperties": false}),
        default_config: || json!({}),
        check_config: |_| Vec::new(),
        routes: Vec::new,
        route_error: |_| None,
        gui: Vec::new,
        triggers: Vec::new,
        start: |services, _| {
            Box::pin(async move { Ok(Arc::new(Scripted(Bench::of(&services)?)) as Arc<dyn Instance>) })
        },
    },
};

struct Scripted(Arc<Bench>);

#[async_trait]
impl AiProvider for Scripted {
    async fn models(&self) -> Result<Vec<Model>, AiError> {
        let mut model = Model::new("model");
        model.abilities.tools = true;
        model.abilities.embeddings = true;
        Ok(vec![model])
    }

    async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError> {
        let ai = &self.0.ai;
        let answer = match &ai.script {
            Some(script) => script(&request),
            None => Err(AiError::new(AiErrorKind::Unavailable, "the test has no answer: `TestHost::ai(|request| ..)`")),
        };
        ai.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        answer
    }

    /// A vector for each text: its length, and its words.
    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, AiError> {
        let count = |number: usize| f32::from(u16::try_from(number).unwrap_or(u16::MAX));
        let vector = |text: &String| vec![count(text.len()), count(text.split_whitespace().count())];
        Ok(Embeddings { vectors: request.input.iter().map(vector).collect(), usage: None })
    }
}

impl Instance for Scripted {
    fn event<'a>(&'a self, _: usize, _: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn command(&self, _: usize, _: CommandCall) -> BoxFuture<'_, Result<CommandReply>> {
        Box::pin(std::future::ready(Ok(CommandReply::Nothing)))
    }

    fn security(&self) -> Option<&dyn Security> {
        None
    }

    fn ai_provider(&self) -> Option<&dyn AiProvider> {
        Some(self)
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(std::future::ready(Health::Healthy))
    }

    fn cleanup(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
