//! HTTP on behalf of plugins: which plugin may reach which hosts, and the guard that keeps private addresses out of reach
//! where a connection is made. Knows no plugin's code.

mod address;
mod body;
pub(crate) mod socket;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use plexichat::capability::http::{HttpPort, HttpRequest, HttpResponse, HttpStream};
use plexichat::error::{ErrorKind, PluginError, Result};
use plexichat::id::PluginName;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Method, StatusCode, Url};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub(crate) use address::is_public;

/// How long a connection may take to be made: less than anything that waits for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many redirects are followed.
const REDIRECTS_MAX: usize = 5;

/// What one plugin may reach. The default: any public host over https on port 443.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The hosts it may reach, as `host` or `host:port`, `*.example.org` for all below; none for any.
    pub(crate) hosts: Vec<String>,
    /// Whether it may reach loopback and private ranges, any scheme and port.
    pub(crate) private_network: bool,
}

/// The host's side of `ctx.http()`.
pub(crate) struct Egress {
    road: Arc<Road>,
    /// Where sockets are read and written: a plugin's own runtime has no I/O.
    host: Handle,
}

/// What it takes to reach somebody.
struct Road {
    reach: HashMap<PluginName, Reach>,
    /// Connects to public addresses only.
    public: reqwest::Client,
    /// Connects anywhere.
    private: reqwest::Client,
    is_public: fn(IpAddr) -> bool,
}

/// Why a client for HTTP cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made: {0}")]
pub(crate) struct ClientError(Box<dyn StdError + Send + Sync>);

impl Egress {
    /// The port with what the operator's settings say of each plugin. Must be called on the host's runtime.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn new(reach: HashMap<PluginName, Reach>) -> Result<Self, ClientError> {
        Self::with_guard(reach, is_public)
    }

    fn with_guard(reach: HashMap<PluginName, Reach>, is_public: fn(IpAddr) -> bool) -> Result<Self, ClientError> {
        let road = Road { reach, public: client(Some(is_public))?, private: client(None)?, is_public };
        Ok(Self { road: Arc::new(road), host: Handle::current() })
    }
}

impl Road {
    /// Sends the request, and after redirects; returns when the head of the answer is there.
    async fn follow(&self, plugin: &PluginName, request: HttpRequest) -> Result<(Url, reqwest::Response)> {
        let fallback = Reach::default();
        let reach = self.reach.get(plugin).unwrap_or(&fallback);
        let client = if reach.private_network { &self.private } else { &self.public };
        let redirects = request.redirects;
        let mut hop = Hop::of(request)?;
        for _ in 0..=REDIRECTS_MAX {
            check(reach, &hop.url, self.is_public).map_err(|reason| refused(plugin, &hop.url, &reason))?;
            let sent = client
                .request(hop.method.clone(), hop.url.clone())
                .headers(hop.headers.clone())
                .body(hop.body.clone())
                .send()
                .await;
            let response = sent.map_err(|error| failed(plugin, &hop.url, error))?;
            match hop.next(&response).filter(|_| redirects) {
                Some(next) => hop = next?,
                None => return Ok((hop.url, response)),
            }
        }
        Err(upstream(format!("`{}` redirects more than {REDIRECTS_MAX} times", hop.url.host_str().unwrap_or(""))))
    }
}

#[async_trait]
impl HttpPort for Egress {
    async fn send(&self, plugin: &PluginName, request: HttpRequest) -> Result<HttpResponse> {
        let (road, plugin, timeout) = (self.road.clone(), plugin.clone(), request.timeout);
        let (answer, answered) = oneshot::channel();
        self.host.spawn(until_unwanted(answer, async move {
            let whole = async {
                let (url, response) = road.follow(&plugin, request).await?;
                body::whole(&url, response).await
            };
            tokio::time::timeout(timeout, whole).await.unwrap_or_else(|_| Err(too_slow(timeout)))
        }));
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }

    async fn open(&self, plugin: &PluginName, request: HttpRequest) -> Result<HttpStream> {
        let (road, plugin, timeout) = (self.road.clone(), plugin.clone(), request.timeout);
        let (answer, answered) = oneshot::channel();
        let host = self.host.clone();
        self.host.spawn(until_unwanted(answer, async move {
            let head = tokio::time::timeout(timeout, road.follow(&plugin, request)).await;
            let (url, response) = head.unwrap_or_else(|_| Err(too_slow(timeout)))?;
            Ok(body::pieces(&url, response, &host))
        }));
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }
}

/// Hands over what the work gives, and drops it half-done where nobody waits for it any more.
async fn until_unwanted<T>(mut answer: oneshot::Sender<Result<T>>, work: impl Future<Output = Result<T>>) {
    let result = tokio::select! {
        biased;
        () = answer.closed() => return,
        result = work => result,
    };
    // Whoever waited may have gone just now: then it is dropped here.
    let _ = answer.send(result);
}

fn too_slow(timeout: Duration) -> PluginError {
    upstream(format!("the service did not answer within {} ms", timeout.as_millis()))
}

fn stopping() -> PluginError {
    PluginError::transient("the server stops")
}

/// A client with the roots of the web built in: no certificate files, no proxies of the environment, no redirects of its
/// own. With a guard it connects only to the addresses that the guard lets through.
///
/// # Errors
/// Where TLS cannot be set up.
pub(crate) fn client(guard: Option<fn(IpAddr) -> bool>) -> Result<reqwest::Client, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        // A request must not wait for the acknowledgement of the one before it.
        .tcp_nodelay(true)
        .user_agent(concat!("plexichat/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Guarded { guard })
        .build()
        .map_err(|error| ClientError(error.into()))
}

/// One request on its way, perhaps after redirects.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Hop {
    fn of(request: HttpRequest) -> Result<Self> {
        let input = |message: String| PluginError::input(message);
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| input(format!("`{}` is no HTTP method", request.method)))?;
        let url = Url::parse(&request.url).map_err(|error| input(format!("`{}` is no URL: {error}", request.url)))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| input(format!("`{name}` is no header")))?;
            // Without the value: it may be a key.
            let value = HeaderValue::from_str(value)
                .map_err(|_| input(format!("the value of header `{name}` has characters that a header cannot have")))?;
            headers.append(name, value);
        }
        Ok(Self { method, url, headers, body: request.body })
    }

    /// Where a response redirects to; nothing where it is the answer.
    fn next(&self, response: &reqwest::Response) -> Option<Result<Self>> {
        let status = response.status();
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = response.headers().get(LOCATION)?;
        let url = location.to_str().ok().and_then(|location| self.url.join(location).ok());
        let url = url.ok_or_else(|| upstream("the service redirects to no URL".into()));
        Some(url.and_then(|url| self.redirected(status, url)))
    }

    /// The request to where it is redirected. What was meant for one host is not told to another: neither a body nor a header
    /// that may hold a key, whatever its name.
    fn redirected(&self, status: StatusCode, url: Url) -> Result<Self> {
        let is_elsewhere = url.origin() != self.url.origin();
        let only_asks = matches!(self.method, Method::GET | Method::HEAD);
        let keeps_body = matches!(status.as_u16(), 307 | 308) || only_asks;
        if is_elsewhere && keeps_body && !(only_asks && self.body.is_empty()) {
            let at = |url: &Url| url.origin().ascii_serialization();
            return Err(upstream(format!(
                "`{}` redirects to `{}`, and what was sent to one is not sent to the other: use the address that is meant",
                at(&self.url),
                at(&url)
            )));
        }
        let mut headers = self.headers.clone();
        if is_elsewhere {
            headers.clear();
            for name in [ACCEPT, CONTENT_TYPE, USER_AGENT] {
                headers.extend(self.headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
            }
        }
        if keeps_body {
            return Ok(Self { method: self.method.clone(), url, headers, body: self.body.clone() });
        }
        headers.remove(CONTENT_TYPE);
        headers.remove(CONTENT_LENGTH);
        Ok(Self { method: Method::GET, url, headers, body: Vec::new() })
    }
}

/// Whether the plugin may ask for this URL, as far as the URL tells. Names are checked again where they are resolved.
fn check(reach: &Reach, url: &Url, is_public: fn(IpAddr) -> bool) -> Result<(), String> {
    let host = url.host_str().unwrap_or("");
    let port = url.port_or_known_default().unwrap_or(0);
    if !matches!(url.scheme(), "https" | "http") || host.is_empty() {
        return Err(format!("`{}` is no address for HTTP", url.scheme()));
    }
    if !reach.hosts.is_empty() && !reach.hosts.iter().any(|rule| allows(rule, host, port)) {
        return Err(format!("its `hosts` do not name `{host}:{port}`"));
    }
    if reach.private_network {
        return Ok(());
    }
    // Ports other than 443 are for hosts that the operator named with their port.
    let named = reach.hosts.iter().any(|rule| rule.ends_with(&format!(":{port}")) && allows(rule, host, port));
    if url.scheme() != "https" {
        return Err("only https is allowed without `private_network = true`".to_owned());
    }
    if port != 443 && !named {
        return Err(format!("port {port} is allowed only where `hosts` names `{host}:{port}`"));
    }
    // A literal address never comes to the resolver.
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) if !is_public(address) => Err(format!("{address} is not a public address")),
        _ => Ok(()),
    }
}

/// Whether a rule of `hosts` covers host and port.
fn allows(rule: &str, host: &str, port: u16) -> bool {
    let (name, rule_port) = match rule.rsplit_once(':') {
        // `::1` is an address, not a host with a port.
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => (name, digits.parse::<u16>().ok()),
        _ => (rule, None),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let fits = match name.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => host == name || host.trim_start_matches('[').trim_end_matches(']') == name,
    };
    fits && rule_port.is_none_or(|rule_port| rule_port == port)
}

/// Resolves names by the system's means, and lets through only what the guard allows.
struct Guarded {
    guard: Option<fn(IpAddr) -> bool>,
}

/// A name that leads to private addresses.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not at a public address")]
struct Blocked(String);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard;
        Box::pin(async move {
            let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
            let mut found: Vec<SocketAddr> = match is_localhost(&host) {
                // Always this machine, and to be had without a look-up, which an empty root has no files for.
                true => LOCALHOST.map(|address| SocketAddr::new(address, 0)).to_vec(),
                false => tokio::net::lookup_host((host.as_str(), 0)).await?.collect(),
            };
            if let Some(is_public) = guard {
                found.retain(|address| is_public(address.ip()));
                if found.is_empty() {
                    return Err(Blocked(host).into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

fn upstream(message: String) -> PluginError {
    PluginError::new(ErrorKind::Upstream { retry_after: None }, message)
}

fn refused(plugin: &PluginName, url: &Url, reason: &str) -> PluginError {
    // Without path and query: they may carry keys.
    let host = url.host_str().unwrap_or("").to_owned();
    tracing::warn!(%plugin, host, reason, "an HTTP request of a plugin was refused");
    PluginError::permission(format!("plugin `{plugin}` may not reach `{host}`: {reason}"))
}

fn failed(plugin: &PluginName, url: &Url, error: reqwest::Error) -> PluginError {
    let error = error.without_url();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(blocked) = current.downcast_ref::<Blocked>() {
            return refused(plugin, url, &blocked.to_string());
        }
        cause = current.source();
    }
    upstream(format!("`{}` cannot be reached", url.host_str().unwrap_or(""))).with_source(error)
}

#[cfg(test)]
mod tests;
