//! What steps do to the outside, as a port: the host fills it, and tests do. Knows no definition.

use std::time::Duration;

use async_trait::async_trait;
use plexichat::ai::AiError;
use plexichat::error::{ErrorKind, PluginError};
use plexichat::message::Time;
use plexichat::workflow::WorkflowRun;
use serde::Serialize;
use serde_json::Value;

use crate::approvals::{Answer, Approval};

/// What a step does, with every template filled in.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "does", rename_all = "snake_case")]
pub(crate) enum Act {
    Post {
        room: Option<String>,
        text: String,
        reply_to: Option<String>,
    },
    Ai {
        model: String,
        system: Option<String>,
        prompt: String,
        max_output_tokens: Option<u32>,
        temperature: Option<f32>,
    },
    Tool {
        name: String,
        arguments: Value,
    },
    Http {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: Option<Body>,
        expects: Vec<u16>,
    },
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    Json(Value),
    Text(String),
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// Whether it may work later.
    pub(crate) passes: bool,
    /// Not before.
    pub(crate) after: Option<Duration>,
}

impl Failure {
    pub(crate) fn for_good(message: impl Into<String>) -> Self {
        Self { message: message.into(), passes: false, after: None }
    }

    pub(crate) fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), passes: true, after: None }
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        let after = match error.kind() {
            ErrorKind::Upstream { retry_after } => retry_after,
            _ => None,
        };
        Self { message: error.to_string(), passes: error.kind().retryable(), after }
    }
}

impl From<AiError> for Failure {
    fn from(error: AiError) -> Self {
        Self { message: error.to_string(), passes: error.kind().retryable(), after: error.retry_after() }
    }
}

/// The outside.
#[async_trait]
pub(crate) trait World: Send + Sync {
    fn now(&self) -> Time;
    async fn sleep(&self, length: Duration);
    /// Does it, once for each key where whoever is asked knows keys.
    async fn act(&self, run: &WorkflowRun, act: Act, key: &str, timeout: Duration) -> Result<Value, Failure>;
    /// Keeps the question, where it is not kept yet, and tells a room of it.
    async fn ask(&self, run: &WorkflowRun, approval: Approval, key: &str) -> Result<(), Failure>;
    /// What somebody answered; nothing where nobody has.
    async fn answer(&self, id: &str) -> Result<Option<Answer>, Failure>;
    /// The question is settled.
    async fn close(&self, id: &str);
}
