//! Where a request comes from: its connection's other end, or what trusted proxies say of it. Knows no route.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use super::edge::EdgeSettings;
use crate::error::ApiError;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// More proxies than this one behind the other are nobody's: what stands further left is not looked at.
const HOPS_MAX: usize = 32;
/// One household's or machine's share of IPv6.
const IPV6_BUCKET: u128 = u128::MAX << 64;

/// The other end of a request's connection, put there by whoever accepted it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where a request comes from. Every request has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Where a request with these headers over a connection from there comes from: the connection's other end, or, where
    /// that is a trusted proxy, the rightmost address that the proxies tell of and that is none of them. What stands further
    /// left, anybody can write.
    pub(crate) fn of(peer: IpAddr, headers: &HeaderMap, edge: &EdgeSettings) -> Self {
        let peer = peer.to_canonical();
        if !edge.trusts(peer) {
            return Self(peer);
        }
        let told = |name: &HeaderName, read: fn(&str) -> Option<IpAddr>| {
            headers.contains_key(name).then(|| rightmost(peer, headers, name, read, edge))
        };
        let found = match (told(&X_FORWARDED_FOR, bare_address), told(&header::FORWARDED, forwarded_for)) {
            (Some(one), None) | (None, Some(one)) => one,
            // A proxy writes one of the two and lets the other through as the client wrote it.
            (Some(one), Some(other)) if one == other => one,
            _ => peer,
        };
        Self(found)
    }

    /// The address.
    pub(crate) fn address(self) -> IpAddr {
        self.0
    }

    /// By what limits tell clients apart: an IPv4 address, or the part of an IPv6 address that one client has to itself.
    pub(crate) fn bucket(self) -> IpAddr {
        bucket(self.0)
    }
}

/// The same for any address.
pub(crate) fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & IPV6_BUCKET)),
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let address = parts.extensions.get::<Self>().copied();
        address.ok_or_else(|| ApiError::internal("a request without an address reached a route"))
    }
}

impl aide::OperationInput for ClientAddress {}

/// The other end of a connection that a test made without a socket.
pub(crate) const NO_SOCKET: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Goes from proxy to proxy, from the right, until one is not trusted. Where a hop cannot be read, the proxy that wrote it
/// down is all that is known.
fn rightmost(
    peer: IpAddr,
    headers: &HeaderMap,
    name: &HeaderName,
    read: fn(&str) -> Option<IpAddr>,
    edge: &EdgeSettings,
) -> IpAddr {
    let mut last = peer;
    // Several headers of one name are one list. A value of a million commas is read only as far as hops count.
    let values = headers.get_all(name).iter().rev();
    for hop in values.flat_map(|value| value.to_str().unwrap_or("").rsplit(',')).take(HOPS_MAX) {
        let Some(address) = read(hop.trim()) else { return last };
        last = address.to_canonical();
        if !edge.trusts(last) {
            return last;
        }
    }
    last
}

/// An address as `X-Forwarded-For` and `Forwarded` write it: bare, in brackets, with a port.
fn bare_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// The `for` of one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = element.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    });
    let address = found.next()?;
    if found.next().is_some() { None } else { bare_address(address) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn edge() -> EdgeSettings {
        let trusted = ["10.0.0.0/8", "::1", "2001:db8:f::/48"];
        EdgeSettings {
            trusted_proxies: trusted.iter().map(|text| text.parse().unwrap()).collect(),
            ..EdgeSettings::default()
        }
    }

    fn found(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        ClientAddress::of(peer.parse().unwrap(), &map, &edge()).address().to_string()
    }

    #[track_caller]
    fn check(peer: &str, headers: &[(&'static str, &str)], expected: &str) {
        assert_eq!(found(peer, headers), expected, "{peer} {headers:?}");
    }

    /// Fault 72.
    #[test]
    fn nobody_but_a_trusted_proxy_says_where_a_request_comes_from() {
        check("203.0.113.5", &[("x-forwarded-for", "198.51.100.1")], "203.0.113.5");
        check("203.0.113.5", &[("forwarded", "for=198.51.100.1")], "203.0.113.5");
        check("::ffff:203.0.113.5", &[("x-forwarded-for", "198.51.100.1")], "203.0.113.5");
        check("10.0.0.1", &[], "10.0.0.1");
    }

    /// Fault 72.
    #[test]
    fn the_rightmost_address_that_is_no_proxy_counts() {
        check("10.0.0.1", &[("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        check("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 198.51.100.1")], "198.51.100.1");
        check("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.2.2.2")], "198.51.100.1");
        check("10.0.0.1", &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        check("10.0.0.1", &[("x-forwarded-for", "10.9.9.9, 10.2.2.2")], "10.9.9.9");
        check("::1", &[("x-forwarded-for", "[2001:db8::7]:443")], "2001:db8::7");
        check("10.0.0.1", &[("x-forwarded-for", "198.51.100.1:4711")], "198.51.100.1");
        check("10.0.0.1", &[("forwarded", "for=198.51.100.1;proto=https;by=10.0.0.1")], "198.51.100.1");
        check("10.0.0.1", &[("forwarded", "for=1.1.1.1, proto=https;For=\"[2001:db8::7]:443\"")], "2001:db8::7");
    }

    /// Fault 72.
    #[test]
    fn what_cannot_be_read_ends_at_the_proxy_that_passed_it_on() {
        check("10.0.0.1", &[("x-forwarded-for", "unknown")], "10.0.0.1");
        check("10.0.0.1", &[("x-forwarded-for", "198.51.100.1, , 10.2.2.2")], "10.2.2.2");
        check("10.0.0.1", &[("x-forwarded-for", "")], "10.0.0.1");
        check("10.0.0.1", &[("forwarded", "for=_hidden")], "10.0.0.1");
        check("10.0.0.1", &[("forwarded", "for=1.1.1.1;for=2.2.2.2")], "10.0.0.1");
        // One of the two is the client's own.
        check("10.0.0.1", &[("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=1.1.1.1")], "10.0.0.1");
        check("10.0.0.1", &[("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")], "198.51.100.1");
    }

    /// Fault 72: a million values are one bucket, and cost nothing.
    #[test]
    fn a_million_values_cost_nothing() {
        let trusted = "10.1.1.1,".repeat(1_000_000);
        let headers: &[(&str, &str)] = &[("x-forwarded-for", trusted.trim_end_matches(','))];
        let mut map = HeaderMap::new();
        map.append(headers[0].0, headers[0].1.parse().unwrap());
        let peer = "10.0.0.1".parse().unwrap();
        let began = Instant::now();
        for _ in 0..10 {
            assert_eq!(ClientAddress::of(peer, &map, &edge()).address().to_string(), "10.1.1.1");
        }
        // Looking for characters that are no text is all that goes through the whole value.
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[test]
    fn a_client_of_ipv6_is_one_bucket() {
        let bucket = |text: &str| super::bucket(text.parse().unwrap()).to_string();
        assert_eq!(bucket("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(bucket("192.0.2.1"), "192.0.2.1");
        assert_eq!(bucket("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
