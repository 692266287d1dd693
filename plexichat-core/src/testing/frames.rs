//! What listeners of a test's room were told of answers on their way. Knows no socket.

use std::sync::Arc;

use crate::assistant::{ApprovalRequest, ReplyError, ReplyFrame, ReplyStep};
use crate::id::{MessageId, ReplyId};
use crate::message::Actor;

/// A step of an answer, as a listener saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenReply {
    /// The answer.
    pub reply_id: ReplyId,
    /// The message that is answered.
    pub message_id: MessageId,
    /// Who answers.
    pub author: Actor,
    /// What was new.
    pub step: SeenStep,
}

/// What was new.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SeenStep {
    /// The assistant is at it.
    Waiting,
    /// More text.
    Text(String),
    /// Somebody is asked.
    Approval(Arc<ApprovalRequest>),
    /// It is over.
    Ended(Vec<MessageId>, Option<ReplyError>),
}

impl SeenReply {
    pub(super) fn of(frame: &ReplyFrame) -> Self {
        let step = match &frame.step {
            ReplyStep::Waiting => SeenStep::Waiting,
            ReplyStep::Delta(text) => SeenStep::Text(text.text()),
            ReplyStep::Approval(request) => SeenStep::Approval(request.clone()),
            ReplyStep::Ended { messages, error } => SeenStep::Ended(messages.clone(), error.clone()),
        };
        Self { reply_id: frame.reply_id, message_id: frame.message_id, author: frame.author.clone(), step }
    }
}
