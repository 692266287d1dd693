//! What is in the binary: name, version, linked plugins. `GET /api/v1/bundle`, and the CLI without a server.

use std::sync::Arc;

use axum::extract::State;
use plexichat::Descriptor;
use schemars::JsonSchema;
use serde::Serialize;

use super::app::App;
use super::output::Shown;
use crate::Bundle;
use crate::error::ApiError;

/// What is in the binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct BundleInfo {
    /// The bundle's name.
    pub(crate) name: String,
    /// The bundle's version.
    pub(crate) version: String,
    /// The version of the core that it was built with.
    pub(crate) core: String,
    /// The linked plugins, by name.
    pub(crate) plugins: Vec<LinkedPlugin>,
}

/// One linked plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct LinkedPlugin {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What kind of plugin it is.
    #[serde(rename = "type")]
    pub(crate) kind: plexichat::descriptor::Role,
    /// What it does.
    pub(crate) description: String,
    /// Its licence.
    pub(crate) license: String,
}

pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Shown<BundleInfo>, ApiError> {
    Ok(Shown(app.bundle.clone()))
}

impl BundleInfo {
    /// What a bundle says of itself.
    pub(crate) fn of(bundle: &Bundle) -> Self {
        let mut plugins: Vec<LinkedPlugin> = bundle.expected.iter().map(LinkedPlugin::of).collect();
        plugins.sort_by(|left, right| left.name.cmp(&right.name));
        Self {
            name: bundle.name.to_owned(),
            version: bundle.version.to_owned(),
            core: plexichat::catalog::CORE_VERSION.to_owned(),
            plugins,
        }
    }
}

impl LinkedPlugin {
    fn of(descriptor: &Descriptor) -> Self {
        Self {
            name: descriptor.name.to_owned(),
            version: descriptor.package.version.to_owned(),
            kind: descriptor.kind(),
            description: descriptor.package.description.to_owned(),
            license: descriptor.package.license.to_owned(),
        }
    }
}
