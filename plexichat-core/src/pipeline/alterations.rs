//! What may befall a stored message, from outside: who may do it, within which limits, and on through the store. What
//! becomes of the message is `alter.rs`'s to decide.

use super::alter::{Alter, Altered, Edit, React, What};
use super::message::Message;
use super::ports::Access;
use super::{Pipeline, Refusal};
use crate::id::MessageId;
use crate::message::{Actor, ActorKind, MessageState, Origin, StoredRow};
use crate::problem::Problem;
use crate::store::StoreError;

impl Pipeline {
    /// Gives a message another text, which goes through every stage like a new message's. Where it is to be held back, the
    /// message is, until a moderator releases it.
    ///
    /// # Errors
    /// A [`Refusal`]; then the message is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have changed the message.
    pub async fn edit(&self, edit: Edit) -> Result<Altered, Refusal> {
        let Edit { by, message_id, text, expected_revision, origin } = edit;
        self.limiter.load().check_text(&text)?;
        let (row, access) = self.find(&by, message_id).await?;
        if !by.is_same(&row.author) {
            return Err(Refusal::NotAuthor);
        }
        if access < Access::Write {
            return Err(Refusal::Forbidden);
        }
        if row.state == MessageState::Quarantined {
            return Err(Refusal::Held);
        }
        // Asked again when it is stored; here it spares the scanners what is refused anyway.
        if expected_revision.is_some_and(|expected| expected != row.revision) {
            return Err(Refusal::Stale { revision: row.revision });
        }
        let cleared = self.clear(Message::receive_edit(&row, text, origin)).await?;
        let what = What::Edit { message: Box::new(cleared), expected_revision };
        self.alter(message_id, by, origin, what).await
    }

    /// Deletes a message: its place in the room is kept, what was written is gone. Its author may, and whoever moderates
    /// the room.
    ///
    /// # Errors
    /// A [`Refusal`]; then the message is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have deleted the message.
    pub async fn delete(&self, by: Actor, message_id: MessageId, origin: Origin) -> Result<Altered, Refusal> {
        let (row, access) = self.find(&by, message_id).await?;
        if !by.is_same(&row.author) && access < Access::Moderate {
            return Err(Refusal::NotModerator);
        }
        self.limiter.load().check_actor(&by, row.room_id)?;
        self.alter(message_id, by, origin, What::Delete).await
    }

    /// Puts an emoji on a message or takes it back. Doing it again changes nothing.
    ///
    /// # Errors
    /// A [`Refusal`]; then the message is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have changed the message.
    pub async fn react(&self, react: React) -> Result<Altered, Refusal> {
        let React { by, message_id, emoji, on, origin } = react;
        // One spelling of each, and no text that nobody scanned.
        let emoji = emojis::get(&emoji).map(|emoji| emoji.as_str().to_owned()).ok_or_else(|| {
            let problem = Problem::new("/emoji", "is not an emoji").hint("give exactly one emoji, such as 👍");
            Refusal::Invalid(vec![problem])
        })?;
        let (row, access) = self.find(&by, message_id).await?;
        if row.state == MessageState::Quarantined {
            return Err(Refusal::NoMessage);
        }
        if access < Access::Write {
            return Err(Refusal::Forbidden);
        }
        self.limiter.load().check_actor(&by, row.room_id)?;
        self.alter(message_id, by, origin, What::React { emoji, on }).await
    }

    /// Delivers a message that is held back. Plugins are told of it as of a new one. Its author never may, nor may anybody
    /// in a room that is gone.
    ///
    /// # Errors
    /// A [`Refusal`]; then the message is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have released the message.
    pub async fn release(&self, by: Actor, message_id: MessageId, origin: Origin) -> Result<Altered, Refusal> {
        self.moderate(by, message_id, origin, What::Release).await
    }

    /// Deletes a message that is held back.
    ///
    /// # Errors
    /// A [`Refusal`]; then the message is as it was.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have deleted the message.
    pub async fn reject(&self, by: Actor, message_id: MessageId, origin: Origin) -> Result<Altered, Refusal> {
        self.moderate(by, message_id, origin, What::Reject).await
    }

    /// A message, if the actor may see it: those that are held back are their author's and the moderators' to see.
    ///
    /// # Errors
    /// [`Refusal::NoMessage`], or the store's.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn show(&self, by: &Actor, message_id: MessageId) -> Result<StoredRow, Refusal> {
        Ok(self.find(by, message_id).await?.0)
    }

    /// Decides about a message that is held back. It may be in a room where the one who decides may nothing else, and in one
    /// that is gone: else nobody could.
    async fn moderate(&self, by: Actor, message: MessageId, origin: Origin, what: What) -> Result<Altered, Refusal> {
        let row = self.store.message(message).await?.ok_or(Refusal::NoMessage)?;
        let judges = by.kind == ActorKind::System || self.store.judges(&by).await?;
        if !judges || row.state != MessageState::Quarantined {
            // Whoever may not know of it learns nothing.
            self.find(&by, message).await?;
        }
        if !judges {
            return Err(Refusal::NotJudge);
        }
        if matches!(what, What::Release) && row.state == MessageState::Quarantined {
            if by.is_same(&row.author) {
                return Err(Refusal::OwnMessage);
            }
            if self.store.access(&Actor::system(), row.room_id).await? == Access::None {
                return Err(Refusal::RoomGone);
            }
        }
        self.alter(message, by, origin, what).await
    }

    /// A message that the actor may see, and what it may do in its room.
    async fn find(&self, by: &Actor, message: MessageId) -> Result<(StoredRow, Access), Refusal> {
        let row = self.store.message(message).await?.ok_or(Refusal::NoMessage)?;
        let access = match by.kind {
            ActorKind::System => Access::Moderate,
            _ => self.store.access(by, row.room_id).await?,
        };
        let held_and_seen =
            row.state == MessageState::Quarantined && (by.is_same(&row.author) || access >= Access::Moderate);
        if access == Access::None || !(row.state.is_shown() || held_and_seen) {
            return Err(Refusal::NoMessage);
        }
        Ok((row, access))
    }

    async fn alter(&self, message: MessageId, by: Actor, origin: Origin, what: What) -> Result<Altered, Refusal> {
        let (alter, outcome) = Alter::new(message, by, origin, what, self.tail.clone());
        self.store.alter(alter);
        outcome.await.unwrap_or_else(|_| Err(StoreError::Failed("it gave no answer".to_owned()).into()))
    }
}
