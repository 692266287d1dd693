//! What is old goes, every hour, a little at a time, so that nobody who writes waits for it. And notes in the log where the
//! audit log's chain ends: a log is kept elsewhere, where whoever writes the database anew does not come.

use std::sync::Arc;
use std::time::Duration;

use plexichat::message::Time;
use plexichat::settings::Settings;
use plexichat::store::StoreError;
use tokio::sync::watch;

use crate::stop::stopped;
use crate::store::Store;

/// How long after the start it begins, and how often it comes again.
const FIRST: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_secs(3600);
/// How many rows go in one write.
const BATCH: u32 = 500;
/// How long the writer is left to others between two.
const PAUSE: Duration = Duration::from_millis(100);

/// What is kept for how long, as a list of what can be old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Messages,
    Audit,
    Changes,
    AiUsage,
    Approvals,
    Runs,
    DeadLetters,
}

/// Removes what is old until the server stops.
pub(crate) async fn run(store: Store, settings: watch::Receiver<Arc<Settings>>, mut stopping: watch::Receiver<bool>) {
    note_head(&store).await;
    let work = async {
        tokio::time::sleep(FIRST).await;
        loop {
            let now = settings.borrow().clone();
            if let Err(error) = remove(&store, &now).await {
                tracing::warn!(%error, "what is too old was not removed: it is tried again in an hour");
            }
            tokio::time::sleep(EVERY).await;
            note_head(&store).await;
        }
    };
    // Between two writes nothing is half done.
    tokio::select! {
        () = work => {}
        () = stopped(&mut stopping) => {}
    }
}

async fn note_head(store: &Store) {
    match store.audit_head().await {
        Ok(head) if head.number > 0 => {
            tracing::info!(%head, "the audit log ends here: `plexichat audit verify --expect` takes it");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the end of the audit log cannot be read"),
    }
}

async fn remove(store: &Store, settings: &Settings) -> Result<(), StoreError> {
    let kept = settings.server.retention;
    let plan = [
        (Kind::Messages, "messages", kept.messages),
        (Kind::Audit, "audit", kept.audit),
        (Kind::Changes, "changes", Some(kept.changes)),
        (Kind::AiUsage, "ai_usage", Some(kept.ai_usage)),
        (Kind::Approvals, "ai_approvals", Some(kept.ai_usage)),
        (Kind::Runs, "runs", Some(kept.runs)),
        (Kind::DeadLetters, "dead_letters", Some(kept.dead_letters)),
    ];
    for (kind, what, kept) in plan {
        let Some(kept) = kept else { continue };
        let before = Time::from_micros(Time::now().as_micros().saturating_sub_unsigned(kept.as_micros() as u64));
        let mut removed = 0;
        loop {
            let gone = match kind {
                Kind::Messages => store.remove_messages(before, BATCH).await?,
                Kind::Audit => store.remove_audit_rows(before, BATCH).await?,
                Kind::Changes => store.prune_changes(before, BATCH).await?,
                Kind::Approvals => store.remove_approvals(before, BATCH).await?,
                Kind::AiUsage => store.remove_ai_usage(before, BATCH).await?,
                Kind::Runs => store.remove_runs(before, false, BATCH).await?,
                Kind::DeadLetters => store.remove_runs(before, true, BATCH).await?,
            };
            removed += gone;
            if gone < u64::from(BATCH) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if removed > 0 {
            tracing::info!(what, removed, "what was too old was removed");
            metrics::counter!("plexichat_retention_removed_total", "what" => what).increment(removed);
        }
    }
    Ok(())
}
