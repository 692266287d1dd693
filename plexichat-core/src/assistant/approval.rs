//! Leave to call a tool: asked of the person whom the model answers, kept, waited for, given or refused by nobody else.
//! Knows no model and no tool's code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::{Assistants, Question};
use crate::id::{ApprovalId, MessageId, ReplyId, RoomId};
use crate::message::{Actor, Time};
use crate::store::StoreError;
use crate::tool::Approval;

/// How long a person may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Leave that a person is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequest {
    /// Its identifier.
    pub id: ApprovalId,
    /// The answer for which the model wants to call the tool.
    pub reply_id: ReplyId,
    /// The room.
    pub room_id: RoomId,
    /// The message that is being answered.
    pub message_id: MessageId,
    /// Who is asked: nobody else may answer.
    pub asked: Actor,
    /// The model: `plugin/model`.
    pub model: String,
    /// The tool: `plugin__tool`.
    pub tool: String,
    /// What the tool does.
    pub help: String,
    /// What it would be called with.
    pub arguments: Value,
    /// Whether leave holds for later calls, too: `first_use`, or for this call only: `always`.
    pub approval: Approval,
    /// Since when it waits.
    pub created_at: Time,
    /// When it counts as refused.
    pub expires_at: Time,
    /// How it stands.
    pub state: ApprovalState,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
}

/// How a request for leave stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has answered.
    Pending,
    /// The person said yes.
    Given,
    /// The person said no.
    Refused,
    /// The person did not answer in time, or the answer was cancelled.
    Expired,
}

impl ApprovalState {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

/// What a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalDecision {
    /// Yes.
    Give,
    /// No.
    Refuse,
}

/// Why an answer to a request for leave does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// There is none, or it is somebody else's.
    #[error("there is no such request for leave, or it is not yours to answer")]
    Unknown,
    /// It was answered before, or its time is up.
    #[error("it is decided already: {}", .0.as_str())]
    Decided(ApprovalState),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps requests for leave.
#[async_trait]
pub trait Approvals: Send + Sync + 'static {
    /// Keeps a request, unless one with its identifier is there. What is kept now.
    async fn ask(&self, request: ApprovalRequest) -> Result<ApprovalRequest, StoreError>;

    /// The request with this identifier.
    async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalRequest>, StoreError>;

    /// Gives a pending request this state; any other stays as it is. What is kept now; nothing where there is none.
    async fn settle(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        at: Time,
    ) -> Result<Option<ApprovalRequest>, StoreError>;

    /// What waits for this person, the oldest first.
    async fn pending(&self, person: &Actor) -> Result<Vec<ApprovalRequest>, StoreError>;

    /// Whether this person gave leave for this tool before, whenever and wherever.
    async fn was_given(&self, person: &Actor, tool: &str) -> Result<bool, StoreError>;
}

/// The answers that wait for a person's word, in this process.
#[derive(Default)]
pub(super) struct Awaited(Mutex<HashMap<ApprovalId, watch::Sender<ApprovalState>>>);

impl Awaited {
    fn map(&self) -> MutexGuard<'_, HashMap<ApprovalId, watch::Sender<ApprovalState>>> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, id: ApprovalId) -> watch::Receiver<ApprovalState> {
        self.map().entry(id).or_insert_with(|| watch::Sender::new(ApprovalState::Pending)).subscribe()
    }

    fn tell(&self, id: ApprovalId, state: ApprovalState) {
        if let Some(sender) = self.map().remove(&id) {
            sender.send_replace(state);
        }
    }
}

impl Assistants {
    /// What waits for this person's word.
    ///
    /// # Errors
    /// The store's.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn approvals(&self, person: &Actor) -> Result<Vec<ApprovalRequest>, StoreError> {
        self.approvals.pending(person).await
    }

    /// Takes a person's word about a call of a tool. Said twice alike, it counts once and is no error.
    ///
    /// # Errors
    /// [`DecideError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have counted.
    pub async fn decide(
        &self,
        id: ApprovalId,
        by: &Actor,
        decision: ApprovalDecision,
    ) -> Result<ApprovalRequest, DecideError> {
        let found = self.approvals.approval(id).await?.filter(|request| request.asked.is_same(by));
        let found = found.ok_or(DecideError::Unknown)?;
        let wanted = match decision {
            ApprovalDecision::Give => ApprovalState::Given,
            ApprovalDecision::Refuse => ApprovalState::Refused,
        };
        let now = self.clock.now();
        // Whoever waits has given up by then, or did before the server was started again.
        let late = found.state == ApprovalState::Pending && found.expires_at <= now;
        let state = if late { ApprovalState::Expired } else { wanted };
        let settled = self.approvals.settle(id, state, now).await?.ok_or(DecideError::Unknown)?;
        self.awaited.tell(id, settled.state);
        if settled.state == wanted { Ok(settled) } else { Err(DecideError::Decided(settled.state)) }
    }

    /// The answer was ended early: nobody waits for the person's word any more.
    pub(super) async fn give_up_leave(&self, question: &Question) {
        let row = &question.posted.row;
        let pending = self.approvals.pending(&row.author).await.unwrap_or_else(|error| {
            tracing::warn!(message = %row.id, %error, "what was asked for an answer that is stopped stays until its time is up");
            Vec::new()
        });
        for request in pending.into_iter().filter(|request| request.message_id == row.id) {
            if let Err(error) = self.approvals.settle(request.id, ApprovalState::Expired, self.clock.now()).await {
                tracing::warn!(approval = %request.id, %error, "it stays until its time is up");
            }
            self.awaited.tell(request.id, ApprovalState::Expired);
        }
    }

    /// Keeps a request and waits for the person's word, `Expired` where none comes in time. `ask` is called where the person
    /// has not answered yet, to be told.
    ///
    /// # Cancel safety
    /// The request is kept; asked again with the same identifier, its answer counts.
    pub(super) async fn wait_for_leave(
        &self,
        request: ApprovalRequest,
        ask: impl FnOnce(Arc<ApprovalRequest>),
    ) -> Result<ApprovalState, StoreError> {
        let id = request.id;
        // Before it is kept, so that no answer comes in between.
        let mut word = self.awaited.listen(id);
        let kept = self.approvals.ask(request).await?;
        if kept.state != ApprovalState::Pending {
            self.awaited.tell(id, kept.state);
            return Ok(kept.state);
        }
        let left = kept.expires_at.as_micros().saturating_sub(self.clock.now().as_micros());
        let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        ask(Arc::new(kept));
        let said = async {
            match word.wait_for(|state| *state != ApprovalState::Pending).await {
                Ok(state) => *state,
                Err(_) => ApprovalState::Expired,
            }
        };
        tokio::select! {
            state = said => Ok(state),
            () = self.clock.sleep(left) => {
                let now = self.clock.now();
                let settled = self.approvals.settle(id, ApprovalState::Expired, now).await?;
                // The person's word may have been quicker.
                let state = settled.map_or(ApprovalState::Expired, |settled| settled.state);
                self.awaited.tell(id, state);
                Ok(state)
            }
        }
    }
}
