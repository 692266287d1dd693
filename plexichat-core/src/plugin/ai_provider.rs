//! The role of AI providers: what answers prompts. Knows no broker and no wire format.

use async_trait::async_trait;

use crate::ai::{AiError, AiErrorKind, AiRequest, AiResponse, AiStream, EmbedRequest, Embeddings, Model, Part, Turn};

/// Answers prompts with models of a service, or of its own.
///
/// Put `#[plexichat::role]` on the implementation. Models are known to everybody else as `plugin/model`; here they have the
/// provider's own names. The host chooses the provider, watches its times, tries again, counts what is used, and shows every
/// answer to the scanners: a provider only speaks to its service.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `provides(AiProvider)` and does not implement it",
    note = "add `#[plexichat::role] impl AiProvider for {Self} {{ .. }}`"
)]
pub trait AiProvider: Send + Sync + 'static {
    /// The models that it serves now. The host asks at most once a minute.
    ///
    /// # Errors
    /// The service cannot say.
    ///
    /// # Cancel safety
    /// The call is dropped when its time is up.
    async fn models(&self) -> Result<Vec<Model>, AiError>;

    /// Begins an answer. Returns once the service has taken the request; what it says comes through the stream.
    ///
    /// # Errors
    /// The service refused, or cannot be reached. The host may try again, or ask another provider.
    ///
    /// # Cancel safety
    /// Dropping the call or the stream cancels the request to the service.
    async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError>;

    /// A whole answer. Collects the stream unless the provider knows better.
    ///
    /// # Errors
    /// As [`stream_response`](Self::stream_response), and where the answer breaks off.
    ///
    /// # Cancel safety
    /// Dropping the call cancels the request to the service.
    async fn generate_response(&self, request: AiRequest) -> Result<AiResponse, AiError> {
        self.stream_response(request).await?.collect().await
    }

    /// Makes texts into vectors.
    ///
    /// # Errors
    /// `InvalidRequest` where the provider has no such models, as it is where this is not written.
    ///
    /// # Cancel safety
    /// Dropping the call cancels the request to the service.
    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, AiError> {
        let model = request.model;
        Err(AiError::new(AiErrorKind::InvalidRequest, format!("`{model}` makes no embeddings")))
    }

    /// About how many tokens these turns are: for what fits into a model's context, and for quotas before an answer's true
    /// cost is known. A quarter of the text's bytes, unless the provider knows better.
    fn count_tokens(&self, model: &str, turns: &[Turn]) -> u32 {
        let _ = model;
        estimated_tokens(turns)
    }
}

/// About how many tokens these turns are where nobody knows the model's own count: a quarter of the bytes, four for each
/// turn, and a thousand for each picture.
pub fn estimated_tokens(turns: &[Turn]) -> u32 {
    let part = |part: &Part| match part {
        Part::Text { text } => text.len() / 4 + 1,
        Part::Image { .. } => 1_000,
        Part::ToolCall(call) => (call.name.len() + call.arguments.len()) / 4 + 1,
        Part::ToolResult { content, .. } => content.len() / 4 + 1,
    };
    let tokens = turns.iter().map(|turn| 4 + turn.parts.iter().map(part).sum::<usize>()).sum::<usize>();
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
