//! Stages 4 and 6: rewriting hooks one after the other, then all scanners at once on what would be stored. And what both
//! share with files: who must have a say in a room, and how a hook is asked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::message::{Admitted, Cleared, Message, Snapshot as MessageSnapshot};
use super::{Pipeline, Refusal, RoomPolicy};
use crate::descriptor::{FailMode, Hook, Instance};
use crate::guard::CallError;
use crate::id::{PluginName, RoomId};
use crate::manager::snapshot::{HookEntry, Snapshot};
use crate::message::{Finding, MessagePatch, MessageState, ScanError, Verdict};
use crate::standing::Failure;
use crate::store::StoreError;

/// Who has a say about one message or file: settled once for all its stages, since plugins may be swapped meanwhile.
pub(super) struct Scanning {
    plugins: Arc<Snapshot>,
    policy: Arc<RoomPolicy>,
}

impl Pipeline {
    /// Who has a say in this room now.
    pub(super) async fn scanning(&self, room: RoomId) -> Result<Scanning, StoreError> {
        // The store has it in memory: where no room has a policy of its own, nothing is looked up.
        let policy = self.store.policy(room).await?;
        Ok(Scanning { plugins: self.plugins.load_full(), policy })
    }

    /// Who has a say where no room has a policy.
    pub(super) fn scanning_everywhere(&self) -> Scanning {
        Scanning { plugins: self.plugins.load_full(), policy: Arc::default() }
    }
}

impl Scanning {
    /// The running scanners with this hook, in the bundle's fixed order.
    pub(super) fn entries(&self, hook: Hook) -> &[HookEntry] {
        self.plugins.hooks(hook)
    }

    /// The scanners that should have their say through this hook and do not run, with what happens meanwhile.
    pub(super) fn absent(&self, hook: Hook) -> Vec<(PluginName, FailMode)> {
        let missing = self.plugins.missing(hook);
        let mut absent: Vec<_> = missing
            .iter()
            .map(|missing| (missing.plugin.clone(), self.on_error(&missing.plugin, missing.on_error)))
            .collect();
        for plugin in &self.policy.required_scanners {
            // What runs and scans nothing cannot have the say that the room wants of it either.
            let runs = self.plugins.plugin(plugin).is_some_and(|plugin| !plugin.descriptor().hooks.is_empty());
            if !runs && !missing.iter().any(|missing| missing.plugin == *plugin) {
                absent.push((plugin.clone(), FailMode::Closed));
            }
        }
        for (plugin, mode) in &absent {
            self.count(plugin, hook, *mode, Failure::Absent);
        }
        absent
    }

    /// What happens where this scanner fails: the room may want more than the scanner's own policy.
    pub(super) fn on_error(&self, plugin: &PluginName, said: FailMode) -> FailMode {
        match self.policy.required_scanners.contains(plugin) {
            true => FailMode::Closed,
            false => said,
        }
    }

    /// Something passes without this scanner's word.
    pub(super) fn count_unscanned(&self, plugin: &PluginName, hook: Hook) {
        self.plugins.standing().meter(plugin, hook).count_unscanned();
    }

    fn count(&self, plugin: &PluginName, hook: Hook, mode: FailMode, failure: Failure) {
        let standing = self.plugins.standing();
        standing.meter(plugin, hook).count(failure);
        // That something is too large says nothing of the scanner.
        if failure != Failure::TooLarge {
            standing.failed(plugin, hook, mode);
        }
    }

    /// Asks one scanner, if it is one that can be asked.
    pub(super) async fn ask<R, F>(
        &self,
        entry: &HookEntry,
        hook: Hook,
        timeout: Duration,
        work: F,
    ) -> Result<R, Unanswered>
    where
        R: Send + 'static,
        F: FnOnce(Arc<dyn Instance>) -> BoxFuture<'static, Result<R, ScanError>> + Send + 'static,
    {
        let plugin = &entry.plugin;
        let failure = if plugin.is_blind(hook) {
            Failure::Canary
        } else {
            let began = entry.meter.begin();
            let answer = plugin.call(hook.as_str(), timeout, work).await;
            entry.meter.end(began);
            match answer {
                Ok(Ok(answer)) => {
                    self.plugins.standing().judged(plugin.name(), hook);
                    return Ok(answer);
                }
                Ok(Err(ScanError::Unreadable(why))) => return Err(Unanswered::Unreadable(why)),
                Ok(Err(ScanError::TooLarge)) => Failure::TooLarge,
                Ok(Err(_)) => Failure::Error,
                Err(CallError::Timeout) => Failure::Timeout,
                Err(CallError::Panicked(_)) => Failure::Panic,
                Err(CallError::Open) => Failure::Open,
                Err(CallError::Busy) => Failure::Busy,
                Err(CallError::Stopped) => Failure::Stopped,
            }
        };
        Err(self.unanswered(entry, hook, failure))
    }

    /// One scanner has no opinion.
    pub(super) fn unanswered(&self, entry: &HookEntry, hook: Hook, failure: Failure) -> Unanswered {
        let plugin = entry.plugin.name();
        self.count(plugin, hook, self.on_error(plugin, entry.on_error), failure);
        Unanswered::Failed(failure)
    }
}

/// Why a scanner has no opinion.
pub(super) enum Unanswered {
    /// It failed, or was not asked.
    Failed(Failure),
    /// The host could not read what it was to judge.
    Unreadable(String),
}

impl Unanswered {
    /// Of what is no file, and so always readable: a scanner that says otherwise failed.
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Unreadable(_) => Failure::Error,
        }
    }
}

/// The one line in the log about what is refused because a scanner has no opinion: written here where the guard around the
/// call has not written it.
pub(super) fn tell_refused(what: &str, plugin: &PluginName, hook: Hook, failure: Failure) {
    if !failure.is_told() {
        let (hook, why) = (hook.as_str(), failure.words());
        tracing::warn!(%plugin, hook, milliseconds = 0, fault = failure.as_str(), "{what} was refused: `{plugin}` {why}");
    }
}

/// Runs the rewriting hooks in the bundle's order; each sees what the one before it left.
pub(super) async fn rewrite(
    scanning: &Scanning,
    message: &mut Message<Admitted>,
    text_bytes: usize,
) -> Result<Unscanned, Refusal> {
    const HOOK: Hook = Hook::RewriteMessage;
    let mut passed = Unscanned::default();
    passed.apply_absent(scanning, HOOK)?;
    for entry in scanning.entries(HOOK) {
        let plugin = entry.plugin.name();
        let failure = match ask_rewrite(scanning, entry, message.snapshot()).await {
            Ok(Some(patch)) if patch.text.len() <= text_bytes => {
                message.rewrite(patch.text);
                continue;
            }
            Ok(None) => continue,
            Ok(Some(patch)) => {
                let bytes = patch.text.len();
                tracing::warn!(%plugin, hook = HOOK.as_str(), bytes, text_bytes, "a hook made a message longer than it may be");
                Failure::Error
            }
            Err(unanswered) => unanswered.failure(),
        };
        let on_error = scanning.on_error(plugin, entry.on_error);
        passed.apply(scanning, plugin, on_error, HOOK).inspect_err(|_| tell_refused(MESSAGE, plugin, HOOK, failure))?;
    }
    Ok(passed)
}

/// Asks every scanner about one snapshot of the final text. The first rejection drops the calls that still run.
pub(super) async fn scan(
    scanning: &Scanning,
    mut message: Message<Admitted>,
    mut passed: Unscanned,
) -> Result<Message<Cleared>, Refused> {
    const HOOK: Hook = Hook::ScanMessage;
    if let Err(refusal) = passed.apply_absent(scanning, HOOK) {
        return Err(Refused { refusal, message });
    }
    let entries = scanning.entries(HOOK).iter();
    let mut verdicts: FuturesUnordered<_> = entries
        .map(|entry| {
            let snapshot = message.snapshot();
            async move { (entry, ask_scan(scanning, entry, snapshot).await) }
        })
        .collect();
    let mut quarantine = false;
    let mut unavailable: Option<(Refusal, PluginName, Failure)> = None;
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
            Err(unanswered) => {
                let failure = unanswered.failure();
                let on_error = scanning.on_error(&plugin, entry.on_error);
                // A rejection by another scanner still counts for more than that this one failed.
                if let Err(refusal) = passed.apply(scanning, &plugin, on_error, HOOK)
                    && unavailable.as_ref().is_none_or(|(.., before)| !before.is_told())
                {
                    unavailable = Some((refusal, plugin, failure));
                }
            }
        }
    }
    drop(verdicts);
    if let Some((refusal, plugin, failure)) = unavailable {
        tell_refused(MESSAGE, &plugin, HOOK, failure);
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

/// The code of what is held back because a scanner has no opinion.
pub(super) const UNAVAILABLE: &str = "scanner_unavailable";
/// The code of what passed without a scanner's word.
pub(super) const UNSCANNED: &str = "unscanned";

/// What the log calls it.
const MESSAGE: &str = "a message";

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
    fn apply_absent(&mut self, scanning: &Scanning, hook: Hook) -> Result<(), Refusal> {
        scanning.absent(hook).iter().try_for_each(|(plugin, on_error)| {
            let applied = self.apply(scanning, plugin, *on_error, hook);
            applied.inspect_err(|_| tell_refused(MESSAGE, plugin, hook, Failure::Absent))
        })
    }

    fn apply(
        &mut self,
        scanning: &Scanning,
        plugin: &PluginName,
        on_error: FailMode,
        hook: Hook,
    ) -> Result<(), Refusal> {
        match on_error {
            FailMode::Closed => return Err(Refusal::ScannerUnavailable { plugin: plugin.clone(), hook }),
            FailMode::Quarantine => {
                self.quarantine = true;
                self.findings.push((plugin.clone(), Finding::new(UNAVAILABLE)));
            }
            FailMode::Open => {
                self.open = true;
                scanning.count_unscanned(plugin, hook);
                self.findings.push((plugin.clone(), Finding::new(UNSCANNED)));
            }
        }
        Ok(())
    }
}

async fn ask_rewrite(
    scanning: &Scanning,
    entry: &HookEntry,
    snapshot: Arc<MessageSnapshot>,
) -> Result<Option<MessagePatch>, Unanswered> {
    let call = scanning.ask(entry, Hook::RewriteMessage, entry.timeout, move |instance| {
        Box::pin(async move {
            match instance.security() {
                Some(security) => security.rewrite_message(&snapshot.view()).await,
                None => Ok(None),
            }
        })
    });
    call.await
}

async fn ask_scan(
    scanning: &Scanning,
    entry: &HookEntry,
    snapshot: Arc<MessageSnapshot>,
) -> Result<Verdict, Unanswered> {
    let call = scanning.ask(entry, Hook::ScanMessage, entry.timeout, move |instance| {
        Box::pin(async move {
            match instance.security() {
                Some(security) => security.scan_message(&snapshot.view()).await,
                None => Ok(Verdict::Allow),
            }
        })
    });
    call.await
}
