//! People and what they wrote, behind `UserDataAccess`.

use std::sync::Arc;

use async_trait::async_trait;

use super::Scope;
use crate::error::Result;
use crate::id::{PluginName, RoomId, UserId};
use crate::message::StoredRow;
use crate::permission::Permission;

/// Looks people and messages up.
#[derive(Clone)]
pub struct Users {
    scope: Arc<Scope>,
    port: Arc<dyn UserPort>,
}

/// A person, as plugins see one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// The account.
    pub id: UserId,
    /// The name to show.
    pub name: String,
}

/// What the host does for [`Users`].
#[async_trait]
pub trait UserPort: Send + Sync + 'static {
    /// A person by account.
    async fn user(&self, plugin: &PluginName, id: UserId) -> Result<Option<UserView>>;
    /// The last messages of a room before a place in it, oldest first.
    async fn history(
        &self,
        plugin: &PluginName,
        room: RoomId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredRow>>;
}

impl Users {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn UserPort>) -> Self {
        Self { scope, port }
    }

    /// A person by account.
    ///
    /// # Errors
    /// `Permission` without the grant, `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn get(&self, id: UserId) -> Result<Option<UserView>> {
        self.scope.check(Permission::UserDataAccess, "get")?;
        self.port.user(self.scope.plugin(), id).await
    }

    /// The last messages of a room, at most 200, before a place in it; oldest first.
    ///
    /// # Errors
    /// As [`get`](Self::get); `NotFound` for a room that is not there.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn history(&self, room: RoomId, before: Option<u64>, limit: u32) -> Result<Vec<StoredRow>> {
        self.scope.check(Permission::UserDataAccess, "history")?;
        self.port.history(self.scope.plugin(), room, before, limit.min(200)).await
    }
}
