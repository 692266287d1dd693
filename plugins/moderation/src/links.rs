//! Where the links of a text lead, how many there are, and how many people it mentions. Opens none.

use crate::config::LinkPolicy;

/// The policy, ready for use.
pub(crate) struct Links {
    allow: Hosts,
    block: Hosts,
    max: Option<usize>,
}

impl Links {
    /// Nothing where there is no rule.
    pub(crate) fn new(policy: &LinkPolicy) -> Option<Self> {
        if policy.allow.is_empty() && policy.block.is_empty() && policy.max.is_none() {
            return None;
        }
        let max = policy.max.map(|max| max as usize);
        Some(Self { allow: Hosts::new(&policy.allow), block: Hosts::new(&policy.block), max })
    }

    /// The rule that the text breaks, if any.
    pub(crate) fn broken(&self, plain: &str) -> Option<&'static str> {
        let text = lower(plain);
        let links: Vec<String> = links(&text).collect();
        let too_many = || self.max.filter(|max| links.len() > *max).map(|_| "too_many_links");
        self.unwelcome(&text, &links).or_else(too_many)
    }

    /// The rule that a part of a text breaks: nobody knows how many links the whole has.
    pub(crate) fn blocked(&self, plain: &str) -> Option<&'static str> {
        let text = lower(plain);
        self.unwelcome(&text, &links(&text).collect::<Vec<String>>())
    }

    fn unwelcome(&self, text: &str, links: &[String]) -> Option<&'static str> {
        // Also without `https://`, and in a part of a link that leads on (`?to=evil.com`): clients show it as a link.
        let is_blocked = |host: &str| self.block.has(host);
        if !self.block.is_empty() && (links.iter().any(|host| is_blocked(host)) || names(text).any(is_blocked)) {
            return Some("blocked_host");
        }
        let is_unlisted = !self.allow.is_empty() && links.iter().any(|host| !self.allow.has(host));
        is_unlisted.then_some("unlisted_host")
    }
}

/// In lower case, and with slashes for backslashes, as browsers take them.
fn lower(plain: &str) -> String {
    plain.to_lowercase().replace('\\', "/")
}

/// Names of hosts, sorted, so that ten thousand cost no more than a few.
struct Hosts {
    exact: Vec<String>,
    /// Those of `*.example.com`, without the star.
    under: Vec<String>,
}

impl Hosts {
    fn new(patterns: &[String]) -> Self {
        let lower: Vec<String> = patterns.iter().map(|pattern| pattern.to_lowercase()).collect();
        let mut exact: Vec<String> = lower.iter().filter(|pattern| !pattern.starts_with("*.")).cloned().collect();
        let mut under: Vec<String> =
            lower.iter().filter_map(|pattern| pattern.strip_prefix("*.")).map(str::to_owned).collect();
        exact.sort();
        under.sort();
        Self { exact, under }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.under.is_empty()
    }

    fn has(&self, host: &str) -> bool {
        let is_in = |hosts: &[String], host: &str| hosts.binary_search_by(|known| known.as_str().cmp(host)).is_ok();
        if is_in(&self.exact, host) {
            return true;
        }
        let mut rest = Some(host);
        while let Some(name) = rest {
            if is_in(&self.under, name) {
                return true;
            }
            rest = name.split_once('.').map(|(_, parent)| parent);
        }
        false
    }
}

/// The longest name of a host.
const HOST_MAX: usize = 253;

/// The hosts to which the links of a lower-case text lead: behind `://`, and names that begin with `www.`.
fn links(text: &str) -> impl Iterator<Item = String> {
    let schemes = text.match_indices("://").filter_map(|(at, _)| {
        let has_scheme = text[..at].ends_with(|character: char| character.is_ascii_alphanumeric());
        has_scheme.then(|| host(&text[at + 3..]))
    });
    let is_bare = |at: usize| {
        !text[..at].ends_with(|character: char| {
            character.is_alphanumeric() || matches!(character, '/' | '.' | '-' | '_' | '@')
        })
    };
    let bare = text.match_indices("www.").filter(move |(at, _)| is_bare(*at)).map(|(at, _)| host(&text[at..]));
    schemes.chain(bare).filter(|host| !host.is_empty())
}

/// The host at the beginning of what stands behind `://`: without a name and password, and without the port.
fn host(rest: &str) -> String {
    let ends = |character: char| {
        character.is_whitespace()
            || matches!(character, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '(' | ')' | '`' | '|' | ',')
    };
    // A longer one leads nowhere; it is cut, not skipped.
    let end = rest.char_indices().take(4 * HOST_MAX).find(|(_, character)| ends(*character)).map(|(index, _)| index);
    let end = end.unwrap_or_else(|| rest.char_indices().nth(4 * HOST_MAX).map_or(rest.len(), |(index, _)| index));
    let authority = &rest[..end];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    decoded(host).trim_matches('.').to_lowercase()
}

/// Without percent signs: browsers decode the names of hosts.
fn decoded(host: &str) -> String {
    if !host.contains('%') {
        return host.to_owned();
    }
    let bytes = host.as_bytes();
    let hex = |index: usize| bytes.get(index).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Everything in a lower-case text that looks like the name of a host.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric() && !matches!(character, '.' | '-' | '_'))
        .map(|name| name.trim_matches(['.', '-', '_']))
        .filter(|name| name.len() <= HOST_MAX && name.contains('.'))
}

/// How many people or groups a text mentions.
pub(crate) fn mentions(plain: &str) -> usize {
    let is_mention = |at: usize| {
        let begins = !plain[..at]
            .ends_with(|character: char| character.is_alphanumeric() || matches!(character, '.' | '_' | '-' | '@'));
        begins && plain[at + 1..].starts_with(char::is_alphanumeric)
    };
    plain.match_indices('@').filter(|(at, _)| is_mention(*at)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Measure;

    fn policy(allow: &[&str], block: &[&str], max: Option<u32>) -> Links {
        let owned = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        Links::new(&LinkPolicy { allow: owned(allow), block: owned(block), max, action: Measure::Reject })
            .expect("a rule")
    }

    #[track_caller]
    fn check(policy: &Links, text: &str, broken: Option<&str>) {
        assert_eq!(policy.broken(text), broken, "{text:?}");
    }

    #[test]
    fn blocked_hosts_are_found_however_they_are_written() {
        let policy = policy(&[], &["evil.com", "*.bad.org", "*.zip"], None);
        for text in [
            "https://evil.com",
            "see http://EVIL.com/x",
            "evil.com",
            "https://evil.com:8080/",
            "https://good.com@evil.com/",
            "https://me:pw@evil.com",
            r"https:\\evil.com\x",
            "https://%65vil.com/",
            "https://evil.com./",
            "(https://evil.com)",
            "https://a.bad.org",
            "bad.org",
            "x.y.bad.org/z",
            "https://good.com/?to=evil.com",
            "invoice.zip",
            "[ok](https://evil.com)",
        ] {
            check(&policy, text, Some("blocked_host"));
        }
        for text in [
            "https://notevil.com",
            "https://evil.com.good.org",
            "https://sub.evil.com",
            "evil",
            "com",
            "a.bad.orgs",
            "https://",
        ] {
            check(&policy, text, None);
        }
    }

    #[test]
    fn only_listed_hosts_are_allowed() {
        let policy = policy(&["good.com", "*.corp.example"], &[], None);
        for text in ["https://good.com/a", "no link at all, v1.2.3", "https://wiki.corp.example and www.corp.example"] {
            check(&policy, text, None);
        }
        for text in [
            "https://other.com",
            "https://good.com https://other.com",
            "www.other.com",
            "ftp://files.other.com",
            "https://good.com.other.com",
        ] {
            check(&policy, text, Some("unlisted_host"));
        }
    }

    #[test]
    fn links_are_counted() {
        let policy = policy(&[], &[], Some(2));
        check(&policy, "https://a.de http://b.de", None);
        check(&policy, "https://a.de www.b.de https://www.c.de", Some("too_many_links"));
    }

    #[test]
    fn mentions_are_counted() {
        for (text, count) in
            [("", 0), ("@ada", 1), ("hi @ada, @bob!", 2), ("ada@host.de", 0), ("@ @@ a@", 0), ("(@ada) @здесь", 2)]
        {
            assert_eq!(mentions(text), count, "{text:?}");
        }
    }
}
