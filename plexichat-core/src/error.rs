//! The error that a plugin's code returns. One table says what each kind means to a client and to the host.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::problem::Problem;

/// What a plugin's methods return.
pub type Result<T, E = PluginError> = std::result::Result<T, E>;

/// What kind of failure it was: decides the HTTP status, whether the host retries, and whether the plugin is blamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The plugin's configuration cannot work.
    Config,
    /// The caller asked for something impossible; the message is shown to the caller.
    Input,
    /// The plugin or the caller may not do that.
    Permission,
    /// There is no such thing.
    NotFound,
    /// A service that the plugin depends on failed.
    Upstream {
        /// When that service asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// It may work when tried again.
    Transient,
    /// Anything else: a mistake in the plugin.
    Internal,
}

impl ErrorKind {
    /// The code that a client sees.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Config => "plugin_misconfigured",
            Self::Input => "invalid_input",
            Self::Permission => "permission_denied",
            Self::NotFound => "not_found",
            Self::Upstream { .. } => "upstream_failed",
            Self::Transient => "temporarily_unavailable",
            Self::Internal => "plugin_failed",
        }
    }

    /// The HTTP status that a client sees.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Config | Self::Transient => 503,
            Self::Input => 422,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::Upstream { .. } => 502,
            Self::Internal => 500,
        }
    }

    /// Whether the host may try again.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Upstream { .. } | Self::Transient)
    }

    /// Whether it counts against the plugin: what the caller did wrong does not.
    pub const fn blames_plugin(self) -> bool {
        !matches!(self, Self::Input | Self::NotFound | Self::Permission)
    }
}

/// A plugin's failure: its kind, what failed, and why.
///
/// ```
/// use plexichat::error::{PluginError, ResultExt};
/// let failed: Result<u16, PluginError> = "x".parse::<u16>().context("reading the port");
/// assert_eq!(failed.unwrap_err().to_string(), "reading the port: invalid digit found in string");
/// ```
pub struct PluginError {
    kind: ErrorKind,
    code: Option<&'static str>,
    message: String,
    problems: Vec<Problem>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl PluginError {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), problems: Vec::new(), source: None }
    }

    /// The caller asked for something impossible; the message is shown to the caller.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// The caller asked for something impossible, in these places; all of it is shown to the caller.
    pub fn invalid(message: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self { problems, ..Self::new(ErrorKind::Input, message) }
    }

    /// The configuration cannot work.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// A mistake in the plugin.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// It may work when tried again.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// The plugin or the caller may not do that.
    pub fn permission(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Permission, message)
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure, said more exactly than its kind does.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// What failed, for programs: of a post that was refused the pipeline's own word, such as `rejected` or `rate_limited`; of
    /// anything else its kind's.
    pub fn code(&self) -> &'static str {
        self.code.unwrap_or(self.kind.code())
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What failed, without the causes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The places that do not fit, where the caller was told of them.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// The message and every cause behind it, joined by `: `.
impl fmt::Display for PluginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        for (index, problem) in self.problems.iter().enumerate() {
            write!(formatter, "{}{problem}", if index == 0 { ": " } else { "; " })?;
        }
        let mut cause = self.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(source) = cause {
            write!(formatter, ": {source}")?;
            // A `PluginError` shows its own causes.
            cause = if source.is::<PluginError>() { None } else { source.source() };
        }
        Ok(())
    }
}

impl fmt::Debug for PluginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {self}", self.kind)
    }
}

impl StdError for PluginError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Says what was being done when something failed.
pub trait ResultExt<T> {
    /// The same result, whose error says what was being done.
    ///
    /// # Errors
    /// The error that was there; a [`PluginError`] keeps its kind, any other becomes [`ErrorKind::Internal`].
    fn context(self, doing: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> ResultExt<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Into<String>) -> Result<T> {
        self.map_err(|error| {
            let source = error.into();
            let kind = source.downcast_ref::<PluginError>().map_or(ErrorKind::Internal, PluginError::kind);
            PluginError::new(kind, doing).with_source(source)
        })
    }
}

impl From<serde_json::Error> for PluginError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal("reading or writing JSON").with_source(error)
    }
}
