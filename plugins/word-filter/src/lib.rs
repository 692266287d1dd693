//! Rejects, flags or redacts messages by a list of patterns.
//!
//! The second lesson: a plugin that stands between what people write and what is stored. Start with [`WordFilter`], then
//! `config.rs` for its settings and `fold.rs` for how words are compared.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod fold;
mod rules;

use plexichat::prelude::*;

pub use crate::config::{Action, Config, Rule};
use crate::fold::Folded;
use crate::rules::{Part, Rules};

/// How many characters of an answer are judged at once: a few words, so that people see it grow.
const CHARS: usize = 64;

/// What is kept back of an answer beyond the longest word: what stands before a word tells whether it is one.
const BEFORE_WORD: usize = 8;

/// Judges every message by its rules before it is stored, and every answer of a model before it is shown.
///
/// A filter that fails must not let everything through: its hooks say `closed`, so while this plugin cannot answer,
/// messages are refused with `scanner_unavailable`.
#[plexichat::plugin(
    provides(Security),
    category = "security",
    tags("moderation", "words"),
    rewrite_message(timeout = "250ms", on_error = "closed"),
    scan_message(timeout = "250ms", on_error = "closed"),
    scan_reply(timeout = "250ms", on_error = "closed")
)]
pub struct WordFilter {
    rules: Rules,
    replacement: String,
    samples: Vec<Canary>,
}

impl Plugin for WordFilter {
    type Config = Config;

    async fn initialize(_: Context<Self>, config: Config) -> Result<Self> {
        let samples = samples(&config.rules);
        Ok(Self { rules: Rules::new(&config.rules), replacement: config.replacement, samples })
    }
}

#[plexichat::role]
impl Security for WordFilter {
    /// Redacts. The host calls this first, so that every scanner judges the text that will be stored.
    async fn rewrite_message(&self, message: &MessageView<'_>) -> Result<Option<MessagePatch>, ScanError> {
        let text = Folded::new(message.text);
        if self.rules.broken(&text, Action::Reject).is_some() {
            // It will be rejected below; redacting a part of what is rejected could hide it from that rule.
            return Ok(None);
        }
        Ok(self.rules.redact(message.text, &text, &self.replacement).map(MessagePatch::text))
    }

    /// Rejects and flags, by the text and by the names of the files that hang on the message.
    async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
        let names: Vec<Folded> = message.attachments.iter().map(|file| Folded::new(&file.name)).collect();
        let text = Folded::new(message.text);
        let broken = |action| {
            let mut texts = names.iter().chain([&text]);
            texts.find_map(|text| self.rules.broken(text, action))
        };
        // Nobody can redact a name: what must not be read in it must not come in.
        let unredacted = || names.iter().find_map(|name| self.rules.broken(name, Action::Redact));
        if let Some(rule) = broken(Action::Reject).or_else(unredacted) {
            return Ok(Verdict::Reject(finding(rule)));
        }
        if let Some(rule) = broken(Action::Flag) {
            return Ok(Verdict::Flag(finding(rule)));
        }
        Ok(Verdict::Allow)
    }

    /// The same rules on what a model says, part by part. What is shown cannot be taken back, so a word that would be redacted in
    /// a message ends an answer.
    async fn scan_reply(&self, reply: &ReplyView<'_>) -> Result<Verdict, ScanError> {
        let text = Folded::new(reply.text());
        let part = Part::new(reply, &text, self.rules.span());
        let broken = |action| self.rules.broken_in_reply(&part, action);
        if let Some(rule) = broken(Action::Reject).or_else(|| broken(Action::Redact)) {
            return Ok(Verdict::Reject(finding(rule)));
        }
        Ok(broken(Action::Flag).map_or(Verdict::Allow, |rule| Verdict::Flag(finding(rule))))
    }

    /// Part by part, with as much shown again as the longest word needs. Where rules only flag, people need not wait.
    fn reply_mode(&self) -> ReplyMode {
        let withholds = self.rules.has(Action::Reject) || self.rules.has(Action::Redact);
        match self.rules.has(Action::Flag) && !withholds {
            true => ReplyMode::AuditOnly,
            false => ReplyMode::Window { chars: CHARS, overlap: self.rules.span() + BEFORE_WORD },
        }
    }

    /// What the host shows to `scan_message` and `scan_reply` at start and every hour: a filter that finds nothing any more must not go on as
    /// if all were well.
    fn canaries(&self) -> Vec<Canary> {
        self.samples.clone()
    }
}

/// The word of the first rule that rejects, and of the first that flags; in an answer, of the first that redacts too, which is not
/// `scan_message`'s work.
fn samples(rules: &[Rule]) -> Vec<Canary> {
    let first = |action| rules.iter().position(|rule| rule.action == action);
    let sample = |index: usize| {
        let rule = &rules[index];
        let name = rule.name.clone().unwrap_or_else(|| format!("rules/{index}"));
        let message = (rule.action != Action::Redact).then(|| Canary::message(name.clone(), &*rule.pattern));
        message.into_iter().chain([Canary::reply(name, &*rule.pattern)])
    };
    [Action::Reject, Action::Flag, Action::Redact].into_iter().filter_map(first).flat_map(sample).collect()
}

/// Names the rule, never the words: a finding is stored and logged.
fn finding(rule: &str) -> Finding {
    Finding { detail: Some(format!("rule `{rule}`")), ..Finding::new("banned_word") }
}
