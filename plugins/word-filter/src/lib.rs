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
use crate::rules::Rules;

/// Judges every message by its rules before it is stored.
///
/// A filter that fails must not let everything through: both hooks say `closed`, so while this plugin cannot answer,
/// messages are refused with `scanner_unavailable`.
#[plexichat::plugin(
    provides(Security),
    category = "security",
    tags("moderation", "words"),
    rewrite_message(timeout = "250ms", on_error = "closed"),
    scan_message(timeout = "250ms", on_error = "closed")
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

    /// What the host shows to `scan_message` at start and every hour: a filter that finds nothing any more must not go on as
    /// if all were well.
    fn canaries(&self) -> Vec<Canary> {
        self.samples.clone()
    }
}

/// The word of the first rule that rejects, and of the first that flags. Redacting is not `scan_message`'s work.
fn samples(rules: &[Rule]) -> Vec<Canary> {
    let first = |action| rules.iter().position(|rule| rule.action == action);
    let sample = |index: usize| {
        let rule = &rules[index];
        Canary::message(rule.name.clone().unwrap_or_else(|| format!("rules/{index}")), &*rule.pattern)
    };
    [Action::Reject, Action::Flag].into_iter().filter_map(first).map(sample).collect()
}

/// Names the rule, never the words: a finding is stored and logged.
fn finding(rule: &str) -> Finding {
    Finding { detail: Some(format!("rule `{rule}`")), ..Finding::new("banned_word") }
}
