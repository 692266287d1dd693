//! People and tokens as the server stores and shows them. Knows no engine.

use plexichat::id::{PluginName, UserId};
use plexichat::message::{Actor, Finding, StoredRow, Time};
use plexichat::store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::id::TokenId;

/// The longest name of a room, a person or a token, in characters.
pub const NAME_MAX: usize = 80;

/// What a person may do on this server; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Read and write.
    User,
    /// Also look after what others write: delete, release, reject.
    Moderator,
    /// Everything.
    Admin,
}

impl Role {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
        }
    }
}

/// A person's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Its identifier.
    pub id: UserId,
    /// The name to show: no two people have the same.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Time,
    /// Since when the person may not come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Time>,
}

impl User {
    /// The person as an author.
    pub fn actor(&self) -> Actor {
        Actor::user(&self.id.to_string(), &self.name)
    }
}

/// What a token may be used for; never more than its person's role allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// Read rooms, messages, the list of plugins.
    Read,
    /// Make rooms, post messages.
    Write,
    /// Ask models: what plugins offer for it, such as the gateway, and nothing else.
    Ai,
    /// Change plugins, configuration, people and tokens; for administrators only.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Ai, Self::Admin];

    /// What a role allows at most.
    pub fn of_role(role: Role) -> Vec<Self> {
        Self::ALL.into_iter().filter(|scope| *scope != Self::Admin || role == Role::Admin).collect()
    }

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Ai => "ai",
            Self::Admin => "admin",
        }
    }
}

/// What is shown of an API token: all but the secret, which nobody has any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenInfo {
    /// Its identifier.
    pub id: TokenId,
    /// Whose it is.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Time,
    /// Until when it counts; for ever where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// A message that is held back, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldMessage {
    /// The message.
    pub message: StoredRow,
    /// What scanners found; `scanner_unavailable` where one failed.
    pub findings: Vec<HeldFinding>,
    /// The same in short.
    #[serde(default)]
    pub scan: MessageScan,
    /// Its place among all messages.
    #[serde(skip)]
    pub number: u64,
}

/// What scanners say of a message that is held back.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MessageScan {
    /// Whether none has anything against it.
    pub safe: bool,
    /// How sure the surest of them is, from 0 to 1; 0 where the scanner failed whose word is missing.
    pub confidence: f32,
}

impl MessageScan {
    /// What these findings say of a message that is held back for them.
    pub(crate) fn held(findings: &[(PluginName, Finding)]) -> Self {
        let sure = findings.iter().filter(|(_, finding)| finding.code != "scanner_unavailable");
        Self { safe: false, confidence: sure.map(|(_, finding)| finding.confidence).fold(0.0, f32::max) }
    }
}

/// What one scanner found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldFinding {
    /// The scanner's plugin.
    pub plugin: PluginName,
    /// What it found.
    pub finding: Finding,
}

/// Somebody's reaction to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reacted {
    /// With what.
    pub emoji: String,
    /// Who.
    pub by: Actor,
    /// When.
    pub created_at: Time,
}

/// A token to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What is shown of it.
    pub info: TokenInfo,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
}

/// A token and the person it stands for, as found by its hash.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// What is shown of it.
    pub info: TokenInfo,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Whose it is.
    pub user: User,
}

/// Why something was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is taken.
    #[error("there is a {what} named `{name}` already")]
    Conflict {
        /// What it would have been.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The name cannot be one.
    #[error("the name of a {what} has 1 to {NAME_MAX} characters, all of which can be seen")]
    Name {
        /// What it would have been.
        what: &'static str,
    },
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The name without blanks around it.
///
/// # Errors
/// [`CreateError::Name`] where nothing is left, or too much, or something that cannot be shown.
pub(crate) fn clean_name(what: &'static str, name: &str) -> Result<String, CreateError> {
    let name = name.trim();
    let name: String = name.nfc().collect();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(is_deceptive) {
        return Err(CreateError::Name { what });
    }
    Ok(name)
}

/// Whether a character cannot be seen and changes how others are shown, so that one name could pass for another.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0001}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, cleaned: Option<&str>) {
        assert_eq!(clean_name("room", name).ok().as_deref(), cleaned, "{name:?}");
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        check(" general\t", Some("general"));
        check("Über uns 🦀", Some("Über uns 🦀"));
        check(&"ü".repeat(80), Some(&"ü".repeat(80)));
        check(&"ü".repeat(81), None);
        check("", None);
        check(" \n ", None);
        check("a\0b", None);
        check("a\nb", None);
    }

    /// Fault 67: overrides of the direction and characters without width make no second `admin`.
    #[test]
    fn names_do_not_pass_for_others() {
        for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{ad}', '\u{e0041}'] {
            check(&format!("ad{hidden}min"), None);
        }
        check("u\u{308}ber", Some("über"));
        check("👩\u{200d}💻", Some("👩\u{200d}💻"));
    }

    #[test]
    fn words_are_those_of_json() {
        for role in [Role::User, Role::Moderator, Role::Admin] {
            assert_eq!(serde_json::to_value(role).expect("serialises"), role.as_str());
        }
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).expect("serialises"), scope.as_str());
        }
    }
}
