//! Finds e-mail addresses as people write them. Those of domains that exist for examples are let be.

use super::{Detector, Found, is_foreign_letter};

/// The longest name before the `@` (RFC 5321), and the longest domain.
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 253;

/// Ends of domains that belong to nobody (RFC 2606), and the names of pictures with two sizes (`logo@2x.png`).
const NOBODYS: [&str; 13] = [
    "example.com",
    "example.org",
    "example.net",
    ".example",
    ".test",
    ".invalid",
    ".localhost",
    ".local",
    "x.png",
    "x.jpg",
    "x.jpeg",
    "x.webp",
    "x.gif",
];

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let mut done = 0;
    for (at, _) in text.match_indices('@') {
        // What stands before an earlier sign belongs to no later address.
        let local =
            text[done..at].char_indices().rev().take(LOCAL_MAX + 1).take_while(|(_, character)| is_local(*character));
        let start = local.last().map_or(at, |(index, _)| done + index);
        let start = at - text[start..at].trim_start_matches('.').len();
        let end = domain_end(text, at + 1);
        if at - start <= LOCAL_MAX && start < at && is_address(text, start, at, end) {
            found.push(Found { detector: Detector::EmailAddress, name: "email_address", range: start..end });
        }
        done = at + 1;
    }
}

fn is_local(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '.' | '_' | '%' | '+' | '-' | '\'')
        || is_foreign_letter(character)
}

fn domain_end(text: &str, from: usize) -> usize {
    let run = text.as_bytes()[from..]
        .iter()
        .take(DOMAIN_MAX)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let end = from + run.count();
    from + text[from..end].trim_end_matches(['.', '-']).len()
}

fn is_address(text: &str, start: usize, at: usize, end: usize) -> bool {
    let (local, domain) = (&text[start..at], text[at + 1..end].to_ascii_lowercase());
    let Some((_, top)) = domain.rsplit_once('.') else { return false };
    let is_top = (2..=24).contains(&top.len())
        && (top.bytes().all(|byte| byte.is_ascii_alphabetic()) || top.starts_with("xn--"));
    let labels = domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    let before = start.checked_sub(1).map(|index| text.as_bytes()[index]);
    // `@ada@chat.host` is a handle; `https://me:secret@host` is a link; `git@host:path` is a repository.
    let is_handle = matches!(before, Some(b'@' | b':' | b'/'));
    let is_remote = matches!(local, "git" | "hg" | "svn") && matches!(text.as_bytes().get(end), Some(b':' | b'/'));
    let is_nobodys = NOBODYS.iter().any(|ending| domain.ends_with(ending));
    is_top
        && labels
        && !local.ends_with('.')
        && !is_handle_or_more(text, end)
        && !is_handle
        && !is_remote
        && !is_nobodys
}

/// Another `@` behind it: a chain that is no address.
fn is_handle_or_more(text: &str, end: usize) -> bool {
    text.as_bytes().get(end) == Some(&b'@')
}

#[cfg(test)]
mod tests {
    use super::super::check as check_detector;
    use super::*;

    #[track_caller]
    fn found(text: &str, addresses: &[&str]) {
        let expected: Vec<(&str, &str)> = addresses.iter().map(|address| ("email_address", *address)).collect();
        check_detector(Detector::EmailAddress, text, &expected);
    }

    #[test]
    fn addresses_are_found() {
        for address in ["ada@lovelace.org", "a.b+c_d@mail.co.uk", "x@y.io", "o'neil@host.ie", "müller@b.de"] {
            found(&format!("write to {address}."), &[address]);
            found(&format!("<{address}>, or"), &[address]);
        }
        found("ada@a.de,bob@b.de", &["ada@a.de", "bob@b.de"]);
        found("mailto=ada@a.de", &["ada@a.de"]);
    }

    #[test]
    fn others_are_let_be() {
        for text in [
            "@ada",
            "hi @ada.",
            "ada@host",
            "ada@1.2.3.4",
            "serde@1.0.229",
            "logo@2x.png",
            "git@github.com:a/b.git",
            "a@@b.de",
            "https://me:pw@host.de/",
            "@ada@chat.social",
            "ada@example.com",
            "x@sub.example.org",
            "a@b.c",
            "@",
            "a@",
            "@b.de",
            "a@-b.de",
            "a@b..de",
        ] {
            found(text, &[]);
        }
    }
}
