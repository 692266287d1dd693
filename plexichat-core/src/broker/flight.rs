//! What is on its way to models at the moment: it counts against quotas before it is over, and nobody takes every place of a
//! provider. Knows no store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Spender, Spent};
use crate::ai::{AiError, AiErrorKind};
use crate::id::RoomId;
use crate::message::Actor;

/// How many requests of one person or plugin may be on their way at once: half the calls that one plugin takes.
pub const IN_FLIGHT_MAX: u64 = 32;

/// The requests that have not ended.
#[derive(Debug, Default, Clone)]
pub(super) struct Flights(Arc<Mutex<HashMap<Spender, Spent>>>);

/// One request that has not ended. It counts until it is dropped.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Flights,
    spenders: Vec<Spender>,
    tokens: u64,
}

impl Flights {
    /// What this one has on its way.
    pub(super) fn of(&self, spender: &Spender) -> Spent {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(spender).copied().unwrap_or_default()
    }

    /// Takes a request on.
    pub(super) fn begin(&self, actor: &Actor, room_id: Option<RoomId>, tokens: u64) -> Result<Flight, AiError> {
        let own = Spender::of(actor);
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(&own).is_some_and(|spent| spent.requests >= IN_FLIGHT_MAX) {
            let message = format!("you have {IN_FLIGHT_MAX} requests on their way already: wait until one has ended");
            let kind = AiErrorKind::QuotaExceeded { retry_after: Some(Duration::from_secs(1)) };
            return Err(AiError::new(kind, message));
        }
        let spenders: Vec<Spender> = std::iter::once(own).chain(room_id.map(Spender::Room)).collect();
        for spender in &spenders {
            let spent = flights.entry(spender.clone()).or_default();
            spent.requests += 1;
            spent.tokens = spent.tokens.saturating_add(tokens);
        }
        drop(flights);
        Ok(Flight { flights: self.clone(), spenders, tokens })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        for spender in &self.spenders {
            let Some(spent) = flights.get_mut(spender) else { continue };
            spent.requests -= 1;
            spent.tokens = spent.tokens.saturating_sub(self.tokens);
            if spent.requests == 0 {
                flights.remove(spender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_counts_until_it_ends() {
        let flights = Flights::default();
        let (ann, room) = (Actor::user("1", "ann"), RoomId::new());
        let first = flights.begin(&ann, Some(room), 10).unwrap();
        let second = flights.begin(&Actor::user("1", "renamed"), None, 5).unwrap();
        assert_eq!(flights.of(&Spender::of(&ann)), Spent { requests: 2, tokens: 15 });
        assert_eq!(flights.of(&Spender::Room(room)), Spent { requests: 1, tokens: 10 });
        drop((first, second));
        assert_eq!(flights.of(&Spender::of(&ann)), Spent::default());
        assert!(flights.0.lock().unwrap().is_empty(), "nothing is kept of what has ended");
    }

    #[test]
    fn nobody_takes_every_place() {
        let flights = Flights::default();
        let ann = Actor::user("1", "ann");
        let mut held: Vec<Flight> = (0..IN_FLIGHT_MAX).map(|_| flights.begin(&ann, None, 1).unwrap()).collect();
        assert_eq!(flights.begin(&ann, None, 1).unwrap_err().kind().code(), "quota_exceeded");
        assert!(flights.begin(&Actor::user("2", "bob"), None, 1).is_ok());
        held.pop();
        assert!(flights.begin(&ann, None, 1).is_ok());
    }
}
