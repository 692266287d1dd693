//! What people may read of a text that a service wrote: without addresses, keys and identifiers of its own side, and not too much
//! of it. Knows no kind of failure.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// How much of it is shown, in characters.
const SHOWN_MAX: usize = 300;

/// What stands in place of what is left out.
const LEFT_OUT: &str = "[…]";

/// How identifiers of organisations, projects, accounts, requests and keys begin.
const IDENTIFIERS: [&str; 12] =
    ["org-", "org_", "proj_", "proj-", "acct_", "acct-", "req_", "req-", "sk-", "sk_", "pk-", "key-"];

/// Names that are found inside of a network only.
const INSIDE: [&str; 11] = [
    ".local",
    ".internal",
    ".lan",
    ".intranet",
    ".corp",
    ".home",
    ".svc",
    ".private",
    ".localdomain",
    ".localhost",
    ".arpa",
];

/// Where files of a machine lie.
const ROOTS: [&str; 12] = ["home", "root", "srv", "var", "opt", "usr", "mnt", "tmp", "etc", "data", "models", "users"];

/// The text as people may read it.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let is_apart = |letter: char| letter.is_whitespace() || "\"'`()<>{},;|".contains(letter);
    if !text.split(is_apart).any(is_private) && text.chars().nth(SHOWN_MAX).is_none() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for piece in text.split_inclusive(is_apart) {
        let word = piece.trim_end_matches(is_apart);
        match is_private(word) {
            true => shown.extend([LEFT_OUT, &piece[word.len()..]]),
            false => shown.push_str(piece),
        }
    }
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_MAX) {
        shown.truncate(end);
        shown.push('…');
    }
    Cow::Owned(shown)
}

/// Whether a word, or a part of it, tells of the service's own side.
fn is_private(word: &str) -> bool {
    let word = word.trim_matches(['.', ':', '!', '?']).to_lowercase();
    let is_file =
        || word.strip_prefix('/').and_then(|path| path.split_once('/')).is_some_and(|(root, _)| ROOTS.contains(&root));
    word.contains("://")
        || is_file()
        || word.split(['/', '@', '[', ']', '#', '?', '&', '=']).any(is_private_part)
        || is_address(&word)
}

fn is_address(word: &str) -> bool {
    let bare = word.trim_matches(['[', ']']);
    word.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok()
}

fn is_private_part(part: &str) -> bool {
    let is_word = |text: &str| text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    let identifier = IDENTIFIERS.iter().filter_map(|prefix| part.strip_prefix(prefix));
    let (host, port) = part.rsplit_once(':').map_or((part, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| port.len() > 1 && port.parse::<u16>().is_ok();
    let is_name = !host.is_empty() && is_word(host) && host.chars().any(char::is_alphabetic);
    let is_inside = host == "localhost" || INSIDE.iter().any(|end| host.ends_with(end));
    identifier.clone().any(|rest| rest.len() >= 4)
        || is_address(part)
        || (is_name && (is_inside || port.is_some_and(is_port)))
        || is_uuid(part)
        || part
            .strip_prefix("user-")
            .is_some_and(|rest| rest.len() >= 6 && rest.chars().any(|digit| digit.is_ascii_digit()))
}

fn is_uuid(part: &str) -> bool {
    let lengths = part.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && part.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shown(text), expected, "{text:?}");
    }

    #[test]
    fn the_services_own_side_is_left_out() {
        check("model x for org-AbCd1234.", "model x for […]");
        check("organization='org-AbCd1234', project=proj_9x8y7z", "organization='[…]', […]");
        check("no route to 10.0.0.7:8000/v1/models", "no route to […]");
        check("no route to 10.0.0.7, [fd00::7]:80 or fd00::7", "no route to […], […] or […]");
        check("see https://internal.example.org/a?key=1 for more", "see […] for more");
        check("vllm-7.prod.svc.cluster.local refused; gpu.internal, too", "[…] refused; […], too");
        check("localhost:11434 and vllm:8000", "[…] and […]");
        check("cannot open /srv/models/secret.gguf (errno 2)", "cannot open […] (errno 2)");
        check("request req_011CSHoEeqs5 of user-Ab12Cd34", "request […] of […]");
        check("id 0192f0c1-7d0e-7a3b-8a44-0123456789ab", "id […]");
        check("Incorrect key sk-live-1234", "Incorrect key […]");
    }

    #[test]
    fn what_helps_is_let_be() {
        for text in [
            "messages.0.content: at least one is required (HTTP 400)",
            "`ollama/llama3.2:3b` has no such model, `openai/gpt-4.1-mini` has",
            "the key is user-provided: maximum 8192 tokens, e.g. 1/2; org-",
            "at /v1/chat/completions: tools[0].function.name is too long, ratio 16:9",
        ] {
            assert!(matches!(shown(text), Cow::Borrowed(shown) if shown == text), "{text:?}: {}", shown(text));
        }
    }

    #[test]
    fn a_long_story_is_cut() {
        let shown = shown(&"ä".repeat(1_000)).into_owned();
        assert_eq!((shown.chars().count(), shown.ends_with("ä…")), (SHOWN_MAX + 1, true));
    }
}
