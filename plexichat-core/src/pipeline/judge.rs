//! What the scanners say of something that nobody keeps: an answer on its way, an attempt to sign in. All are asked at once, and
//! what would be held back is refused, since there is nobody to hold it for. Knows neither answers nor attempts.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::Refusal;
use super::scan::{Scanning, tell_refused};
use crate::descriptor::{FailMode, Hook, Instance};
use crate::id::PluginName;
use crate::message::{Finding, ScanError, Verdict};
use crate::standing::Failure;

/// What is judged, for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) hook: Hook,
    /// As the beginning of a sentence: `an answer of a model`.
    pub(super) what: &'static str,
}

/// What scanners flagged and let pass.
pub(super) type Flagged = Vec<(PluginName, Finding)>;

impl Subject {
    /// Whether a scanner that should have its say does not run, and nothing passes without it.
    pub(super) fn check_absent(self, scanning: &Scanning) -> Result<(), Refusal> {
        for (plugin, on_error) in scanning.absent(self.hook) {
            self.apply(scanning, &plugin, on_error, Failure::Absent)
                .inspect_err(|_| tell_refused(self.what, &plugin, self.hook, Failure::Absent))?;
        }
        Ok(())
    }

    /// Asks every scanner that runs. The first rejection drops the calls that still run.
    pub(super) async fn judge<F>(self, scanning: &Scanning, work: F) -> Result<Flagged, Refusal>
    where
        F: Fn(Arc<dyn Instance>) -> BoxFuture<'static, Result<Verdict, ScanError>> + Clone + Send + 'static,
    {
        let entries = scanning.entries(self.hook).iter();
        let mut verdicts: FuturesUnordered<_> = entries
            .map(|entry| {
                let call = scanning.ask(entry, self.hook, entry.timeout, work.clone());
                async move { (entry, call.await) }
            })
            .collect();
        let mut flagged = Vec::new();
        let mut unavailable: Option<(Refusal, PluginName, Failure)> = None;
        while let Some((entry, verdict)) = verdicts.next().await {
            let plugin = entry.plugin.name().clone();
            match verdict {
                Ok(Verdict::Allow) => {}
                Ok(Verdict::Flag(finding)) => flagged.push((plugin, finding)),
                Ok(Verdict::Quarantine(finding) | Verdict::Reject(finding)) => {
                    return Err(Refusal::Rejected { plugin, finding });
                }
                Err(unanswered) => {
                    let failure = unanswered.failure();
                    let on_error = scanning.on_error(&plugin, entry.on_error);
                    // A rejection by another scanner still counts for more than that this one failed.
                    if let Err(refusal) = self.apply(scanning, &plugin, on_error, failure)
                        && unavailable.as_ref().is_none_or(|(.., before)| !before.is_told())
                    {
                        unavailable = Some((refusal, plugin, failure));
                    }
                }
            }
        }
        match unavailable {
            None => Ok(flagged),
            Some((refusal, plugin, failure)) => {
                tell_refused(self.what, &plugin, self.hook, failure);
                Err(refusal)
            }
        }
    }

    /// What becomes of it where a scanner has no opinion. `quarantine` means `closed`: that is something to try again, and
    /// nothing that anybody objects to.
    fn apply(
        self,
        scanning: &Scanning,
        plugin: &PluginName,
        on_error: FailMode,
        failure: Failure,
    ) -> Result<(), Refusal> {
        if on_error == FailMode::Open {
            scanning.count_unscanned(plugin, self.hook);
            let (hook, fault) = (self.hook.as_str(), failure.as_str());
            tracing::debug!(%plugin, hook, fault, "{} passed without its word", self.what);
            return Ok(());
        }
        Err(Refusal::ScannerUnavailable { plugin: plugin.clone(), hook: self.hook })
    }
}
