//! OpenAI's API over every AI provider of the bundle.
//!
//! Start with [`OpenaiGateway`], whose routes are the whole of it; then `chat.rs` and `embeddings.rs` for what is asked,
//! `answer.rs` and `chunk.rs` for what is answered, and `failure.rs` for what goes wrong.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod chat;
mod chunk;
mod config;
mod embeddings;
mod failure;
mod fields;
mod host;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use plexichat::capability::ai::{Ai, AiCall};
use plexichat::message::Origin;
use plexichat::prelude::*;

use crate::chunk::Writer;
pub use crate::config::Config;
use crate::failure::Failure;

/// The largest request: pictures come within it.
const MAX_BODY: u64 = 20 << 20;

/// How long an answer that is not streamed may take, and the first piece of one that is: the host's own limits on providers
/// end it before.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// So many pieces of an answer are written at once, where they are ready at once.
const TOGETHER: usize = 64;

/// Answers OpenAI's clients.
#[plexichat::plugin(
    provides(Interface),
    permissions(AiAccess),
    category = "integration",
    tags("ai", "openai", "api"),
    absolute("/v1/models", "/v1/chat/completions", "/v1/embeddings")
)]
pub struct OpenaiGateway {
    ai: Ai,
    config: Config,
    /// When it started, in seconds since 1970: what OpenAI's API calls a model's age.
    started: i64,
    context: Context<Self>,
}

impl Plugin for OpenaiGateway {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        let started = seconds(&context);
        Ok(Self { ai: context.ai(), config, started, context })
    }
}

#[plexichat::role]
impl Interface for OpenaiGateway {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        const AI: Auth = Auth::Scope("ai");
        routes
            .get("/v1/models", AI, Self::models)
            .get("/v1/models/{id...}", AI, Self::model)
            .post("/v1/chat/completions", AI, Self::chat)
            .body_up_to(MAX_BODY)
            .within(PATIENCE)
            .post("/v1/embeddings", AI, Self::embeddings)
            .body_up_to(MAX_BODY)
            .within(PATIENCE)
    }

    fn error_body(refusal: &RouteRefusal<'_>) -> Option<Value> {
        Some(failure::of_host(refusal))
    }
}

/// What a request ends in: an answer, or what stands in its place.
type Answered = std::result::Result<RouteAnswer, Failure>;

impl OpenaiGateway {
    async fn models(self: Arc<Self>, _: RouteCall) -> Result<RouteAnswer> {
        settled(self.list().await)
    }

    async fn model(self: Arc<Self>, call: RouteCall) -> Result<RouteAnswer> {
        settled(self.show(call.parameter("id").unwrap_or_default()).await)
    }

    async fn chat(self: Arc<Self>, call: RouteCall) -> Result<RouteAnswer> {
        settled(self.complete(call).await)
    }

    async fn embeddings(self: Arc<Self>, call: RouteCall) -> Result<RouteAnswer> {
        settled(self.embed(call).await)
    }

    async fn list(&self) -> Answered {
        let models = self.ai.models().await?;
        let named = models.iter().map(|model| model.id.as_str());
        let data: Vec<Value> =
            named.chain(self.config.aliases.keys().map(String::as_str)).map(|id| self.described(id)).collect();
        Ok(RouteAnswer::json(200, &json!({ "object": "list", "data": data }))?)
    }

    async fn show(&self, id: &str) -> Answered {
        let meant = self.config.meant(id);
        let models = self.ai.models().await?;
        match models.iter().any(|model| model.id == meant) {
            true => Ok(RouteAnswer::json(200, &self.described(id))?),
            false => Err(AiError::no_model(id).into()),
        }
    }

    /// A model as OpenAI's API shows one.
    fn described(&self, id: &str) -> Value {
        let owner = self.config.meant(id).split('/').next().unwrap_or_default();
        json!({ "id": id, "object": "model", "created": self.started, "owned_by": owner })
    }

    async fn complete(&self, call: RouteCall) -> Answered {
        let chat::Asked { mut request, stream, include_usage } = chat::read(&call.body)?;
        let named = std::mem::take(&mut request.model);
        self.config.meant(&named).clone_into(&mut request.model);
        let head = answer::Head { request_id: &call.request_id, model: &named, created: seconds(&self.context) };
        let asked = AiCall::new(request).on_behalf_of(call.caller, Origin::Openai);
        let pieces = self.ai.stream(asked).await?;
        if !stream {
            return Ok(RouteAnswer::json(200, &answer::whole(&head, pieces.collect().await?)?)?);
        }
        let mut writer = Writer::new(&head, include_usage);
        let frames = pieces.ready_chunks(TOGETHER).map(move |pieces| Ok(writer.write(pieces)));
        Ok(RouteAnswer::stream(200, "text/event-stream; charset=utf-8", frames))
    }

    async fn embed(&self, call: RouteCall) -> Answered {
        let embeddings::Asked { mut request, base64 } = embeddings::read(&call.body)?;
        let named = std::mem::take(&mut request.model);
        self.config.meant(&named).clone_into(&mut request.model);
        let asked = AiCall::new(request).on_behalf_of(call.caller, Origin::Openai);
        let found = self.ai.embed(asked).await?;
        let body = embeddings::written(&named, &found, base64);
        Ok(RouteAnswer::new(200).header("content-type", "application/json").body(body))
    }
}

fn settled(answered: Answered) -> Result<RouteAnswer> {
    answered.or_else(|failure| failure.answer())
}

fn seconds(context: &Context<OpenaiGateway>) -> i64 {
    context.now().as_micros() / 1_000_000
}
