//! Posting messages, behind `PostMessages`. A plugin's post enters the pipeline at its first stage, like everyone's.

use std::sync::Arc;

use async_trait::async_trait;

use super::Scope;
use crate::error::Result;
use crate::id::{MessageId, PluginName, RoomId};
use crate::message::{Actor, StoredRow};
use crate::permission::Permission;

/// Posts messages as the plugin.
#[derive(Clone)]
pub struct Chat {
    scope: Arc<Scope>,
    port: Arc<dyn ChatPort>,
}

/// What a plugin posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Where.
    pub room_id: RoomId,
    /// What.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// A key that makes the post happen once, however often it is tried. Inside a handler the host makes one from the
    /// event, so that an event that is delivered again after a crash is not answered twice.
    pub key: Option<String>,
    /// Posted in the name of a webhook of the plugin instead of the plugin's own.
    pub webhook: Option<WebhookAuthor>,
}

/// A webhook that posts: shown as the message's author, with the plugin's name before its own identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAuthor {
    /// Which webhook of the plugin.
    pub id: String,
    /// The name to show.
    pub name: String,
}

impl Post {
    /// A text for a room.
    pub fn new(room_id: RoomId, text: impl Into<String>) -> Self {
        Self { room_id, text: text.into(), reply_to: None, key: None, webhook: None }
    }

    /// The same, as an answer to a message.
    #[must_use]
    pub fn reply_to(mut self, message_id: MessageId) -> Self {
        self.reply_to = Some(message_id);
        self
    }
}

impl WebhookAuthor {
    /// A webhook of the plugin by this name.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into() }
    }
}

/// What the host does for [`Chat`].
#[async_trait]
pub trait ChatPort: Send + Sync + 'static {
    /// Sends a post through the pipeline.
    async fn post(&self, plugin: &PluginName, post: Post) -> Result<StoredRow>;
    /// The room of this name, where there is one; direct rooms have none.
    async fn room_named(&self, name: &str) -> Result<Option<RoomId>>;
    /// Whether somebody may post in a room: not where there is none.
    async fn may_post(&self, actor: &Actor, room: RoomId) -> Result<bool>;
}

impl Chat {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn ChatPort>) -> Self {
        Self { scope, port }
    }

    /// Posts a message and waits until it is stored.
    ///
    /// # Errors
    /// `Permission` without the grant, `NotFound` for a room that is not there, `Input` where a scanner rejected the
    /// text, `Transient` where a scanner or the store is not available.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have posted; the same key makes it safe to try again.
    pub async fn post(&self, post: Post) -> Result<StoredRow> {
        self.scope.check(Permission::PostMessages, "post")?;
        self.port.post(self.scope.plugin(), post).await
    }

    /// The room of this name, which is no direct one.
    ///
    /// # Errors
    /// `Permission` without the grant, `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn room_named(&self, name: &str) -> Result<Option<RoomId>> {
        self.scope.check(Permission::PostMessages, "room_named")?;
        self.port.room_named(name).await
    }

    /// Whether somebody may post in a room themselves: ask before the plugin posts there for them. Not where there is no such
    /// room.
    ///
    /// # Errors
    /// `Permission` without the grant, `Transient` where the store is not available.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn may_post(&self, actor: &Actor, room_id: RoomId) -> Result<bool> {
        self.scope.check(Permission::PostMessages, "may_post")?;
        self.port.may_post(actor, room_id).await
    }
}
