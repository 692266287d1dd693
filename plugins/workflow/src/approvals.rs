//! Questions to people: kept until they are answered, answered once, by whoever may. Knows no step.

use plexichat::capability::storage::Storage;
use plexichat::capability::triggers::TriggerBook;
use plexichat::error::{PluginError, Result};
use plexichat::id::{RoomId, RunId, UserId};
use plexichat::message::{Actor, ActorKind, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::definition::Unanswered;

/// Where questions are kept.
const PREFIX: &str = "approval/";

/// How long a question is kept after its time was up, in microseconds: its run may not have been looked at yet.
const KEPT_AFTER: i64 = 7 * 24 * 3600 * 1_000_000;

/// The longest word that goes with an answer, in bytes.
const NOTE_MAX: usize = 1000;

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) id: String,
    pub(crate) run: RunId,
    pub(crate) workflow: String,
    pub(crate) step: String,
    pub(crate) text: String,
    /// The room as the definition names it.
    pub(crate) room: Option<String>,
    /// The room that was told.
    pub(crate) room_id: Option<RoomId>,
    /// Names or ids of users who may answer.
    pub(crate) users: Vec<String>,
    /// Whether moderators may answer.
    pub(crate) moderators: bool,
    pub(crate) asked_at: Time,
    pub(crate) until: Time,
    pub(crate) otherwise: Unanswered,
    pub(crate) answer: Option<Answer>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) approved: bool,
    /// Nobody where the time was up.
    pub(crate) by: Option<Who>,
    pub(crate) note: String,
    pub(crate) at: Time,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What the host found out of whoever answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Somebody: only their name counts.
    Person,
    /// A moderator.
    Moderator,
    /// An administrator.
    Admin,
}

/// A short name for the question of a step, the same at every attempt.
pub(crate) fn identifier(key: &str) -> String {
    let sum = Sha256::digest(key.as_bytes());
    sum.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a list of names or ids of users names this actor, who is a person. What is an id means that id only: somebody else may
/// have registered it as their name.
pub(crate) fn names(list: &[String], actor: &Actor) -> bool {
    let means = |user: &String| match user.parse::<UserId>() {
        Ok(id) => actor.id.parse() == Ok(id),
        Err(_) => **user == *actor.name,
    };
    actor.kind == ActorKind::User && list.iter().any(means)
}

impl Approval {
    /// Whether this actor may answer.
    pub(crate) fn may_answer(&self, actor: &Actor, standing: Standing) -> bool {
        let by_standing = match standing {
            Standing::Admin => true,
            Standing::Moderator => self.moderators,
            Standing::Person => false,
        };
        by_standing || names(&self.users, actor)
    }

    /// Who may answer, in words.
    pub(crate) fn who(&self) -> String {
        let mut who: Vec<&str> = self.users.iter().map(String::as_str).collect();
        if self.moderators {
            who.push("moderators");
        }
        who.push("administrators");
        who.join(", ")
    }

    /// What a room is told.
    pub(crate) fn message(&self) -> String {
        let id = &self.id;
        let until = self.until.0.strftime("%Y-%m-%d %H:%M UTC");
        let otherwise = match self.otherwise {
            Unanswered::Refuse => "refused",
            Unanswered::Approve => "approved",
            Unanswered::Fail => "a failure",
        };
        let by_command = match self.users.is_empty() {
            true => "Answer on the dashboard".to_owned(),
            false => {
                format!("Answer with `/workflow approve {id}` or `/workflow refuse {id} why`, or on the dashboard")
            }
        };
        format!(
            "{}\n\nWorkflow `{}` waits for approval `{id}`. {by_command}. May answer: {}. Without an answer by {until} it is {otherwise}.",
            self.text,
            self.workflow,
            self.who()
        )
    }
}

/// The questions that are kept.
#[derive(Clone)]
pub(crate) struct Approvals {
    storage: Storage,
    triggers: TriggerBook,
}

impl Approvals {
    pub(crate) fn new(storage: Storage, triggers: TriggerBook) -> Self {
        Self { storage, triggers }
    }

    /// Keeps a question where none is kept under its id; whether none was.
    pub(crate) async fn keep(&self, approval: &Approval) -> Result<bool> {
        Ok(self.storage.compare_and_set(&key(&approval.id), approval, 0).await?.is_some())
    }

    /// Keeps a question that is asked anew in the place of the one before, which nobody answered; whether it was so.
    pub(crate) async fn renew(&self, approval: &Approval) -> Result<bool> {
        let key = key(&approval.id);
        match self.storage.get::<Approval>(&key).await? {
            Some(kept) if kept.value.answer.is_none() => {
                Ok(self.storage.compare_and_set(&key, approval, kept.version).await?.is_some())
            }
            _ => Ok(false),
        }
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Option<Approval>> {
        Ok(self.storage.get::<Approval>(&key(id)).await?.map(|kept| kept.value))
    }

    pub(crate) async fn close(&self, id: &str) -> Result<()> {
        self.storage.remove(&key(id)).await.map(drop)
    }

    /// What waits for an answer, the longest first.
    pub(crate) async fn pending(&self, now: Time) -> Result<Vec<Approval>> {
        let mut pending = self.all().await?;
        pending.retain(|approval| approval.answer.is_none() && approval.until > now);
        pending.sort_by_key(|approval| approval.asked_at);
        Ok(pending)
    }

    async fn all(&self) -> Result<Vec<Approval>> {
        let mut all = Vec::new();
        for key in self.storage.keys(PREFIX).await? {
            all.extend(self.storage.get::<Approval>(&key).await?.map(|kept| kept.value));
        }
        Ok(all)
    }

    /// Wakes runs whose answer they were not told, since the server stopped in between, and forgets what nobody asks for any more.
    pub(crate) async fn sweep(&self, now: Time) -> Result<()> {
        for approval in self.all().await? {
            let is_old = approval.until.as_micros().saturating_add(KEPT_AFTER) < now.as_micros();
            if is_old || (approval.answer.is_some() && !self.wake(&approval).await?) {
                self.close(&approval.id).await?;
            }
        }
        Ok(())
    }

    async fn wake(&self, approval: &Approval) -> Result<bool> {
        self.triggers.wake(approval.run, json!({ "approval": approval.id })).await
    }

    /// Answers a question.
    ///
    /// # Errors
    /// `NotFound` where there is none; `Permission` where they may not; `Input` where it was answered.
    pub(crate) async fn answer(
        &self,
        id: &str,
        approved: bool,
        note: &str,
        actor: &Actor,
        standing: Standing,
        now: Time,
    ) -> Result<Approval> {
        let id = id.trim().to_lowercase();
        let none = || {
            PluginError::not_found(format!(
                "no approval `{}` waits for an answer",
                id.chars().take(20).collect::<String>()
            ))
        };
        if id.is_empty() || id.len() > 20 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(none());
        }
        let kept = self.storage.get::<Approval>(&key(&id)).await?.ok_or_else(none)?;
        let mut approval = kept.value;
        if !approval.may_answer(actor, standing) {
            return Err(PluginError::permission(format!("approval `{id}` is for {}", approval.who())));
        }
        if let Some(answer) = &approval.answer {
            let by = answer.by.as_ref().map_or("nobody", |by| by.name.as_str());
            let how = if answer.approved { "approved" } else { "refused" };
            return Err(PluginError::input(format!("`{id}` was {how} by {by} already")));
        }
        if approval.until <= now {
            return Err(PluginError::input(format!("the time to answer `{id}` is up")));
        }
        let note = note.trim();
        let by = Some(Who { id: actor.id.to_string(), name: actor.name.to_string() });
        let note = note[..note.floor_char_boundary(NOTE_MAX.min(note.len()))].to_owned();
        approval.answer = Some(Answer { approved, by, note, at: now });
        if self.storage.compare_and_set(&key(&id), &approval, kept.version).await?.is_none() {
            return Err(PluginError::input(format!("somebody else answered `{id}` just now")));
        }
        if !self.wake(&approval).await? {
            self.close(&id).await?;
            return Err(PluginError::not_found(format!("the run that asked `{id}` has ended")));
        }
        Ok(approval)
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(users: &[&str], moderators: bool, actor: &Actor, standing: Standing, expected: bool) {
        let approval = Approval {
            id: identifier("run/1/ask"),
            run: RunId::new(),
            workflow: "release".into(),
            step: "ask".into(),
            text: "Release?".into(),
            room: None,
            room_id: None,
            users: users.iter().map(ToString::to_string).collect(),
            moderators,
            asked_at: Time::from_micros(0),
            until: Time::from_micros(1),
            otherwise: Unanswered::Refuse,
            answer: None,
        };
        assert_eq!(approval.may_answer(actor, standing), expected, "{}", approval.message());
    }

    #[test]
    fn who_may_answer() {
        let id = "0192f3a0-0000-7000-8000-00000000000a";
        let ann = Actor::user(id, "ann");
        check(&["ann"], false, &ann, Standing::Person, true);
        check(&[id], false, &ann, Standing::Person, true);
        check(&[&id.to_uppercase()], false, &ann, Standing::Person, true);
        // Whoever calls themselves as another one's id is, or has as their id what is another one's name, is not meant.
        let other = "0192f3a0-0000-7000-8000-00000000000b";
        check(&[id], false, &Actor::user(other, id), Standing::Person, false);
        check(&["ann"], false, &Actor::user("ann", "bob"), Standing::Person, false);
        check(&["bob"], false, &ann, Standing::Person, false);
        check(&[], true, &ann, Standing::Person, false);
        check(&[], true, &ann, Standing::Moderator, true);
        check(&[], false, &ann, Standing::Moderator, false);
        check(&[], false, &ann, Standing::Admin, true);
        // A plugin or a webhook may call itself what it likes.
        check(&["ann"], false, &Actor::webhook("webhook", "w", "ann"), Standing::Person, false);
    }
}
