//! Who may ask how much. Knows no provider.

use std::num::NonZeroU64;
use std::time::Duration;

use super::{Broker, Spender};
use crate::ai::{AiError, AiErrorKind};
use crate::id::RoomId;
use crate::message::{Actor, Time};
use crate::settings::AiSettings;

/// Over which time quotas count: the last 24 hours.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// What may be asked of models within 24 hours. Nothing said: without limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Tokens of one person or plugin.
    pub actor_tokens: Option<u64>,
    /// Requests of one person or plugin.
    pub actor_requests: Option<u64>,
    /// Tokens of one room.
    pub room_tokens: Option<u64>,
    /// Requests of one room.
    pub room_requests: Option<u64>,
    /// The models to ask where neither the request nor the room names one, the first that answers.
    pub default_models: Vec<String>,
}

impl From<&AiSettings> for Quotas {
    fn from(settings: &AiSettings) -> Self {
        let limit = |limit: Option<NonZeroU64>| limit.map(NonZeroU64::get);
        Self {
            actor_tokens: limit(settings.person_tokens_per_day),
            actor_requests: limit(settings.person_requests_per_day),
            room_tokens: limit(settings.room_tokens_per_day),
            room_requests: limit(settings.room_requests_per_day),
            default_models: settings.default_models.clone(),
        }
    }
}

impl Quotas {
    /// Whether tokens are limited, so that it pays to count them well.
    pub(super) fn count_tokens(&self) -> bool {
        self.actor_tokens.is_some() || self.room_tokens.is_some()
    }
}

impl Broker {
    /// Whether this one may ask for so many tokens more.
    pub(super) async fn check_quota(&self, actor: &Actor, room_id: Option<RoomId>, tokens: u64) -> Result<(), AiError> {
        let quotas = self.quotas.load_full();
        let since = Time::from_micros(self.clock.now().as_micros() - WINDOW.as_micros() as i64);
        let own = (Spender::of(actor), quotas.actor_requests, quotas.actor_tokens, "you have");
        let rooms =
            room_id.map(|room| (Spender::Room(room), quotas.room_requests, quotas.room_tokens, "this room has"));
        for (spender, most_requests, most_tokens, who) in std::iter::once(own).chain(rooms) {
            if most_requests.is_none() && most_tokens.is_none() {
                continue;
            }
            let spent = self.ledger.spent(&spender, since).await;
            let mut spent = spent.map_err(|error| {
                tracing::warn!(%error, "what models were asked cannot be read");
                AiError::new(AiErrorKind::Unavailable, "what you asked so far cannot be counted at the moment")
            })?;
            // What has not ended counts too, or whoever asks much at once would pass.
            let under_way = self.flights.of(&spender);
            spent.requests += under_way.requests;
            spent.tokens = spent.tokens.saturating_add(under_way.tokens);
            let over = |most: Option<u64>, wanted: u64| most.is_some_and(|most| wanted > most);
            let used_up = if over(most_requests, spent.requests + 1) {
                "requests"
            } else if over(most_tokens, spent.tokens.saturating_add(tokens)) {
                "tokens"
            } else {
                continue;
            };
            let message = format!("{who} used up the {used_up} that models may be asked within 24 hours");
            return Err(AiError::new(AiErrorKind::QuotaExceeded { retry_after: None }, message));
        }
        Ok(())
    }
}
