//! Plain connections on behalf of plugins, TCP and Unix: by the same hosts as HTTP, never to private addresses unless the
//! operator says so, and to Unix sockets only where they are named. Knows no protocol.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use plexichat::capability::sockets::{SocketAddress, SocketLink, SocketPort};
use plexichat::error::{ErrorKind, PluginError, Result};
use plexichat::id::PluginName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;

use super::{LOCALHOST, Reach, allows, is_localhost, is_public};

/// How much is read at once.
const PIECE: usize = 16 * 1024;

/// The host's side of `ctx.sockets()`.
pub(crate) struct SocketEgress {
    reach: HashMap<PluginName, Reach>,
    /// Where connections are made: a plugin's own runtime has no I/O driver.
    host: Handle,
}

impl SocketEgress {
    /// The port with what the operator's settings say of each plugin. Must be called on the host's runtime.
    pub(crate) fn new(reach: HashMap<PluginName, Reach>) -> Self {
        Self { reach, host: Handle::current() }
    }
}

#[async_trait]
impl SocketPort for SocketEgress {
    async fn connect(
        &self,
        plugin: &PluginName,
        address: &SocketAddress,
        timeout: Duration,
    ) -> Result<Box<dyn SocketLink>> {
        let reach = self.reach.get(plugin).cloned().unwrap_or_default();
        check(plugin, &reach, address).map_err(|reason| refused(plugin, address, &reason))?;
        let (plugin, address) = (plugin.clone(), address.clone());
        let (guarded, name) = (!reach.private_network, address.to_string());
        let connecting = self.host.spawn(async move {
            match tokio::time::timeout(timeout, open(&address, guarded)).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(Failed::NotPublic)) => {
                    let reason = "it is not at a public address, and `private_network` is not set";
                    Err(refused(&plugin, &address, reason))
                }
                Ok(Err(Failed::Io(error))) => Err(upstream(format!("{address} cannot be reached")).with_source(error)),
                Err(_) => Err(upstream(format!("{address} did not answer within {} ms", timeout.as_millis()))),
            }
        });
        // A dropped call drops what was connected: the task's result goes with its handle.
        let stream = connecting.await.map_err(|_| upstream("the server stops".into()))??;
        Ok(Box::new(Link { stream, name, timeout }))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Failed {
    NotPublic,
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn open(address: &SocketAddress, guarded: bool) -> Result<Box<dyn Stream>, Failed> {
    let (host, port) = match address {
        // Named by the operator: `check` has looked.
        SocketAddress::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        SocketAddress::Tcp { host, port } => (host.as_str(), *port),
    };
    let mut found: Vec<SocketAddr> = match is_localhost(host) {
        true => LOCALHOST.map(|address| SocketAddr::new(address, port)).to_vec(),
        false => tokio::net::lookup_host((host, port)).await?.collect(),
    };
    if guarded {
        found.retain(|address| is_public(address.ip()));
        if found.is_empty() {
            return Err(Failed::NotPublic);
        }
    }
    let stream = TcpStream::connect(&*found).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// Whether the plugin may connect there, as far as the address tells. Names are looked at again where they are resolved.
fn check(plugin: &PluginName, reach: &Reach, address: &SocketAddress) -> std::result::Result<(), String> {
    match address {
        SocketAddress::Unix(path) => {
            let named = format!("unix:{}", path.display());
            // `private_network` opens no socket: what stands behind one may be the whole machine, as with a container engine's.
            match reach.hosts.contains(&named) {
                true => Ok(()),
                false => Err(format!("name `{named}` in `hosts` of `[plugins.{plugin}]`")),
            }
        }
        SocketAddress::Tcp { host, port } => {
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let named = format!("{host}:{port}");
            if !reach.hosts.is_empty() && !reach.hosts.iter().any(|rule| allows(rule, &host, *port)) {
                return Err(format!("its `hosts` do not name `{named}`"));
            }
            if reach.private_network {
                return Ok(());
            }
            // No port is the usual one: the operator names it.
            let with_port = |rule: &String| rule.ends_with(&format!(":{port}")) && allows(rule, &host, *port);
            if !reach.hosts.iter().any(with_port) {
                return Err(format!("name `{named}` in `hosts` of `[plugins.{plugin}]`"));
            }
            match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) if !is_public(address) => {
                    Err(format!("{address} is not a public address: set `private_network = true` beside it"))
                }
                _ => Ok(()),
            }
        }
    }
}

struct Link {
    stream: Box<dyn Stream>,
    name: String,
    timeout: Duration,
}

/// Waits within the link's limit. The stream keeps the driver that it was made with, so that a plugin's own runtime may wait.
async fn within<T>(name: &str, timeout: Duration, doing: impl Future<Output = io::Result<T>>) -> Result<T> {
    match tokio::time::timeout(timeout, doing).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(upstream(format!("the connection to {name} broke")).with_source(error)),
        Err(_) => Err(upstream(format!("{name} said nothing for {} ms", timeout.as_millis()))),
    }
}

#[async_trait]
impl SocketLink for Link {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { stream, name, timeout } = self;
        within(name, *timeout, stream.write_all(bytes)).await
    }

    async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let Self { stream, name, timeout } = self;
        buffer.reserve(PIECE);
        within(name, *timeout, stream.read_buf(buffer)).await.map(|_| ())
    }
}

fn upstream(message: String) -> PluginError {
    PluginError::new(ErrorKind::Upstream { retry_after: None }, message)
}

fn refused(plugin: &PluginName, address: &SocketAddress, reason: &str) -> PluginError {
    tracing::warn!(%plugin, %address, reason, "a connection of a plugin was refused");
    PluginError::permission(format!("plugin `{plugin}` may not connect to {address}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> PluginName {
        "antivirus".parse().unwrap()
    }

    fn reach(hosts: &[&str], private_network: bool) -> Reach {
        Reach { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), private_network }
    }

    #[track_caller]
    fn check_address(reach: &Reach, address: &str, expected: Option<&str>) {
        let found = check(&plugin(), reach, &address.parse().unwrap());
        match expected {
            None => assert_eq!(found, Ok(()), "{address}"),
            Some(part) => assert!(found.as_ref().is_err_and(|reason| reason.contains(part)), "{address}: {found:?}"),
        }
    }

    #[test]
    fn only_what_the_operator_names_is_reached() {
        check_address(&Reach::default(), "tcp://example.org:443", Some("name `example.org:443` in `hosts`"));
        check_address(&Reach::default(), "tcp://127.0.0.1:3310", Some("in `hosts` of `[plugins.antivirus]`"));
        check_address(&reach(&["scan.example.org:3310"], false), "tcp://scan.example.org:3310", None);
        check_address(
            &reach(&["scan.example.org"], false),
            "tcp://scan.example.org:3310",
            Some("scan.example.org:3310"),
        );
        check_address(&reach(&["scan.example.org:3310"], false), "tcp://scan.example.org:22", Some("do not name"));
        check_address(&reach(&["127.0.0.1:3310"], false), "tcp://127.0.0.1:3310", Some("private_network = true"));
        check_address(&reach(&["127.0.0.1:3310"], true), "tcp://127.0.0.1:3310", None);
        check_address(&reach(&["[::1]:3310"], true), "tcp://[::1]:3310", None);
        check_address(&reach(&["127.0.0.1:3310"], true), "tcp://127.0.0.1:22", Some("do not name"));
        check_address(&reach(&[], true), "tcp://10.0.0.1:22", None);
        check_address(&Reach::default(), "unix:///run/clamd.ctl", Some("name `unix:/run/clamd.ctl` in `hosts`"));
        check_address(&reach(&["unix:/run/clamd.ctl"], false), "unix:///run/clamd.ctl", None);
        check_address(&reach(&["unix:/run/clamd.ctl"], true), "unix:///run/docker.sock", Some("unix:/run/docker.sock"));
        check_address(&reach(&[], true), "unix:///run/clamd.ctl", Some("name `unix:/run/clamd.ctl` in `hosts`"));
    }

    /// A runtime as plugins have: timers and no I/O driver.
    fn plugins_runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut asked = [0; 4];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"PING");
        stream.write_all(b"PONG").await.unwrap();
    }

    async fn ping(egress: &SocketEgress, address: &str) -> Result<String> {
        let mut link = egress.connect(&plugin(), &address.parse().unwrap(), Duration::from_secs(5)).await?;
        link.write(b"PING").await?;
        let mut said = Vec::new();
        loop {
            let before = said.len();
            link.read(&mut said).await?;
            if said.len() == before {
                return Ok(String::from_utf8(said).unwrap());
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_plugin_speaks_over_tcp_and_unix_from_its_own_runtime() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let unix = tokio::net::UnixListener::bind(&path).unwrap();
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        tokio::spawn(async move { answer(unix.accept().await.unwrap().0).await });
        tokio::spawn(async move {
            loop {
                answer(tcp.accept().await.unwrap().0).await;
            }
        });
        let named = format!("unix:{}", path.display());
        let hosts = reach(&[&named, &format!("127.0.0.1:{port}"), &format!("localhost:{port}")], true);
        let egress = std::sync::Arc::new(SocketEgress::new(HashMap::from([(plugin(), hosts)])));
        let runtime = plugins_runtime();
        for address in
            [format!("unix://{}", path.display()), format!("tcp://127.0.0.1:{port}"), format!("tcp://localhost:{port}")]
        {
            let egress = egress.clone();
            let said = runtime.spawn(async move { ping(&egress, &address).await }).await.unwrap();
            assert_eq!(said.unwrap(), "PONG");
        }
        runtime.shutdown_background();
    }

    #[tokio::test]
    async fn names_of_this_machine_are_private() {
        let egress = SocketEgress::new(HashMap::from([(plugin(), reach(&["localhost:3310"], false))]));
        let error = ping(&egress, "tcp://localhost:3310").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission);
        assert!(error.to_string().contains("not at a public address"), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_and_somebody_silent_are_told_apart_from_a_refusal() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let egress = SocketEgress::new(HashMap::from([(plugin(), reach(&[], true))]));
        let address: SocketAddress = format!("tcp://127.0.0.1:{port}").parse().unwrap();
        let mut link = egress.connect(&plugin(), &address, Duration::from_millis(50)).await.unwrap();
        let error = link.read(&mut Vec::new()).await.unwrap_err();
        assert!(error.to_string().contains("said nothing for 50 ms"), "{error}");
        drop((link, listener));
        let error = egress.connect(&plugin(), &address, Duration::from_secs(5)).await.err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Upstream { .. }) && error.to_string().contains("cannot be reached"));
    }
}
