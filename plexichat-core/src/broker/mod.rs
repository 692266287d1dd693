//! The broker of AI: chooses a provider, asks it within its times, tries again and elsewhere before the first piece, counts
//! what it cost, and shows question and answer to the scanners. Everybody who asks a model comes through here. Knows no
//! room's history and no tool.

mod answer;
mod ask;
mod choose;
mod flight;
mod judge;
mod ledger;
mod port;
mod quota;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use self::choose::Known;
use self::flight::Flights;
use crate::capability::clock::Clock;
use crate::manager::snapshot::Snapshot;
use crate::pipeline::{Announcer, Pipeline};

pub use self::answer::{Answer, Piece};
pub use self::ask::Ask;
pub use self::flight::IN_FLIGHT_MAX;
pub use self::ledger::{AiLedger, Spender, Spent, UsageRecord};
pub use self::quota::Quotas;

/// Asks AI providers. One for all roads.
pub struct Broker {
    plugins: Arc<ArcSwap<Snapshot>>,
    pipeline: Arc<Pipeline>,
    announcer: Arc<dyn Announcer>,
    ledger: Arc<dyn AiLedger>,
    clock: Arc<dyn Clock>,
    quotas: ArcSwap<Quotas>,
    known: Known,
    flights: Flights,
    host: Handle,
}

impl Broker {
    /// A broker over the plugins that run. Must be called on the host's runtime.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(
        plugins: Arc<ArcSwap<Snapshot>>,
        pipeline: Arc<Pipeline>,
        announcer: Arc<dyn Announcer>,
        ledger: Arc<dyn AiLedger>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (quotas, known, flights) = Default::default();
        let host = Handle::current();
        Self { plugins, pipeline, announcer, ledger, clock, quotas, known, flights, host }
    }

    /// Lets other quotas and another default model count from now on.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.quotas.store(Arc::new(quotas));
    }
}
