//! The settings: what is looked for, and what to do about it. Knows no text that is judged.

use crate::detect::{Detector, Guess, Wanted, find};
use crate::fold::Text;
use crate::redact::Redaction;

/// Settings of the moderation.
#[plexichat::config]
#[derive(Default)]
pub struct Config {
    /// What to do about each kind of thing that should not leave in chat.
    #[serde(default)]
    #[garde(dive)]
    pub detectors: Detectors,
    /// How sure a value behind `password=` must look.
    #[serde(default)]
    #[garde(dive)]
    pub assigned_secrets: AssignedSecrets,
    /// What stands in place of what was redacted.
    #[serde(default)]
    #[garde(dive)]
    pub redaction: RedactionText,
    /// How many messages one author may post in one room.
    #[serde(default)]
    #[garde(dive)]
    pub flood: FloodLimit,
    /// How often one author may post the same text, in all rooms together.
    #[serde(default)]
    #[garde(dive)]
    pub duplicates: DuplicateLimit,
    /// Where links may lead, and how many there may be.
    #[serde(default)]
    #[garde(dive)]
    pub links: LinkPolicy,
    /// How many people one message may mention.
    #[serde(default)]
    #[garde(dive)]
    pub mentions: MentionLimit,
}

/// What to do about each kind of thing.
#[plexichat::config]
#[serde(default)]
pub struct Detectors {
    /// Private keys: PEM blocks, OpenSSH, PGP, PuTTY, age.
    pub private_keys: Action,
    /// Tokens of services that begin in a way of their own: PlexiChat, AWS, GitHub, GitLab, Slack, Stripe, Google, OpenAI,
    /// Anthropic, npm, PyPI and others.
    pub tokens: Action,
    /// JSON web tokens.
    pub json_web_tokens: Action,
    /// Values that look random behind a name such as `password` or `api_key`. A guess.
    pub assigned_secrets: Action,
    /// Card numbers: issuer, length and check digit.
    pub card_numbers: Action,
    /// IBANs: country, structure and check digits.
    pub ibans: Action,
    /// E-mail addresses.
    pub email_addresses: Action,
    /// Telephone numbers with a country (`+49 …`).
    pub phone_numbers: Action,
    /// IP addresses, without those of private networks and of documentation.
    pub ip_addresses: Action,
    /// National ids with certain check digits: Brazilian CPF, Chinese resident id, Finnish, French and Italian ones.
    pub national_ids: Action,
}

impl Default for Detectors {
    fn default() -> Self {
        Self {
            private_keys: Action::Reject,
            tokens: Action::Reject,
            json_web_tokens: Action::Reject,
            assigned_secrets: Action::Reject,
            card_numbers: Action::Redact,
            ibans: Action::Redact,
            email_addresses: Action::Off,
            phone_numbers: Action::Off,
            ip_addresses: Action::Off,
            national_ids: Action::Off,
        }
    }
}

impl Detectors {
    pub(crate) fn action(&self, detector: Detector) -> Action {
        match detector {
            Detector::PrivateKey => self.private_keys,
            Detector::Token => self.tokens,
            Detector::JsonWebToken => self.json_web_tokens,
            Detector::Assignment => self.assigned_secrets,
            Detector::CardNumber => self.card_numbers,
            Detector::Iban => self.ibans,
            Detector::EmailAddress => self.email_addresses,
            Detector::PhoneNumber => self.phone_numbers,
            Detector::IpAddress => self.ip_addresses,
            Detector::NationalId => self.national_ids,
        }
    }

    /// The detectors with one of these actions.
    pub(crate) fn with(&self, actions: &[Action]) -> Wanted {
        Detector::ALL.into_iter().filter(|detector| actions.contains(&self.action(*detector))).collect()
    }
}

/// What to do about what a detector finds.
#[plexichat::model]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Do not look for it.
    Off,
    /// Let the message through and tell the moderators.
    Flag,
    /// Let the message through without it.
    Redact,
    /// Hold the message back until a moderator has looked.
    Quarantine,
    /// Refuse the message.
    Reject,
}

/// What to do about a message that breaks a limit.
#[plexichat::model]
#[derive(Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Let it through and tell the moderators.
    Flag,
    /// Hold it back until a moderator has looked.
    Quarantine,
    /// Refuse it.
    Reject,
}

/// How sure a value behind `password=` must look.
#[plexichat::config]
#[serde(default)]
pub struct AssignedSecrets {
    /// How many bits of entropy per character it has at least: 3 finds more and errs more, 4 finds only long ones.
    #[garde(range(min = 2.0, max = 5.0))]
    pub min_entropy: f64,
    /// How many characters it has at least.
    #[garde(range(min = 6, max = 64))]
    pub min_length: u8,
}

impl Default for AssignedSecrets {
    fn default() -> Self {
        let Guess { min_entropy, .. } = Guess::default();
        Self { min_entropy, min_length: 10 }
    }
}

impl From<&AssignedSecrets> for Guess {
    fn from(settings: &AssignedSecrets) -> Self {
        Self { min_entropy: settings.min_entropy, min_length: usize::from(settings.min_length) }
    }
}

/// What stands in place of what was redacted.
#[plexichat::config]
#[serde(default)]
pub struct RedactionText {
    /// The text. `{kind}` says what it was: `card number`, `IBAN`.
    #[garde(length(min = 1, max = 80), custom(check_replacement))]
    pub replacement: String,
    /// Whether the last four characters of card numbers and IBANs are kept, so that people know which one was meant.
    pub keep_last_four: bool,
}

impl Default for RedactionText {
    fn default() -> Self {
        Self { replacement: "[{kind} removed]".to_owned(), keep_last_four: false }
    }
}

/// How many messages one author may post in one room.
#[plexichat::config]
#[serde(default)]
pub struct FloodLimit {
    /// How many in `seconds`; as many as the server's own limits allow where nothing is set.
    #[garde(inner(range(min = 1, max = 100)))]
    pub messages: Option<u32>,
    /// Within how many seconds.
    #[garde(range(min = 1, max = 3600))]
    pub seconds: u32,
    /// What happens to a message beyond.
    pub action: Measure,
}

impl Default for FloodLimit {
    fn default() -> Self {
        Self { messages: None, seconds: 10, action: Measure::Reject }
    }
}

/// How often one author may post the same text, in all rooms together.
#[plexichat::config]
#[serde(default)]
pub struct DuplicateLimit {
    /// How often in `seconds`; any number of times where nothing is set.
    #[garde(inner(range(min = 1, max = 100)))]
    pub times: Option<u32>,
    /// Within how many seconds.
    #[garde(range(min = 1, max = 86400))]
    pub seconds: u32,
    /// Shorter texts are let be: people write `ok` all day.
    #[garde(range(max = 1000))]
    pub min_characters: u32,
    /// What happens to a message beyond.
    pub action: Measure,
}

impl Default for DuplicateLimit {
    fn default() -> Self {
        Self { times: None, seconds: 60, min_characters: 12, action: Measure::Reject }
    }
}

/// Where links may lead, and how many there may be. `example.com` stands for this host, `*.example.com` for it and every host
/// under it.
#[plexichat::config]
#[serde(default)]
pub struct LinkPolicy {
    /// Hosts to which links may lead; everywhere where none is named.
    #[garde(length(max = 10_000), inner(custom(check_host)))]
    pub allow: Vec<String>,
    /// Hosts that may not be named, as a link or without.
    #[garde(length(max = 10_000), inner(custom(check_host)))]
    pub block: Vec<String>,
    /// How many links one message may have; any number where nothing is set.
    #[garde(inner(range(max = 1000)))]
    pub max: Option<u32>,
    /// What happens to a message that breaks one of these.
    pub action: Measure,
}

impl Default for LinkPolicy {
    fn default() -> Self {
        Self { allow: Vec::new(), block: Vec::new(), max: None, action: Measure::Reject }
    }
}

/// How many people one message may mention.
#[plexichat::config]
#[serde(default)]
pub struct MentionLimit {
    /// How many names with an `@`; any number where nothing is set.
    #[garde(inner(range(max = 1000)))]
    pub max: Option<u32>,
    /// What happens to a message with more.
    pub action: Measure,
}

impl Default for MentionLimit {
    fn default() -> Self {
        Self { max: None, action: Measure::Reject }
    }
}

/// A replacement in which something is found would be refused by the scan that follows.
fn check_replacement(replacement: &str) -> std::result::Result<(), &'static str> {
    let redaction = Redaction { replacement: replacement.to_owned(), keep_last_four: false };
    let shown = Detector::ALL.map(|detector| redaction.text(detector, ""));
    match shown.iter().any(|shown| !find(&Text::new(shown), Wanted::all(), Guess::default()).is_empty()) {
        true => Err("a detector finds something in the replacement itself"),
        false => Ok(()),
    }
}

fn check_host(host: &str) -> std::result::Result<(), &'static str> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|character| character.is_alphanumeric() || matches!(character, '-' | '_'))
    };
    if name.contains('*') {
        return Err("has a `*` that is not in front: write `*.example.com`");
    }
    if !name.split('.').all(is_label) {
        return Err(
            "is no name of a host: write `example.com` or `*.example.com`, without `https://` and without a path",
        );
    }
    Ok(())
}
