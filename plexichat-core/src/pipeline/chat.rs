//! The road of plugins' own posts: into the first stage, like everyone's, with the cause that the plugin is answering.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Incoming, Pipeline, Refusal};
use crate::capability::chat::{ChatPort, Post};
use crate::cause;
use crate::error::Result;
use crate::id::{PluginName, RoomId};
use crate::message::{Actor, Origin, StoredRow};

/// Posts what plugins say.
pub struct PluginRoad(Arc<Pipeline>);

impl PluginRoad {
    /// The road into this pipeline.
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        Self(pipeline)
    }
}

#[async_trait]
impl ChatPort for PluginRoad {
    async fn post(&self, plugin: &PluginName, post: Post) -> Result<StoredRow> {
        let cause = cause::current();
        // A key that the plugin made itself comes first; a handler's posts have one without asking.
        let numbered = post.key.is_none().then(cause::next_key).flatten();
        let (author, origin) = match &post.webhook {
            None => (Actor::plugin(plugin.as_str()), Origin::Plugin),
            Some(webhook) => (Actor::webhook(plugin.as_str(), &webhook.id, &webhook.name), Origin::Webhook),
        };
        let outcome = self.0.send(Incoming {
            author,
            room_id: post.room_id,
            text: post.text,
            reply_to: post.reply_to,
            attachments: Vec::new(),
            origin,
            key: post.key.or_else(|| numbered.clone()),
            cause_id: cause.map(|cause| cause.event_id()),
            cause_depth: cause.map_or(0, |cause| cause.next_depth()),
        });
        match outcome.await {
            Ok(outcome) => Ok(Arc::unwrap_or_clone(outcome.row)),
            Err(refusal) => {
                if let Some(key) = numbered {
                    cause::give_back(&key);
                }
                Err(refusal.into())
            }
        }
    }

    async fn room_named(&self, name: &str) -> Result<Option<RoomId>> {
        Ok(self.0.room_named(name).await?)
    }

    async fn may_post(&self, actor: &Actor, room: RoomId) -> Result<bool> {
        match self.0.authorise(actor, room).await {
            Ok(()) => Ok(true),
            Err(Refusal::NoRoom | Refusal::Forbidden) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }
}
