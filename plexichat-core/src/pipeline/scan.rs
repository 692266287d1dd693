//! Stages 4 and 6: rewriting hooks one after the other, then all scanners at once on what would be stored.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::Refusal;
use super::message::{Admitted, Cleared, Message, Snapshot as MessageSnapshot};
use crate::descriptor::{FailMode, Hook};
use crate::id::PluginName;
use crate::manager::snapshot::{HookEntry, Snapshot};
use crate::message::{Finding, MessagePatch, MessageState, Verdict};

/// Runs the rewriting hooks in the bundle's order; each sees what the one before it left.
pub(super) async fn rewrite(
    plugins: &Snapshot,
    message: &mut Message<Admitted>,
    text_bytes: usize,
) -> Result<Unscanned, Refusal> {
    let mut passed = Unscanned::default();
    passed.apply_missing(plugins, Hook::RewriteMessage)?;
    for entry in plugins.hooks(Hook::RewriteMessage) {
        match ask_rewrite(entry, message.snapshot()).await {
            Ok(Some(patch)) if patch.text.len() <= text_bytes => message.rewrite(patch.text),
            Ok(Some(patch)) => {
                let (plugin, bytes) = (entry.plugin.name(), patch.text.len());
                tracing::warn!(%plugin, bytes, text_bytes, "a hook made a message longer than it may be");
                passed.apply(plugin, entry.on_error, Hook::RewriteMessage)?;
            }
            Ok(None) => {}
            Err(HookFailed) => passed.apply(entry.plugin.name(), entry.on_error, Hook::RewriteMessage)?,
        }
    }
    Ok(passed)
}

/// Asks every scanner about one snapshot of the final text. The first rejection drops the calls that still run.
pub(super) async fn scan(
    plugins: &Snapshot,
    mut message: Message<Admitted>,
    mut passed: Unscanned,
) -> Result<Message<Cleared>, Refused> {
    if let Err(refusal) = passed.apply_missing(plugins, Hook::ScanMessage) {
        return Err(Refused { refusal, message });
    }
    let entries = plugins.hooks(Hook::ScanMessage);
    let mut verdicts: FuturesUnordered<_> = entries
        .iter()
        .map(|entry| {
            let snapshot = message.snapshot();
            async move { (entry, ask_scan(entry, snapshot).await) }
        })
        .collect();
    let mut quarantine = false;
    let mut unavailable = None;
    while let Some((entry, verdict)) = verdicts.next().await {
        let plugin = entry.plugin.name().clone();
        match verdict {
            Ok(Verdict::Allow) => {}
            Ok(Verdict::Flag(finding)) => message.find(plugin, finding),
            Ok(Verdict::Quarantine(finding)) => {
                quarantine = true;
                message.find(plugin, finding);
            }
            Ok(Verdict::Reject(finding)) => {
                drop(verdicts);
                return Err(Refused { refusal: Refusal::Rejected { plugin, finding }, message });
            }
            Err(HookFailed) => {
                // A rejection by another scanner still counts for more than that this one failed.
                if let Err(refusal) = passed.apply(&plugin, entry.on_error, Hook::ScanMessage) {
                    unavailable = Some(refusal);
                }
            }
        }
    }
    drop(verdicts);
    if let Some(refusal) = unavailable {
        return Err(Refused { refusal, message });
    }
    for (plugin, finding) in passed.findings {
        message.find(plugin, finding);
    }
    let state = if quarantine || passed.quarantine {
        MessageState::Quarantined
    } else if passed.open {
        MessageState::Unscanned
    } else {
        MessageState::Stored
    };
    Ok(message.clear(state))
}

/// A message that a scanner kept out, for the event that tells of it.
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) message: Message<Admitted>,
}

/// What the policies of failed hooks let pass.
#[derive(Default)]
pub(super) struct Unscanned {
    open: bool,
    quarantine: bool,
    findings: Vec<(PluginName, Finding)>,
}

impl Unscanned {
    /// A hook of a plugin that does not run fails like one that was asked and failed.
    fn apply_missing(&mut self, plugins: &Snapshot, hook: Hook) -> Result<(), Refusal> {
        plugins.missing(hook).iter().try_for_each(|missing| self.apply(&missing.plugin, missing.on_error, hook))
    }

    fn apply(&mut self, plugin: &PluginName, on_error: FailMode, hook: Hook) -> Result<(), Refusal> {
        match on_error {
            FailMode::Closed => return Err(Refusal::ScannerUnavailable { plugin: plugin.clone(), hook }),
            FailMode::Quarantine => {
                self.quarantine = true;
                self.findings.push((plugin.clone(), Finding::new("scanner_unavailable")));
            }
            FailMode::Open => {
                self.open = true;
                self.findings.push((plugin.clone(), Finding::new("unscanned")));
            }
        }
        Ok(())
    }
}

/// The call gave no answer, or the answer was that it failed. The guard has told the operator which and why.
struct HookFailed;

async fn ask_rewrite(entry: &HookEntry, snapshot: Arc<MessageSnapshot>) -> Result<Option<MessagePatch>, HookFailed> {
    let call = entry.plugin.call(Hook::RewriteMessage.as_str(), entry.timeout, move |instance| {
        Box::pin(async move {
            match instance.security() {
                Some(security) => security.rewrite_message(&snapshot.view()).await,
                None => Ok(None),
            }
        })
    });
    call.await.map_err(|_| HookFailed)?.map_err(|_| HookFailed)
}

async fn ask_scan(entry: &HookEntry, snapshot: Arc<MessageSnapshot>) -> Result<Verdict, HookFailed> {
    let call = entry.plugin.call(Hook::ScanMessage.as_str(), entry.timeout, move |instance| {
        Box::pin(async move {
            match instance.security() {
                Some(security) => security.scan_message(&snapshot.view()).await,
                None => Ok(Verdict::Allow),
            }
        })
    });
    call.await.map_err(|_| HookFailed)?.map_err(|_| HookFailed)
}
