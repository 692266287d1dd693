//! What the server keeps, as values, and why it refuses. The engine is `sqlite`; nothing here knows HTTP, plugins that
//! run, or who listens.

pub mod act;
pub mod id;
pub(crate) mod mentions;
pub mod people;
pub mod rooms;
pub mod rows;
pub mod scheduled;
pub mod search;
pub mod sqlite;
pub mod usage;

#[cfg(test)]
pub(crate) mod testing;

pub use act::Act;
pub use id::{InvitationId, ScheduledId, SessionId, TokenId};
pub use people::{
    ChangeError, Credential, InvitationInfo, NewSession, NewUser, RegisterError, SessionError, SessionInfo,
    StoredSession,
};
pub use rooms::{
    AccessChange, Member, MemberRole, NewRoom, Person, Room, RoomChange, RoomError, RoomFilter, RoomKind, RoomPage,
    Unread,
};
pub use rows::{CreateError, HeldFinding, HeldMessage, NewToken, Reacted, Role, Scope, StoredToken, TokenInfo, User};
pub use scheduled::{DAYS_AHEAD_MAX, Due, NewScheduled, ScheduleError, Scheduled, ScheduledError, ScheduledState};
pub use search::{Hit, InvalidWords, Piece, SearchError, SearchPage, SearchQuery, Words};
pub use sqlite::{
    Anchor, Audit, AuditFinding, AuditQuery, AuditReport, AuditRow, Broken, DatabaseFacts, FileRow, InvalidAnchor,
    OpenError, Replayed, Rotation, Store, TriggerCount, check_file, database_facts, snapshot, verify_audit_file,
};
pub use usage::{UsageBy, UsageFilter, UsageGroup, UsageRow, UsageSum};
