//! The rows of what models were asked. Knows no quota and no provider.

use async_trait::async_trait;
use plexichat::broker::{AiLedger, Spender, Spent, UsageRecord};
use plexichat::message::Time;
use plexichat::store::StoreError;

use super::Store;
use super::values::{bound, count, kind_word, origin_word};

#[async_trait]
impl AiLedger for Store {
    async fn record(&self, record: UsageRecord) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO ai_usage (request_id, time, model, actor_kind, actor_id, actor_name, room, origin, input_tokens,
                     output_tokens, cached_input_tokens, estimated, outcome, latency_ms, first_delta_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute((
                &record.request_id,
                record.time.as_micros(),
                &record.model,
                kind_word(record.actor.kind),
                &*record.actor.id,
                &*record.actor.name,
                record.room_id.map(|room| *room.as_bytes()),
                origin_word(record.origin),
                bound(record.usage.input_tokens),
                bound(record.usage.output_tokens),
                bound(record.usage.cached_input_tokens),
                record.estimated,
                &record.outcome,
                bound(record.latency_ms),
                record.first_delta_ms.map(bound),
            ))?;
            Ok(Ok(()))
        })
        .await
    }

    async fn spent(&self, spender: &Spender, since: Time) -> Result<Spent, StoreError> {
        const SUMS: &str = "SELECT count(*), coalesce(sum(input_tokens + output_tokens), 0) FROM ai_usage";
        let spender = spender.clone();
        self.read(move |connection| {
            let spent = |row: &rusqlite::Row<'_>| Ok(Spent { requests: count(row, 0)?, tokens: count(row, 1)? });
            match &spender {
                Spender::Actor(actor) => connection
                    .prepare_cached(&format!("{SUMS} WHERE actor_kind = ?1 AND actor_id = ?2 AND time >= ?3"))?
                    .query_row((kind_word(actor.kind), &*actor.id, since.as_micros()), spent),
                Spender::Room(room) => connection
                    .prepare_cached(&format!("{SUMS} WHERE room = ?1 AND time >= ?2"))?
                    .query_row((room.as_bytes(), since.as_micros()), spent),
            }
        })
        .await
    }
}
