//! Stage 12: what a model says, shown to scanners before anybody sees it. The only maker of a [`ReplyDelta<Cleared>`], which
//! is the only thing that can be delivered of an answer on its way. And what is asked of a model outside of rooms: it is
//! judged like a message.

use std::marker::PhantomData;

use super::message::{Cleared, Incoming, Message};
use super::{Pipeline, Refusal, scan};
use crate::id::{MessageId, RoomId};
use crate::message::{Actor, Origin};

/// A piece of an answer at the stage `S`: only [`Cleared`] can be shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyDelta<S> {
    index: u32,
    text: String,
    stage: PhantomData<S>,
}

impl<S> ReplyDelta<S> {
    /// Its place in the answer, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What was said.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Whose answer it is, and for whom.
#[derive(Debug, Clone)]
pub struct ReplyAbout {
    /// The model, as it would sign a message.
    pub author: Actor,
    /// Who asked.
    pub asked_by: Actor,
    /// The room that it is for.
    pub room_id: Option<RoomId>,
    /// By which road the question came.
    pub origin: Origin,
}

/// Judges one answer while it comes.
#[derive(Debug)]
pub struct ReplyScanner {
    index: u32,
}

impl Pipeline {
    /// A scanner for one answer, with everyone who has a say about it now.
    ///
    /// # Errors
    /// A scanner whose word is needed does not run.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn reply_scanner(&self, about: ReplyAbout) -> Result<ReplyScanner, Refusal> {
        let _ = about;
        Ok(ReplyScanner { index: 0 })
    }

    /// Shows what is asked of a model to everyone who judges messages: what comes back is the text to send, as rewriting
    /// hooks left it. Nothing is stored.
    ///
    /// # Errors
    /// A scanner rejects it or holds it back, or one whose word is needed gives none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn clear_prompt(
        &self,
        author: &Actor,
        room_id: Option<RoomId>,
        text: String,
        origin: Origin,
    ) -> Result<String, Refusal> {
        let scanning = match room_id {
            Some(room_id) => self.scanning(room_id).await?,
            None => self.scanning_everywhere(),
        };
        let incoming = Incoming {
            author: author.clone(),
            // No room has this identifier.
            room_id: room_id.unwrap_or_else(|| RoomId::from_bytes([0; 16])),
            text,
            reply_to: None,
            attachments: Vec::new(),
            origin,
            key: None,
            cause_id: None,
            cause_depth: 0,
        };
        let mut admitted = Message::receive(MessageId::new(), incoming).admit();
        let passed = scan::rewrite(&scanning, &mut admitted, usize::MAX).await?;
        let cleared =
            scan::scan(&scanning, admitted, passed).await.map_err(|refused| self.announce_refused(refused))?;
        if cleared.state().is_shown() {
            return Ok(cleared.text().to_owned());
        }
        // There is nobody to hold it for until a moderator has looked.
        let found = cleared.findings().first().cloned();
        Err(found.map_or(Refusal::Held, |(plugin, finding)| Refusal::Rejected { plugin, finding }))
    }
}

impl ReplyScanner {
    /// More of the answer: what may be shown now, if anything.
    ///
    /// # Errors
    /// A scanner objects, or one whose word is needed gives none: nothing more of the answer may be shown.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was pushed may be lost.
    pub async fn push(&mut self, text: &str) -> Result<Option<ReplyDelta<Cleared>>, Refusal> {
        Ok(self.cleared(text.to_owned()))
    }

    /// The answer is complete: the rest of what may be shown.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    /// Not cancel safe.
    pub async fn finish(&mut self) -> Result<Option<ReplyDelta<Cleared>>, Refusal> {
        Ok(None)
    }

    fn cleared(&mut self, text: String) -> Option<ReplyDelta<Cleared>> {
        if text.is_empty() {
            return None;
        }
        let index = self.index;
        self.index += 1;
        Some(ReplyDelta { index, text, stage: PhantomData })
    }
}
