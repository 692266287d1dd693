//! What models were asked and what it cost: the port that a server's store fills. Knows no engine and no quota.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ai::Usage;
use crate::id::RoomId;
use crate::message::{Actor, Origin, Time};
use crate::store::StoreError;

/// One request to a provider, once it has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRecord {
    /// The request's identifier, as in its events.
    pub request_id: String,
    /// When it began.
    pub time: Time,
    /// The model: `plugin/model`.
    pub model: String,
    /// For whom.
    pub actor: Actor,
    /// The room that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// By which road it came.
    pub origin: Origin,
    /// What it cost.
    pub usage: Usage,
    /// Whether the provider did not say what it cost, so that it is this server's estimate.
    pub estimated: bool,
    /// Why the answer ended, or the code of the failure.
    pub outcome: String,
    /// How long the whole took, in milliseconds.
    pub latency_ms: u64,
    /// How long until the first piece, in milliseconds, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_delta_ms: Option<u64>,
}

/// Whose spending is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Spender {
    /// Somebody's, everywhere.
    Actor(Actor),
    /// A room's, by everybody.
    Room(RoomId),
}

impl Spender {
    /// Somebody, whatever their name is by now.
    pub fn of(actor: &Actor) -> Self {
        Self::Actor(Actor { name: "".into(), ..actor.clone() })
    }
}

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// How many requests.
    pub requests: u64,
    /// How many tokens, of questions and answers together.
    pub tokens: u64,
}

/// Keeps what models were asked.
#[async_trait]
pub trait AiLedger: Send + Sync + 'static {
    /// Keeps one request.
    async fn record(&self, record: UsageRecord) -> Result<(), StoreError>;

    /// What was spent since then.
    async fn spent(&self, spender: &Spender, since: Time) -> Result<Spent, StoreError>;
}
