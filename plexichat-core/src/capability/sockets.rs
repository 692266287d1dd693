//! Plain connections to the outside, behind `NetworkAccess`: TCP and Unix sockets for services that do not speak HTTP. Knows
//! no protocol; the host's side holds the granted hosts and makes the connection.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Scope;
use crate::error::{PluginError, Result};
use crate::id::PluginName;
use crate::permission::Permission;

/// How long connecting, and each reading and writing, may take where a plugin says nothing.
pub const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the hosts that the operator granted.
#[derive(Clone)]
pub struct Sockets {
    scope: Arc<Scope>,
    port: Arc<dyn SocketPort>,
    timeout: Duration,
}

/// Where a connection goes: `tcp://host:port` or `unix:///path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SocketAddress {
    /// A host, by name or address, and a port.
    Tcp {
        /// The host; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket by its absolute path.
    Unix(PathBuf),
}

/// The text is no address of a socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a socket: write `tcp://host:port` or `unix:///path/to/socket`")]
pub struct BadSocketAddress(String);

impl FromStr for SocketAddress {
    type Err = BadSocketAddress;

    fn from_str(text: &str) -> Result<Self, BadSocketAddress> {
        let bad = || BadSocketAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://") {
            return path.starts_with('/').then(|| Self::Unix(path.into())).ok_or_else(bad);
        }
        let rest = text.strip_prefix("tcp://").ok_or_else(bad)?;
        let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = |host: &str| {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(word)
        };
        match bare {
            Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                Ok(Self::Tcp { host: address.into(), port })
            }
            None if is_host(host) => Ok(Self::Tcp { host: host.into(), port }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "tcp://{host}:{port}"),
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
        }
    }
}

/// What the host does for [`Sockets`].
#[async_trait]
pub trait SocketPort: Send + Sync + 'static {
    /// Connects as the plugin, within what the operator granted it. May be called on a plugin's runtime, which has timers
    /// and no I/O driver. `timeout` counts for connecting, and for each reading and writing of what it gives.
    async fn connect(
        &self,
        plugin: &PluginName,
        address: &SocketAddress,
        timeout: Duration,
    ) -> Result<Box<dyn SocketLink>>;
}

/// The host's side of one connection. Dropping it closes the connection.
#[async_trait]
pub trait SocketLink: Send {
    /// Writes all of it.
    async fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Appends what comes next; nothing once the other side has closed.
    async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<()>;
}

/// An open connection. Dropping it closes it.
pub struct Connection {
    scope: Arc<Scope>,
    link: Box<dyn SocketLink>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("plugin", self.scope.plugin()).finish_non_exhaustive()
    }
}

impl Sockets {
    pub(crate) fn new(scope: Arc<Scope>, port: Arc<dyn SocketPort>) -> Self {
        Self { scope, port, timeout: SOCKET_TIMEOUT }
    }

    /// The same with another limit of time for connecting, and for each reading and writing; [`SOCKET_TIMEOUT`] where
    /// nothing is set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects to `tcp://host:port` or `unix:///path`.
    ///
    /// # Errors
    /// `Input` where the address is none, `Permission` without the grant or for a host that was not granted, `Upstream`
    /// where nobody answers there in time.
    ///
    /// # Cancel safety
    /// A dropped call leaves no connection open.
    pub async fn connect(&self, address: &str) -> Result<Connection> {
        self.scope.check(Permission::NetworkAccess, "connect")?;
        let address: SocketAddress =
            address.parse().map_err(|error: BadSocketAddress| PluginError::input(error.to_string()))?;
        let link = self.port.connect(self.scope.plugin(), &address, self.timeout).await?;
        Ok(Connection { scope: self.scope.clone(), link })
    }
}

impl Connection {
    /// Writes all of it.
    ///
    /// # Errors
    /// `Upstream` where the connection is broken or takes nothing in time, `Permission` once the plugin was stopped.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped call may have written a part.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.scope.check_alive()?;
        self.link.write(bytes).await
    }

    /// Appends what comes next to `buffer`, some thousand bytes at most; how many there were, none once the other side has
    /// closed.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// Not cancel safe: what a dropped call had read may be lost.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize> {
        self.scope.check_alive()?;
        let before = buffer.len();
        self.link.read(buffer).await?;
        Ok(buffer.len() - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<SocketAddress>) {
        let found = text.parse::<SocketAddress>();
        match expected {
            Some(expected) => {
                assert_eq!(found.as_ref(), Ok(&expected));
                assert_eq!(expected.to_string(), text);
            }
            None => assert!(found.unwrap_err().to_string().contains("tcp://host:port")),
        }
    }

    #[test]
    fn addresses_are_read() {
        let tcp = |host: &str, port| Some(SocketAddress::Tcp { host: host.into(), port });
        check("tcp://localhost:3310", tcp("localhost", 3310));
        check("tcp://127.0.0.1:3310", tcp("127.0.0.1", 3310));
        check("tcp://[::1]:3310", tcp("::1", 3310));
        check("unix:///run/clamav/clamd.ctl", Some(SocketAddress::Unix("/run/clamav/clamd.ctl".into())));
        for bad in [
            "",
            "localhost:3310",
            "tcp://localhost",
            "tcp://:1",
            "tcp://a:0",
            "tcp://a:65536",
            "tcp://::1:5",
            "tcp://[a]:5",
            "tcp://user@host:5",
            "tcp://host/path:5",
            "unix://relative",
            "http://a:1",
        ] {
            check(bad, None);
        }
    }
}
