//! What is sent to a receiver: an event in JSON, as a message of Slack's, or as a template makes it; and the headers around it.
//! Knows no network.

use serde_json::{Value, json};

use crate::asked::Writes;
use crate::outgoing::Outgoing;
use crate::text::shortened;
use crate::{generic, sign, template};

/// The longest text of a message for Slack, in characters.
const SLACK_TEXT: usize = 4_000;

/// A call that is ready to be made.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// Writes an event as the hook says.
///
/// # Errors
/// Why the template makes nothing of it.
pub(crate) fn call(hook: &Outgoing, event: &Value) -> Result<Call, String> {
    const JSON: &str = "application/json";
    let made = hook.template.as_deref().map(|template| template::render(template, &json!({ "event": event })));
    let made = made.transpose().map_err(|error| format!("the template of this webhook failed: {error}"))?;
    Ok(match (hook.format, made) {
        (Writes::Slack, made) => {
            let text = made.unwrap_or_else(|| slack_text(event));
            Call { content_type: JSON, body: json!({ "text": shortened(text.trim(), SLACK_TEXT) }).to_string() }
        }
        (_, None) => Call { content_type: JSON, body: event.to_string() },
        (_, Some(made)) => {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&made).is_ok();
            Call { content_type: if is_json { JSON } else { "text/plain; charset=utf-8" }, body: made }
        }
    })
}

/// The headers of one try. The time and so the signature are new at each, the delivery is not.
pub(crate) fn headers(
    hook: &Outgoing,
    call: &Call,
    event: &str,
    delivery: &str,
    seconds: i64,
) -> Vec<(String, String)> {
    let time = seconds.to_string();
    let own = [
        ("content-type", call.content_type),
        ("x-plexichat-event", event),
        ("x-plexichat-delivery", delivery),
        ("x-plexichat-timestamp", &time),
    ];
    let mut headers: Vec<(String, String)> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    if let Some(secret) = &hook.secret {
        let signature = sign::signature(secret, &[time.as_bytes(), b".", call.body.as_bytes()]);
        headers.push(("x-plexichat-signature".to_owned(), format!("sha256={signature}")));
    }
    headers.extend(hook.headers.clone());
    headers
}

/// An event as a sentence, with what Slack's programs would take for marks escaped.
fn slack_text(event: &Value) -> String {
    let at = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (kind, who) = (at("/type"), escaped(at("/actor/name")));
    match kind {
        "message_received" | "user_message" => format!("*{who}*: {}", escaped(at("/data/text"))),
        _ => {
            let data = event["data"].as_object().map(generic::text).unwrap_or_default();
            format!("*{kind}* by {who}\n{}", escaped(&data))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(more: Value) -> Outgoing {
        let mut hook = json!({
            "id": "a", "name": "a", "url": "https://example.org", "events": ["*"], "room_id": null, "filter": [],
            "format": "json", "template": null, "secret": null, "headers": {}, "enabled": true, "disabled_because": null,
            "configured": false, "created_at": "2026-01-01T00:00:00Z",
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            hook[key] = value.clone();
        }
        serde_json::from_value(hook).unwrap()
    }

    #[track_caller]
    fn check(more: Value, expected: Result<(&str, &str), &str>) {
        let event = json!({ "type": "message_received", "actor": { "name": "ann" }, "data": { "text": "1 < 2" } });
        let made = call(&hook(more), &event);
        let made = made.as_ref().map(|call| (call.content_type, call.body.as_str())).map_err(String::as_str);
        assert_eq!(made, expected);
    }

    #[test]
    fn events_are_written_as_the_hook_says() {
        let envelope = r#"{"type":"message_received","actor":{"name":"ann"},"data":{"text":"1 < 2"}}"#;
        let envelope: Value = serde_json::from_str(envelope).unwrap();
        check(json!({}), Ok(("application/json", &envelope.to_string())));
        check(json!({ "format": "slack" }), Ok(("application/json", r#"{"text":"*ann*: 1 &lt; 2"}"#)));
        let of = |template: &str| json!({ "template": template });
        check(of("{{ event.actor.name }} wrote"), Ok(("text/plain; charset=utf-8", "ann wrote")));
        check(of(r#"{"who": {{ event.actor.name|tojson }}}"#), Ok(("application/json", r#"{"who": "ann"}"#)));
        check(
            json!({ "format": "slack", "template": "{{ event.type }}" }),
            Ok(("application/json", r#"{"text":"message_received"}"#)),
        );
        let failed = "the template of this webhook failed: line 1: invalid operation: tried to use + operator on unsupported types string and number";
        check(of("{{ event.type + 1 }}"), Err(failed));
    }

    #[test]
    fn a_receiver_can_tell_who_called() {
        let hook = hook(json!({ "secret": "s3cret", "headers": { "authorization": "Bearer x" } }));
        let call = Call { content_type: "application/json", body: "{}".to_owned() };
        let headers = headers(&hook, &call, "message_received", "d1", 1_000);
        let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        // The same check that this plugin's incoming hooks make.
        assert!(sign::is_signed("s3cret", b"{}", 1_000, header));
        assert_eq!((header("x-plexichat-delivery"), header("authorization")), (Some("d1"), Some("Bearer x")));
    }
}
