//! What the manager answers: a plugin as the operator sees it, its configuration without secrets, and why something was not
//! done. Knows no instance.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::PluginName;
use crate::incident::{Counters, LastError};
use crate::lifecycle::{Refusal, State};
use crate::manifest::Manifest;
use crate::permission::Permission;
use crate::plugin::Health;
use crate::problem::Problem;
use crate::settings::IsolationLevel;
use crate::store::StoreError;

/// A plugin as the operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its name.
    pub name: PluginName,
    /// The version that is linked; the one that was installed where none is.
    pub version: String,
    /// What it is.
    pub description: String,
    /// How far it is, with the cause where it stopped halfway.
    #[serde(flatten)]
    pub state: State,
    /// Whether it is asked at the moment; nothing while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerState>,
    /// Whether it can do its work, as it said last; nothing while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The permissions it asks for.
    pub declared: Vec<Permission>,
    /// Those of them that it has.
    pub granted: Vec<Permission>,
    /// Where its calls run.
    pub isolation: IsolationLevel,
    /// What it has been asked since the server started.
    pub counters: Counters,
    /// The last thing that went wrong. For operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// Everything it says of itself; nothing where it is not linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
}

/// Whether a running plugin is asked at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It failed too often of late: it is not, for a while.
    Open,
}

impl PluginInfo {
    /// Why it does not do its work: why it does not run, or, where it runs and is not asked, what went wrong last.
    pub fn cause(&self) -> Option<String> {
        let open = self.breaker == Some(BreakerState::Open);
        let failed = || self.last_error.as_ref().filter(|_| open).map(|error| error.message.clone());
        self.state.cause().or_else(failed)
    }
}

/// A plugin's configuration as the operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PluginConfig {
    /// The configuration, secrets masked.
    pub value: Value,
    /// How many times it was set over the API.
    pub revision: u64,
    /// Where each value was set, by JSON pointer.
    pub origins: BTreeMap<String, String>,
    /// The values that cannot be changed over the API, by JSON pointer, and where they are set.
    pub pinned: BTreeMap<String, String>,
    /// What is wrong with it: while there is any, the plugin cannot start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// The permissions that an install grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grants {
    /// What the bundle's and the operator's settings grant.
    Settings,
    /// These.
    These(Vec<Permission>),
}

/// Why the manager did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The plugin is not in this binary; see [`hint`](Self::hint).
    #[error("no plugin named `{0}` is linked into this binary")]
    NotLinked(PluginName),
    /// Its state does not allow it.
    #[error(transparent)]
    Refused(Refusal),
    /// Another version is linked.
    #[error("plugin `{name}` is linked in version {linked}, not in {wanted}")]
    Version {
        /// The plugin.
        name: PluginName,
        /// What is linked.
        linked: String,
        /// What was asked for.
        wanted: String,
    },
    /// The operator's file or environment decides it.
    #[error("{}", join(.0))]
    Pinned(Vec<Problem>),
    /// The configuration is not valid.
    #[error("the configuration is not valid: {}", join(.0))]
    Invalid(Vec<Problem>),
    /// Somebody else changed the configuration meanwhile.
    #[error("the configuration has revision {found}, not {expected}: somebody changed it meanwhile")]
    Revision {
        /// What was expected.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// It is to run and does not: it is blocked, or did not start. With a new configuration: the old one goes on.
    #[error("plugin `{name}` did not start: {cause}")]
    NotStarted {
        /// The plugin.
        name: PluginName,
        /// Why.
        cause: String,
    },
    /// What was decided could not be kept: nothing was changed.
    #[error("what was decided could not be stored")]
    Store(#[from] StoreError),
}

impl ManagerError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotLinked(name) => Some(format!(
                "plugins are linked when the bundle is built: add `{name}` to the root `Cargo.toml` as an optional \
                 dependency with a feature, run `cargo xtask bundle`, then build the bundle again"
            )),
            Self::Refused(Refusal::NotInstalled(name)) => {
                Some(format!("install it first: `plexichat plugin install {name}`"))
            }
            Self::Refused(Refusal::NeededBy { by, .. }) => {
                let names: Vec<&str> = by.iter().map(PluginName::as_str).collect();
                Some(format!("disable {} first", names.join(", ")))
            }
            Self::Refused(Refusal::Required(_)) => {
                Some("a required hook is a decision of the bundle: build a bundle without the plugin".to_owned())
            }
            Self::Refused(Refusal::Quarantined(_)) => Some("release it first".to_owned()),
            Self::Pinned(_) => Some("change it there, or remove it there and start the server again".to_owned()),
            Self::Revision { .. } => Some("read the configuration again and repeat the change".to_owned()),
            Self::Store(error) => Some(error.to_string()),
            _ => None,
        }
    }
}

impl From<Refusal> for ManagerError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLinked(name) => Self::NotLinked(name),
            refusal => Self::Refused(refusal),
        }
    }
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
