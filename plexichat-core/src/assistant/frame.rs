//! What a room's listeners are told of an answer while it comes. A text in it comes from the reply scanner alone. Knows no
//! socket and no model.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approval::ApprovalRequest;
use crate::ai::AiErrorKind;
use crate::id::{MessageId, ReplyId, RoomId};
use crate::message::{Actor, StoredRow};
use crate::pipeline::{Cleared, ReplyDelta};

/// A step of an assistant's answer.
#[derive(Debug)]
pub struct ReplyFrame {
    /// The answer.
    pub reply_id: ReplyId,
    /// Where.
    pub room_id: RoomId,
    /// The message that is answered.
    pub message_id: MessageId,
    /// Who asked: only they, and who moderates the room, may cancel it.
    pub asked_by: Actor,
    /// Who answers, as the message will be signed. Before a model has begun, its identifier is `assistant`.
    pub author: Actor,
    /// What is new.
    pub step: ReplyStep,
}

/// What is new of an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplyStep {
    /// It is being thought about: told every few seconds until there is text. Show it as typing.
    Waiting,
    /// More text.
    Delta(ReplyText),
    /// A tool waits for leave. For the eyes of the one person who is asked: [`ApprovalRequest::asked`].
    Approval(Arc<ApprovalRequest>),
    /// It is over; its messages were told before.
    Ended {
        /// The messages that the answer became, one as a rule; none where nothing of it is kept.
        messages: Vec<MessageId>,
        /// What went wrong, where anything did.
        error: Option<ReplyError>,
    },
}

/// More of an answer's text, which every scanner has seen.
#[derive(Debug)]
pub struct ReplyText {
    index: u32,
    new_paragraph: bool,
    delta: ReplyDelta<Cleared>,
}

impl ReplyText {
    pub(super) fn new(index: u32, new_paragraph: bool, delta: ReplyDelta<Cleared>) -> Self {
        Self { index, new_paragraph, delta }
    }

    /// Its place in the answer, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The text, to be put behind what came before.
    pub fn text(&self) -> String {
        // What is said after a tool's result is a paragraph of its own.
        let before = if self.new_paragraph { "\n\n" } else { "" };
        [before, self.delta.text()].concat()
    }
}

/// What went wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyError {
    /// The code, such as `provider_unavailable`, `content_filter` or `cancelled`.
    pub code: String,
    /// What failed, in words that everybody may read.
    pub message: String,
}

impl ReplyError {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// What a failure of this kind is told as, once its words were written as one of these messages: as they are where they
    /// were let through, else in the fixed ones, which no scanner has to see.
    pub(super) fn once_written(self, rows: &[Arc<StoredRow>], kind: AiErrorKind) -> Self {
        match rows.iter().any(|row| row.state.is_shown() && row.text.contains(&self.message)) {
            true => self,
            false => Self { message: kind.words().to_owned(), ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;
    use crate::message::{ActorKind, MessageState, Time};

    const WORDS: &str = "messages.0 is of org [x]";

    #[track_caller]
    fn check(text: &str, state: MessageState, told: &str) {
        let row = StoredRow {
            id: MessageId::new(),
            room_id: RoomId::new(),
            seq: 1,
            text: text.to_owned(),
            author: Actor { kind: ActorKind::Ai, id: UserId::new().to_string().into(), name: "assistant".into() },
            reply_to: None,
            state,
            revision: 1,
            created_at: Time::from_micros(0),
            edited_at: None,
            attachments: Vec::new(),
            reactions: Vec::new(),
        };
        let error = ReplyError::new("invalid_request", WORDS).once_written(&[row.into()], AiErrorKind::InvalidRequest);
        assert_eq!((&*error.code, &*error.message), ("invalid_request", told), "{text:?} {state:?}");
    }

    #[test]
    fn listeners_read_no_more_than_was_let_through_as_a_message() {
        let fixed = AiErrorKind::InvalidRequest.words();
        check(&format!("I cannot answer: {WORDS}."), MessageState::Stored, WORDS);
        check(&format!("I cannot answer: {WORDS}."), MessageState::Quarantined, fixed);
        check("I cannot answer: messages.0 is of *** [x].", MessageState::Stored, fixed);
        let refused = ReplyError::new("invalid_request", WORDS).once_written(&[], AiErrorKind::InvalidRequest);
        assert_eq!(refused.message, fixed);
    }
}
