//! Samples that a scanner must object to: how the host finds out that one has gone blind. Knows no host.

use std::borrow::Cow;
use std::fmt;

use crate::descriptor::Hook;

/// The two halves of EICAR's test file. Apart, so that no virus scanner objects to this source or to the bundle.
const EICAR: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];

/// A sample that a scanner must object to. The host shows it to the scanner at start and every hour; it is stored nowhere
/// and nobody is told of it. A scanner that lets it pass counts as failed until it objects again.
#[derive(Clone, PartialEq, Eq)]
pub struct Canary {
    /// What the operator calls it, such as `eicar`.
    pub name: Cow<'static, str>,
    /// What is shown.
    pub kind: CanaryKind,
}

/// What a [`Canary`] shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CanaryKind {
    /// A message's text, for `scan_message`.
    Message(String),
    /// A file's content, for `scan_file`.
    File(Vec<u8>),
    /// A whole answer of a model, for `scan_reply`.
    Reply(String),
}

impl Canary {
    /// A message with this text.
    pub fn message(name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { name: name.into(), kind: CanaryKind::Message(text.into()) }
    }

    /// A file with this content.
    pub fn file(name: impl Into<Cow<'static, str>>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), kind: CanaryKind::File(bytes.into()) }
    }

    /// A model's whole answer with this text.
    pub fn reply(name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { name: name.into(), kind: CanaryKind::Reply(text.into()) }
    }

    /// The hook that is shown it.
    pub fn hook(&self) -> Hook {
        match self.kind {
            CanaryKind::Message(_) => Hook::ScanMessage,
            CanaryKind::File(_) => Hook::ScanFile,
            CanaryKind::Reply(_) => Hook::ScanReply,
        }
    }

    /// EICAR's test file, which every virus scanner knows and which harms nobody.
    pub fn eicar() -> Self {
        Self::file("eicar", Self::eicar_text())
    }

    /// The 68 bytes of EICAR's test file as text.
    pub fn eicar_text() -> String {
        EICAR.concat()
    }
}

/// Without the sample: it would set off whatever scans the log.
impl fmt::Debug for Canary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            CanaryKind::Message(_) => "message",
            CanaryKind::File(_) => "file",
            CanaryKind::Reply(_) => "reply",
        };
        write!(formatter, "Canary({}, a {kind})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eicar_is_the_published_one() {
        let text = Canary::eicar_text();
        assert_eq!(text.len(), 68);
        assert_eq!(text.bytes().map(u64::from).sum::<u64>(), 4622, "the sum of its bytes");
        assert_eq!(format!("{:?}", Canary::eicar()), "Canary(eicar, a file)");
    }
}
