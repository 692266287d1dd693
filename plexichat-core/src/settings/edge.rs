//! What is set about the server's rim: whose forwarding headers count, how many connections and requests there may be, TLS.
//! Knows no layer.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

/// How many connections and requests there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Connections at a time.
    pub connections: NonZeroU32,
    /// Connections at a time from one address. This machine's own and trusted proxies are not counted.
    pub connections_per_address: NonZeroU32,
    /// Requests a second from one address, in the long run.
    pub requests_per_second: NonZeroU32,
    /// Requests at once from one address.
    pub request_burst: NonZeroU32,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        const CONNECTIONS: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");
        const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
        const REQUESTS: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");
        const BURST: NonZeroU32 = NonZeroU32::new(5_000).expect("not zero");
        Self {
            connections: CONNECTIONS,
            connections_per_address: PER_ADDRESS,
            requests_per_second: REQUESTS,
            request_burst: BURST,
        }
    }
}

/// The files by which the server speaks https.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// The certificate and those up to its authority, as PEM.
    pub cert: PathBuf,
    /// The certificate's key, as PEM.
    pub key: PathBuf,
}

impl TlsSettings {
    /// These files.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into() }
    }
}

/// An address, or all that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address is one of these. An IPv4 address written as IPv6 counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

/// What is no address and no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no address and no network")]
#[non_exhaustive]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= most).ok_or(NotANetwork)?,
        };
        // Bits beyond the prefix are most often a slip: `10.0.0.1/8` meant one or the other.
        let network = Self { address, prefix };
        let bare = match address {
            IpAddr::V4(own) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(own.to_bits() & mask))
            }
            IpAddr::V6(own) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(own.to_bits() & mask))
            }
        };
        if bare == address { Ok(network) } else { Err(NotANetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, address: &str, inside: bool) {
        let found = network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert_eq!(found, inside, "{address} in {network}");
    }

    #[test]
    fn a_network_is_its_first_bits() {
        check("10.0.0.0/8", "10.255.1.2", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("10.0.0.0/8", "::ffff:10.1.1.1", true);
        check("10.0.0.0/8", "::1", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("0.0.0.0/0", "203.0.113.1", true);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("2001:db8::/32", "2001:db9::", false);
        check("::/0", "2001:db8::1", true);
        check("::1", "::1", true);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "proxy", "10.0.0/8"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text:?}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
