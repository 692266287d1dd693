//! Rooms, who is in them and what they may do there, as values. Knows no engine.

use plexichat::id::{RoomId, UserId};
use plexichat::message::Time;
use plexichat::pipeline::{Access, Posting, RoomPolicy};
use plexichat::store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rows::{CreateError, NAME_MAX, Role};

/// The longest topic of a room, in characters.
pub const TOPIC_MAX: usize = 500;

/// How many people a direct room has at most.
pub const DIRECT_MAX: usize = 8;

/// How many people one request may invite.
pub const INVITED_MAX: usize = 100;

/// How many people a room may have.
pub const MEMBERS_MAX: u32 = 10_000;

/// Whose a room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Everybody's who has an account.
    #[default]
    Public,
    /// Its members', and administrators manage it. For others it does not exist.
    Private,
    /// That of 2 to 8 people: one room for each set of people, and nobody else sees it.
    Direct,
}

impl RoomKind {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Direct => "direct",
        }
    }
}

/// What a member may do in a room; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Read and write, as the room's policy allows.
    #[default]
    Member,
    /// Also change the room, invite people and delete what others wrote.
    Moderator,
    /// Also make owners and delete the room.
    Owner,
}

impl MemberRole {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }
}

/// What one may do in a room that one sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MayDo {
    /// Read.
    Read,
    /// Read and post.
    Write,
    /// Also change the room, and delete what others wrote.
    Moderate,
}

/// What somebody is to a room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// What they may do on this server; nothing for an account that is disabled or gone.
    pub(crate) role: Option<Role>,
    /// What they are in the room; nothing where they are no member.
    pub(crate) member: Option<MemberRole>,
}

/// What somebody may do in a room.
pub(crate) fn access(kind: RoomKind, posting: Posting, standing: Standing) -> Access {
    let Standing { role: Some(role), member } = standing else { return Access::None };
    let moderates = member.is_some_and(|member| member >= MemberRole::Moderator);
    let moderates = match kind {
        RoomKind::Direct => return if member.is_some() { Access::Write } else { Access::None },
        RoomKind::Private if role == Role::Admin => true,
        RoomKind::Private if member.is_none() => return Access::None,
        RoomKind::Private => moderates,
        RoomKind::Public => moderates || role >= Role::Moderator,
    };
    match posting {
        _ if moderates => Access::Moderate,
        Posting::Everyone => Access::Write,
        Posting::Members if member.is_some() => Access::Write,
        Posting::Members | Posting::Moderators => Access::Read,
    }
}

/// Somebody by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The account.
    pub id: UserId,
    /// The name to show; empty where the account was deleted.
    pub name: String,
}

/// A room as one person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Room {
    /// Its identifier.
    pub id: RoomId,
    /// Whose it is.
    pub kind: RoomKind,
    /// Its name: no two rooms have the same. A direct room has none: show the names of `people` instead.
    pub name: Option<String>,
    /// What it is about.
    pub topic: String,
    /// What holds in it beyond what holds everywhere.
    pub policy: RoomPolicy,
    /// 1 when made, one more at each change; the `ETag` that `If-Match` takes.
    pub revision: u64,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: UserId,
    /// Who talks in a direct room, in the order of their names, oneself among them; other rooms have `/members`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// What one may do in it.
    pub access: MayDo,
    /// What one is in it; missing where one is no member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MemberRole>,
    /// What one has not read; missing where one is no member.
    #[serde(flatten)]
    pub reading: Option<Unread>,
    /// The number of its last message; 0 where it has none.
    pub last_seq: u64,
    /// The number of the server's last change: what `after_change` takes to hear of those that follow.
    pub change: u64,
}

/// What somebody has not read in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unread {
    /// The number of the last message that one has read; 0 where one has read none.
    pub read_seq: u64,
    /// How many messages of others came since; 500 stands for as many or more.
    pub unread: u32,
    /// How many of them mention one: `@name`, or `@"name with blanks"`. They are counted a moment later.
    pub mentions: u32,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The account.
    pub user_id: UserId,
    /// The name to show.
    pub name: String,
    /// What they may do in the room.
    pub role: MemberRole,
    /// Since when they are in it.
    pub joined_at: Time,
}

/// A room to be made.
#[derive(Debug, Clone, Default)]
pub struct NewRoom {
    /// Whose it is.
    pub kind: RoomKind,
    /// Its name; a direct room has none.
    pub name: Option<String>,
    /// What it is about.
    pub topic: String,
    /// What holds in it.
    pub policy: RoomPolicy,
    /// Who is in it beside its maker.
    pub members: Vec<UserId>,
}

impl NewRoom {
    /// A public room.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }
}

/// What is to change in a room; nothing stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RoomChange {
    /// Its name.
    pub name: Option<String>,
    /// `public` or `private`.
    pub kind: Option<RoomKind>,
    /// What it is about.
    pub topic: Option<String>,
    /// What holds in it.
    pub policy: Option<RoomPolicy>,
}

/// Which rooms are listed.
#[derive(Debug, Clone, Default)]
pub struct RoomFilter {
    /// Only those that one is a member of.
    pub joined: bool,
    /// Only those of this kind.
    pub kind: Option<RoomKind>,
    /// Only the one of this name.
    pub name: Option<String>,
}

/// Rooms of a list, and where it goes on.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RoomPage {
    /// The rooms.
    pub rooms: Vec<Room>,
    /// Whether there are more after the last one.
    pub more: bool,
    /// What `after` must be for the next page; missing where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Who may see or do something in a room may have changed: whoever remembers it asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessChange {
    /// In which room; in all of them where none is named.
    pub room: Option<RoomId>,
    /// For whom; for everybody where nobody is named.
    pub user: Option<UserId>,
}

/// Why a room or its members were not made or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// There is no such room, or the person may not know of it.
    #[error("there is no such room")]
    NoRoom,
    /// The person sees the room and may not do this there.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such person, or no more.
    #[error("there is no account {0}")]
    NoUser(UserId),
    /// The person is no member.
    #[error("{0} is no member of the room")]
    NoMember(UserId),
    /// It does not fit with what is there.
    #[error("{message}")]
    Conflict {
        /// For programs.
        code: &'static str,
        /// What does not fit.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// Something that was sent cannot be.
    #[error("{message}")]
    Invalid {
        /// Where, as a JSON pointer.
        pointer: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Somebody changed it meanwhile.
    #[error("the room was changed meanwhile: its revision is {found}, not {expected}")]
    Revision {
        /// The revision that was asked for.
        expected: u64,
        /// The one that it has.
        found: u64,
    },
    /// The name is taken or cannot be one, or the store did not do it.
    #[error(transparent)]
    Create(#[from] CreateError),
}

impl From<StoreError> for RoomError {
    fn from(error: StoreError) -> Self {
        Self::Create(error.into())
    }
}

/// The topic without blanks around it.
///
/// # Errors
/// [`RoomError::Invalid`] where it is too long, or has what cannot be shown.
pub(crate) fn clean_topic(topic: &str) -> Result<String, RoomError> {
    let topic = topic.trim();
    if topic.chars().count() > TOPIC_MAX || topic.chars().any(char::is_control) {
        let message = format!("a topic has at most {TOPIC_MAX} characters and no control characters");
        return Err(RoomError::Invalid { pointer: "/topic", message });
    }
    Ok(topic.to_owned())
}

/// The name without blanks around it.
///
/// # Errors
/// [`CreateError::Name`].
pub(crate) fn clean_room_name(name: Option<&str>) -> Result<String, RoomError> {
    let Some(name) = name else {
        let message = format!("a room has a name of 1 to {NAME_MAX} characters");
        return Err(RoomError::Invalid { pointer: "/name", message });
    };
    Ok(super::rows::clean_name("room", name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: RoomKind, posting: Posting, role: Role, member: Option<MemberRole>, expected: Access) {
        let found = access(kind, posting, Standing { role: Some(role), member });
        assert_eq!(found, expected, "{kind:?} {posting:?} {role:?} {member:?}");
        let gone = access(kind, posting, Standing { role: None, member });
        assert_eq!(gone, Access::None, "an account that is gone may nothing");
    }

    #[test]
    fn public_rooms_are_everybodys() {
        use MemberRole::{Member, Moderator, Owner};
        let check = |posting, role, member, expected| check(RoomKind::Public, posting, role, member, expected);
        check(Posting::Everyone, Role::User, None, Access::Write);
        check(Posting::Members, Role::User, None, Access::Read);
        check(Posting::Members, Role::User, Some(Member), Access::Write);
        check(Posting::Moderators, Role::User, Some(Member), Access::Read);
        check(Posting::Moderators, Role::User, Some(Moderator), Access::Moderate);
        check(Posting::Everyone, Role::User, Some(Owner), Access::Moderate);
        check(Posting::Moderators, Role::Moderator, None, Access::Moderate);
        check(Posting::Moderators, Role::Admin, None, Access::Moderate);
    }

    #[test]
    fn private_rooms_are_their_members_and_administrators_manage_them() {
        let check = |posting, role, member, expected| check(RoomKind::Private, posting, role, member, expected);
        check(Posting::Everyone, Role::User, None, Access::None);
        check(Posting::Everyone, Role::Moderator, None, Access::None);
        check(Posting::Everyone, Role::Admin, None, Access::Moderate);
        check(Posting::Members, Role::User, Some(MemberRole::Member), Access::Write);
        check(Posting::Moderators, Role::Moderator, Some(MemberRole::Member), Access::Read);
        check(Posting::Moderators, Role::User, Some(MemberRole::Owner), Access::Moderate);
    }

    #[test]
    fn direct_rooms_are_nobody_elses() {
        for posting in [Posting::Everyone, Posting::Moderators] {
            for role in [Role::User, Role::Moderator, Role::Admin] {
                check(RoomKind::Direct, posting, role, None, Access::None);
                check(RoomKind::Direct, posting, role, Some(MemberRole::Member), Access::Write);
            }
        }
    }

    #[test]
    fn words_are_those_of_json() {
        for kind in [RoomKind::Public, RoomKind::Private, RoomKind::Direct] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for role in [MemberRole::Member, MemberRole::Moderator, MemberRole::Owner] {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
    }

    #[test]
    fn topics_are_trimmed_and_bounded() {
        assert_eq!(clean_topic(" plans ").as_deref(), Ok("plans"));
        assert_eq!(clean_topic("").as_deref(), Ok(""));
        assert!(clean_topic(&"ü".repeat(500)).is_ok());
        assert!(clean_topic(&"ü".repeat(501)).is_err());
        assert!(clean_topic("a\nb").is_err());
    }
}
