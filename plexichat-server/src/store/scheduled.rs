//! Posts that are written now and due later, as values. Knows no clock and no pipeline.

use plexichat::id::{FileId, MessageId, RoomId, UserId};
use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::ScheduledId;

/// How many posts of one person may wait.
pub const WAITING_MAX: u32 = 100;

/// How many that were refused when they were due are kept of one person: the last ones.
pub const FAILED_MAX: u32 = 100;

/// How far ahead a post may be due, in days.
pub const DAYS_AHEAD_MAX: i64 = 366;

impl ScheduledId {
    /// The key under which the post becomes a message: one, however often it is tried.
    pub(crate) fn key(&self) -> String {
        format!("scheduled/{self}")
    }
}

/// How far a post for later got. Once it is posted it is a message, and no post for later any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduledState {
    /// It is not due, or is tried again since something that it needs is away.
    Waiting,
    /// It was due and was refused for good.
    Failed,
}

/// Why a post was refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledError {
    /// A code for programs: the one that sending it would have been answered with.
    pub code: String,
    /// Why, in words.
    pub message: String,
}

/// A post for later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scheduled {
    /// Its identifier.
    pub id: ScheduledId,
    /// Where it is to be posted.
    pub room_id: RoomId,
    /// What is to be posted.
    pub text: String,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// The files that hang on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<FileId>,
    /// When it is due.
    pub due_at: Time,
    /// When it was written.
    pub created_at: Time,
    /// How far it got.
    pub state: ScheduledState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ScheduledError>,
}

/// A post that is to be kept.
#[derive(Debug, Clone)]
pub struct NewScheduled {
    /// Who wrote it.
    pub author: UserId,
    /// Where it is to be posted.
    pub room_id: RoomId,
    /// What is to be posted.
    pub text: String,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// The files that hang on it.
    pub attachments: Vec<FileId>,
    /// When it is due.
    pub due_at: Time,
}

/// A post that is due, and who posts it.
#[derive(Debug, Clone)]
pub struct Due {
    /// The post.
    pub post: Scheduled,
    /// Who wrote it, by the name that they have now.
    pub author: Actor,
}

/// Why a post was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The room went away meanwhile.
    #[error("there is no such room")]
    NoRoom,
    /// As many wait as may.
    #[error("{WAITING_MAX} of your posts wait already, as many as may")]
    TooMany,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_has_one_key() {
        let id = ScheduledId::new();
        assert_eq!(id.key(), format!("scheduled/{id}"));
        assert_eq!(ScheduledId::from_bytes(*id.as_bytes()).key(), id.key());
        assert!(id.key().len() <= plexichat::pipeline::KEY_MAX);
    }
}
