//! Why a message was not stored: one table from reason to code, status and whether to try again.

use std::time::Duration;

use crate::descriptor::Hook;
use crate::error::{ErrorKind, PluginError};
use crate::id::{FileId, PluginName};
use crate::message::Finding;
use crate::problem::Problem;
use crate::store::StoreError;

/// Why the pipeline did not store a message. Nothing of it was stored, delivered or told to handlers of messages.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The message itself cannot be stored.
    #[error("the message is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// There is no such room, or the actor may not know of it.
    #[error("there is no such room")]
    NoRoom,
    /// The actor may read the room and not post in it.
    #[error("you may read this room, not post in it")]
    Forbidden,
    /// There is no such message, or the actor may not see it.
    #[error("there is no such message")]
    NoMessage,
    /// Only its author may edit a message.
    #[error("only its author may edit a message")]
    NotAuthor,
    /// Whoever deletes what others wrote must look after the room.
    #[error("only a moderator of the room may do that")]
    NotModerator,
    /// Whoever releases or rejects must be a moderator of the whole server: who makes a room looks after it.
    #[error("only a moderator of the server decides about what is held back")]
    NotJudge,
    /// Nobody releases what they wrote.
    #[error("somebody else must release what you wrote")]
    OwnMessage,
    /// The room of a message that is to be released was deleted.
    #[error("the room of the message was deleted")]
    RoomGone,
    /// The message was changed since the actor saw it.
    #[error("the message was changed meanwhile: it has revision {revision} now")]
    Stale {
        /// Its revision now.
        revision: u32,
    },
    /// The message is held back: nothing but a moderator's word changes it.
    #[error("the message is held back until a moderator has looked at it")]
    Held,
    /// The message is not held back.
    #[error("the message is not held back")]
    NotHeld,
    /// There are too many different reactions already.
    #[error("the message has {limit} different reactions already")]
    TooManyReactions {
        /// How many there may be.
        limit: usize,
    },
    /// A file that is to hang on the message waits for a scanner.
    #[error("the file `{file}` waits for a scanner")]
    AttachmentPending {
        /// Which.
        file: FileId,
    },
    /// A file that is to hang on the message is in quarantine.
    #[error("the file `{file}` is in quarantine")]
    AttachmentInfected {
        /// Which.
        file: FileId,
    },
    /// The text is too long.
    #[error("the text has {found} bytes, at most {limit} are stored")]
    TooLarge {
        /// How long it may be, in bytes.
        limit: usize,
        /// How long it is, in bytes.
        found: usize,
    },
    /// The actor posts too fast.
    #[error("too many messages at once")]
    TooFast {
        /// When the next one will be taken.
        retry_after: Duration,
    },
    /// A scanner objects.
    #[error("the message was rejected by `{plugin}`: {}", finding.code)]
    Rejected {
        /// Which.
        plugin: PluginName,
        /// Why.
        finding: Finding,
    },
    /// A scanner objects to an attempt to sign in.
    #[error("`{plugin}` does not let you in: {}", finding.code)]
    LoginRejected {
        /// Which.
        plugin: PluginName,
        /// Why.
        finding: Finding,
    },
    /// A hook that must have its say could not.
    #[error("the {hook} hook of `{plugin}` is not available", hook = hook.as_str())]
    ScannerUnavailable {
        /// Whose.
        plugin: PluginName,
        /// Which.
        hook: Hook,
    },
    /// Events caused events caused messages, too many times.
    #[error("the message stands at the end of a chain of {depth} causes")]
    TooDeep {
        /// How many.
        depth: u8,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    /// The code that a client sees.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_message",
            Self::NoRoom => "room_not_found",
            Self::NoMessage => "message_not_found",
            Self::Forbidden | Self::NotAuthor | Self::NotModerator | Self::NotJudge | Self::OwnMessage => "forbidden",
            Self::RoomGone => "room_deleted",
            Self::Stale { .. } => "revision_mismatch",
            Self::Held => "message_held",
            Self::NotHeld => "message_not_held",
            Self::TooManyReactions { .. } => "too_many_reactions",
            Self::AttachmentPending { .. } => "attachment_pending",
            Self::AttachmentInfected { .. } => "attachment_infected",
            Self::TooLarge { .. } => "message_too_large",
            Self::TooFast { .. } => "rate_limited",
            Self::Rejected { .. } => "rejected",
            Self::LoginRejected { .. } => "login_rejected",
            Self::ScannerUnavailable { .. } => "scanner_unavailable",
            Self::TooDeep { .. } => "cause_too_deep",
            Self::Store(StoreError::Full) => "storage_full",
            Self::Store(_) => "storage_unavailable",
        }
    }

    /// The HTTP status that a client sees.
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Invalid(_) | Self::Rejected { .. } | Self::AttachmentInfected { .. } | Self::TooDeep { .. } => 422,
            Self::NoRoom | Self::NoMessage => 404,
            Self::Forbidden
            | Self::NotAuthor
            | Self::NotModerator
            | Self::NotJudge
            | Self::OwnMessage
            | Self::LoginRejected { .. } => 403,
            Self::Stale { .. } => 412,
            Self::Held
            | Self::NotHeld
            | Self::RoomGone
            | Self::TooManyReactions { .. }
            | Self::AttachmentPending { .. } => 409,
            Self::TooLarge { .. } => 413,
            Self::TooFast { .. } => 429,
            Self::ScannerUnavailable { .. } => 503,
            Self::Store(StoreError::Full) => 507,
            Self::Store(_) => 503,
        }
    }

    /// What the sender can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Rejected { .. } => Some("change the message and send it again"),
            Self::LoginRejected { .. } => Some("an operator can tell you why, and let you in"),
            Self::ScannerUnavailable { .. } => {
                Some("try again later; an operator sees the reason in `plexichat plugin list`")
            }
            Self::Stale { .. } => Some("read the message again and edit what it says now"),
            Self::AttachmentPending { .. } => {
                Some("send the message again once GET /api/v1/files/{id}/info says `clean`")
            }
            Self::AttachmentInfected { .. } => Some("send the message without it"),
            Self::Held => Some("wait for a moderator, or delete it and send another one"),
            Self::OwnMessage => Some("ask another moderator"),
            Self::RoomGone => Some("reject it instead"),
            Self::TooManyReactions { .. } => Some("react with one of those that are there"),
            Self::TooFast { .. } => Some("wait as long as Retry-After says"),
            Self::Store(StoreError::Full) => Some("nothing was stored; an operator must free space"),
            Self::Store(_) => Some("nothing was acknowledged; send it again with the same Idempotency-Key"),
            _ => None,
        }
    }

    /// Whether the same message may be taken later.
    pub const fn retryable(&self) -> bool {
        matches!(
            self,
            Self::TooFast { .. } | Self::ScannerUnavailable { .. } | Self::AttachmentPending { .. } | Self::Store(_)
        )
    }
}

/// What a plugin sees when its own post is refused.
impl From<Refusal> for PluginError {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::NoRoom | Refusal::NoMessage => ErrorKind::NotFound,
            Refusal::Forbidden
            | Refusal::NotAuthor
            | Refusal::NotModerator
            | Refusal::NotJudge
            | Refusal::OwnMessage
            | Refusal::LoginRejected { .. } => ErrorKind::Permission,
            refusal if refusal.retryable() => ErrorKind::Transient,
            _ => ErrorKind::Input,
        };
        Self::new(kind, refusal.to_string()).with_code(refusal.code())
    }
}
