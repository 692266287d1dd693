//! The rows of leave to call tools. Knows no tool and nobody who waits.

use async_trait::async_trait;
use plexichat::assistant::{ApprovalRequest, ApprovalState, Approvals};
use plexichat::id::ApprovalId;
use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::values::{json as read_json, kind_word, time, word};
use super::{Store, Tx};
use crate::store::Act;

const COLUMNS: &str = "request, state, decided_at";

#[async_trait]
impl Approvals for Store {
    async fn ask(&self, request: ApprovalRequest) -> Result<ApprovalRequest, StoreError> {
        self.write(move |tx| {
            if let Some(known) = find(tx, request.id)? {
                return Ok(Ok(known));
            }
            let text = serde_json::to_string(&request);
            let text = text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            tx.prepare_cached(
                "INSERT INTO ai_approvals (id, person_kind, person_id, tool, state, created_at, decided_at, request)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute((
                request.id.as_bytes(),
                kind_word(request.asked.kind),
                &*request.asked.id,
                &request.tool,
                request.state.as_str(),
                request.created_at.as_micros(),
                request.decided_at.map(Time::as_micros),
                text,
            ))?;
            Ok(Ok(request))
        })
        .await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalRequest>, StoreError> {
        self.read(move |connection| find(connection, id)).await
    }

    async fn settle(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        at: Time,
    ) -> Result<Option<ApprovalRequest>, StoreError> {
        self.write(move |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE ai_approvals SET state = ?2, decided_at = ?3 WHERE id = ?1 AND state = 'pending'",
                )?
                .execute((id.as_bytes(), state.as_str(), at.as_micros()))?;
            let found = find(tx, id)?;
            if let Some(request) = found.as_ref().filter(|_| changed > 0) {
                audit(tx, request)?;
            }
            Ok(Ok(found))
        })
        .await
    }

    async fn pending(&self, person: &Actor) -> Result<Vec<ApprovalRequest>, StoreError> {
        let person = person.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM ai_approvals
                 WHERE person_kind = ?1 AND person_id = ?2 AND state = 'pending' ORDER BY created_at, id"
            ))?;
            let waiting = statement.query_map((kind_word(person.kind), &*person.id), request)?;
            waiting.collect()
        })
        .await
    }

    async fn was_given(&self, person: &Actor, tool: &str) -> Result<bool, StoreError> {
        let (person, tool) = (person.clone(), tool.to_owned());
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM ai_approvals
                     WHERE person_kind = ?1 AND person_id = ?2 AND state = 'given' AND tool = ?3)",
                )?
                .query_row((kind_word(person.kind), &*person.id, tool), |row| row.get(0))
        })
        .await
    }
}

impl Store {
    /// Forgets what this person gave leave for, whatever call it was for: they are asked again. How often they had given it.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have forgotten it.
    pub async fn forget_leave(&self, person: &Actor, tool: &str, act: Act) -> Result<u64, StoreError> {
        let (person, tool) = (person.clone(), tool.to_owned());
        self.write(move |tx| {
            let gone = tx
                .prepare_cached(
                    "DELETE FROM ai_approvals
                     WHERE person_kind = ?1 AND person_id = ?2 AND state = 'given' AND tool = ?3",
                )?
                .execute((kind_word(person.kind), &*person.id, &tool))?;
            if gone > 0 {
                tx.audit(&act.audit("tool.forget", &tool, json!({ "given": gone })))?;
            }
            Ok(Ok(gone as u64))
        })
        .await
    }

    /// The tools that this person gave leave for, each with when it was given last.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn leave_given(&self, person: &Actor) -> Result<Vec<(String, Time)>, StoreError> {
        let person = person.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT tool, max(coalesce(decided_at, created_at)) FROM ai_approvals
                 WHERE person_kind = ?1 AND person_id = ?2 AND state = 'given' GROUP BY tool ORDER BY tool",
            )?;
            let given =
                statement.query_map((kind_word(person.kind), &*person.id), |row| Ok((row.get(0)?, time(row, 1)?)))?;
            given.collect()
        })
        .await
    }

    /// Removes the oldest from before this time, at most so many; how many went. The last leave that a person
    /// gave for a tool stays, without what the tool was called with.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed them.
    pub async fn remove_approvals(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let gone = tx
                .prepare_cached(
                    "DELETE FROM ai_approvals WHERE id IN (
                         SELECT id FROM ai_approvals AS old WHERE created_at < ?1
                         AND (state <> 'given' OR EXISTS (
                             SELECT 1 FROM ai_approvals AS later
                             WHERE later.person_kind = old.person_kind AND later.person_id = old.person_id
                             AND later.state = 'given' AND later.tool = old.tool
                             AND (later.created_at, later.id) > (old.created_at, old.id)))
                         ORDER BY created_at LIMIT ?2)",
                )?
                .execute((before.as_micros(), limit))?;
            tx.prepare_cached(
                "UPDATE ai_approvals SET request = json_set(request, '$.arguments', json('null'))
                 WHERE created_at < ?1 AND state = 'given' AND json_type(request, '$.arguments') <> 'null'",
            )?
            .execute([before.as_micros()])?;
            Ok(Ok(gone as u64))
        })
        .await
    }
}

/// Removes what somebody was asked, who is no more.
pub(super) fn drop_of_person(connection: &Connection, person_id: &str) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM ai_approvals WHERE person_kind = 'user' AND person_id = ?1")?
        .execute([person_id])
}

/// What a person said about a call is an act of theirs; that nobody said anything is nobody's.
fn audit(tx: &Tx<'_>, request: &ApprovalRequest) -> rusqlite::Result<()> {
    let action = match request.state {
        ApprovalState::Given => "tool.approve",
        ApprovalState::Refused => "tool.refuse",
        ApprovalState::Pending | ApprovalState::Expired => return Ok(()),
    };
    let detail = json!({ "tool": request.tool, "model": request.model, "room": request.room_id });
    let act = Act::new(request.asked.clone(), None, None);
    tx.audit(&act.audit(action, request.id, detail))
}

fn find(connection: &Connection, id: ApprovalId) -> rusqlite::Result<Option<ApprovalRequest>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM ai_approvals WHERE id = ?1"))?
        .query_row([id.as_bytes()], request)
        .optional()
}

fn request(row: &Row<'_>) -> rusqlite::Result<ApprovalRequest> {
    let kept: ApprovalRequest = read_json(row, 0)?;
    let decided_at = row.get::<_, Option<i64>>(2)?.map(Time::from_micros);
    Ok(ApprovalRequest { state: word(row, 1)?, decided_at, ..kept })
}

#[cfg(test)]
mod tests {
    use plexichat::id::{MessageId, ReplyId, RoomId};
    use plexichat::tool::Approval;

    use super::*;
    use crate::store::testing::Place;

    fn asked(number: u8, tool: &str, created_at: i64) -> ApprovalRequest {
        ApprovalRequest {
            id: ApprovalId::from_bytes([number; 16]),
            reply_id: ReplyId::from_bytes([1; 16]),
            room_id: RoomId::from_bytes([2; 16]),
            message_id: MessageId::from_bytes([3; 16]),
            asked: Actor::user("ann", "Ann"),
            model: "parrot/one".to_owned(),
            tool: tool.to_owned(),
            help: "Counts".to_owned(),
            arguments: json!({ "secret": "words" }),
            approval: Approval::FirstUse,
            created_at: Time::from_micros(created_at),
            expires_at: Time::from_micros(created_at + 10),
            state: ApprovalState::Pending,
            decided_at: None,
        }
    }

    #[tokio::test]
    async fn leave_is_kept_settled_once_and_remembered() {
        let place = Place::new();
        let store = place.open();
        let (ann, bob) = (Actor::user("ann", "Ann"), Actor::user("bob", "Bob"));
        let first = asked(1, "counter__count", 5);
        assert_eq!(store.ask(first.clone()).await, Ok(first.clone()));
        let again = ApprovalRequest { model: "another".to_owned(), ..first.clone() };
        assert_eq!(store.ask(again).await, Ok(first.clone()), "it is the same request");
        assert_eq!(store.pending(&ann).await, Ok(vec![first.clone()]));
        assert_eq!(store.pending(&bob).await, Ok(Vec::new()));
        assert_eq!(store.was_given(&ann, "counter__count").await, Ok(false));

        let at = Time::from_micros(7);
        let given = store.settle(first.id, ApprovalState::Given, at).await.expect("settles").expect("is there");
        assert_eq!((given.state, given.decided_at), (ApprovalState::Given, Some(at)));
        let late = store.settle(first.id, ApprovalState::Expired, Time::from_micros(9)).await.expect("looks");
        assert_eq!(late, Some(given.clone()), "the first word counts");
        assert_eq!(store.approval(first.id).await, Ok(Some(given)));
        assert_eq!(store.pending(&ann).await, Ok(Vec::new()));
        assert_eq!(store.was_given(&ann, "counter__count").await, Ok(true));
        assert_eq!(store.was_given(&bob, "counter__count").await, Ok(false));
        assert_eq!(store.leave_given(&ann).await, Ok(vec![("counter__count".to_owned(), at)]));
        let query = crate::store::AuditQuery { limit: 10, ..Default::default() };
        let actions: Vec<_> = store.audit_rows(query).await.expect("reads").into_iter().map(|row| row.action).collect();
        assert_eq!(actions, ["tool.approve"]);

        assert_eq!(store.forget_leave(&bob, "counter__count", Act::system()).await, Ok(0));
        assert_eq!(store.forget_leave(&ann, "counter__count", Act::system()).await, Ok(1));
        assert_eq!(store.was_given(&ann, "counter__count").await, Ok(false));
    }

    #[tokio::test]
    async fn old_ones_go_but_what_is_remembered_stays_without_its_content() {
        let place = Place::new();
        let store = place.open();
        let ann = Actor::user("ann", "Ann");
        for (number, state) in [
            (1, ApprovalState::Given),
            (2, ApprovalState::Given),
            (3, ApprovalState::Refused),
            (4, ApprovalState::Pending),
        ] {
            let request = asked(number, "counter__count", i64::from(number));
            store.ask(request.clone()).await.expect("keeps");
            store.settle(request.id, state, Time::from_micros(50)).await.expect("settles");
        }
        assert_eq!(store.remove_approvals(Time::from_micros(2), 10).await, Ok(1), "the later leave is there still");
        assert_eq!(store.remove_approvals(Time::from_micros(100), 10).await, Ok(2));
        assert_eq!(store.remove_approvals(Time::from_micros(100), 10).await, Ok(0));
        let kept = store.approval(ApprovalId::from_bytes([2; 16])).await.expect("reads").expect("is there");
        assert_eq!(kept.arguments, serde_json::Value::Null);
        assert_eq!(store.was_given(&ann, "counter__count").await, Ok(true));
        assert_eq!(store.pending(&ann).await, Ok(Vec::new()), "nobody waits any more");
    }
}
