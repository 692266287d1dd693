//! What is posted to an incoming webhook: reads it, whatever program sent it, and says in Slack's plain words what became of it.
//! Knows no store.

use plexichat::prelude::*;

use crate::asked::Reads;
use crate::incoming::Incoming;
use crate::text::{fitted, one_line, shortened};
use crate::{alerts, generic, sign, slack, template};

/// The longest name that a message may bring.
const NAME: usize = 80;

/// What a call is answered where it is not `ok`: a status and a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    word: String,
}

/// What a call says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The text to post.
    pub(crate) text: String,
    /// The name it brings.
    pub(crate) name: Option<String>,
    /// What makes it one with the same call sent again.
    pub(crate) key: Option<String>,
}

impl Refused {
    fn new(status: u16, word: impl Into<String>) -> Self {
        Self { status, word: word.into() }
    }

    /// No hook has this address, or not with this token: which of the two is nobody's business.
    pub(crate) fn unknown() -> Self {
        Self::new(404, "no_service")
    }

    pub(crate) fn answer(&self) -> RouteAnswer {
        let answer = RouteAnswer::text(self.status, &*self.word);
        match self.status {
            429 => answer.header("retry-after", "1"),
            503 | 507 => answer.header("retry-after", "30"),
            _ => answer,
        }
    }
}

/// What the pipeline says of a post, as Slack would.
impl From<PluginError> for Refused {
    fn from(error: PluginError) -> Self {
        match error.code() {
            "room_not_found" | "not_found" => Self::new(404, "channel_not_found"),
            "forbidden" => Self::new(403, "action_prohibited"),
            "room_deleted" => Self::new(410, "channel_is_archived"),
            "message_too_large" => Self::new(413, format!("msg_too_long: {}", error.message())),
            "rate_limited" => Self::new(429, "rate_limited"),
            "storage_full" => Self::new(507, format!("service_unavailable: {}", error.message())),
            "invalid_message" => Self::new(400, format!("invalid_payload: {}", error.message())),
            "rejected" | "cause_too_deep" => Self::new(422, format!("rejected: {}", error.message())),
            "permission_denied" => Self::new(403, "action_prohibited: the operator did not grant `post_messages`"),
            _ if error.kind().retryable() => Self::new(503, format!("service_unavailable: {}", error.message())),
            _ => Self::new(500, "rollup_error"),
        }
    }
}

/// Reads a call of a hook.
pub(crate) fn read(hook: &Incoming, call: &RouteCall, now: i64, longest: usize) -> Result<Message, Refused> {
    if let Some(secret) = &hook.secret
        && !sign::is_signed(secret, &call.body, now, |name| call.header(name))
    {
        return Err(Refused::new(401, "invalid_signature"));
    }
    let body = payload(call)?;
    let (text, name) = match &hook.template {
        Some(template) => (templated(template, &body, call)?, None),
        None => said(hook.format, &body, call)?,
    };
    if text.trim().is_empty() {
        return Err(Refused::new(400, "no_text"));
    }
    let key =
        ["idempotency-key", "x-github-delivery", "x-plexichat-delivery"].into_iter().find_map(|name| call.header(name));
    let key = key.map(|key| format!("incoming/{}/{}", hook.id, sign::digest(key)));
    Ok(Message { text: fitted(text.trim(), longest), name, key })
}

/// The JSON of a body: as it is, or in the field `payload` of a form, as Slack's oldest programs send it.
fn payload(call: &RouteCall) -> Result<serde_json::Map<String, Value>, Refused> {
    let kind = call.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let is_form = kind.starts_with("application/x-www-form-urlencoded") || call.body.starts_with(b"payload=");
    let found: Option<Value> = match is_form {
        true => form_field(&call.body, "payload").and_then(|text| serde_json::from_str(&text).ok()),
        false => serde_json::from_slice(&call.body).ok(),
    };
    match found {
        Some(Value::Object(body)) => Ok(body),
        _ => Err(Refused::new(400, "invalid_payload")),
    }
}

/// The value of a field of a form.
fn form_field(body: &[u8], name: &str) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let value = body
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What an operator's template makes of a body.
fn templated(template: &str, body: &serde_json::Map<String, Value>, call: &RouteCall) -> Result<String, Refused> {
    let headers: serde_json::Map<String, Value> =
        call.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    template::render(template, &json!({ "body": body, "headers": headers }))
        .map_err(|error| Refused::new(422, format!("the template of this webhook failed: {error}")))
}

/// What a body says, and the name it brings.
fn said(
    format: Reads,
    body: &serde_json::Map<String, Value>,
    call: &RouteCall,
) -> Result<(String, Option<String>), Refused> {
    let as_slack = || {
        let name = body.get("username").and_then(Value::as_str).map(|name| shortened(&one_line(name), NAME));
        (slack::text(body), name.filter(|name| !name.is_empty()))
    };
    let github = call.header("x-github-event").and_then(|event| generic::github(event, body));
    Ok(match format {
        Reads::Slack => as_slack(),
        Reads::Json => (generic::text(body), None),
        Reads::Auto if alerts::is_alerts(body) => (alerts::text(body), None),
        Reads::Auto if github.is_some() => (github.unwrap_or_default(), None),
        Reads::Auto if slack::is_slack(body) || slack::is_bare(body) => as_slack(),
        Reads::Auto => (generic::text(body), None),
    })
}

#[cfg(test)]
mod tests {
    use plexichat::plugin::interface::Caller;

    use super::*;

    fn hook(more: Value) -> Incoming {
        let mut hook = json!({
            "id": "a1", "name": "ci", "room_id": "01890a5d-ac96-774b-bcce-b302099a8057", "format": "auto", "template": null,
            "token": "", "secret": null, "created_at": "2026-01-01T00:00:00Z", "created_by": "ann",
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            hook[key] = value.clone();
        }
        serde_json::from_value(hook).unwrap()
    }

    fn call(body: &str, headers: &[(&str, &str)]) -> RouteCall {
        let mut call = RouteCall::new("POST", "/in/a1/t", Caller::nobody());
        call.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        call.body = body.as_bytes().to_vec();
        call
    }

    /// The text, or the status and the word.
    #[track_caller]
    fn check(more: Value, body: &str, headers: &[(&str, &str)], expected: &str) {
        let told = match read(&hook(more), &call(body, headers), 1_000, 16_000) {
            Ok(message) => message.name.iter().map(|name| format!("{name}: ")).collect::<String>() + &message.text,
            Err(refused) => format!("{} {}", refused.status, refused.word),
        };
        assert_eq!(told, expected, "{body}");
    }

    #[test]
    fn what_a_body_is_shows() {
        check(json!({}), r#"{"text":"hi"}"#, &[], "hi");
        check(json!({}), r#"{"text":"hi","username":" build\u0007\nbot "}"#, &[], "build bot: hi");
        check(json!({}), r#"{"status":"firing","alerts":[],"receiver":"ops"}"#, &[], "🟢 *firing · ops*");
        check(
            json!({}),
            r#"{"zen":"Less is more"}"#,
            &[("x-github-event", "ping")],
            "GitHub reaches this room for : Less is more",
        );
        check(json!({}), r#"{"level":3}"#, &[("x-github-event", "unheard_of")], "level: 3");
        check(json!({ "format": "json" }), r#"{"text":"hi"}"#, &[], "text: hi");
        check(json!({ "format": "slack" }), r#"{"level":3}"#, &[], "400 no_text");
    }

    #[test]
    fn slack_s_oldest_programs_send_forms() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        check(json!({}), "payload=%7B%22text%22%3A%22a+%26%20b%22%7D", &form, "a & b");
        check(json!({}), "token=x&payload={\"text\":\"a\"}", &form, "a");
        check(json!({}), "payload={\"text\":\"a\"}", &[], "a");
        check(json!({}), "payload=%7", &form, "400 invalid_payload");
        check(json!({}), "text=a", &form, "400 invalid_payload");
    }

    #[test]
    fn what_is_wrong_is_said_in_slack_s_words() {
        for body in ["", "{", "[]", "7", "\"text\"", "\u{feff}{}"] {
            check(json!({}), body, &[], "400 invalid_payload");
        }
        for body in ["{}", r#"{"text":" "}"#, r#"{"username":"x"}"#, r#"{"attachments":[]}"#, r#"{"blocks":[{}]}"#] {
            check(json!({}), body, &[], "400 no_text");
        }
    }

    #[test]
    fn a_signature_is_asked_for_where_the_hook_has_a_secret() {
        let secret = json!({ "secret": "s3cret" });
        check(secret.clone(), r#"{"text":"a"}"#, &[], "401 invalid_signature");
        let signature = format!("sha256={}", sign::signature("s3cret", &[br#"{"text":"a"}"#]));
        check(secret.clone(), r#"{"text":"a"}"#, &[("x-hub-signature-256", &signature)], "a");
        check(secret, r#"{"text":"b"}"#, &[("x-hub-signature-256", &signature)], "401 invalid_signature");
    }

    #[test]
    fn templates_say_what_is_posted() {
        let of = |template: &str| json!({ "template": template });
        check(of("{{ body.a }} from {{ headers['x-who'] }}"), r#"{"a":"hi"}"#, &[("x-who", "me")], "hi from me");
        check(of("{% if body.a %}x{% endif %}"), r#"{"a":false}"#, &[], "400 no_text");
        check(
            of("{{ body.a + 1 }}"),
            r#"{"a":"x"}"#,
            &[],
            "422 the template of this webhook failed: line 1: invalid operation: tried to use + operator on unsupported types string and number",
        );
    }

    #[test]
    fn a_call_that_is_sent_again_has_the_same_key() {
        let key =
            |headers: &[(&str, &str)]| read(&hook(json!({})), &call(r#"{"text":"a"}"#, headers), 0, 99).unwrap().key;
        assert_eq!(key(&[]), None);
        assert_eq!(key(&[("idempotency-key", "k")]), key(&[("x-github-delivery", "k")]));
        assert_ne!(key(&[("idempotency-key", "k")]), key(&[("idempotency-key", "l")]));
        assert!(key(&[("idempotency-key", &"k".repeat(5_000))]).unwrap().len() < 255);
    }

    #[test]
    fn long_messages_are_shortened() {
        let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(20_000));
        let text = read(&hook(json!({})), &call(&body, &[]), 0, 16_000).unwrap().text;
        assert!(text.len() == 16_000 && text.ends_with("… (shortened)"));
    }

    #[test]
    fn the_pipeline_s_refusals_have_slack_s_statuses() {
        let of = |code| Refused::from(PluginError::transient("x").with_code(code)).status;
        let found = [
            "room_not_found",
            "forbidden",
            "room_deleted",
            "rate_limited",
            "scanner_unavailable",
            "rejected",
            "message_too_large",
        ]
        .map(of);
        assert_eq!(found, [404, 403, 410, 429, 503, 422, 413]);
    }
}
