//! What Grafana and Alertmanager send, as text: what is wrong, where, since when, and where to look. Knows no room and no hook.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::mrkdwn::link;
use crate::text::{joined, one_line, separated, shortened};

/// So many alerts are told in full; of the others, how many there are.
const SHOWN: usize = 10;

/// The longest description, value and label.
const LONG: usize = 600;
const SHORT: usize = 120;

/// So many labels are shown of an alert.
const LABELS: usize = 12;

/// What stands for "not ended".
const ZERO: &str = "0001-01-01";

/// Whether a body is a group of alerts, as both send it.
pub(crate) fn is_alerts(body: &Map<String, Value>) -> bool {
    let alerts = body.get("alerts").and_then(Value::as_array);
    let is_alert = |alert: &Value| alert["labels"].is_object() || alert["annotations"].is_object();
    body.get("status").is_some_and(Value::is_string) && alerts.is_some_and(|alerts| alerts.iter().all(is_alert))
}

/// The message about a group.
pub(crate) fn text(body: &Map<String, Value>) -> String {
    let body = &Value::Object(body.clone());
    let alerts: Vec<&Value> = body["alerts"].as_array().into_iter().flatten().collect();
    let firing = alerts.iter().filter(|alert| !is_resolved(alert)).count();
    let common = labels(&body["commonLabels"]);
    let shown = alerts.iter().take(SHOWN).map(|one| alert(one, &common));
    let missing = alerts.len().saturating_sub(SHOWN) as u64 + body["truncatedAlerts"].as_u64().unwrap_or(0);
    let more = if missing == 0 { String::new() } else { format!("… and {missing} more") };
    let source = match string(&body["externalURL"]) {
        "" => String::new(),
        url => format!("From {}", link(url, "")),
    };
    let group = [heading(body, firing, alerts.len() - firing, &common)];
    separated(group.into_iter().chain(shown).chain([joined([more, source])]), "\n\n")
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default().trim()
}

fn is_resolved(alert: &Value) -> bool {
    alert["status"] == "resolved"
}

/// How many there are of which kind, what they are about, and what all have in common.
fn heading(body: &Value, firing: usize, resolved: usize, common: &BTreeMap<String, String>) -> String {
    let sign = if firing > 0 { "🔴" } else { "🟢" };
    let counted = |count: usize, word: &str| if count == 0 { String::new() } else { format!("{count} {word}") };
    let mut count = separated([counted(firing, "firing"), counted(resolved, "resolved")], ", ");
    if count.is_empty() {
        count = one_line(string(&body["status"]));
    }
    let about = match (common.get("alertname"), labels(&body["groupLabels"])) {
        (Some(name), _) => name.clone(),
        (None, group) if group.is_empty() => shortened(&one_line(string(&body["receiver"])), SHORT),
        (None, group) => listed(group.iter()),
    };
    let rest = listed(common.iter().filter(|(name, _)| *name != "alertname"));
    joined([format!("{sign} *{}*", separated([count, about], " · ")), rest])
}

fn alert(alert: &Value, common: &BTreeMap<String, String>) -> String {
    let (resolved, own) = (is_resolved(alert), labels(&alert["labels"]));
    let sign = if resolved { "🟢" } else { "🔴" };
    let name = own.get("alertname").filter(|_| !common.contains_key("alertname")).cloned().unwrap_or_default();
    let annotation = |key: &str| shortened(string(&alert["annotations"][key]), LONG);
    let (summary, description) = (annotation("summary"), annotation("description"));
    let message = if summary.is_empty() && description.is_empty() { annotation("message") } else { String::new() };
    let description = if description == summary { String::new() } else { description };
    let labels = listed(own.iter().filter(|(name, value)| *name != "alertname" && common.get(*name) != Some(*value)));
    let first = separated([name, summary], ": ");
    let (first, labels) = match first.is_empty() {
        true => (labels, String::new()),
        false => (first, labels),
    };
    let first = if first.is_empty() { "alert".to_owned() } else { first };
    joined([
        format!("{sign} {first}"),
        description,
        message,
        values(alert),
        labels,
        times(alert, resolved),
        links(alert),
    ])
}

/// What Grafana measured.
fn values(alert: &Value) -> String {
    match &alert["values"] {
        Value::Object(values) if !values.is_empty() => {
            let told = values.iter().take(LABELS).map(|(name, value)| format!("{} = {value}", one_line(name)));
            format!("Values: {}", told.collect::<Vec<_>>().join(", "))
        }
        _ => String::new(),
    }
}

fn labels(labels: &Value) -> BTreeMap<String, String> {
    let labels = labels.as_object().into_iter().flatten();
    labels
        .filter(|(name, _)| !(name.starts_with("__") && name.ends_with("__")))
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (shortened(&one_line(name), SHORT), shortened(&one_line(&value), SHORT))
        })
        .collect()
}

fn listed<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    match labels.len() {
        0..=LABELS => labels.join(", "),
        many => format!("{}, and {} more labels", labels[..LABELS].join(", "), many - LABELS),
    }
}

fn times(alert: &Value, resolved: bool) -> String {
    let start = time(string(&alert["startsAt"]));
    let end = time(string(&alert["endsAt"]));
    match (start, end) {
        (Some(start), Some(end)) if resolved => format!("{start} to {end}"),
        (Some(start), _) => format!("Since {start}"),
        (None, _) => String::new(),
    }
}

/// A time as people read it, in UTC; nothing for the zero that stands for none.
fn time(text: &str) -> Option<String> {
    if text.is_empty() || text.starts_with(ZERO) {
        return None;
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn links(alert: &Value) -> String {
    let at = |key: &str, label: &str| match string(&alert[key]) {
        "" => String::new(),
        url => link(url, label),
    };
    let runbook = match string(&alert["annotations"]["runbook_url"]) {
        "" => String::new(),
        url => link(url, "Runbook"),
    };
    joined([
        at("generatorURL", "Source"),
        at("panelURL", "Panel"),
        at("dashboardURL", "Dashboard"),
        at("silenceURL", "Silence"),
        runbook,
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: &Value, expected: &str) {
        let body = body.as_object().expect("an object");
        assert!(is_alerts(body), "{body:?}");
        assert_eq!(text(body), expected);
    }

    /// Every field that Alertmanager's documentation names of its webhook, version 4.
    fn alertmanager() -> Value {
        json!({
            "version": "4",
            "groupKey": "{}:{alertname=\"InstanceDown\"}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "chat",
            "groupLabels": { "alertname": "InstanceDown" },
            "commonLabels": { "alertname": "InstanceDown", "job": "node", "severity": "page" },
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.org:9093",
            "alerts": [
                {
                    "status": "firing",
                    "labels": { "alertname": "InstanceDown", "instance": "db1:9100", "job": "node", "severity": "page" },
                    "annotations": { "summary": "db1 is down", "description": "db1:9100 has not answered for 5 minutes." },
                    "startsAt": "2026-03-01T10:00:00.123Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus.example.org/graph?g0.expr=up+%3D%3D+0",
                    "fingerprint": "1a30ba71cca2921f"
                },
                {
                    "status": "resolved",
                    "labels": { "alertname": "InstanceDown", "instance": "db2:9100", "job": "node", "severity": "page" },
                    "annotations": { "summary": "db2 is down" },
                    "startsAt": "2026-03-01T11:00:00+02:00",
                    "endsAt": "2026-03-01T11:07:30+02:00",
                    "generatorURL": "",
                    "fingerprint": "2b"
                }
            ]
        })
    }

    #[test]
    fn alertmanager_s_groups() {
        check(
            &alertmanager(),
            "🔴 *1 firing, 1 resolved · InstanceDown*\njob=node, severity=page\n\n\
             🔴 db1 is down\ndb1:9100 has not answered for 5 minutes.\ninstance=db1:9100\nSince 2026-03-01 10:00:00 UTC\n\
             Source (http://prometheus.example.org/graph?g0.expr=up+%3D%3D+0)\n\n\
             🟢 db2 is down\ninstance=db2:9100\n2026-03-01 09:00:00 UTC to 2026-03-01 09:07:30 UTC\n\n\
             From http://alertmanager.example.org:9093",
        );
    }

    #[test]
    fn grafana_s_groups() {
        let body = json!({
            "receiver": "Chat of the operators",
            "status": "firing",
            "orgId": 1,
            "alerts": [{
                "status": "firing",
                "labels": { "alertname": "High memory", "__alert_rule_uid__": "x1", "zone": "eu-1" },
                "annotations": { "summary": "Memory runs out in eu-1", "runbook_url": "https://runbooks.example.org/memory" },
                "startsAt": "2026-03-01T12:51:03.157076+02:00",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://grafana.example.org/alerting/1/edit",
                "fingerprint": "c6",
                "silenceURL": "https://grafana.example.org/alerting/silence/new",
                "dashboardURL": "https://grafana.example.org/d/7",
                "panelURL": "",
                "values": { "B": 44.25, "C": 1 }
            }],
            "groupLabels": {},
            "commonLabels": { "alertname": "High memory" },
            "commonAnnotations": {},
            "externalURL": "https://grafana.example.org/",
            "version": "1",
            "groupKey": "{}:{}",
            "truncatedAlerts": 3,
            "title": "[FIRING:1]  (High memory eu-1)",
            "state": "alerting",
            "message": "**Firing** …"
        });
        check(
            &body,
            "🔴 *1 firing · High memory*\n\n🔴 Memory runs out in eu-1\nValues: B = 44.25, C = 1\nzone=eu-1\n\
             Since 2026-03-01 10:51:03 UTC\nSource (https://grafana.example.org/alerting/1/edit)\n\
             Dashboard (https://grafana.example.org/d/7)\nSilence (https://grafana.example.org/alerting/silence/new)\n\
             Runbook (https://runbooks.example.org/memory)\n\n… and 3 more\nFrom https://grafana.example.org/",
        );
    }

    #[test]
    fn all_resolved_is_green() {
        let mut body = alertmanager();
        body["status"] = json!("resolved");
        body["alerts"][0]["status"] = json!("resolved");
        let text = text(body.as_object().unwrap());
        assert!(text.starts_with("🟢 *2 resolved · InstanceDown*"), "{text}");
    }

    #[test]
    fn many_alerts_are_counted() {
        let mut body = alertmanager();
        let one = body["alerts"][0].clone();
        body["alerts"] = Value::Array(vec![one; 50]);
        body["alerts"][0]["annotations"]["description"] = json!("x".repeat(100_000));
        let text = text(body.as_object().unwrap());
        assert!(text.contains("50 firing") && text.contains("… and 40 more"), "{text}");
        assert!(text.len() < 8_000, "{}", text.len());
    }

    #[test]
    fn odd_groups_are_told_all_the_same() {
        check(&json!({ "status": "firing", "alerts": [], "receiver": "ops" }), "🟢 *firing · ops*");
        check(&json!({ "status": "firing", "alerts": [{ "labels": {} }] }), "🔴 *1 firing*\n\n🔴 alert");
        let labels: Map<String, Value> = (0..20).map(|number| (format!("l{number:02}"), json!(number))).collect();
        let text = text(json!({ "status": "firing", "alerts": [{ "labels": labels }] }).as_object().unwrap());
        assert!(text.contains("l11=11, and 8 more labels"), "{text}");
        for other in [json!({ "alerts": [] }), json!({ "status": "ok" }), json!({ "status": "ok", "alerts": [1] })] {
            assert!(!is_alerts(other.as_object().unwrap()), "{other}");
        }
    }
}
