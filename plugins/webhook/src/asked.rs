//! What people send to make hooks, and what they are answered: the wire's types. Knows no store; secrets only come in, but for
//! the one answer that shows a new one.

use std::collections::BTreeMap;

use plexichat::id::RoomId;
use plexichat::message::Time;
use plexichat::prelude::*;
use plexichat::trigger::Condition;

use crate::template;

/// How a body is read.
#[plexichat::model]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// As what it looks like: Grafana's and Alertmanager's alerts, Slack's messages, GitHub's events, any other JSON.
    #[default]
    Auto,
    /// As a message of Slack's, always.
    Slack,
    /// As JSON that is nothing else.
    Json,
}

/// How an event is written.
#[plexichat::model]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// As the event's envelope in JSON, or what the template makes.
    #[default]
    Json,
    /// As a message for Slack and all that takes the same: `{"text": "…"}`.
    Slack,
}

/// An incoming webhook that is to be made.
#[plexichat::model]
pub(crate) struct IncomingAsked {
    /// The room that it posts into. Whoever makes the hook must be able to post there.
    pub room_id: RoomId,
    /// The name that its messages stand under, where they bring none themselves.
    #[garde(length(min = 1, max = 80))]
    pub name: String,
    /// How bodies are read.
    #[serde(default)]
    pub format: Reads,
    /// What is posted, as a template: `body` is the JSON that came, `headers` its headers. Without one the body is made readable.
    #[serde(default)]
    #[garde(inner(length(max = 20_000), custom(check_template)))]
    pub template: Option<String>,
    /// Whether every call must be signed with the hook's secret, as GitHub and Grafana do.
    #[serde(default)]
    pub signature: bool,
}

/// An incoming webhook.
#[plexichat::model]
pub(crate) struct IncomingView {
    /// Its identifier.
    pub id: String,
    /// The name that its messages stand under.
    pub name: String,
    /// The room that it posts into.
    pub room_id: RoomId,
    /// How bodies are read.
    pub format: Reads,
    /// What is posted.
    pub template: Option<String>,
    /// Whether every call must be signed.
    pub signature: bool,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: String,
}

/// A new incoming webhook, or one with a new address. The address and the secret are shown this once.
#[plexichat::model]
pub(crate) struct IncomingMade {
    /// Its identifier.
    pub id: String,
    /// The address to post to: whoever knows it can post.
    pub url: String,
    /// What calls are signed with, where they must be.
    pub secret: Option<String>,
    /// The hook.
    pub hook: IncomingView,
}

/// Every incoming webhook, by name.
#[plexichat::model]
pub(crate) struct IncomingList {
    /// Each.
    pub incoming: Vec<IncomingView>,
}

/// An outgoing webhook that is to be made.
#[plexichat::model]
pub struct OutgoingAsked {
    /// What it is called.
    #[garde(length(min = 1, max = 80))]
    pub name: String,
    /// The address that is called.
    #[garde(length(max = 2_000), custom(check_url))]
    pub url: String,
    /// The events that it is called for, such as `message_received`; `*` for all.
    #[garde(length(min = 1, max = 100), inner(length(min = 1, max = 100)))]
    pub events: Vec<String>,
    /// Only for what happens in this room.
    #[serde(default)]
    pub room_id: Option<RoomId>,
    /// Only where all of these hold, such as `{"at": "/data/text", "contains": "deploy"}`.
    #[serde(default)]
    #[garde(length(max = 20))]
    pub filter: Vec<Condition>,
    /// How the event is written.
    #[serde(default)]
    pub format: Writes,
    /// What is sent, as a template over `event`; without one the event's envelope. With `slack`: the message's text.
    #[serde(default)]
    #[garde(inner(length(max = 20_000), custom(check_template)))]
    pub template: Option<String>,
    /// What calls are signed with, so that the receiver knows who called. Without one the server makes one up and shows it once;
    /// hooks of the configuration are not signed then.
    #[serde(default)]
    #[garde(inner(length(min = 8, max = 200)))]
    pub secret: Option<Secret>,
    /// Further headers of each call, such as `authorization`. Their values are kept like secrets.
    #[serde(default)]
    #[garde(length(max = 20), custom(check_headers))]
    pub headers: BTreeMap<String, Secret>,
}

/// An outgoing webhook.
#[plexichat::model]
pub(crate) struct OutgoingView {
    /// Its identifier.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The address that is called.
    pub url: String,
    /// The events that it is called for.
    pub events: Vec<String>,
    /// Only for what happens in this room.
    pub room_id: Option<RoomId>,
    /// Only where all of these hold.
    pub filter: Vec<Condition>,
    /// How the event is written.
    pub format: Writes,
    /// What is sent.
    pub template: Option<String>,
    /// The names of the further headers of each call.
    pub headers: Vec<String>,
    /// Whether calls are signed.
    pub signed: bool,
    /// Whether it is called.
    pub enabled: bool,
    /// Why it is not, where nobody switched it off.
    pub disabled_because: Option<String>,
    /// Whether it stands in the configuration, and is changed there.
    pub configured: bool,
    /// When it was made.
    pub created_at: Time,
}

/// A new outgoing webhook. A secret that the server made up is shown this once.
#[plexichat::model]
pub(crate) struct OutgoingMade {
    /// Its identifier.
    pub id: String,
    /// What calls are signed with, where the server made it up.
    pub secret: Option<String>,
    /// The hook.
    pub hook: OutgoingView,
}

/// Every outgoing webhook, by name.
#[plexichat::model]
pub(crate) struct OutgoingList {
    /// Each.
    pub outgoing: Vec<OutgoingView>,
}

/// The deliveries of a webhook that are kept, the last one first.
#[plexichat::model]
pub(crate) struct DeliveryList {
    /// Each.
    pub deliveries: Vec<Delivery>,
}

/// Which delivery of which webhook.
#[plexichat::model]
pub(crate) struct WhichDelivery {
    /// The webhook.
    pub id: String,
    /// The delivery.
    pub delivery: String,
}

/// What became of a delivery.
#[plexichat::model]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// The receiver took it.
    Delivered,
    /// It failed and is tried again.
    Retrying,
    /// It was given up: replay it once the cause is mended.
    Failed,
    /// The hook was switched off before its turn came.
    Skipped,
}

/// A delivery of an outgoing webhook.
#[plexichat::model]
pub(crate) struct Delivery {
    /// Its identifier: the receiver sees it as `X-PlexiChat-Delivery`, the same at every try.
    pub id: String,
    /// The event.
    pub event: String,
    /// The event's identifier.
    pub event_id: Option<String>,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// What the receiver last answered.
    pub status: Option<u16>,
    /// How long the last try took, in milliseconds.
    pub ms: u64,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When it was last tried.
    pub at: Time,
}

/// A delivery that is on its way.
#[plexichat::model]
pub(crate) struct Sent {
    /// Its identifier: `GET …/deliveries` shows what becomes of it.
    pub delivery: String,
}

fn check_template(template: &str) -> std::result::Result<(), String> {
    template::check(template).map_err(|error| format!("the template cannot be read: {error}"))
}

pub(crate) fn check_url(url: &str) -> std::result::Result<(), &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { return Err("this is no address to call: it begins with `https://`") };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err("a name and a password in the address would be shown to everybody: use `headers`");
    }
    if host.is_empty() || url.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err("this is no address to call");
    }
    Ok(())
}

/// Headers that are the call's own.
const OWN: &[&str] = &["host", "content-length", "content-type", "connection", "transfer-encoding", "te", "upgrade"];

fn check_headers(headers: &BTreeMap<String, Secret>) -> std::result::Result<(), String> {
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_name || OWN.contains(&lower.as_str()) || lower.starts_with("x-plexichat-") {
            return Err(format!("`{name}` is no header that can be added"));
        }
        if !value.expose().bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(format!("the value of `{name}` has characters that a header cannot have"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_they_are_called() {
        for good in ["https://example.org", "http://127.0.0.1:8080/hook?x=1", "https://e.org/a@b"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in ["", "example.org", "ftp://e.org", "https://", "https://user:pass@e.org/", "https://e.org/a b"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_of_the_call_itself_stay_its_own() {
        let of = |name: &str, value: &str| check_headers(&BTreeMap::from([(name.to_owned(), Secret::new(value))]));
        assert_eq!(of("Authorization", "Bearer x"), Ok(()));
        for (name, value) in [("Host", "x"), ("x-plexichat-event", "x"), ("a b", "x"), ("", "x"), ("x", "a\r\nb: c")] {
            assert!(of(name, value).is_err(), "{name}");
        }
        assert!(!of("x-key", "tell\nme").unwrap_err().contains("tell"));
    }
}
