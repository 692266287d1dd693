//! The server's settings: what can be set, from which layers, and where each value came from. Knows no manager, store or
//! command line.
//!
//! Layers, each over the one before: built-in defaults, the bundle's embedded file, what the API stored (a plugin's
//! configuration only), `plexichat.toml`, `PLEXICHAT__SECTION__KEY`, arguments of the command line. What the last three set
//! is pinned: the API cannot change it.

mod ai;
mod edge;
mod effective;
mod layer;
mod origin;
mod read;
mod references;
mod reload;
mod shape;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::descriptor::{FailMode, Hook};
use crate::id::PluginName;
use crate::permission::PermissionSet;

pub use ai::AiSettings;
pub use edge::{EdgeLimits, Network, NotANetwork, TlsSettings};
pub use effective::Effective;
pub use origin::Origin;
pub use read::{Argument, Sources};

use layer::Located;
use references::Secrets;

/// Everything that can be set.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Settings {
    /// `[server]`.
    pub server: ServerSettings,
    /// `[plugins.<name>]`, for the plugins that some layer names.
    pub plugins: BTreeMap<PluginName, PluginSettings>,
    layers: Layers,
    secrets: Secrets,
}

/// How the server is reached and where its data is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The address that people use: for links, and the origin that WebSockets of browsers may come from.
    pub public_url: Option<String>,
    /// The directory of the store and the first administrator's token.
    pub data_dir: PathBuf,
    /// How much and how fast one actor may post.
    pub limits: MessageLimits,
    /// Who gets an account, and how often somebody may try.
    pub accounts: AccountSettings,
    /// How large files may be, and how many bytes of them are kept.
    pub files: FileLimits,
    /// How many connections and requests there may be.
    pub edge: EdgeLimits,
    /// Whose forwarding headers say where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// The files by which the server speaks https; nothing said: it speaks http.
    pub tls: Option<TlsSettings>,
    /// How long what is old is kept.
    pub retention: Retention,
    /// What is logged, as `RUST_LOG` takes it, where neither that nor `--log-level` says it.
    pub log_level: Option<String>,
    /// Models, the assistant, and how much may be asked.
    pub ai: AiSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            data_dir: PathBuf::from("data"),
            limits: MessageLimits::default(),
            accounts: AccountSettings::default(),
            files: FileLimits::default(),
            edge: EdgeLimits::default(),
            trusted_proxies: Vec::new(),
            tls: None,
            retention: Retention::default(),
            log_level: None,
            ai: AiSettings::default(),
        }
    }
}

/// How long what is old is kept. Where nothing is said it is kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Messages, with what hangs on them. Each room's last one stays.
    pub messages: Option<Duration>,
    /// Rows of the audit log.
    pub audit: Option<Duration>,
    /// What happened beside new messages, for clients that come back and want to hear what they missed.
    pub changes: Duration,
    /// What models were asked and what it cost. Quotas look back 24 hours: it is at least that.
    pub ai_usage: Duration,
    /// Runs of workflows that ended well, were skipped or cancelled.
    pub runs: Duration,
    /// Dead letters: runs of workflows that failed for good.
    pub dead_letters: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            messages: None,
            audit: None,
            changes: days(7),
            ai_usage: days(400),
            runs: days(30),
            dead_letters: days(90),
        }
    }
}

/// How much and how fast one actor may post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// The longest text, in bytes of UTF-8.
    pub text_bytes: NonZeroU32,
    /// Messages a second by one actor in one room, in the long run.
    pub messages_per_second: NonZeroU32,
    /// Messages at once by one actor in one room.
    pub message_burst: NonZeroU32,
}

impl Default for MessageLimits {
    fn default() -> Self {
        const TEXT: NonZeroU32 = NonZeroU32::new(16 * 1024).expect("not zero");
        const PER_SECOND: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
        const BURST: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
        Self { text_bytes: TEXT, messages_per_second: PER_SECOND, message_burst: BURST }
    }
}

/// How large files may be, and how many bytes of them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// The largest file, in bytes.
    pub max_bytes: NonZeroU64,
    /// The bytes of all files of one person, those in quarantine included.
    pub quota_per_user: NonZeroU64,
    /// The bytes of all files of the server.
    pub quota_total: NonZeroU64,
}

impl Default for FileLimits {
    fn default() -> Self {
        const MAX: NonZeroU64 = NonZeroU64::new(64 << 20).expect("not zero");
        const PER_USER: NonZeroU64 = NonZeroU64::new(1 << 30).expect("not zero");
        const TOTAL: NonZeroU64 = NonZeroU64::new(20 << 30).expect("not zero");
        Self { max_bytes: MAX, quota_per_user: PER_USER, quota_total: TOTAL }
    }
}

/// Who may make an account for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Registration {
    /// Everybody.
    Open,
    /// Whoever an administrator invited.
    #[default]
    Invitation,
    /// Nobody: administrators make the accounts.
    Off,
}

/// Who gets an account, and how often somebody may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSettings {
    /// Who may make an account for themselves.
    pub registration: Registration,
    /// How many wrong tokens a minute one address may send before it is told to wait.
    pub bad_tokens_per_minute: NonZeroU32,
}

impl Default for AccountSettings {
    fn default() -> Self {
        const BAD_TOKENS: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
        Self { registration: Registration::default(), bad_tokens_per_minute: BAD_TOKENS }
    }
}

/// What the operator (or the bundle) decided about one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginSettings {
    /// Whether it is to be enabled; nothing said: as it was left.
    pub enabled: Option<bool>,
    /// The permissions it is granted; nothing said: none that it asks for.
    pub grant: Option<PermissionSet>,
    /// The hosts, as `host`, `host:port` or `unix:/path` of a socket, that `network_access` is narrowed to; empty: any public host over https.
    pub hosts: Vec<String>,
    /// Whether `network_access` reaches loopback and private ranges, over any scheme and port; a Unix
    /// socket only where `hosts` names it.
    pub private_network: bool,
    /// The directories that `file_system_read` reaches, with all below them; empty: none.
    pub directories: Vec<PathBuf>,
    /// Where its calls run.
    pub isolation: IsolationLevel,
    /// What is said of its hooks.
    pub hooks: BTreeMap<Hook, HookSettings>,
    /// How long its calls may take.
    pub timeouts: Timeouts,
    /// The largest body of a request to its routes, in bytes; nothing said: what each route says.
    pub max_body: Option<u64>,
    /// How often each caller may call one of its routes in a minute; nothing said: what each route says.
    pub route_rate: Option<NonZeroU32>,
}

/// Where a plugin's calls run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IsolationLevel {
    /// On the server's own threads: fastest; a plugin that blocks holds them up.
    Inline,
    /// On the plugin's own runtime with its own thread.
    #[default]
    Runtime,
}

/// What is said of one hook of a plugin. Where nothing is said, the plugin's descriptor decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HookSettings {
    /// How long a call may take, at most [`Hook::timeout_max`].
    pub timeout: Option<Duration>,
    /// The largest file that the plugin is asked about, at most what its descriptor says.
    pub max_bytes: Option<u64>,
    /// What happens when it fails. `open` counts only where the plugin's attribute says so too.
    pub on_error: Option<FailMode>,
}

/// How long a plugin's calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// `initialize`.
    pub initialize: Duration,
    /// `cleanup`.
    pub cleanup: Duration,
    /// An event handler.
    pub event: Duration,
    /// A command.
    pub command: Duration,
    /// A tool that a model calls.
    pub tool: Duration,
    /// A route, up to the head of its answer; nothing said: what each route says.
    pub route: Option<Duration>,
    /// A component's button, form or look.
    pub interaction: Duration,
    /// Until an AI provider's service has taken a request.
    pub connect: Duration,
    /// From then to the first piece of its answer.
    pub first_delta: Duration,
    /// From one piece of the answer to the next.
    pub gap: Duration,
    /// A whole answer.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            initialize: Duration::from_secs(10),
            cleanup: Duration::from_secs(5),
            event: Duration::from_secs(5),
            command: Duration::from_secs(10),
            tool: Duration::from_secs(30),
            route: None,
            interaction: Duration::from_secs(3),
            connect: Duration::from_secs(10),
            first_delta: Duration::from_secs(30),
            gap: Duration::from_secs(60),
            answer: Duration::from_secs(600),
        }
    }
}

/// What each source said, below the API and above it, with origins.
#[derive(Clone, Default)]
struct Layers {
    /// The bundle's embedded file.
    bundle: Located,
    /// `plexichat.toml`, environment and arguments, merged.
    pinned: Located,
}

/// Without the values: some are secrets.
impl fmt::Debug for Layers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Layers")
    }
}

impl Settings {
    /// Where the value at a pointer such as `/plugins/echo/enabled` was set.
    pub fn origin(&self, pointer: &str) -> Origin {
        let found = self.layers.pinned.at(pointer).or_else(|| self.layers.bundle.at(pointer));
        found.map_or(Origin::Default, |located| located.origin.clone())
    }

    /// Where the value at a pointer is pinned, so that the API may not change it.
    pub fn pinned(&self, pointer: &str) -> Option<Origin> {
        self.layers.pinned.at(pointer).map(|located| located.origin.clone())
    }

    /// What is said of a plugin; the defaults where nothing is.
    pub fn plugin(&self, name: &PluginName) -> PluginSettings {
        self.plugins.get(name).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
