//! Asking the AI providers of the bundle, behind `AiAccess`. The host chooses the provider, counts, and shows question and
//! answer to the scanners.

use std::sync::Arc;

use async_trait::async_trait;

use super::Scope;
use crate::ai::{AiError, AiRequest, AiResponse, AiStream, EmbedRequest, Embeddings, Model};
use crate::id::{PluginName, RoomId};
use crate::message::Origin;
use crate::permission::Permission;
use crate::plugin::interface::Caller;

/// Asks models.
#[derive(Clone)]
pub struct Ai {
    scope: Arc<Scope>,
    port: Arc<dyn AiPort>,
}

/// What is asked, for whom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AiCall<R> {
    /// What is asked. The model's name is `plugin/model`.
    pub request: R,
    /// For whom: whose quota it counts against, and whose words the scanners judge. The plugin itself where nobody is named.
    pub caller: Caller,
    /// The room that it is for.
    pub room_id: Option<RoomId>,
    /// By which road it came.
    pub origin: Origin,
}

impl<R> AiCall<R> {
    /// The plugin asks for itself.
    pub fn new(request: R) -> Self {
        Self { request, caller: Caller::nobody(), room_id: None, origin: Origin::Plugin }
    }

    /// It asks for whoever called its route or its tool, who came by this road.
    #[must_use]
    pub fn on_behalf_of(mut self, caller: Caller, origin: Origin) -> Self {
        self.caller = caller;
        self.origin = origin;
        self
    }

    /// It is for this room: its policy counts.
    #[must_use]
    pub fn in_room(mut self, room_id: RoomId) -> Self {
        self.room_id = Some(room_id);
        self
    }
}

/// What the host does for [`Ai`].
#[async_trait]
pub trait AiPort: Send + Sync + 'static {
    /// The models of all providers that run, named `plugin/model`.
    async fn models(&self, plugin: &PluginName) -> Result<Vec<Model>, AiError>;

    /// Begins an answer.
    async fn stream(&self, plugin: &PluginName, call: AiCall<AiRequest>) -> Result<AiStream, AiError>;

    /// Makes texts into vectors.
    async fn embed(&self, plugin: &PluginName, call: AiCall<EmbedRequest>) -> Result<Embeddings, AiError>;
}

impl Ai {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn AiPort>) -> Self {
        Self { scope, port }
    }

    /// The models that can be asked, named `plugin/model`. A provider that cannot say which it has is left out.
    ///
    /// # Errors
    /// `PermissionDenied` without the grant.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn models(&self) -> Result<Vec<Model>, AiError> {
        self.scope.check(Permission::AiAccess, "models")?;
        self.port.models(self.scope.plugin()).await
    }

    /// Begins an answer. It returns when the first piece is there, or the answer failed without one: until then the host
    /// tries again, and elsewhere.
    ///
    /// # Errors
    /// `PermissionDenied` without the grant, `ModelNotFound`, `QuotaExceeded`, `ContentFiltered` where a scanner objects to
    /// the question or to the answer before any of it is shown, `ScannerUnavailable`, and the provider's own.
    ///
    /// # Cancel safety
    /// Dropping the call or the stream cancels the request.
    pub async fn stream(&self, call: AiCall<AiRequest>) -> Result<AiStream, AiError> {
        self.scope.check(Permission::AiAccess, "stream")?;
        self.port.stream(self.scope.plugin(), call).await
    }

    /// A whole answer.
    ///
    /// # Errors
    /// As [`stream`](Self::stream), and where the answer breaks off.
    ///
    /// # Cancel safety
    /// Dropping the call cancels the request.
    pub async fn generate(&self, call: AiCall<AiRequest>) -> Result<AiResponse, AiError> {
        self.stream(call).await?.collect().await
    }

    /// Makes texts into vectors.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    ///
    /// # Cancel safety
    /// Dropping the call cancels the request.
    pub async fn embed(&self, call: AiCall<EmbedRequest>) -> Result<Embeddings, AiError> {
        self.scope.check(Permission::AiAccess, "embed")?;
        self.port.embed(self.scope.plugin(), call).await
    }
}
