//! Questions that are not answered yet: kept, so that who told of them need not wait for the answer, and asked again after a
//! restart. Knows no model.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::answer::stored;
use super::running::Begun;
use super::{Assistants, LINE, Question, say};
use crate::dispatch::Retry;
use crate::dispatch::turns::Turn;
use crate::id::MessageId;
use crate::message::{Actor, Time};
use crate::pipeline::Posted;
use crate::store::StoreError;

/// How often a question is asked again after a restart: it may be what ends the server.
pub const RESTARTS_MAX: u32 = 3;

/// How old a question is when nobody waits for its answer any more.
pub const TOO_OLD: Duration = Duration::from_secs(60 * 60);

/// A question that was not answered when the server ended.
#[derive(Debug, Clone)]
pub struct KeptQuestion {
    /// The message, as it is now.
    pub posted: Posted,
    /// Since when it is kept.
    pub since: Time,
    /// How often it was taken up before.
    pub tries: u32,
    /// Its answer, where the model had ended it and not all of it was stored.
    pub answer: Option<KeptAnswer>,
}

/// An answer of several messages, kept until all of them are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Who answered.
    pub author: Actor,
    /// The messages' texts.
    pub parts: Vec<String>,
}

/// Keeps questions until they are answered.
#[async_trait]
pub trait Questions: Send + Sync + 'static {
    /// Keeps a question; one that is kept stays as it is.
    async fn keep(&self, message: MessageId, at: Time) -> Result<(), StoreError>;

    /// Keeps the answer with its question.
    async fn answered(&self, message: MessageId, answer: KeptAnswer) -> Result<(), StoreError>;

    /// The question needs no answer any more: forgets it.
    async fn done(&self, message: MessageId) -> Result<(), StoreError>;

    /// Every question that is kept, the oldest first, and counts that it was taken up. Forgets those whose messages are gone.
    async fn take_up(&self) -> Result<Vec<KeptQuestion>, StoreError>;
}

/// Whether answers may begin and go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// They may.
    #[default]
    Open,
    /// Those that have begun may end.
    Closing,
    /// None may.
    Cut,
}

/// How far the assistants are in stopping.
#[derive(Default)]
pub(super) struct Ending(watch::Sender<Phase>);

impl Ending {
    fn is_open(&self) -> bool {
        *self.0.borrow() == Phase::Open
    }

    fn cut(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut phase = self.0.subscribe();
        async move {
            if phase.wait_for(|phase| *phase == Phase::Cut).await.is_err() {
                std::future::pending().await
            }
        }
    }
}

impl Assistants {
    /// Keeps a question and begins to answer it. Ready when it is kept: the answer is waited for by nobody.
    pub(super) fn take_on(self: &Arc<Self>, question: Question, begun: Begun, turn: Turn) -> BoxFuture<'static, ()> {
        let assistants = self.clone();
        Box::pin(async move {
            let (message, now) = (question.posted.row.id, assistants.clock.now());
            stored!(question.retry, assistants.questions.keep(message, now));
            assistants.start(question, begun, turn, None);
        })
    }

    /// Answers a question that is kept, beside everything else.
    fn start(self: &Arc<Self>, question: Question, begun: Begun, turn: Turn, kept: Option<KeptAnswer>) {
        if !self.ending.is_open() {
            // It is kept: the next start finds it.
            return;
        }
        let (assistants, cut) = (self.clone(), self.ending.cut());
        tokio::spawn(async move {
            let (posted, name, retry) = (question.posted.clone(), question.policy.name.clone(), question.retry);
            let answering = async {
                let answering = AssertUnwindSafe(assistants.answer(question, &begun, turn, kept)).catch_unwind();
                if let Err(panic) = answering.await {
                    // Its own destructor may panic too.
                    std::mem::forget(panic);
                    tracing::error!(message = %posted.row.id, "an assistant's answer panicked");
                    let words = say::failure("internal", "something went wrong here", "Tell an operator.");
                    assistants.say(&posted, &name, words, retry).await;
                }
                stored!(retry, assistants.questions.done(posted.row.id));
            };
            tokio::select! {
                biased;
                () = cut => {}
                () = answering => {}
            }
            drop(begun);
        });
    }

    /// Asks again what was not answered when the server ended; what was asked too often or too long ago is given up with a
    /// word. Called once, before anything new is told: the questions of a room keep their order.
    ///
    /// # Cancel safety
    /// What was not begun is left for the next start.
    pub(crate) async fn ask_again(self: &Arc<Self>, retry: Retry) {
        let kept = stored!(retry, self.questions.take_up());
        if !kept.is_empty() {
            tracing::info!(count = kept.len(), "questions to assistants were not answered yet: they are asked again");
        }
        for KeptQuestion { posted, since, tries, answer } in kept {
            let row = posted.row.clone();
            let question = self.read_again(&posted, retry).await;
            let Some(question) = question.filter(|_| row.state.is_shown()) else {
                // It was deleted, or the room has no assistant any more.
                stored!(retry, self.questions.done(row.id));
                continue;
            };
            let Some(begun) = self.running.begin(row.id, row.room_id, row.author.clone()) else { continue };
            let age = self.clock.now().as_micros().saturating_sub(since.as_micros());
            let is_old = age > i64::try_from(TOO_OLD.as_micros()).unwrap_or(i64::MAX);
            if answer.is_none() && (tries >= RESTARTS_MAX || is_old) {
                self.give_up(question, begun);
                continue;
            }
            let turn = self.turns.take(row.room_id, LINE);
            self.start(question, begun, turn, answer);
        }
    }

    fn give_up(self: &Arc<Self>, question: Question, begun: Begun) {
        let (assistants, cut) = (self.clone(), self.ending.cut());
        tokio::spawn(async move {
            let giving_up = async {
                let Question { posted, policy, retry, .. } = &question;
                tracing::warn!(message = %posted.row.id, "a question was interrupted too often, or too long ago: it is given up");
                // An answer that was stored before is found under the same key, and nothing more is said.
                let words = say::failure("interrupted", "the server was restarted before I had answered", "Ask again.");
                assistants.say(posted, &policy.name, words, *retry).await;
                stored!(retry, assistants.questions.done(posted.row.id));
            };
            tokio::select! {
                biased;
                () = cut => {}
                () = giving_up => {}
            }
            drop(begun);
        });
    }

    /// Waits until no answer is on its way.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn idle(&self) {
        self.running.idle().await;
    }

    /// Begins no more answers, gives those that have begun this long, and cuts off the rest: they are kept, and asked again at
    /// the next start.
    ///
    /// # Cancel safety
    /// A dropped call cuts nothing off.
    pub async fn stop(&self, grace: Duration) {
        self.ending.0.send_replace(Phase::Closing);
        if tokio::time::timeout(grace, self.idle()).await.is_err() {
            let left = self.running.all();
            tracing::info!(left, "answers of assistants are cut off: they are asked for again at the next start");
            self.cut_off();
            // Who has seen that it is cut off is gone at once.
            let _ = tokio::time::timeout(grace, self.idle()).await;
        }
    }

    /// Cuts off every answer.
    pub(crate) fn cut_off(&self) {
        self.ending.0.send_replace(Phase::Cut);
    }
}
