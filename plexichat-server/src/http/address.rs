//! From which address a request came, as limits and the audit log take it. Knows no route.

use std::fmt;
use std::net::IpAddr;

/// The address of whoever sent a request. Every request that came over a socket has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl fmt::Display for ClientAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_canonical().fmt(formatter)
    }
}
