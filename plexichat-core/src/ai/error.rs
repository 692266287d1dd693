//! How a provider fails. Knows no wire format.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::shown;
use crate::error::{ErrorKind, PluginError};

/// A provider gave no answer, or broke one off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AiError {
    kind: AiErrorKind,
    message: String,
    /// Whether a scanner of this server said it, whose words are meant for people.
    of_scanner: bool,
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

    /// The words that everybody may read, whatever the service said.
    pub const fn words(self) -> &'static str {
        match self {
            Self::InvalidRequest => "the model does not take this request",
            Self::Auth | Self::PermissionDenied => "the provider refused this server's key",
            Self::ModelNotFound => "there is no such model",
            Self::ContextLength { .. } => "the conversation is longer than the model takes",
            Self::RateLimited { .. } => "the provider was asked too often",
            Self::QuotaExceeded { .. } => "the quota is used up",
            Self::ContentFiltered => "it was withheld",
            Self::Unavailable => "the provider cannot answer now",
            Self::ScannerUnavailable => "a scanner whose word is needed gives none",
            Self::Timeout => "the provider took too long",
            Self::Cancelled => "it was cancelled",
            Self::Protocol => "the provider answered what makes no sense",
            Self::Internal => "the provider's plugin failed",
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
        Self { kind, message: message.into(), of_scanner: false }
    }

    /// What a scanner of this server says. Only the host makes these: a service that withholds an answer says what is the
    /// operator's alone.
    #[cfg(any(feature = "host", test))]
    pub(crate) fn of_scanner(kind: AiErrorKind, message: impl Into<String>) -> Self {
        Self { of_scanner: true, ..Self::new(kind, message) }
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

    /// What failed, in full: for the operator. What others may read of it is [`public_message`](Self::public_message).
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the caller may read of the message itself; else it is the operator's alone.
    pub const fn is_public(&self) -> bool {
        match self.kind {
            AiErrorKind::InvalidRequest
            | AiErrorKind::ContextLength { .. }
            | AiErrorKind::ModelNotFound
            | AiErrorKind::QuotaExceeded { .. } => true,
            AiErrorKind::ContentFiltered | AiErrorKind::ScannerUnavailable => self.of_scanner,
            _ => false,
        }
    }

    /// What the caller may read: the message where it tells them what to do otherwise, cut and without addresses and
    /// identifiers of the service's side; else the fixed [`words`](AiErrorKind::words).
    pub fn public_message(&self) -> Cow<'_, str> {
        match self.is_public() {
            true => shown(&self.message),
            false => Cow::Borrowed(self.kind.words()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &AiError, public: &str) {
        assert_eq!(error.public_message(), public, "{error:?}");
        assert_eq!(PluginError::from(error.clone()).message(), public, "{error:?}");
    }

    #[test]
    fn what_a_service_says_of_itself_is_the_operators_alone() {
        use AiErrorKind as Kind;
        let said = "org-Xk29slPq0 at http://10.1.2.3:8000 is over its limit";
        let retry_after = Some(Duration::from_secs(1));
        for kind in [
            Kind::Auth,
            Kind::PermissionDenied,
            Kind::RateLimited { retry_after },
            Kind::ContentFiltered,
            Kind::Unavailable,
            Kind::ScannerUnavailable,
            Kind::Timeout,
            Kind::Cancelled,
            Kind::Protocol,
            Kind::Internal,
        ] {
            let error = AiError::new(kind, said);
            check(&error, kind.words());
            assert_eq!(error.message(), said);
        }
        for kind in [
            Kind::InvalidRequest,
            Kind::ContextLength { limit: None },
            Kind::ModelNotFound,
            Kind::QuotaExceeded { retry_after },
        ] {
            check(&AiError::new(kind, said), "[…] at […] is over its limit");
        }
    }

    #[test]
    fn what_this_servers_scanners_say_is_for_people() {
        for kind in [AiErrorKind::ContentFiltered, AiErrorKind::ScannerUnavailable] {
            check(&AiError::of_scanner(kind, "withheld by `moderation`: pii"), "withheld by `moderation`: pii");
        }
    }
}
