//! What the store in memory keeps of AI: what it cost, what people were asked, what is in their files.

use std::io;

use async_trait::async_trait;

use super::MemoryStore;
use crate::assistant::{ApprovalRequest, ApprovalState, Approvals, KeptAnswer, KeptQuestion, Pictures, Questions};
use crate::broker::{AiLedger, Spender, Spent, UsageRecord};
use crate::id::{ApprovalId, MessageId};
use crate::message::{Actor, Time};
use crate::pipeline::files::Servable;
use crate::store::StoreError;

/// A question that is not answered yet.
pub(super) struct Question {
    since: Time,
    tries: u32,
    answer: Option<KeptAnswer>,
}

#[async_trait]
impl AiLedger for MemoryStore {
    async fn record(&self, record: UsageRecord) -> Result<(), StoreError> {
        self.data().usage.push(record);
        Ok(())
    }

    async fn spent(&self, spender: &Spender, since: Time) -> Result<Spent, StoreError> {
        let data = self.data();
        let theirs = data.usage.iter().filter(|record| {
            record.time >= since
                && match spender {
                    Spender::Actor(actor) => record.actor.is_same(actor),
                    Spender::Room(room) => record.room_id == Some(*room),
                }
        });
        Ok(theirs.fold(Spent::default(), |spent, record| Spent {
            requests: spent.requests + 1,
            tokens: spent.tokens + record.usage.total(),
        }))
    }
}

#[async_trait]
impl Approvals for MemoryStore {
    async fn ask(&self, request: ApprovalRequest) -> Result<ApprovalRequest, StoreError> {
        let mut data = self.data();
        if let Some(known) = data.approvals.iter().find(|known| known.id == request.id) {
            return Ok(known.clone());
        }
        data.approvals.push(request.clone());
        Ok(request)
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalRequest>, StoreError> {
        Ok(self.data().approvals.iter().find(|known| known.id == id).cloned())
    }

    async fn settle(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        at: Time,
    ) -> Result<Option<ApprovalRequest>, StoreError> {
        let mut data = self.data();
        let Some(known) = data.approvals.iter_mut().find(|known| known.id == id) else { return Ok(None) };
        if known.state == ApprovalState::Pending {
            known.state = state;
            known.decided_at = Some(at);
        }
        Ok(Some(known.clone()))
    }

    async fn pending(&self, person: &Actor) -> Result<Vec<ApprovalRequest>, StoreError> {
        let data = self.data();
        let waits = |known: &&ApprovalRequest| known.state == ApprovalState::Pending && known.asked.is_same(person);
        Ok(data.approvals.iter().filter(waits).cloned().collect())
    }

    async fn was_given(&self, person: &Actor, tool: &str) -> Result<bool, StoreError> {
        let data = self.data();
        let given = |known: &ApprovalRequest| known.state == ApprovalState::Given && known.asked.is_same(person);
        Ok(data.approvals.iter().any(|known| given(known) && known.tool == tool))
    }
}

#[async_trait]
impl Questions for MemoryStore {
    async fn keep(&self, message: MessageId, at: Time) -> Result<(), StoreError> {
        let mut data = self.data();
        data.writable()?;
        data.questions.entry(message).or_insert(Question { since: at, tries: 0, answer: None });
        Ok(())
    }

    async fn answered(&self, message: MessageId, answer: KeptAnswer) -> Result<(), StoreError> {
        let mut data = self.data();
        data.writable()?;
        if let Some(question) = data.questions.get_mut(&message) {
            question.answer = Some(answer);
        }
        Ok(())
    }

    async fn done(&self, message: MessageId) -> Result<(), StoreError> {
        let mut data = self.data();
        data.writable()?;
        data.questions.remove(&message);
        Ok(())
    }

    async fn take_up(&self) -> Result<Vec<KeptQuestion>, StoreError> {
        let data = &mut *self.data();
        data.writable()?;
        let (places, rooms) = (&data.places, &data.rooms);
        let mut kept = Vec::new();
        data.questions.retain(|message, question| {
            let found = places.get(message).and_then(|(room, place)| Some(rooms.get(room)?.posted(*place)));
            let Some(posted) = found else { return false };
            let Question { since, tries, answer } = question;
            kept.push(KeptQuestion { posted, since: *since, tries: *tries, answer: answer.clone() });
            *tries += 1;
            true
        });
        kept.sort_by_key(|kept| (kept.since, kept.posted.row.seq));
        Ok(kept)
    }
}

#[async_trait]
impl Pictures for MemoryStore {
    async fn read(&self, file: Servable, most: u64) -> io::Result<Option<Vec<u8>>> {
        let data = self.data();
        Ok(data.contents.get(&file.id()).filter(|content| content.len() as u64 <= most).cloned())
    }
}
