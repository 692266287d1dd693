//! Finds IP addresses that are somebody's: of the fourth and the sixth version, without those that belong to everybody
//! (loopback, private networks, documentation).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::{Detector, Found, before, is_word};

/// The shortest address as text, and the longest with a port.
const LENGTHS: RangeInclusive<usize> = 7..=51;

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(|byte| is_part(*byte)) {
            at += 1;
        }
        // A port is no part of it, and neither is the full stop of a sentence.
        let run = text[start..at].trim_end_matches(['.', ':']);
        if LENGTHS.contains(&run.len())
            && is_apart(text, start, at)
            && let Some(length) = address(run)
        {
            found.push(Found { detector: Detector::IpAddress, name: "ip_address", range: start..start + length });
        }
    }
}

/// Whether nothing stands beside the run that makes it another thing.
fn is_apart(text: &str, start: usize, end: usize) -> bool {
    let before = before(text, start).is_some_and(|byte| is_word(byte) || matches!(byte, b'-' | b'/' | b'@'));
    let behind = text.as_bytes().get(end).is_some_and(|byte| is_word(*byte) || *byte == b'-');
    !before && !behind
}

/// How long the address is at the beginning of what is perhaps an address and a port.
fn address(run: &str) -> Option<usize> {
    if let Ok(address) = run.parse::<Ipv6Addr>() {
        // `a::b` is a path in code.
        let groups = run.split(':').filter(|group| !group.is_empty()).count();
        return (groups >= 4 && is_somebodys(IpAddr::V6(address))).then_some(run.len());
    }
    let host = run.split_once(':').map_or(run, |(host, port)| if port.parse::<u16>().is_ok() { host } else { run });
    let address: Ipv4Addr = host.parse().ok()?;
    is_somebodys(IpAddr::V4(address)).then_some(host.len())
}

fn is_somebodys(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let nobodys = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_multicast();
            // Versions (`1.2.0.0`) and masks are no hosts.
            let [first, .., last] = address.octets();
            !nobodys && first != 0 && last != 0 && first < 224
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            address.to_ipv4_mapped().map_or(first & 0xE000 == 0x2000 && (first, second) != (0x2001, 0x0DB8), |mapped| {
                is_somebodys(IpAddr::V4(mapped))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check as check_detector;
    use super::*;

    #[track_caller]
    fn found(text: &str, addresses: &[&str]) {
        let expected: Vec<(&str, &str)> = addresses.iter().map(|address| ("ip_address", *address)).collect();
        check_detector(Detector::IpAddress, text, &expected);
    }

    #[test]
    fn addresses_are_found() {
        found("ping 8.8.8.8 now", &["8.8.8.8"]);
        found("from 93.184.216.34:443.", &["93.184.216.34"]);
        found("[2606:2800:220:1:248:1893:25c8:1946]:80", &["2606:2800:220:1:248:1893:25c8:1946"]);
        found("2a00:1450:4001:82a::200e", &["2a00:1450:4001:82a::200e"]);
        found("8.8.8.8, 8.8.4.4", &["8.8.8.8", "8.8.4.4"]);
    }

    #[test]
    fn others_are_let_be() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.7",
            "172.16.5.4",
            "192.0.2.1",
            "version 1.2.3.0",
            "v8.8.8.8",
            "1.2.3.4.5",
            "256.1.1.1",
            "8.8.8",
            "12:30:45",
            "std::fmt",
            "a::b",
            "fe80::1",
            "::1",
            "2001:db8::1:2:3",
            "de:ad:be:ef:00:11",
            "8.8.8.8-rc1",
            "1.2.3",
        ] {
            found(text, &[]);
        }
    }
}
