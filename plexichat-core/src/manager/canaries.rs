//! Shows running scanners the samples that they must object to: when they start, and every hour. Judges nothing else.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::PluginManager;
use super::snapshot::RunningHook;
use crate::canary::{Canary, CanaryKind};
use crate::capability::clock::Clock;
use crate::descriptor::Hook;
use crate::file::{BytesSource, FileBody, FileMeta};
use crate::guard::{Blame, PluginHandle};
use crate::id::{FileId, MessageId, PluginName, RoomId};
use crate::incident::Fault;
use crate::message::{Actor, MessageView, Origin, ScanError, Verdict};
use crate::reply::ReplyView;

/// How often every scanner is tried.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// How often a scanner that let a sample pass is tried again: what it guards is refused meanwhile.
const AGAIN: Duration = Duration::from_secs(60);

/// How long a plugin may take to name its samples.
const NAMING: Duration = Duration::from_secs(5);

/// A sample that a scanner let pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The scanner.
    pub plugin: PluginName,
    /// Its hook.
    pub hook: Hook,
    /// The sample's name.
    pub canary: String,
}

impl Blame for Vec<Canary> {
    fn blame(&self) -> Option<String> {
        None
    }
}

/// Tries the scanners by the host's clock, from when they have started until the manager is gone.
pub(super) fn watch(manager: &Arc<PluginManager>, started: Arc<Notify>, clock: Arc<dyn Clock>) {
    let manager = Arc::downgrade(manager);
    tokio::spawn(async move {
        started.notified().await;
        let mut last = clock.now();
        loop {
            clock.pause(AGAIN).await;
            let Some(manager) = Weak::upgrade(&manager) else { return };
            let passed = clock.now().as_micros().saturating_sub(last.as_micros());
            // A clock that was set back tells nothing: the hour begins anew.
            if passed < 0 || u128::from(passed.unsigned_abs()) >= EVERY.as_micros() {
                last = clock.now();
                manager.check_canaries().await;
            } else {
                manager.check_blind().await;
            }
        }
    });
}

impl PluginManager {
    /// Shows every running scanner its samples, and tells which let one pass.
    ///
    /// # Cancel safety
    /// A dropped call may have tried some of them.
    pub async fn check_canaries(&self) -> Vec<Missed> {
        self.check_where(|_| true).await
    }

    /// The same for those that let one pass before.
    async fn check_blind(&self) -> Vec<Missed> {
        self.check_where(|plugin| Hook::ALL.iter().any(|hook| plugin.is_blind(*hook))).await
    }

    async fn check_where(&self, is_meant: impl Fn(&PluginHandle) -> bool) -> Vec<Missed> {
        let live: Vec<_> = self.board().live.values().cloned().collect();
        let meant = live.iter().filter(|live| is_meant(&live.plugin));
        let checks = meant.map(|live| self.check_canaries_of(&live.plugin, live.hooks()));
        futures_util::future::join_all(checks).await.concat()
    }

    /// Shows one instance its samples. A hook that lets one pass, or that cannot be asked for them, is blind from now on; one
    /// that objects to all is not.
    pub(super) async fn check_canaries_of(&self, plugin: &PluginHandle, hooks: &[RunningHook]) -> Vec<Missed> {
        if hooks.is_empty() {
            return Vec::new();
        }
        let named = plugin.call("canaries", NAMING, |instance| {
            Box::pin(async move { instance.security().map(|security| security.canaries()).unwrap_or_default() })
        });
        let Ok(canaries) = named.await else {
            // The guard has told why. Without its samples nobody knows what it still sees.
            hooks.iter().for_each(|hook| self.set_blind(plugin, hook, Some("canaries")));
            let missed = hooks.iter().map(|hook| missed(plugin, hook.hook, "canaries"));
            return missed.collect();
        };
        let mut all = Vec::new();
        for hook in hooks {
            let shown: Vec<&Canary> = canaries.iter().filter(|canary| canary.hook() == hook.hook).collect();
            let (mut passed, mut failed) = (None, false);
            for canary in &shown {
                match show(plugin, hook, canary).await {
                    Some(true) => {}
                    Some(false) => passed = Some(&*canary.name),
                    // The next one would take as long.
                    None => {
                        failed = true;
                        break;
                    }
                }
            }
            all.extend(passed.map(|canary| missed(plugin, hook.hook, canary)));
            match passed {
                Some(canary) => self.set_blind(plugin, hook, Some(canary)),
                // What it would say nobody knows: it is as blind as it was.
                None if failed => self.standing.failed(plugin.name(), hook.hook, hook.on_error),
                None => {
                    self.set_blind(plugin, hook, None);
                    if !shown.is_empty() {
                        self.standing.judged(plugin.name(), hook.hook);
                    }
                }
            }
        }
        for canary in canaries.iter().filter(|canary| !hooks.iter().any(|hook| hook.hook == canary.hook())) {
            let (plugin, hook) = (plugin.name(), canary.hook().as_str());
            tracing::warn!(%plugin, canary = %canary.name, "the scanner names a sample for `{hook}`, which it does not have");
        }
        all
    }

    fn set_blind(&self, plugin: &PluginHandle, hook: &RunningHook, canary: Option<&str>) {
        let is_new = plugin.set_blind(hook.hook, canary.is_some());
        let (name, on_error) = (plugin.name(), hook.on_error.as_str());
        match canary {
            Some(canary) => {
                if is_new {
                    let what = hook.hook.as_str();
                    let message = format!(
                        "it let the sample `{canary}` pass that it must object to: it counts as failed ({on_error})"
                    );
                    plugin.guard().report(Fault::Error, what, &message, 0);
                }
                self.standing.failed(name, hook.hook, hook.on_error);
            }
            None if is_new => {
                tracing::info!(plugin = %name, hook = hook.hook.as_str(), "the scanner objects to its samples again");
                self.standing.judged(name, hook.hook);
            }
            None => {}
        }
    }
}

fn missed(plugin: &PluginHandle, hook: Hook, canary: &str) -> Missed {
    Missed { plugin: plugin.name().clone(), hook, canary: canary.to_owned() }
}

/// Whether the scanner objects; nothing where it has no opinion. Whatever is not `Allow` is an objection.
async fn show(plugin: &PluginHandle, hook: &RunningHook, canary: &Canary) -> Option<bool> {
    let asked = match canary.kind.clone() {
        CanaryKind::Message(text) => ask_message(plugin, hook.timeout, text).await,
        CanaryKind::Reply(text) => ask_reply(plugin, hook.timeout, text).await,
        CanaryKind::File(bytes) => ask_file(plugin, hook.timeout, canary.name.clone().into_owned(), bytes).await,
    };
    asked.map(|verdict| !matches!(verdict, Verdict::Allow))
}

async fn ask_message(plugin: &PluginHandle, timeout: Duration, text: String) -> Option<Verdict> {
    let call = plugin.call(Hook::ScanMessage.as_str(), timeout, move |instance| {
        Box::pin(async move {
            let author = Actor::system();
            let message = MessageView {
                id: MessageId::new(),
                room_id: RoomId::new(),
                author: &author,
                text: &text,
                origin: Origin::System,
                reply_to: None,
                edit_of: None,
                prompt: false,
                attachments: &[],
            };
            match instance.security() {
                Some(security) => security.scan_message(&message).await,
                None => Ok::<_, ScanError>(Verdict::Allow),
            }
        })
    });
    call.await.ok()?.ok()
}

async fn ask_reply(plugin: &PluginHandle, timeout: Duration, text: String) -> Option<Verdict> {
    let call = plugin.call(Hook::ScanReply.as_str(), timeout, move |instance| {
        Box::pin(async move {
            let author = Actor::system();
            let reply = ReplyView::new(&author, &author, &text, 0);
            match instance.security() {
                Some(security) => security.scan_reply(&reply).await,
                None => Ok::<_, ScanError>(Verdict::Allow),
            }
        })
    });
    call.await.ok()?.ok()
}

async fn ask_file(plugin: &PluginHandle, timeout: Duration, name: String, bytes: Vec<u8>) -> Option<Verdict> {
    let call = plugin.call(Hook::ScanFile.as_str(), timeout, move |instance| {
        Box::pin(async move {
            let file = FileMeta {
                id: FileId::new(),
                room_id: RoomId::new(),
                uploader: Actor::system(),
                name,
                size: bytes.len() as u64,
                mime: "application/octet-stream".to_owned(),
                mime_declared: None,
                sha256: Sha256::digest(&bytes).into(),
            };
            let mut source = BytesSource::new(bytes);
            match instance.security() {
                Some(security) => security.scan_file(&file, FileBody::new(&mut source)).await,
                None => Ok::<_, ScanError>(Verdict::Allow),
            }
        })
    });
    call.await.ok()?.ok()
}
