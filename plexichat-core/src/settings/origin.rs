//! Where a value was set, in words that lead an operator there.

use std::fmt;
use std::sync::Arc;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// The bundle's embedded `config/bundle.toml`.
    Bundle {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// The API stored it.
    Api,
    /// The operator's file.
    File {
        /// Its path as it was given.
        path: Arc<str>,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// An environment variable.
    Environment(Arc<str>),
    /// An argument of the command line, such as `--listen`.
    Argument(&'static str),
}

impl Origin {
    /// Whether the API may not change it.
    pub const fn is_pinned(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Environment(_) | Self::Argument(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Bundle { line, column } => write!(formatter, "the bundle (config/bundle.toml:{line}:{column})"),
            Self::Api => formatter.write_str("the API"),
            Self::File { path, line, column } => write!(formatter, "{path}:{line}:{column}"),
            Self::Environment(name) => formatter.write_str(name),
            Self::Argument(name) => formatter.write_str(name),
        }
    }
}
