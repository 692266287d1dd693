//! One answer while it is made: what was said so far, its place in the line, what listeners are told. Knows no tool's code.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::frame::{ReplyFrame, ReplyStep, ReplyText};
use super::{Assistants, LINE, Question, say};
use crate::broker::Answer;
use crate::dispatch::turns::Turn;
use crate::id::ReplyId;
use crate::message::Actor;
use crate::pipeline::{Cleared, ReplyDelta};

/// How often listeners are told that the assistant is at it.
const TOLD_EVERY: Duration = Duration::from_secs(4);

/// An answer so far.
pub(super) struct Reply {
    /// Who answers.
    pub(super) author: Actor,
    /// What was shown.
    pub(super) text: String,
    /// How many pieces that were.
    shown: u32,
    /// The next piece begins a paragraph.
    pub(super) new_paragraph: bool,
    /// The last answer of a provider: it is told what message it became.
    pub(super) answer: Option<Answer>,
}

impl Reply {
    pub(super) fn new(question: &Question) -> Self {
        let author = say::host(&question.policy.name);
        Self { author, text: String::new(), shown: 0, new_paragraph: false, answer: None }
    }

    /// Takes a piece in, as it is shown.
    pub(super) fn push(&mut self, delta: ReplyDelta<Cleared>) -> ReplyStep {
        let new_paragraph = std::mem::take(&mut self.new_paragraph) && !self.text.is_empty();
        let piece = ReplyText::new(self.shown, new_paragraph, delta);
        self.shown += 1;
        self.text.push_str(&piece.text());
        ReplyStep::Delta(piece)
    }
}

/// A place in the room's line, and among those that the server answers at once.
pub(super) struct Place {
    turn: Option<Turn>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    pub(super) fn new(turn: Turn) -> Self {
        Self { turn: Some(turn), permit: None }
    }

    /// Waits until it is this answer's turn.
    pub(super) async fn come(&mut self, assistants: &Assistants, question: &Question) {
        let room = question.posted.row.room_id;
        self.turn.get_or_insert_with(|| assistants.turns.take(room, LINE)).come().await;
        // Nobody closes it.
        self.permit = assistants.places.clone().acquire_owned().await.ok();
    }

    /// Lets others go first.
    pub(super) fn leave(&mut self) {
        self.turn = None;
        self.permit = None;
    }
}

impl Assistants {
    /// Tells the room's listeners of a step.
    pub(super) fn show(&self, question: &Question, reply: &Reply, step: ReplyStep) {
        self.show_as(question, reply.author.clone(), step);
    }

    pub(super) fn show_as(&self, question: &Question, author: Actor, step: ReplyStep) {
        let row = &question.posted.row;
        self.fanout.deliver_delta(&ReplyFrame {
            reply_id: ReplyId::to(row.id),
            room_id: row.room_id,
            message_id: row.id,
            asked_by: row.author.clone(),
            author,
            step,
        });
    }

    /// Waits for something while listeners are told every few seconds that the assistant is at it.
    pub(super) async fn thinking<T>(&self, question: &Question, author: &Actor, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(TOLD_EVERY) => self.show_as(question, author.clone(), ReplyStep::Waiting),
            }
        }
    }

    /// The rows' identifiers, those of them that people are shown.
    pub(super) fn shown(rows: &[Arc<crate::message::StoredRow>]) -> Vec<crate::id::MessageId> {
        rows.iter().filter(|row| row.state.is_shown()).map(|row| row.id).collect()
    }
}
