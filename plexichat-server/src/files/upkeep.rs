//! What goes on behind uploads: files that hang on nothing are removed, those that wait for a scanner are judged again, and
//! at the start bytes and rows are held against each other. Knows no requests.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use plexichat::id::FileId;
use plexichat::message::Time;
use plexichat::pipeline::Pipeline;
use plexichat::pipeline::files::FileState;
use plexichat::store::StoreError;

use super::{Files, Keeper, blocking};

/// How often there is a round, where nothing wakes it before.
const ROUND: Duration = Duration::from_secs(30);
/// How many files one transaction is about.
const BATCH: u32 = 100;

/// Goes round until `stop` is ready.
///
/// # Cancel safety
/// Cancel safe: the next round finds what was left.
pub(crate) async fn run(files: Files, road: Arc<Pipeline>, stop: impl Future<Output = ()>) {
    let work = async {
        if let Err(error) = files.compare().await {
            tracing::warn!(%error, "files and their rows cannot be compared");
        }
        loop {
            if let Err(error) = files.collect(Time::now()).await {
                tracing::warn!(%error, "removing files; the next round tries again");
            }
            if let Err(error) = files.rescan(&road).await {
                tracing::warn!(%error, "looking for files that wait for a scanner");
            }
            // Whichever comes first.
            let _ = tokio::time::timeout(ROUND, files.inner.wake.notified()).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = pin!(stop) => {}
    }
}

/// What was found to be amiss at the start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Rows without bytes.
    pub(super) lost: Vec<FileId>,
    /// Bytes without a row.
    pub(super) strange: Vec<FileId>,
}

impl Files {
    /// Removes files whose time is over, and those that were deleted: first nobody gets them, then the bytes go, then the
    /// row, so that a crash in between leaves something that the next round finds.
    pub(super) async fn collect(&self, now: Time) -> Result<usize, StoreError> {
        let mut removed = 0;
        while self.inner.store.expire_files(now, BATCH).await? == BATCH as usize {}
        loop {
            let deleted = self.inner.store.files_in(FileState::Deleted, None, BATCH).await?;
            let ids: Vec<FileId> = deleted.iter().map(|row| row.meta.id).collect();
            if ids.is_empty() {
                break;
            }
            let vault = self.inner.vault.clone();
            let gone = blocking(move || {
                let is_gone = |id: &FileId| match vault.remove(*id) {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::warn!(file = %id, %error, "a deleted file cannot be removed; the next round tries again");
                        false
                    }
                };
                Ok(ids.into_iter().filter(is_gone).collect::<Vec<_>>())
            });
            let gone = gone.await.unwrap_or_default();
            if gone.is_empty() {
                break;
            }
            removed += gone.len();
            self.inner.ledger.removed(self.inner.store.forget_files(gone).await?);
        }
        if removed > 0 {
            tracing::info!(files = removed, "removed files that were deleted or hung on nothing");
        }
        Ok(removed)
    }

    /// Has every file that waits for a scanner judged again, one after the other. How many wait no more.
    pub(super) async fn rescan(&self, road: &Pipeline) -> Result<usize, StoreError> {
        let (mut after, mut settled) = (None, 0);
        loop {
            let pending = self.inner.store.files_in(FileState::Pending, after, BATCH).await?;
            let Some(last) = pending.last() else { return Ok(settled) };
            after = Some(last.meta.id);
            for row in pending {
                let id = row.meta.id;
                let keeper = Keeper { inner: self.inner.clone(), act: None };
                match road.rescan_file(row.meta, &keeper).await {
                    Ok(FileState::Pending) => {}
                    Ok(_) => settled += 1,
                    Err(refusal) if refusal.http_status() == 422 => settled += 1,
                    Err(refusal) => tracing::debug!(file = %id, %refusal, "a file goes on waiting for a scanner"),
                }
            }
        }
    }

    /// Finds rows without bytes and bytes without rows, and says so. Neither is touched: a backup may have the other half.
    pub(super) async fn compare(&self) -> Result<Difference, StoreError> {
        let mut found = Difference::default();
        let mut after = None;
        loop {
            let ids = self.inner.store.file_ids(after, 10 * BATCH).await?;
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            let vault = self.inner.vault.clone();
            let lost = blocking(move || Ok(ids.into_iter().filter(|id| !vault.has(*id)).collect::<Vec<_>>()));
            found.lost.extend(lost.await.unwrap_or_default());
        }
        let vault = self.inner.vault.clone();
        let listed = blocking(move || {
            let mut folders = Vec::new();
            let strange = vault.list(|ids| folders.push(ids))?;
            Ok((folders, strange))
        });
        let (folders, others) = listed.await.map_err(|error| super::disk("listing the files", &error))?;
        for ids in folders {
            found.strange.extend(self.inner.store.unknown_files(ids).await?);
        }
        // What came and went meanwhile is no finding.
        let vault = self.inner.vault.clone();
        let strange = std::mem::take(&mut found.strange);
        let still = blocking(move || Ok(strange.into_iter().filter(|id| vault.has(*id)).collect::<Vec<_>>()));
        found.strange = self.inner.store.unknown_files(still.await.unwrap_or_default()).await?;
        if !found.lost.is_empty() {
            let (count, first) = (found.lost.len(), found.lost[0]);
            tracing::error!(count, %first, "files have no bytes: whoever asks for them gets 404; restore `files/` from a backup");
        }
        if !found.strange.is_empty() || others > 0 {
            let count = found.strange.len() + others;
            let first = found.strange.first().map(ToString::to_string);
            tracing::warn!(
                count,
                first,
                "`files/` has what no row speaks of: a crash left it, or an older database was restored"
            );
        }
        metrics::gauge!("plexichat_files_without_bytes").set(found.lost.len() as f64);
        metrics::gauge!("plexichat_files_without_row").set(found.strange.len() as f64);
        Ok(found)
    }
}
