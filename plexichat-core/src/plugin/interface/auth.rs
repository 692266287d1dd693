//! Who may call a route, and who called. Knows no token and no session.

use std::fmt;
use std::time::Duration;

use crate::message::Actor;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Auth {
    /// Everybody.
    Public,
    /// Whoever is signed in, or has a token that may write.
    User,
    /// Moderators.
    Moderator,
    /// Administrators, by session or by a token with the scope `admin`.
    Admin,
    /// Whoever has a token with this scope, such as `ai`, and people who are signed in.
    Scope(&'static str),
    /// Whoever signs with a secret that stands in the plugin's configuration. The host checks it before the plugin sees
    /// anything. A WebSocket cannot have it: it has no body to sign.
    Signature(Signature),
}

impl Auth {
    /// Whether the host knows who calls such a route.
    pub const fn knows_caller(&self) -> bool {
        !matches!(self, Self::Public | Self::Signature(_))
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => formatter.write_str("public"),
            Self::User => formatter.write_str("user"),
            Self::Moderator => formatter.write_str("moderator"),
            Self::Admin => formatter.write_str("admin"),
            Self::Scope(scope) => write!(formatter, "scope:{scope}"),
            Self::Signature(signature) => write!(formatter, "signature:{}", signature.header),
        }
    }
}

/// How a call is signed: HMAC-SHA256 in hexadecimal, in a header. What is signed is the body, or a text that has a time, too.
///
/// ```
/// use plexichat::plugin::interface::Signature;
/// // As GitHub signs.
/// const GITHUB: Signature = Signature::hmac_sha256("x-hub-signature-256", "/secret").prefix("sha256=");
/// // As Slack signs: with a time, so that nobody sends it again later.
/// const SLACK: Signature = Signature::hmac_sha256("x-slack-signature", "/signing_secret")
///     .prefix("v0=")
///     .timestamp("x-slack-request-timestamp", "v0:{timestamp}:{body}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Signature {
    /// The header with the signature.
    pub header: &'static str,
    /// Where the secret stands in the plugin's configuration, as a JSON pointer. It must be a
    /// [`Secret`](crate::secret::Secret) there.
    pub secret: &'static str,
    /// What stands before the digits, such as `sha256=`.
    pub prefix: &'static str,
    /// The header with the time of the signature, in seconds since 1970.
    pub timestamp: Option<&'static str>,
    /// What is signed, where there is a time: `{timestamp}` and `{body}` stand for both.
    pub text: &'static str,
    /// How far that time may be from ours.
    pub tolerance: Duration,
}

impl Signature {
    /// HMAC-SHA256 of the body, as hexadecimal digits in this header, with the secret at this JSON pointer of the
    /// configuration.
    pub const fn hmac_sha256(header: &'static str, secret: &'static str) -> Self {
        let (prefix, text, tolerance) = ("", "{timestamp}.{body}", Duration::from_secs(300));
        Self { header, secret, prefix, timestamp: None, text, tolerance }
    }

    /// What stands before the digits, such as `sha256=`.
    #[must_use]
    pub const fn prefix(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    /// The header with the time of the signature, in seconds since 1970, and what is signed then, such as
    /// `{timestamp}.{body}`. A time that is more than 300 s from ours is refused; see [`tolerance`](Self::tolerance()).
    #[must_use]
    pub const fn timestamp(self, header: &'static str, text: &'static str) -> Self {
        Self { timestamp: Some(header), text, ..self }
    }

    /// How far the time of the signature may be from ours.
    #[must_use]
    pub const fn tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }
}

/// Who called, as the host found out. A plugin can pass it on and not make one up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(Option<Actor>);

impl Caller {
    /// Nobody in particular: a route for everybody.
    pub const fn nobody() -> Self {
        Self(None)
    }

    /// The host found out who it is.
    #[cfg(feature = "host")]
    pub const fn known(actor: Actor) -> Self {
        Self(Some(actor))
    }

    /// Who it is, where that is known.
    pub fn actor(&self) -> Option<&Actor> {
        self.0.as_ref()
    }
}

/// Who called, on a route whose [`Auth`] lets nobody unknown in. A handler that asks for it on another route is found by
/// `compliance!` and at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User(pub(super) Actor);

impl User {
    /// Who it is, for capabilities that want an actor.
    pub fn actor(&self) -> &Actor {
        &self.0
    }

    /// The person's identifier.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The name to show.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}
