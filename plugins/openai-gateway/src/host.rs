//! Whether an address that somebody else's service is asked to fetch leads to the public internet, as far as its text tells. Knows
//! no resolver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names that are found inside of a network only.
const INSIDE: [&str; 6] = ["localhost", "local", "localdomain", "internal", "lan", "arpa"];

/// Whether what follows `https://` begins with the name or address of a host on the public internet. What readers of addresses
/// take in different ways is refused: names and passwords, percent signs, backslashes, numbers in odd forms.
pub(crate) fn is_public_host(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if let Some((address, port)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
            && address.parse::<Ipv6Addr>().is_ok_and(|address| is_public(IpAddr::V6(address)));
    }
    let host = match authority.split_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) => return false,
        None => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = host.rsplit('.').next().unwrap_or("");
    // The last label decides whether it is read as a number, `2130706433` and `0x7f.1` among them.
    if last.starts_with(|letter: char| letter.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok_and(|address| is_public(IpAddr::V4(address)));
    }
    host.contains('.') && host.split('.').all(is_label) && !INSIDE.contains(&last)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            let is_other = matches!(
                (first, second, third),
                (0 | 224.., ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _)
            );
            !(is_other
                || address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation())
        }
        IpAddr::V6(address) => match (address.to_ipv4_mapped(), address.segments()) {
            (Some(address), _) => is_public(IpAddr::V4(address)),
            // Teredo, 6to4 and documentation; only 2000::/3 is handed out.
            (None, [0x2001, 0 | 0xdb8, ..] | [0x2002, ..]) => false,
            (None, [first, ..]) => first & 0xe000 == 0x2000,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rests: &[&str], public: bool) {
        for rest in rests {
            assert_eq!(is_public_host(rest), public, "https://{rest}");
        }
    }

    #[test]
    fn only_the_public_internet() {
        check(
            &["example.org/a.png", "a.example.org:8443?x=1", "Example.ORG.", "8.8.8.8/x", "[2606:4700::1111]:443/x"],
            true,
        );
        check(
            &["127.0.0.1/", "10.0.0.1", "172.16.0.1:80", "192.168.1.1", "169.254.169.254/latest", "100.64.0.1"],
            false,
        );
        check(&["0.0.0.0", "255.255.255.255", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1."], false);
        check(&["[::1]/", "[::ffff:10.0.0.1]", "[fd00::1]", "[fe80::1]", "[2002:7f00:1::]", "[::1", "[x]"], false);
        check(
            &["localhost/a", "a.localhost", "LOCALHOST:80", "printer.local", "metadata.google.internal", "intranet"],
            false,
        );
        check(&["", "/a", "user@example.org", "example.org@10.0.0.1", "example.org\\@10.0.0.1", "%31%30.0.0.1"], false);
        check(&["１２７.0.0.1", "example.org:x", "example..org", "example.org:99999"], false);
    }
}
