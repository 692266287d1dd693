//! Scans files with YARA rules, block lists and clamd, and links for traps.
//!
//! Start with [`Antivirus`], then `content.rs` for what is done with a file's bytes and `reload.rs` for where rules come from.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clamd;
mod config;
mod content;
mod hashes;
mod host;
mod links;
mod names;
mod reload;
mod verdict;
mod yara;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use plexichat::prelude::*;

use crate::clamd::Clamd;
pub use crate::config::{Action, Archives, Clamd as ClamdConfig, Config, Hashes, Links, Names, Reload, Yara};
use crate::content::{Content, Wanted};
use crate::reload::{Shelf, Watch};
use crate::verdict::worse;

/// Judges files before anybody may have them, and links in messages and in what models answer.
///
/// What cannot be scanned is not let through: every hook says `closed`.
#[plexichat::plugin(
    provides(Security),
    category = "security",
    tags("antivirus", "yara", "clamav", "links"),
    permissions(FileSystemRead, NetworkAccess),
    scan_message(timeout = "250ms", on_error = "closed"),
    scan_file(timeout = "30s", max_bytes = "50MiB", on_error = "closed"),
    scan_reply(timeout = "250ms", on_error = "closed")
)]
pub struct Antivirus {
    context: Context<Self>,
    config: Arc<Config>,
    shelf: Arc<Shelf>,
    clamd: Option<Clamd>,
    links: links::Links,
}

impl Plugin for Antivirus {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        let config = Arc::new(config);
        let watch = Watch::start(context.clone(), config.clone()).await?;
        let shelf = watch.shelf();
        if watch.has_files() {
            context.spawn(watch.run())?;
        }
        let clamd = config.clamd.address.clone().map(|address| {
            let timeout = Duration::from_secs(config.clamd.timeout_secs.into());
            Clamd::new(context.sockets(), address, timeout, config.clamd.max_bytes)
        });
        let links = links::Links::new(config.links.clone());
        Ok(Self { context, config, shelf, clamd, links })
    }

    /// Tells of files that are broken, and asks clamd whether it still knows EICAR's test file.
    async fn health(&self) -> Health {
        let mut troubles = self.shelf.troubles();
        if let Some(clamd) = &self.clamd {
            troubles.extend(ailment(clamd).await);
        }
        match troubles.is_empty() {
            true => Health::Healthy,
            false => Health::Degraded(troubles.join("; ")),
        }
    }
}

/// What is wrong with clamd.
async fn ailment(clamd: &Clamd) -> Option<String> {
    let version = match clamd.ask("VERSION").await {
        Ok(version) => version,
        Err(error) => return Some(format!("{error}; files are refused until it answers")),
    };
    match clamd.scan(Canary::eicar_text().as_bytes()).await {
        Ok(Verdict::Allow) => Some(format!(
            "clamd ({version}) lets EICAR's test file pass: load its signatures, for example with freshclam"
        )),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

#[plexichat::role]
impl Security for Antivirus {
    /// Links in the text, and the names of the files that hang on the message.
    async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
        let mut verdict = self.links.judge(message.text, &self.shelf.loaded().hosts);
        for file in message.attachments {
            verdict = worse(verdict, names::judge_name(&file.name, &self.config.names));
        }
        Ok(verdict)
    }

    /// Name and sum before anything is read; then all engines at once.
    async fn scan_file(&self, file: &FileMeta, body: FileBody<'_>) -> Result<Verdict, ScanError> {
        let loaded = self.shelf.loaded();
        if let Some(finding) = loaded.hashes.find(&file.sha256) {
            return Ok(Verdict::Reject(finding));
        }
        let settings = &self.config.names;
        let named = names::judge_name(&file.name, settings);
        let typed = names::judge_type(&file.name, file.mime_declared.as_deref(), &file.mime, settings);
        let verdict = worse(named, typed);
        if matches!(verdict, Verdict::Reject(_)) {
            return Ok(verdict);
        }
        if loaded.rules.is_empty() && !self.config.archives.enabled && self.clamd.is_none() {
            return Ok(verdict);
        }
        let bytes = Arc::new(whole(file.size, body).await?);
        let looking = self.look(loaded, bytes.clone());
        let asking = async {
            match &self.clamd {
                Some(clamd) => clamd.scan(&bytes).await,
                None => Ok(Verdict::Allow),
            }
        };
        let (looked, asked) = join(looking, asking).await;
        match (looked, asked) {
            (Ok(looked), Ok(asked)) => Ok(worse(worse(verdict, looked), asked)),
            // What one engine rejects stays rejected, whatever became of the other.
            (Ok(rejected @ Verdict::Reject(_)), Err(_)) | (Err(_), Ok(rejected @ Verdict::Reject(_))) => Ok(rejected),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Links in what a model says: it must not lead people where nobody else may.
    async fn scan_reply(&self, reply: &ReplyView<'_>) -> Result<Verdict, ScanError> {
        Ok(self.links.judge_reply(reply, &self.shelf.loaded().hosts))
    }

    fn reply_mode(&self) -> ReplyMode {
        self.links.reply_mode()
    }

    /// EICAR's test file, and the first host of the list.
    fn canaries(&self) -> Vec<Canary> {
        let eicar = self.config.yara.builtin.then(Canary::eicar);
        let link = self.config.links.blocked_hosts.first().map(|host| format!("https://{host}/"));
        let message = link.clone().map(|link| Canary::message("blocked host", link));
        let reply = link.map(|link| Canary::reply("blocked host in an answer", link));
        eicar.into_iter().chain(message).chain(reply).collect()
    }
}

impl Antivirus {
    /// What the engines in this process say, on a thread that may take its time. Where the host waits no longer, this is dropped,
    /// and the thread ends its work soon.
    async fn look(&self, loaded: reload::Loaded, bytes: Arc<Vec<u8>>) -> Result<Verdict, ScanError> {
        let (config, wanted) = (self.config.clone(), Wanted::default());
        let _waits = wanted.until_dropped();
        let looking = self.context.blocking(move || {
            let content =
                Content { loaded: &loaded, archives: &config.archives, names: &config.names, wanted: &wanted };
            content.judge(&bytes)
        });
        looking.await?
    }
}

/// The whole file: rules may ask for any of its bytes.
async fn whole(size: u64, mut body: FileBody<'_>) -> Result<Vec<u8>, ScanError> {
    let mut whole = Vec::with_capacity(usize::try_from(size).map_err(|_| ScanError::TooLarge)?);
    while let Some(piece) = body.next().await? {
        if (whole.len() + piece.len()) as u64 > size {
            return Err(ScanError::Unreadable("it is larger than it was".to_owned()));
        }
        whole.extend_from_slice(piece);
    }
    Ok(whole)
}
