//! Keeps secrets and personal data out of rooms, and floods, links and mentions within limits.
//!
//! Start with [`Moderation`], then `config.rs` for its settings and `detect.rs` for what it looks for.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod detect;
mod flood;
mod fold;
mod judge;
mod links;
mod recent;
mod redact;
mod reply;
mod samples;

use std::sync::{Mutex, PoisonError};

use plexichat::prelude::*;

pub use crate::config::{
    Action, AssignedSecrets, Config, Detectors, DuplicateLimit, FloodLimit, LinkPolicy, Measure, MentionLimit,
    RedactionText,
};
use crate::detect::Detector;
use crate::flood::Flood;
use crate::fold::Text;
use crate::judge::{Judge, Objection, verdict};
use crate::links::Links;

/// Judges every message, and every answer of a model, before anybody reads it.
///
/// A scanner that fails must not let everything through: its hooks say `closed`, so while this plugin cannot answer,
/// messages are refused with `scanner_unavailable`.
#[plexichat::plugin(
    provides(Security),
    category = "security",
    tags("moderation", "secrets", "privacy"),
    rewrite_message(timeout = "250ms", on_error = "closed"),
    scan_message(timeout = "250ms", on_error = "closed"),
    scan_reply(timeout = "250ms", on_error = "closed")
)]
pub struct Moderation {
    context: Context<Self>,
    judge: Judge,
    links: Option<(Links, Measure)>,
    mentions: Option<(usize, Measure)>,
    flood: Option<Mutex<Flood>>,
}

impl Plugin for Moderation {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        detect::warm();
        Ok(Self {
            context,
            judge: Judge::new(&config),
            links: Links::new(&config.links).map(|links| (links, config.links.action)),
            mentions: config.mentions.max.map(|max| (max as usize, config.mentions.action)),
            flood: Flood::new(&config.flood, &config.duplicates).map(Mutex::new),
        })
    }
}

#[plexichat::role]
impl Security for Moderation {
    /// Redacts. The host calls this first, so that every scanner judges the text that will be stored.
    async fn rewrite_message(&self, message: &MessageView<'_>) -> Result<Option<MessagePatch>, ScanError> {
        Ok(self.judge.redact(message.text).map(MessagePatch::text))
    }

    /// Judges the text and the names of the files that hang on it; then the limits, for what nothing else refuses.
    async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
        let text = Text::new(message.text);
        let mut objections = self.judge.objections(&text);
        for file in message.attachments {
            objections.extend(self.judge.objections(&Text::new(&file.name)));
        }
        self.add_links(text.plain(), &mut objections);
        // What is refused anyway is not counted: nobody reads it.
        if objections.iter().all(|objection| objection.measure != Measure::Reject) {
            self.add_flood(message, text.plain(), &mut objections);
        }
        Ok(verdict(&objections))
    }

    /// The same detectors and hosts on what a model says: it must not leak what a user may not post. What is shown cannot be
    /// taken back, so what would be redacted ends the answer.
    async fn scan_reply(&self, reply: &ReplyView<'_>) -> Result<Verdict, ScanError> {
        Ok(verdict(&reply::objections(&self.judge, self.links.as_ref(), reply)))
    }

    fn reply_mode(&self) -> ReplyMode {
        reply::mode(&self.judge, self.links.as_ref())
    }

    /// What the host shows to `scan_message` and `scan_reply` at start and every hour, one for each detector that
    /// is on.
    fn canaries(&self) -> Vec<Canary> {
        let on = Detector::ALL.into_iter().filter(|detector| self.judge.looked_for().has(*detector));
        on.flat_map(samples::samples).collect()
    }
}

impl Moderation {
    fn add_links(&self, plain: &str, objections: &mut Vec<Objection>) {
        if let Some((links, measure)) = &self.links
            && let Some(name) = links.broken(plain)
        {
            objections.push(Objection { measure: *measure, code: "link", name });
        }
        if let Some((max, measure)) = self.mentions
            && links::mentions(plain) > max
        {
            objections.push(Objection { measure, code: "mentions", name: "too_many_mentions" });
        }
    }

    fn add_flood(&self, message: &MessageView<'_>, plain: &str, objections: &mut Vec<Objection>) {
        let Some(flood) = &self.flood else { return };
        let now = self.context.now();
        let broken = flood.lock().unwrap_or_else(PoisonError::into_inner).look(message, plain, now);
        objections.extend(broken.map(|broken| Objection {
            measure: broken.measure,
            code: broken.code,
            name: broken.code,
        }));
    }
}
