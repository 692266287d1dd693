//! What handlers work with: the running parts of one server.

use axum::body::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use plexichat::host::Host;
use tokio::sync::watch;

use super::bundle::BundleInfo;
use crate::auth::Authenticator;
use crate::live::hub::Hub;
use crate::store::Store;

/// The running parts of one server.
pub(crate) struct App {
    /// Pipeline, plugins, bus.
    pub(crate) host: Host,
    /// What is kept.
    pub(crate) store: Store,
    /// Who is it.
    pub(crate) authenticator: Authenticator,
    /// Who listens.
    pub(crate) hub: Hub,
    /// What is in the binary.
    pub(crate) bundle: BundleInfo,
    /// The address that people use.
    pub(crate) public_url: Option<String>,
    /// The longest text that is stored, in bytes.
    pub(crate) text_bytes: usize,
    /// The counters.
    pub(crate) metrics: PrometheusHandle,
    /// Turns true when the server begins to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    /// The OpenAPI document, written once.
    pub(crate) document: Bytes,
}
