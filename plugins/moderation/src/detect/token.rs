//! Finds the tokens of services that begin in a way of their own: one line each. Knows no network: nothing is tried.

use super::prefilter::Looked;
use super::{begins_word, entropy, run_end};

/// What a service's token looks like.
pub(super) struct Token {
    pub(super) name: &'static str,
    pub(super) prefix: &'static str,
    body: fn(u8) -> bool,
    min: usize,
    max: usize,
}

const fn token(name: &'static str, prefix: &'static str, body: fn(u8) -> bool, min: usize, max: usize) -> Token {
    Token { name, prefix, body, min, max }
}

const LONGEST: usize = 512;

/// The prefix, what follows it, and how much of that. Where a service names no length, it is at least what it issues now.
#[rustfmt::skip]
pub(super) const TOKENS: &[Token] = &[
    token("plexichat_token", "plx_", hex, 64, 64),
    token("aws_access_key", "AKIA", base32, 16, 16),
    token("aws_access_key", "ASIA", base32, 16, 16),
    token("github_token", "ghp_", alnum, 36, 255),
    token("github_token", "gho_", alnum, 36, 255),
    token("github_token", "ghu_", alnum, 36, 255),
    token("github_token", "ghs_", alnum, 36, 255),
    token("github_token", "ghr_", alnum, 36, 255),
    token("github_token", "github_pat_", word, 82, 255),
    token("gitlab_token", "glpat-", url, 20, 300),
    token("gitlab_token", "gldt-", url, 20, 300),
    token("gitlab_token", "glrt-", url, 20, 300),
    token("gitlab_token", "glptt-", url, 40, 300),
    token("gitlab_token", "glcbt-", url, 20, 300),
    token("slack_token", "xoxb-", url, 24, LONGEST),
    token("slack_token", "xoxp-", url, 24, LONGEST),
    token("slack_token", "xoxa-", url, 24, LONGEST),
    token("slack_token", "xoxr-", url, 24, LONGEST),
    token("slack_token", "xoxs-", url, 24, LONGEST),
    token("slack_token", "xapp-", url, 24, LONGEST),
    token("slack_webhook", "hooks.slack.com/services/", path, 30, 100),
    token("discord_webhook", "discord.com/api/webhooks/", path, 70, 120),
    token("stripe_key", "sk_live_", alnum, 16, 255),
    token("stripe_key", "rk_live_", alnum, 16, 255),
    token("stripe_key", "sk_test_", alnum, 16, 255),
    token("stripe_key", "rk_test_", alnum, 16, 255),
    token("stripe_webhook_secret", "whsec_", base64, 32, 100),
    token("google_api_key", "AIza", url, 35, 35),
    token("google_client_secret", "GOCSPX-", url, 28, 28),
    token("google_access_token", "ya29.", url, 40, LONGEST),
    token("openai_style_key", "sk-", url, 32, 255),
    token("groq_key", "gsk_", alnum, 52, 52),
    token("huggingface_token", "hf_", alnum, 34, 40),
    token("npm_token", "npm_", alnum, 36, 36),
    token("pypi_token", "pypi-AgE", url, 50, LONGEST),
    token("docker_token", "dckr_pat_", url, 27, 40),
    token("digitalocean_token", "dop_v1_", hex, 64, 64),
    token("shopify_token", "shpat_", hex, 32, 32),
    token("sendgrid_key", "SG.", dotted, 66, 66),
    token("vault_token", "hvs.", url, 24, 200),
    token("linear_key", "lin_api_", alnum, 40, 40),
    token("azure_storage_key", "AccountKey=", base64, 86, 88),
];

/// How many bits per character a body has at least: `ghp_xxxxxxxx…` in a manual has none.
const MIN_ENTROPY: f64 = 2.5;

pub(super) fn at(text: &str, start: usize, token: usize) -> Looked {
    let Token { name, prefix, body, min, max } = TOKENS[token];
    if !text[start..].starts_with(prefix) || !begins_word(text, start) && !is_host(prefix) {
        return Looked::NOTHING;
    }
    let begin = start + prefix.len();
    // What follows a token is punctuation, unless it may stand in one.
    let end = run_end(text, begin, body);
    let end = begin + text[begin..end].trim_end_matches(['-', '/', '.']).len();
    let content = &text[begin..end];
    let fits = (min..=max).contains(&content.len()) && entropy(content) >= MIN_ENTROPY && is_like(prefix, content);
    Looked { found: fits.then_some((name, start..end)), upto: end }
}

/// A webhook's address stands behind `https://`, or behind a subdomain.
fn is_host(prefix: &str) -> bool {
    prefix.contains(".com/")
}

/// What else must be true of some.
fn is_like(prefix: &str, content: &str) -> bool {
    let has = |is: fn(&u8) -> bool| content.bytes().any(|byte| is(&byte));
    match prefix {
        // Classes of style sheets (`sk-folding-cube-and-so-on`) have neither digits nor long parts.
        "sk-" => {
            let longest = content.split(['-', '_']).map(str::len).max().unwrap_or_default();
            has(u8::is_ascii_digit) && longest >= 16 && entropy(content) >= 3.3
        }
        // Amazon's manuals end theirs so.
        "AKIA" | "ASIA" => !content.ends_with("EXAMPLE") && has(u8::is_ascii_digit),
        "SG." => content.as_bytes()[22] == b'.',
        "npm_" | "hf_" | "gsk_" | "lin_api_" => has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase),
        _ => has(u8::is_ascii_digit),
    }
}

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn word(byte: u8) -> bool {
    alnum(byte) || byte == b'_'
}

fn url(byte: u8) -> bool {
    word(byte) || byte == b'-'
}

fn dotted(byte: u8) -> bool {
    url(byte) || byte == b'.'
}

fn path(byte: u8) -> bool {
    url(byte) || byte == b'/'
}

fn base64(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'+' | b'/' | b'=')
}

fn base32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7')
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, check as check_detector};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        check_detector(Detector::Token, text, expected);
    }

    /// A body of this length that looks like what a service issues.
    fn body(token: &Token, length: usize) -> String {
        let letters =
            ["a7Bc2Df3Gh4Jk5Lm6Np7Qr2St3Uv4Wx5Yz", "A7BC2DF3GH4JK5LM6NP7QR2ST3UV4WX5YZ", "0a1b2c3d4e5f6789fedcba"];
        let letters = letters.iter().find(|letters| letters.bytes().all(token.body)).expect("one of them fits");
        let mut body: String = letters.chars().cycle().take(length).collect();
        if token.prefix == "SG." {
            body.replace_range(22..23, ".");
        }
        body
    }

    #[test]
    fn each_kind_is_found() {
        for kind in TOKENS {
            let (prefix, body) = (kind.prefix, body(kind, kind.min));
            let sample = format!("{prefix}{body}");
            for text in
                [sample.clone(), format!("use {sample}, please"), format!("(`{sample}`)"), format!("X={sample}\n")]
            {
                check(&text, &[(kind.name, &sample)]);
            }
        }
    }

    #[test]
    fn what_is_too_short_or_too_long_is_none() {
        for kind in TOKENS {
            check(&format!("{}{}", kind.prefix, body(kind, kind.min - 1)), &[]);
            check(&format!("{}{}", kind.prefix, body(kind, kind.max + 1)), &[]);
        }
    }

    #[test]
    fn placeholders_are_let_be() {
        for kind in TOKENS {
            for filler in ["x", "X", "0", "A", "*"] {
                check(&format!("{}{}", kind.prefix, filler.repeat(kind.min)), &[]);
            }
            check(&format!("{}<your key here>", kind.prefix), &[]);
        }
        check("AKIAIOSFODNN7EXAMPLE", &[]);
        check("sk-folding-cube-container-wrapper-with-shadow-2", &[]);
        check("task-4a7bc2df3gh4jk5lm6np7qr2st3uv4wx5yz", &[]);
    }

    #[test]
    fn places_are_seen_through() {
        let token = "gh~p_a7Bc2Df3Gh4Jk5Lm6Np7Qr2St3Uv4Wx5Yza7";
        for text in [
            format!("https://me:{token}@github.com/a/b"),
            format!(r#"{{"log":"a\n{token}\n"}}"#),
            format!("?t%3D{token}&x"),
        ] {
            check(&text, &[("github_token", token)]);
        }
        let key = "sk-~ant-api03-a7Bc2Df3Gh4Jk5Lm6Np7Qr2St3Uv4Wx5Yz_AA";
        check(&format!("x-api-key: {key}"), &[("openai_style_key", key)]);
        check(&format!("{token} and {key}."), &[("github_token", token), ("openai_style_key", key)]);
    }
}
