//! The words of AI: what a provider is asked, what it answers, how it fails. One shape for every vendor. Knows no provider,
//! no host and no wire format.

mod error;
mod request;
mod response;
pub mod service;
mod shown;
mod stream;

pub use error::{AiError, AiErrorKind};
pub use request::{
    AiRequest, EmbedRequest, ImageSource, Part, ResponseFormat, Sampling, ToolChoice, ToolDefinition, Turn, TurnRole,
};
pub use response::{AiDelta, AiResponse, Embeddings, FinishReason, Model, ModelAbilities, ToolRequest, Usage};
pub use stream::AiStream;
