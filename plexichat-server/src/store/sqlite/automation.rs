//! Triggers and runs of workflows: the port, one short transaction for each operation. Knows no engine, no calendar and no plugin.

mod claims;
mod ends;
mod look;
mod triggers;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use async_trait::async_trait;
use plexichat::automation::{
    Added, AutomationStore, Claim, Claimed, KeptTrigger, NewRun, RunFilter, RunRecord, RunState, Settlement,
};
use plexichat::id::{PluginName, RunId};
use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use plexichat::workflow::RunStep;
use serde::Serialize;
use serde_json::Value;

pub(super) use claims::remove_plugin;
pub use ends::Replayed;
pub use look::TriggerCount;

use super::Store;
use crate::store::Act;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl AutomationStore for Store {
    async fn set_fixed(&self, plugin: PluginName, triggers: Vec<KeptTrigger>) -> Result<()> {
        self.write(move |tx| triggers::set_fixed(tx, &plugin, triggers).map(Ok)).await
    }

    async fn put_trigger(&self, trigger: KeptTrigger) -> Result<Option<KeptTrigger>> {
        self.write(move |tx| triggers::put(tx, trigger).map(Ok)).await
    }

    async fn remove_trigger(&self, plugin: PluginName, id: String) -> Result<bool> {
        self.write(move |tx| triggers::remove(tx, &plugin, &id).map(Ok)).await
    }

    async fn trigger(&self, plugin: PluginName, id: String) -> Result<Option<KeptTrigger>> {
        self.read(move |connection| triggers::one(connection, &plugin, &id)).await
    }

    async fn triggers(&self, plugin: Option<PluginName>) -> Result<Vec<KeptTrigger>> {
        self.read(move |connection| triggers::all(connection, plugin.as_ref())).await
    }

    async fn due_triggers(&self, now: Time, plugins: BTreeSet<PluginName>, limit: u32) -> Result<Vec<KeptTrigger>> {
        self.read(move |connection| triggers::due(connection, now, &plugins, limit)).await
    }

    async fn fire(
        &self,
        plugin: PluginName,
        id: String,
        seen: Time,
        next: Option<Time>,
        runs: Vec<NewRun>,
    ) -> Result<Option<Vec<Added>>> {
        self.write(move |tx| {
            if !triggers::take_tick(tx, &plugin, &id, seen, next)? {
                return Ok(Ok(None));
            }
            claims::add_all(tx, &runs).map(|added| Ok(Some(added)))
        })
        .await
    }

    async fn add_runs(&self, runs: Vec<NewRun>) -> Result<Vec<Added>> {
        self.write(move |tx| claims::add_all(tx, &runs).map(Ok)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>> {
        self.write(move |tx| claims::claim(tx, &claim).map(Ok)).await
    }

    async fn renew(&self, run: RunId, fence: u64, until: Time) -> Result<bool> {
        self.write(move |tx| claims::renew(tx, run, fence, until).map(Ok)).await
    }

    async fn keep(&self, run: RunId, fence: u64, state: Value) -> Result<bool> {
        self.write(move |tx| claims::keep(tx, run, fence, &state).map(Ok)).await
    }

    async fn record(&self, run: RunId, fence: u64, step: RunStep) -> Result<bool> {
        self.write(move |tx| claims::record(tx, run, fence, &step).map(Ok)).await
    }

    async fn settle(&self, run: RunId, fence: u64, settlement: Settlement, now: Time, took_ms: u64) -> Result<bool> {
        self.write(move |tx| ends::settle(tx, run, fence, settlement, now, took_ms).map(Ok)).await
    }

    async fn wake(&self, plugin: PluginName, run: RunId, signal: Value, now: Time) -> Result<bool> {
        self.write(move |tx| ends::wake(tx, &plugin, run, signal, now).map(Ok)).await
    }

    async fn cancel(&self, run: RunId, by: Actor, now: Time) -> Result<Option<RunState>> {
        let act = Act::new(by, None, None);
        self.write(move |tx| ends::cancel(tx, run, &act, now).map(Ok)).await.map(|(_, now)| now)
    }

    async fn replay(&self, run: RunId, by: Actor, now: Time) -> Result<Option<RunState>> {
        let act = Act::new(by, None, None);
        self.write(move |tx| ends::replay(tx, run, &act, now).map(Ok)).await
    }

    async fn run(&self, run: RunId) -> Result<Option<(RunRecord, Vec<RunStep>)>> {
        self.read(move |connection| look::run(connection, run)).await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRecord>> {
        self.read(move |connection| look::runs(connection, &filter)).await
    }

    async fn run_counts(&self) -> Result<Vec<(PluginName, RunState, u64)>> {
        self.read(look::counts).await
    }

    async fn next_due(&self, plugins: BTreeSet<PluginName>) -> Result<Option<Time>> {
        self.read(move |connection| look::next_due(connection, &plugins)).await
    }
}

/// A value as the JSON that is kept of it.
fn text(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
