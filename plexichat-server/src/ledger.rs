//! Counts what models were asked, for `/metrics`, on its way into the store. Knows no engine and no provider.

use async_trait::async_trait;
use plexichat::broker::{AiLedger, Spender, Spent, UsageRecord};
use plexichat::message::Time;
use plexichat::store::StoreError;

/// A ledger whose records are counted.
pub(crate) struct Counted<L>(pub(crate) L);

#[async_trait]
impl<L: AiLedger> AiLedger for Counted<L> {
    async fn record(&self, record: UsageRecord) -> Result<(), StoreError> {
        count(&record);
        self.0.record(record).await
    }

    async fn spent(&self, spender: &Spender, since: Time) -> Result<Spent, StoreError> {
        self.0.spent(spender, since).await
    }
}

/// By provider, and not by model: a service may have any number of those.
fn count(record: &UsageRecord) {
    let (provider, _) = record.model.split_once('/').unwrap_or((&record.model, ""));
    let provider = provider.to_owned();
    metrics::counter!("plexichat_ai_requests_total", "provider" => provider.clone(), "outcome" => record.outcome.clone())
        .increment(1);
    let tokens = [("input", record.usage.input_tokens), ("output", record.usage.output_tokens)];
    for (kind, tokens) in tokens {
        metrics::counter!("plexichat_ai_tokens_total", "provider" => provider.clone(), "kind" => kind)
            .increment(tokens);
    }
    let seconds = |milliseconds: u64| milliseconds as f64 / 1e3;
    metrics::histogram!("plexichat_ai_request_seconds", "provider" => provider.clone())
        .record(seconds(record.latency_ms));
    if let Some(first) = record.first_delta_ms {
        metrics::histogram!("plexichat_ai_first_delta_seconds", "provider" => provider).record(seconds(first));
    }
}

#[cfg(test)]
mod tests {
    use plexichat::ai::Usage;
    use plexichat::message::{Actor, Origin};
    use plexichat::store::memory::MemoryStore;

    use super::*;

    #[test]
    fn what_is_recorded_is_counted_and_kept() {
        let recorder = crate::telemetry::exporter().unwrap().build_recorder();
        let handle = recorder.handle();
        let actor = Actor::plugin("poll");
        let record = UsageRecord {
            request_id: "r".to_owned(),
            time: Time::now(),
            model: "parrot/one".to_owned(),
            actor: actor.clone(),
            room_id: None,
            origin: Origin::Rest,
            usage: Usage { input_tokens: 10, output_tokens: 5, cached_input_tokens: 0 },
            estimated: false,
            outcome: "stop".to_owned(),
            latency_ms: 120,
            first_delta_ms: Some(40),
        };
        let ledger = Counted(MemoryStore::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let spent = metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                ledger.record(record).await.unwrap();
                ledger.spent(&Spender::Actor(actor), Time::from_micros(0)).await.unwrap()
            })
        });
        assert_eq!(spent, Spent { requests: 1, tokens: 15 });
        let text = handle.render();
        for line in [
            r#"plexichat_ai_requests_total{provider="parrot",outcome="stop"} 1"#,
            r#"plexichat_ai_tokens_total{provider="parrot",kind="output"} 5"#,
            r#"plexichat_ai_request_seconds_sum{provider="parrot"} 0.12"#,
            r#"plexichat_ai_first_delta_seconds_count{provider="parrot"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }
}
