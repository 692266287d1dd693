//! `/api/v1/rooms/{id}/members`: who is in a room; join, invite, promote, leave, remove.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use plexichat::id::{RoomId, UserId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{OptionalJson, Path, Query};
use super::output::{CreatedOnce, Gone, Shown};
use super::rooms::{RoomAddress, limit};
use crate::auth::Principal;
use crate::error::ApiError;
use crate::store::{Member, MemberRole};

/// How many members a page has where nothing is said.
const PAGE: u32 = 100;
/// How many members a page may have.
const PAGE_MAX: u32 = 500;

/// Which page of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberPage {
    /// The name after which the page begins.
    after: Option<String>,
    /// How many members it has at most: 1 to 500, 100 where nothing is said.
    limit: Option<u32>,
}

/// Members by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MemberList {
    /// The members.
    members: Vec<Member>,
    /// Whether there are more after the last one.
    more: bool,
}

/// The address of a person in a room.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MemberAddress {
    /// The room's identifier.
    id: RoomId,
    /// The person.
    user_id: UserOrMe,
}

/// A person's identifier, or `me` for whoever asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UserOrMe {
    Me,
    User(UserId),
}

impl UserOrMe {
    fn of(self, caller: &Principal) -> UserId {
        match self {
            Self::Me => caller.user().id,
            Self::User(user) => user,
        }
    }
}

impl<'de> Deserialize<'de> for UserOrMe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "me" {
            return Ok(Self::Me);
        }
        text.parse().map(Self::User).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for UserOrMe {
    fn schema_name() -> Cow<'static, str> {
        "UserOrMe".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A person's identifier, or `me` for oneself." })
    }
}

/// What somebody is to be in a room.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    /// What they may do there: `member` for somebody new, as it is for a member, where nothing is said.
    role: Option<MemberRole>,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(room): Path<RoomAddress>,
    Query(page): Query<MemberPage>,
) -> Result<Shown<MemberList>, ApiError> {
    let limit = limit(page.limit, PAGE, PAGE_MAX)?;
    let mut members = app.store.members(room.id, caller.user().id, page.after, limit + 1).await?;
    let more = members.len() > limit as usize;
    members.truncate(limit as usize);
    Ok(Shown(MemberList { members, more }))
}

pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<MemberAddress>,
    OptionalJson(membership): OptionalJson<Membership>,
) -> Result<CreatedOnce<Member>, ApiError> {
    let user = address.user_id.of(&caller);
    let (member, new) = app.store.set_member(address.id, user, membership.role, caller.user().id, &act).await?;
    Ok(CreatedOnce { value: member, known: !new })
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Path(address): Path<MemberAddress>,
) -> Result<Gone, ApiError> {
    app.store.remove_member(address.id, address.user_id.of(&caller), caller.user().id, &act).await?;
    Ok(Gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = serde_json::from_value::<UserOrMe>(text.into());
        assert_eq!(found.map_or_else(|_| "refused".to_owned(), |found| format!("{found:?}")), expected, "{text}");
    }

    #[test]
    fn people_are_named_by_identifier_or_as_oneself() {
        check("me", "Me");
        check("01890c6e-8b5a-7cc0-98c4-dc0c0c07398f", "User(01890c6e-8b5a-7cc0-98c4-dc0c0c07398f)");
        check("Me", "refused");
        check("", "refused");
    }
}
