//! How a provider fails. Knows no wire format.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, PluginError};

/// A provider gave no answer, or broke one off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AiError {
    kind: AiErrorKind,
    message: String,
}

/// What kind of failure it was: decides whether the host tries again, elsewhere, and what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AiErrorKind {
    /// The service does not take such a request; the message is shown to the caller.
    InvalidRequest,
    /// The service does not know the key: an operator has to set another.
    Auth,
    /// The key may not do that.
    PermissionDenied,
    /// There is no such model.
    ModelNotFound,
    /// Question and answer are longer than the model takes.
    ContextLength {
        /// How many tokens it takes, where that is known.
        limit: Option<u32>,
    },
    /// Too many requests for the service.
    RateLimited {
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// Whoever asks has used up what they may, by this server's own count.
    QuotaExceeded {
        /// When they may ask again.
        retry_after: Option<Duration>,
    },
    /// Question or answer was withheld, by the service or by a scanner.
    ContentFiltered,
    /// The service cannot be reached or says that it is down.
    Unavailable,
    /// A scanner whose word is needed gives none.
    ScannerUnavailable,
    /// It took too long.
    Timeout,
    /// Whoever asked wanted no more.
    Cancelled,
    /// The service answered what makes no sense.
    Protocol,
    /// A mistake in the provider's plugin.
    Internal,
}

impl AiErrorKind {
    /// The code that a client sees.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Auth => "provider_auth",
            Self::PermissionDenied => "permission_denied",
            Self::ModelNotFound => "model_not_found",
            Self::ContextLength { .. } => "context_length_exceeded",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::ContentFiltered => "content_filter",
            Self::Unavailable => "provider_unavailable",
            Self::ScannerUnavailable => "scanner_unavailable",
            Self::Timeout => "provider_timeout",
            Self::Cancelled => "cancelled",
            Self::Protocol => "provider_protocol",
            Self::Internal => "provider_failed",
        }
    }

    /// Whether the same request may be answered when it is sent again, here or by another provider.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable | Self::Timeout | Self::Protocol | Self::Internal)
    }

    /// Whether another provider may have an answer where this one has none.
    pub const fn another_may_answer(self) -> bool {
        self.retryable() || matches!(self, Self::Auth | Self::PermissionDenied | Self::ModelNotFound)
    }

    /// Whether it counts against the plugin: what the caller did wrong, a quota, or a service that is down does not. A
    /// quarantined provider would stay away after its service is back.
    pub const fn blames_plugin(self) -> bool {
        matches!(self, Self::Protocol | Self::Internal)
    }
}

impl AiError {
    /// A failure of this kind. The message must have no secret in it.
    pub fn new(kind: AiErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The service does not take such a request; the message is shown to the caller.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(AiErrorKind::InvalidRequest, message)
    }

    /// There is no such model.
    pub fn no_model(model: &str) -> Self {
        Self::new(AiErrorKind::ModelNotFound, format!("there is no model `{model}`"))
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> AiErrorKind {
        self.kind
    }

    /// What failed, for the operator, and for the caller where [`is_public`](Self::is_public).
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the message is the caller's to read; else it is the operator's alone.
    pub const fn is_public(&self) -> bool {
        !matches!(
            self.kind,
            AiErrorKind::Auth | AiErrorKind::PermissionDenied | AiErrorKind::Internal | AiErrorKind::Protocol
        )
    }

    /// What the caller may read.
    pub fn public_message(&self) -> &str {
        match self.kind {
            AiErrorKind::Auth | AiErrorKind::PermissionDenied => "the provider refused this server's key",
            AiErrorKind::Internal => "the provider's plugin failed",
            AiErrorKind::Protocol => "the provider answered what makes no sense",
            _ => &self.message,
        }
    }

    /// When it may be tried again, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            AiErrorKind::RateLimited { retry_after } | AiErrorKind::QuotaExceeded { retry_after } => retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for AiErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// What the SDK's own calls fail with, as a provider passes it on with `?`.
impl From<PluginError> for AiError {
    fn from(error: PluginError) -> Self {
        let kind = match error.kind() {
            ErrorKind::Upstream { retry_after: Some(after) } => AiErrorKind::RateLimited { retry_after: Some(after) },
            ErrorKind::Upstream { retry_after: None } | ErrorKind::Transient => AiErrorKind::Unavailable,
            ErrorKind::Input => AiErrorKind::InvalidRequest,
            ErrorKind::Permission => AiErrorKind::PermissionDenied,
            ErrorKind::NotFound => AiErrorKind::ModelNotFound,
            ErrorKind::Config | ErrorKind::Internal => AiErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

/// What a plugin that asks a model passes on with `?`.
impl From<AiError> for PluginError {
    fn from(error: AiError) -> Self {
        let kind = match error.kind {
            AiErrorKind::InvalidRequest | AiErrorKind::ContextLength { .. } | AiErrorKind::ContentFiltered => {
                ErrorKind::Input
            }
            AiErrorKind::ModelNotFound => ErrorKind::NotFound,
            AiErrorKind::RateLimited { retry_after } | AiErrorKind::QuotaExceeded { retry_after } => {
                ErrorKind::Upstream { retry_after }
            }
            AiErrorKind::Cancelled | AiErrorKind::ScannerUnavailable => ErrorKind::Transient,
            _ => ErrorKind::Upstream { retry_after: None },
        };
        Self::new(kind, error.public_message())
    }
}
