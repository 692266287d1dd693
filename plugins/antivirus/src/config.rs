//! The settings: which engines look, where their rules are, and what is done about what they find. Knows no file and no engine.

use std::path::{Component, Path};

use plexichat::capability::sockets::SocketAddress;
use plexichat::message::{Finding, Verdict};

use crate::hashes::Hash;

/// Settings of the antivirus.
#[plexichat::config]
#[serde(default)]
#[derive(Default)]
pub struct Config {
    /// YARA rules.
    #[garde(dive)]
    pub yara: Yara,
    /// The list of files that are known to be bad.
    #[garde(dive)]
    pub hashes: Hashes,
    /// ClamAV's daemon.
    #[garde(dive)]
    pub clamd: Clamd,
    /// What is packed in zip and gzip.
    #[garde(dive)]
    pub archives: Archives,
    /// Names of files.
    #[garde(dive)]
    pub names: Names,
    /// Links in messages.
    #[garde(dive)]
    pub links: Links,
    /// How often files with rules and lists are looked at for changes.
    #[garde(dive)]
    pub reload: Reload,
}

/// YARA rules.
#[plexichat::model]
#[serde(default, deny_unknown_fields)]
pub struct Yara {
    /// Whether the built-in rule looks for EICAR's test file, by which the host tries hourly whether this scanner still sees.
    pub builtin: bool,
    /// An absolute path: every `*.yar` and `*.yara` in it and below is a file of rules. The operator grants it in
    /// `directories`.
    #[garde(inner(custom(check_path)))]
    pub directory: Option<String>,
    /// The seconds that the rules may take for one file, or for one file of an archive.
    #[garde(range(min = 1, max = 60))]
    pub timeout_secs: u16,
}

impl Default for Yara {
    fn default() -> Self {
        Self { builtin: true, directory: None, timeout_secs: 15 }
    }
}

/// The list of files that are known to be bad, by SHA-256.
#[plexichat::model]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Hashes {
    /// Each a SHA-256 in hexadecimal, and behind a blank the name of the threat.
    #[garde(length(max = 10_000), inner(custom(check_hash)))]
    pub blocked: Vec<String>,
    /// The absolute path of a file with one such line each; `#` begins a comment. The operator grants its directory.
    #[garde(inner(custom(check_path)))]
    pub file: Option<String>,
}

/// ClamAV's daemon.
#[plexichat::model]
#[serde(default, deny_unknown_fields)]
pub struct Clamd {
    /// Where it listens: `unix:///run/clamav/clamd.ctl` or `tcp://host:port`. The operator names it in `hosts`. Not asked where
    /// nothing is set.
    #[garde(inner(custom(check_address)))]
    pub address: Option<String>,
    /// The seconds that connecting may take, and each answer.
    #[garde(range(min = 1, max = 60))]
    pub timeout_secs: u16,
    /// The largest file that is sent to it, in bytes: its `StreamMaxLength`. What is larger counts as too large to scan.
    #[garde(range(min = 1))]
    pub max_bytes: u64,
}

impl Default for Clamd {
    fn default() -> Self {
        Self { address: None, timeout_secs: 15, max_bytes: 50 << 20 }
    }
}

/// What is packed in zip and gzip.
#[plexichat::model]
#[serde(default, deny_unknown_fields)]
pub struct Archives {
    /// Whether it is unpacked and looked at.
    pub enabled: bool,
    /// Archives within archives: 1 looks into the outermost only.
    #[garde(range(min = 1, max = 10))]
    pub depth: u32,
    /// Files in all archives of one file together.
    #[garde(range(min = 1, max = 100_000))]
    pub entries: u32,
    /// Bytes of all of them together, unpacked.
    #[garde(range(min = 1, max = 2_147_483_647))]
    pub bytes: u64,
    /// Unpacked bytes for each packed one.
    #[garde(range(min = 1, max = 10_000))]
    pub ratio: u64,
    /// What is done with an archive that is encrypted, damaged or beyond these limits.
    pub unscannable: Action,
}

impl Default for Archives {
    fn default() -> Self {
        Self { enabled: true, depth: 3, entries: 1000, bytes: 256 << 20, ratio: 100, unscannable: Action::Quarantine }
    }
}

/// Names of files, also within archives.
#[plexichat::model]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// A name that makes a program look like a document: `invoice.pdf.exe`, a program called `photo.jpg`, letters that turn the
    /// direction of writing.
    pub deceptive: Action,
    /// A name or a declared type that is not what the content is: a picture that is text.
    pub mismatch: Action,
}

impl Default for Names {
    fn default() -> Self {
        Self { deceptive: Action::Reject, mismatch: Action::Flag }
    }
}

/// Links in messages.
#[plexichat::model]
#[serde(default, deny_unknown_fields)]
pub struct Links {
    /// Hosts that nobody may link to, with all below them.
    #[garde(length(max = 10_000), inner(custom(check_host)))]
    pub blocked_hosts: Vec<String>,
    /// The absolute path of a file with one such host a line; `#` begins a comment. The operator grants its directory.
    #[garde(inner(custom(check_path)))]
    pub blocked_hosts_file: Option<String>,
    /// Hosts that others pretend to be, such as your own: a link to one that looks like it is a look-alike.
    #[garde(length(max = 1000), inner(custom(check_host)))]
    pub protected_hosts: Vec<String>,
    /// What is done with a message that links to a look-alike: letters of several alphabets in one word, or of another one that
    /// look like Latin.
    pub lookalikes: Action,
    /// What is done with a message that has a user's name or a password in a link: `https://bank.example@other.example`.
    pub credentials: Action,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            blocked_hosts: Vec::new(),
            blocked_hosts_file: None,
            protected_hosts: Vec::new(),
            lookalikes: Action::Reject,
            credentials: Action::Flag,
        }
    }
}

/// How often files are looked at for changes.
#[plexichat::model]
#[serde(default, deny_unknown_fields)]
pub struct Reload {
    /// The seconds between two looks.
    #[garde(range(min = 1, max = 86_400))]
    pub secs: u32,
}

impl Default for Reload {
    fn default() -> Self {
        Self { secs: 10 }
    }
}

/// What is done about a finding.
#[plexichat::model]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Allow,
    /// Let it through and tell the moderators.
    Flag,
    /// Hold it back until a moderator has looked.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl Action {
    pub(crate) fn verdict(self, finding: Finding) -> Verdict {
        match self {
            Self::Allow => Verdict::Allow,
            Self::Flag => Verdict::Flag(finding),
            Self::Quarantine => Verdict::Quarantine(finding),
            Self::Reject => Verdict::Reject(finding),
        }
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let path = Path::new(path);
    let leads_up = path.components().any(|part| part == Component::ParentDir);
    match path.is_absolute() && !leads_up {
        true => Ok(()),
        false => Err("write an absolute path without `..`, such as `/etc/plexichat/yara`"),
    }
}

fn check_hash(line: &str) -> Result<(), &'static str> {
    match Hash::parse(line) {
        Ok(_) => Ok(()),
        Err(why) => Err(why),
    }
}

fn check_address(address: &str) -> Result<(), &'static str> {
    match address.parse::<SocketAddress>() {
        Ok(_) => Ok(()),
        Err(_) => Err("write `unix:///path/to/socket` or `tcp://host:port`"),
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    match crate::host::normal(host) {
        Some(_) => Ok(()),
        None => Err("write a host only, such as `example.org`: no scheme, no path, no `*`"),
    }
}
