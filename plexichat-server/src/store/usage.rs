//! What models were asked, as the server lists and sums it. Knows no engine and no provider.

use plexichat::broker::UsageRecord;
use plexichat::id::{RoomId, UserId};
use plexichat::message::{Actor, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Only this person's.
    pub user_id: Option<UserId>,
    /// Only those for this room.
    pub room_id: Option<RoomId>,
    /// Only those to this model, `plugin/model`.
    pub model: Option<String>,
    /// Only those from this time on.
    pub since: Option<Time>,
    /// Only those before this time.
    pub until: Option<Time>,
}

/// One request, and its place among all.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsageRow {
    /// Its number: requests are numbered as they end.
    pub number: u64,
    /// What was asked and what it cost.
    #[serde(flatten)]
    pub record: UsageRecord,
}

/// By what requests are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// Who asked: people and plugins.
    User,
    /// The room that it was for.
    Room,
    /// The model.
    Model,
    /// The day, by UTC.
    Day,
}

/// What requests cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsageSum {
    /// How many requests.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Tokens of the questions.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
    /// Tokens of the questions that the provider had from before.
    pub cached_input_tokens: u64,
    /// How long they took together, in milliseconds.
    pub latency_ms: u64,
}

/// What the requests of one person, room, model or day cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsageGroup {
    /// Who asked, where sums are by person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// The room, where sums are by room; none: for no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// The room's name, where it is a public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_name: Option<String>,
    /// The model, where sums are by model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The day as `2026-01-31`, by UTC, where sums are by day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// What they cost.
    #[serde(flatten)]
    pub sum: UsageSum,
}
