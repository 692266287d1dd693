//! Links in a message's or an answer's text: found as a client would find them, and judged. Knows no file.

use std::collections::HashSet;

use plexichat::message::{Finding, Verdict};
use plexichat::reply::{ReplyMode, ReplyView};

use crate::config::{Action, Links as Config};
use crate::host::{lookalike, normal};
use crate::verdict::worse;

/// How many characters of an answer are judged at once: a few words, so that people see it grow.
const CHARS: usize = 64;

/// How many are kept back until more has come.
const OVERLAP: usize = 192;

/// How long a host may be that has not ended yet. Less than the overlap, so that the next window shows the link's beginning too.
const MAY_WAIT: usize = 160;

/// Hosts that nobody may link to.
#[derive(Debug, Default)]
pub(crate) struct Hosts(HashSet<Box<str>>);

impl Hosts {
    /// Adds a list's lines.
    ///
    /// # Errors
    /// The number of the first line that is no host, and why.
    pub(crate) fn add<'a>(&mut self, lines: impl Iterator<Item = &'a str>) -> Result<(), (usize, &'static str)> {
        for (index, line) in lines.enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if !line.is_empty() {
                let host = normal(line).ok_or((index + 1, "this is no host: write one such as `example.org`"))?;
                self.0.insert(host.into());
            }
        }
        Ok(())
    }

    /// The entry that covers a host: itself, or one above it.
    fn find(&self, host: &str) -> Option<&str> {
        let mut rest = Some(host);
        while let Some(name) = rest {
            if let Some(entry) = self.0.get(name) {
                return Some(entry);
            }
            rest = name.split_once('.').map(|(_, above)| above);
        }
        None
    }
}

/// What is set about links, ready to be used.
pub(crate) struct Links {
    config: Config,
    protected: Vec<String>,
}

impl Links {
    pub(crate) fn new(config: Config) -> Self {
        let protected = config.protected_hosts.iter().filter_map(|host| normal(host)).collect();
        Self { config, protected }
    }

    /// Judges the links in a text; the worst one counts. What is found does not repeat the text.
    pub(crate) fn judge(&self, text: &str, blocked: &Hosts) -> Verdict {
        let mut verdict = Verdict::Allow;
        // Nothing without a dot is a host that anybody would reach.
        if !text.contains(['.', '。', '．', '｡', '%']) && !text.contains("://") {
            return verdict;
        }
        for link in links(text) {
            if let Some(found) = self.judge_link(&link, blocked) {
                verdict = worse(verdict, found);
            }
        }
        verdict
    }

    /// As [`judge`](Self::judge) for a part of an answer, which may be cut at both ends: what a link is cut in waits for more, or
    /// was judged before.
    pub(crate) fn judge_reply(&self, reply: &ReplyView<'_>, blocked: &Hosts) -> Verdict {
        // What is shown again is all that there was, or as much as is kept back.
        let cut_before = reply.seen().chars().count() >= OVERLAP;
        let (settled, rest) = settled(reply.text(), cut_before, reply.last);
        let verdict = self.judge(settled, blocked);
        if rest.chars().count() <= MAY_WAIT || !settled.ends_with("://") {
            return verdict;
        }
        // No host is so long: somebody writes a user's name before it until nobody sees both at once.
        let detail = Some("it links to a host behind a very long name".to_owned());
        let hidden = |code| Finding { detail: detail.clone(), ..Finding::new(code) };
        let lookalike = self.config.lookalikes.verdict(hidden("lookalike_link"));
        worse(verdict, worse(lookalike, self.config.credentials.verdict(hidden("link_with_credentials"))))
    }

    /// Window by window where something may be withheld; else people need not wait.
    pub(crate) fn reply_mode(&self) -> ReplyMode {
        let Config { blocked_hosts, blocked_hosts_file, lookalikes, credentials, .. } = &self.config;
        let withholds = |action: &Action| matches!(action, Action::Quarantine | Action::Reject);
        match !blocked_hosts.is_empty()
            || blocked_hosts_file.is_some()
            || withholds(lookalikes)
            || withholds(credentials)
        {
            true => ReplyMode::Window { chars: CHARS, overlap: OVERLAP },
            false => ReplyMode::AuditOnly,
        }
    }

    fn judge_link(&self, link: &Link<'_>, blocked: &Hosts) -> Option<Verdict> {
        let host = normal(link.host)?;
        if let Some(entry) = blocked.find(&host) {
            let detail = Some("it links to a blocked host".to_owned());
            let finding = Finding { threats: vec![entry.to_owned()], detail, ..Finding::new("blocked_link") };
            return Some(Verdict::Reject(finding));
        }
        // A word with a dot in it is no link by itself; only what a list names is looked for in it.
        if !link.has_scheme {
            return None;
        }
        let mut verdict = Verdict::Allow;
        if let Some(why) = lookalike(&host, self.protected.iter().map(String::as_str)) {
            let finding = Finding { detail: Some(format!("it links to {why}")), ..Finding::new("lookalike_link") };
            verdict = worse(verdict, self.config.lookalikes.verdict(finding));
        }
        if link.has_credentials {
            let detail = Some("a link has a user's name or a password in it".to_owned());
            let finding = Finding { detail, ..Finding::new("link_with_credentials") };
            verdict = worse(verdict, self.config.credentials.verdict(finding));
        }
        Some(verdict)
    }
}

/// A link, or a word that a client may make one of.
#[derive(Debug, PartialEq, Eq)]
struct Link<'a> {
    host: &'a str,
    has_scheme: bool,
    has_credentials: bool,
}

/// The part of a text that is cut at its ends in which every host is whole, and what stands behind it.
fn settled(text: &str, cut_before: bool, last: bool) -> (&str, &str) {
    // A host that is cut at the front loses its first name: what is left of it may be another host, and what is above it is not.
    let begins = |character: char| separates(character) || ends_host(character) || matches!(character, '@' | '.');
    let behind = |found: Option<(usize, &str)>| found.map_or(0, |(at, mark)| at + mark.len());
    let from = if cut_before { behind(text.match_indices(begins).next()) } else { 0 };
    let ends = |character: char| separates(character) || ends_host(character);
    let until = if last { text.len() } else { behind(text.rmatch_indices(ends).next()).max(from) };
    (&text[from..until], &text[until..])
}

/// Whether no link goes on behind it.
fn separates(character: char) -> bool {
    character.is_whitespace() || matches!(character, '<' | '>' | '"' | '(' | ')' | '|' | '`')
}

/// Whether no host goes on behind it, though a link may.
fn ends_host(character: char) -> bool {
    matches!(character, '/' | '\\' | '?' | '#' | ',' | ';' | '!' | '\'' | '{' | '}' | '*')
}

/// Every link with a scheme, and every word with a dot in it.
fn links(text: &str) -> impl Iterator<Item = Link<'_>> {
    text.split(separates).flat_map(|word| {
        let mut found = Vec::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once("://") {
            let is_web = ["http", "https", "ftp", "ws", "wss"].iter().any(|scheme| ends_with_word(before, scheme));
            if is_web {
                found.push(authority(after, true));
            }
            rest = after;
        }
        if found.is_empty() && word.contains(['.', '。', '．', '｡']) {
            found.push(authority(word, false));
        }
        found
    })
}

/// What stands before the first mark that ends a host, taken apart.
fn authority(text: &str, has_scheme: bool) -> Link<'_> {
    // `]` ends a host only where none begins with `[`.
    let end = text.find(ends_host).unwrap_or(text.len());
    let authority = &text[..end];
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let host = match host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(end) => &host[..end + 2],
        None => host.split([':', ']']).next().unwrap_or(""),
    };
    // A sentence may end behind it.
    let host = host.trim_end_matches('.');
    Link { host, has_scheme, has_credentials: user.is_some_and(|user| !user.is_empty()) }
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let Some(start) = text.len().checked_sub(word.len()).filter(|start| text.is_char_boundary(*start)) else {
        return false;
    };
    text[start..].eq_ignore_ascii_case(word) && !text[..start].ends_with(|before: char| before.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use plexichat::message::Actor;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let config = Config { protected_hosts: vec!["bank.example".into()], ..Config::default() };
        let mut hosts = Hosts::default();
        hosts.add(["evil.example", "xn--bse-sna.de # böse.de", "10.0.0.7", ""].into_iter()).expect("hosts");
        let found = match Links::new(config).judge(text, &hosts) {
            Verdict::Allow => String::new(),
            Verdict::Flag(finding) => format!("flag {}", finding.code),
            Verdict::Reject(finding) => {
                let detail = finding.detail.unwrap_or_default();
                assert!(!detail.contains("example"), "the finding repeats the text: {detail}");
                format!("reject {}", finding.code)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn blocked_hosts_are_found_however_they_are_written() {
        for text in [
            "https://evil.example",
            "look: (https://www.evil.example/x?y).",
            "[here](https://EVIL.example:8443)",
            "<http://evil.example.>",
            "see evil.example, or www.evil.example/a",
            "https://ｅvil.example/",
            "https://ev%69l.example/",
            "https://evil。example/",
            "HTTPS://user@evil.example",
            "https://good.example\\@evil.example https://evil.example",
            "https://böse.de",
            "https://xn--bse-sna.de",
            "http://10.0.0.7/a",
            "https://redirect.example/?to=https://evil.example/",
        ] {
            check(text, "reject blocked_link");
        }
        for text in
            ["https://notevil.example", "evil", "evil.example.org", "an evil. example", "10.0.0.70", "evil . example"]
        {
            check(text, "");
        }
    }

    #[test]
    fn traps_are_found() {
        check("https://bаnk.example", "reject lookalike_link");
        check("https://bank.example.other.example", "reject lookalike_link");
        check("https://xn--80ak6aa92e.com/login", "reject lookalike_link");
        check("https://bank.example@other.example", "flag link_with_credentials");
        check("https://user:password@other.example/", "flag link_with_credentials");
    }

    /// What is shown of an answer before the first objection, as the host shows it: in windows of so many characters.
    fn shown(answer: &str, chars: usize) -> (String, Verdict) {
        let (model, asker) = (Actor::plugin("model"), Actor::user("1", "ada"));
        let mut hosts = Hosts::default();
        hosts.add(["evil.example"].into_iter()).expect("hosts");
        let links = Links::new(Config::default());
        let characters: Vec<char> = answer.chars().collect();
        let mut judged = 0;
        loop {
            let kept = judged.min(characters.len()).saturating_sub(OVERLAP);
            let end = (judged + chars).min(characters.len());
            let seen: String = characters[kept..judged].iter().collect();
            let text: String = characters[kept..end].iter().collect();
            let view = ReplyView::new(&model, &asker, &text, seen.len());
            let last = end == characters.len();
            let verdict = links.judge_reply(&if last { view } else { view.unfinished() }, &hosts);
            if matches!(verdict, Verdict::Reject(_)) || last {
                return (characters[..if last { end } else { kept }].iter().collect(), verdict);
            }
            judged = end;
        }
    }

    #[test]
    fn links_in_answers_are_found_wherever_windows_end() {
        let (path, name) = ("path".repeat(200), "name".repeat(200));
        let words = "so many words ".repeat(30);
        for chars in [1, 7, CHARS, 300] {
            for before in ["", &words] {
                for link in [
                    "https://evil.example/".to_owned(),
                    format!("https://www.evil.example/{path}"),
                    format!("see evil.example/{path}"),
                    format!("https://good.example/{path}?to=https://evil.example"),
                    format!("https://{name}@evil.example/"),
                    format!("https://{}.evil.example/", "aaaa.".repeat(40).trim_end_matches('.')),
                    format!("https://xn--80ak6aa92e.com/{path}"),
                    format!("https://{name}@xn--80ak6aa92e.com/{path}"),
                ] {
                    let (shown, verdict) = shown(&format!("{before}{link} {words}"), chars);
                    assert!(matches!(verdict, Verdict::Reject(_)), "{link} in windows of {chars}: {verdict:?}");
                    assert!(!shown.contains("evil.example") && !shown.contains("xn--"), "{link}: {shown}");
                }
                for link in [
                    "https://notevil.example/".to_owned(),
                    format!("https://good.example/{path}/{path}, and evil.example.org {path}"),
                    format!("https://münchen.de/{path} {name} e.g. 3.14"),
                    name.clone(),
                    "中文没有空格".repeat(100),
                ] {
                    let answer = format!("{before}{link} {words}");
                    assert_eq!(shown(&answer, chars), (answer, Verdict::Allow), "in windows of {chars}");
                }
            }
        }
    }

    #[test]
    fn people_wait_only_where_something_is_withheld() {
        let window = ReplyMode::Window { chars: CHARS, overlap: OVERLAP };
        assert_eq!(Links::new(Config::default()).reply_mode(), window);
        let flags = Config { lookalikes: Action::Flag, ..Config::default() };
        assert_eq!(Links::new(flags.clone()).reply_mode(), ReplyMode::AuditOnly);
        let blocks = Config { blocked_hosts: vec!["evil.example".into()], ..flags };
        assert_eq!(Links::new(blocks).reply_mode(), window);
    }

    #[test]
    fn everything_else_passes() {
        for text in [
            "",
            "hello",
            "https://bank.example/login",
            "https://www.bank.example",
            "mail me: ann@bank.example",
            "https://other.example/@ann",
            "3.14, e.g. 1.000,00",
            "https://",
            "a://b",
            "http://[::1]:80/",
            "https://münchen.de",
            "...",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn a_list_with_a_bad_line_says_which() {
        let mut hosts = Hosts::default();
        assert_eq!(hosts.add("a.example\n\nhttps://b.example/\n".lines()).map_err(|(line, _)| line), Err(3));
    }
}
