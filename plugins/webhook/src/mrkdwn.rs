//! Slack's way of writing text, made readable: links, mentions, dates and escapes. Knows no payload.

/// A text as Slack's programs write it, as people read it: `<https://a.b|name>` becomes `name (https://a.b)`, `<@U1|ann>`
/// becomes `@ann`, `&lt;` becomes `<`. What is bold or code stays as it is written.
pub(crate) fn readable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        shown.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        // A `<` that nothing closes, or closes only after another one, is one that should have been escaped.
        match after.find(['>', '<', '\n']) {
            Some(end) if after[end..].starts_with('>') && is_special(&after[..end]) => {
                shown.push_str(&special(&after[..end]));
                rest = &after[end + 1..];
            }
            _ => {
                shown.push('<');
                rest = after;
            }
        }
    }
    shown.push_str(rest);
    unescaped(&shown)
}

/// Whether Slack means something by it: a mention, or an address with a scheme.
fn is_special(inner: &str) -> bool {
    let scheme = inner.split_once(':').map(|(scheme, _)| scheme);
    inner.len() > 1 && inner.starts_with(['@', '#', '!'])
        || scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// What stands between `<` and `>`.
fn special(inner: &str) -> String {
    let (target, label) = match inner.split_once('|') {
        Some((target, label)) => (target, Some(label).filter(|label| !label.is_empty())),
        None => (inner, None),
    };
    let mention = |sign: char, id: &str| {
        let name = label.unwrap_or(id);
        format!("{sign}{}", name.trim_start_matches(sign))
    };
    if let Some(user) = target.strip_prefix('@') {
        return mention('@', user);
    }
    if let Some(room) = target.strip_prefix('#') {
        return mention('#', room);
    }
    if let Some(command) = target.strip_prefix('!') {
        return match command.split('^').next().unwrap_or_default() {
            "date" => label.unwrap_or(command).to_owned(),
            "subteam" => mention('@', command.rsplit('^').next().unwrap_or(command)),
            name => mention('@', name),
        };
    }
    link(target, label.unwrap_or_default())
}

/// A link with the words for it, where these say more than the address.
pub(crate) fn link(url: &str, label: &str) -> String {
    let bare = url.strip_prefix("mailto:").or_else(|| url.strip_prefix("tel:")).unwrap_or(url);
    let label = label.trim();
    if label.is_empty() || label == bare || url.trim_end_matches('/').ends_with(&format!("//{label}")) {
        return bare.to_owned();
    }
    format!("{label} ({bare})")
}

/// The three characters that Slack escapes, and no others. Each once: `&amp;lt;` says `&lt;`.
fn unescaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        shown.push_str(&rest[..start]);
        rest = &rest[start..];
        let escapes = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')];
        match escapes.iter().find(|(escape, _)| rest.starts_with(escape)) {
            Some((escape, character)) => {
                shown.push(*character);
                rest = &rest[escape.len()..];
            }
            None => {
                shown.push('&');
                rest = &rest[1..];
            }
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(readable(text), expected, "{text}");
    }

    #[test]
    fn links_are_words_and_their_address() {
        check("see <https://ci.example.org/7|build 7>!", "see build 7 (https://ci.example.org/7)!");
        check("<https://example.org>", "https://example.org");
        check("<https://example.org/|example.org>", "https://example.org/");
        check("<https://a.b/?x=1&amp;y=2|log>", "log (https://a.b/?x=1&y=2)");
        check("<mailto:ann@example.org|ann@example.org>", "ann@example.org");
        check("<mailto:ann@example.org|Ann>", "Ann (ann@example.org)");
        check("<https://a.b|>", "https://a.b");
    }

    #[test]
    fn mentions_are_names() {
        check("<@U024BE7LH> and <@U1|bob>", "@U024BE7LH and @bob");
        check("in <#C024BE7LR|general>, <#C1>", "in #general, #C1");
        check("<!here> <!channel|channel> <!everyone>", "@here @channel @everyone");
        check("<!subteam^SAZ94GDB8|@ops> <!subteam^S1>", "@ops @S1");
        check("<!date^1392734382^{date} at {time}|18 February 2014>", "18 February 2014");
    }

    #[test]
    fn escapes_and_stray_brackets() {
        check("a &lt;b&gt; &amp; c &amp;lt; &copy; & d", "a <b> & c &lt; &copy; & d");
        check("1 < 2, 3 > 2", "1 < 2, 3 > 2");
        check("a < b <https://x.y|z>", "a < b z (https://x.y)");
        check("<> and <", "<> and <");
        check("`code` *bold* _it_ ~gone~", "`code` *bold* _it_ ~gone~");
        check("", "");
    }
}
