//! The rows of what models were asked: written, summed, listed, removed. Knows no quota and no provider.

use async_trait::async_trait;
use plexichat::ai::Usage;
use plexichat::broker::{AiLedger, Spender, Spent, UsageRecord};
use plexichat::id::RoomId;
use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::Store;
use super::values::{bound, count, identifier, kind_word, origin_word, time, word};
use crate::store::usage::{UsageBy, UsageFilter, UsageGroup, UsageRow, UsageSum};

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

/// What is summed, and in this order read by [`sum`].
const SUMS: &str = "count(*), count(*) FILTER (WHERE outcome NOT IN ('stop', 'length', 'tool_calls', 'cancelled')),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cached_input_tokens), 0),
    coalesce(sum(latency_ms), 0)";

impl Store {
    /// The requests that a filter lets through, the newest first: at most `limit`, only those before this number.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn ai_usage(
        &self,
        filter: UsageFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<UsageRow>, StoreError> {
        self.read(move |connection| {
            let (condition, mut values) = condition(&filter);
            let question = format!(
                "SELECT number, request_id, time, model, actor_kind, actor_id, actor_name, room, origin, input_tokens,
                        output_tokens, cached_input_tokens, estimated, outcome, latency_ms, first_delta_ms
                 FROM ai_usage WHERE {condition} AND number < ? ORDER BY number DESC LIMIT ?"
            );
            values.extend([Value::Integer(before.map_or(i64::MAX, bound)), Value::Integer(limit.into())]);
            let mut statement = connection.prepare_cached(&question)?;
            let rows = statement.query_map(params_from_iter(values), row)?;
            rows.collect()
        })
        .await
    }

    /// The sum of the requests that a filter lets through.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn ai_usage_sum(&self, filter: UsageFilter) -> Result<UsageSum, StoreError> {
        self.read(move |connection| {
            let (condition, values) = condition(&filter);
            connection
                .prepare_cached(&format!("SELECT {SUMS} FROM ai_usage WHERE {condition}"))?
                .query_row(params_from_iter(values), |row| sum(row, 0))
        })
        .await
    }

    /// The same for each person, room, model or day: those with the most tokens first, days from the newest on; `limit` of them
    /// behind the first `skip`.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn ai_usage_by(
        &self,
        by: UsageBy,
        filter: UsageFilter,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<UsageGroup>, StoreError> {
        // What tells the groups apart, as text, and what they are called.
        let (key, name, order) = match by {
            UsageBy::User => ("actor_kind || ':' || actor_id", "max(actor_name)", "tokens DESC, key"),
            UsageBy::Room => (
                "coalesce(lower(hex(room)), '')",
                // Who is in the others is their members' to know, and a direct room is called by its people.
                "(SELECT name FROM rooms WHERE rooms.id = ai_usage.room AND kind = 'public')",
                "tokens DESC, key",
            ),
            UsageBy::Model => ("model", "model", "tokens DESC, key"),
            UsageBy::Day => {
                let day = "strftime('%Y-%m-%d', time / 1000000, 'unixepoch')";
                (day, day, "key DESC")
            }
        };
        self.read(move |connection| {
            let (condition, mut values) = condition(&filter);
            let question = format!(
                "SELECT {SUMS}, {key} AS key, {name}, sum(input_tokens + output_tokens) AS tokens, max(actor_kind),
                        max(actor_id), max(room)
                 FROM ai_usage WHERE {condition} GROUP BY key ORDER BY {order} LIMIT ? OFFSET ?"
            );
            values.extend([Value::Integer(limit.into()), Value::Integer(skip.into())]);
            let mut statement = connection.prepare_cached(&question)?;
            let groups = statement.query_map(params_from_iter(values), |row| {
                let name: Option<String> = row.get(7)?;
                let mut group = UsageGroup { sum: sum(row, 0)?, ..UsageGroup::default() };
                match by {
                    UsageBy::User => {
                        let id: String = row.get(10)?;
                        group.actor =
                            Some(Actor { kind: word(row, 9)?, id: id.into(), name: name.unwrap_or_default().into() });
                    }
                    UsageBy::Room => {
                        group.room_id = row.get::<_, Option<[u8; 16]>>(11)?.map(RoomId::from_bytes);
                        group.room_name = name;
                    }
                    UsageBy::Model => group.model = name,
                    UsageBy::Day => group.day = name,
                }
                Ok(group)
            })?;
            groups.collect()
        })
        .await
    }

    /// Removes the oldest rows from before this time, at most so many; how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed them.
    pub async fn remove_ai_usage(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let gone = tx
                .prepare_cached(
                    "DELETE FROM ai_usage
                     WHERE number IN (SELECT number FROM ai_usage WHERE time < ?1 ORDER BY time LIMIT ?2)",
                )?
                .execute((before.as_micros(), limit))?;
            Ok(Ok(gone as u64))
        })
        .await
    }
}

/// What a filter asks of a row, and the values in it.
fn condition(filter: &UsageFilter) -> (String, Vec<Value>) {
    let mut condition = "1".to_owned();
    let mut values = Vec::new();
    let mut put = |asked: &str, value: Option<Value>| {
        if let Some(value) = value {
            condition.push_str(&format!(" AND {asked} ?"));
            values.push(value);
        }
    };
    if let Some(user) = filter.user_id {
        put("actor_kind = 'user' AND actor_id =", Some(Value::Text(user.to_string())));
    }
    put("room =", filter.room_id.map(|room| Value::Blob(room.as_bytes().to_vec())));
    put("model =", filter.model.clone().map(Value::Text));
    put("time >=", filter.since.map(|since| Value::Integer(since.as_micros())));
    put("time <", filter.until.map(|until| Value::Integer(until.as_micros())));
    (condition, values)
}

fn sum(row: &Row<'_>, first: usize) -> rusqlite::Result<UsageSum> {
    Ok(UsageSum {
        requests: count(row, first)?,
        failed: count(row, first + 1)?,
        input_tokens: count(row, first + 2)?,
        output_tokens: count(row, first + 3)?,
        cached_input_tokens: count(row, first + 4)?,
        latency_ms: count(row, first + 5)?,
    })
}

fn row(row: &Row<'_>) -> rusqlite::Result<UsageRow> {
    let (id, name): (String, String) = (row.get(5)?, row.get(6)?);
    let room_id = match row.get_ref(7)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(identifier(row, 7, RoomId::from_bytes)?),
    };
    let record = UsageRecord {
        request_id: row.get(1)?,
        time: time(row, 2)?,
        model: row.get(3)?,
        actor: Actor { kind: word(row, 4)?, id: id.into(), name: name.into() },
        room_id,
        origin: word(row, 8)?,
        usage: Usage {
            input_tokens: count(row, 9)?,
            output_tokens: count(row, 10)?,
            cached_input_tokens: count(row, 11)?,
        },
        estimated: row.get(12)?,
        outcome: row.get(13)?,
        latency_ms: count(row, 14)?,
        first_delta_ms: row.get::<_, Option<i64>>(15)?.map(|first| first.max(0) as u64),
    };
    Ok(UsageRow { number: count(row, 0)?, record })
}

#[cfg(test)]
mod tests {
    use plexichat::message::Origin;

    use super::*;
    use crate::store::testing::Place;

    fn at(day: i64, second: i64) -> Time {
        Time::from_micros((day * 86_400 + second) * 1_000_000)
    }

    fn record(model: &str, actor: &Actor, room_id: Option<RoomId>, time: Time, outcome: &str) -> UsageRecord {
        UsageRecord {
            request_id: format!("{model}-{}", time.as_micros()),
            time,
            model: model.to_owned(),
            actor: actor.clone(),
            room_id,
            origin: Origin::Rest,
            usage: Usage { input_tokens: 10, output_tokens: 5, cached_input_tokens: 2 },
            estimated: false,
            outcome: outcome.to_owned(),
            latency_ms: 100,
            first_delta_ms: None,
        }
    }

    #[tokio::test]
    async fn what_is_recorded_is_listed_summed_and_removed() {
        let place = Place::new();
        let store = place.open();
        let user = plexichat::id::UserId::new();
        let ann = Actor::user(&user.to_string(), "ann");
        let plugin = Actor::plugin("poll");
        let room = RoomId::new();
        for record in [
            record("a/one", &ann, Some(room), at(10, 0), "stop"),
            record("a/one", &ann, None, at(11, 0), "unavailable"),
            record("a/two", &plugin, Some(room), at(11, 5), "length"),
        ] {
            store.record(record).await.expect("is kept");
        }
        let all = UsageFilter::default();
        let rows = store.ai_usage(all.clone(), None, 2).await.expect("reads");
        assert_eq!(rows.iter().map(|row| row.record.model.as_str()).collect::<Vec<_>>(), ["a/two", "a/one"]);
        let older = store.ai_usage(all.clone(), Some(rows[1].number), 2).await.expect("reads");
        assert_eq!((older.len(), older[0].record.actor.clone(), older[0].record.room_id), (1, ann.clone(), Some(room)));

        let sum = store.ai_usage_sum(all.clone()).await.expect("sums");
        assert_eq!((sum.requests, sum.failed, sum.input_tokens, sum.output_tokens), (3, 1, 30, 15));
        let own = UsageFilter { user_id: Some(user), since: Some(at(11, 0)), ..UsageFilter::default() };
        assert_eq!(store.ai_usage_sum(own).await.expect("sums").requests, 1);

        let by = async |by| store.ai_usage_by(by, UsageFilter::default(), 0, 10).await.expect("sums");
        let people = by(UsageBy::User).await;
        assert_eq!((people.len(), people[0].actor.clone(), people[0].sum.requests), (2, Some(ann), 2));
        let days = by(UsageBy::Day).await;
        let days: Vec<_> = days.iter().map(|group| (group.day.as_deref(), group.sum.requests)).collect();
        assert_eq!(days, [(Some("1970-01-12"), 2), (Some("1970-01-11"), 1)]);
        assert_eq!(by(UsageBy::Room).await[0].room_id, Some(room));
        assert_eq!(by(UsageBy::Model).await[0].model.as_deref(), Some("a/one"));
        assert_eq!(store.ai_usage_by(UsageBy::Model, UsageFilter::default(), 1, 10).await.expect("sums").len(), 1);

        assert_eq!(store.remove_ai_usage(at(11, 0), 10).await, Ok(1));
        assert_eq!(store.remove_ai_usage(at(11, 0), 10).await, Ok(0));
        assert_eq!(store.ai_usage_sum(all).await.expect("sums").requests, 2);
    }
}
