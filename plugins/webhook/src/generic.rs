//! JSON that no rule knows, as text, and what GitHub and its likes send. Knows no room and no hook.

use serde_json::{Map, Value};

use crate::mrkdwn::link;
use crate::text::{joined, one_line, separated, shortened};

/// So many lines are shown, this deep, each value this long.
const LINES: usize = 30;
const DEPTH: usize = 6;
const LONG: usize = 300;

/// What says most, in this order: one of these is shown first, without its name.
const HEADLINES: &[&str] = &["title", "subject", "summary", "message", "msg", "description", "event", "name"];

/// The values of a body by name, what says most first.
pub(crate) fn text(body: &Map<String, Value>) -> String {
    let headline = HEADLINES.iter().find_map(|key| {
        let text = body.get(*key)?.as_str()?.trim();
        (!text.is_empty()).then(|| (*key, shortened(text, 2 * LONG)))
    });
    let (key, headline) = headline.unwrap_or_default();
    let mut lines = Lines::default();
    for (name, value) in body.iter().filter(|(name, _)| *name != key) {
        lines.add(&one_line(name), value, 0);
    }
    let more = if lines.missing == 0 { String::new() } else { format!("… and {} more", lines.missing) };
    joined([headline].into_iter().chain(lines.shown).chain([more]))
}

#[derive(Default)]
struct Lines {
    shown: Vec<String>,
    missing: usize,
}

impl Lines {
    fn add(&mut self, name: &str, value: &Value, depth: usize) {
        let text = match value {
            Value::Null => return,
            Value::Object(inner) if depth < DEPTH => {
                for (key, value) in inner {
                    self.add(&format!("{name}.{}", one_line(key)), value, depth + 1);
                }
                return;
            }
            Value::Array(items) if depth < DEPTH && items.iter().any(|item| item.is_object() || item.is_array()) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(&format!("{name}[{index}]"), item, depth + 1);
                }
                return;
            }
            Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
            scalar_or_deep => scalar(scalar_or_deep),
        };
        match self.shown.len() {
            _ if text.is_empty() => {}
            0..LINES => self.shown.push(format!("{}: {}", shortened(name, LONG), shortened(&text, LONG))),
            _ => self.missing += 1,
        }
    }
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned())
}

/// What GitHub's `X-GitHub-Event` says happened; nothing for an event that is not known here.
pub(crate) fn github(event: &str, body: &Map<String, Value>) -> Option<String> {
    let body = &Value::Object(body.clone());
    let at = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let repository = link(at("/repository/html_url"), at("/repository/full_name"));
    let (who, action) = (at("/sender/login"), at("/action"));
    let numbered = |what: &str, key: &str| {
        let number = body[key]["number"].as_u64().unwrap_or_default();
        let title = one_line(at(&format!("/{key}/title")));
        let of = if repository.is_empty() { String::new() } else { format!(" of {}", at("/repository/full_name")) };
        let verb = match (what, action) {
            ("pull request", "closed") if body[key]["merged"] == true => "merged",
            (_, verb) => verb,
        };
        format!(
            "{who} {} {what} {}{of}",
            verb.replace('_', " "),
            link(at(&format!("/{key}/html_url")), &format!("#{number} {title}"))
        )
    };
    let told = match event {
        "ping" => format!("GitHub reaches this room for {repository}: {}", at("/zen")),
        "push" => push(body, &repository),
        "pull_request" => numbered("pull request", "pull_request"),
        "issues" => numbered("issue", "issue"),
        "issue_comment" => separated(
            [
                format!("{who} commented on {}", link(at("/comment/html_url"), &one_line(at("/issue/title")))),
                quoted(at("/comment/body")),
            ],
            "\n",
        ),
        "release" => {
            format!("{who} {action} release {} of {repository}", link(at("/release/html_url"), at("/release/tag_name")))
        }
        "workflow_run" if action == "completed" => {
            let sign = if at("/workflow_run/conclusion") == "success" { "🟢" } else { "🔴" };
            let run = link(at("/workflow_run/html_url"), at("/workflow_run/name"));
            format!(
                "{sign} {run} on {} of {repository}: {}",
                at("/workflow_run/head_branch"),
                at("/workflow_run/conclusion")
            )
        }
        "star" | "fork" | "watch" => format!("{who}: {event} {action} {repository}"),
        _ => return None,
    };
    Some(told.trim().to_owned())
}

fn push(body: &Value, repository: &str) -> String {
    const COMMITS: usize = 5;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let commits: Vec<&Value> = body["commits"].as_array().into_iter().flatten().collect();
    let branch = text(&body["ref"]).trim_start_matches("refs/heads/").to_owned();
    let count = match commits.len() {
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    };
    let head = format!(
        "{} pushed {} to {branch} of {repository}",
        text(&body["pusher"]["name"]),
        link(&text(&body["compare"]), &count)
    );
    let shown = commits.iter().take(COMMITS).map(|commit| {
        let subject = text(&commit["message"]).lines().next().map(one_line).unwrap_or_default();
        format!("• {} — {}", shortened(&subject, LONG), text(&commit["author"]["name"]))
    });
    let more = commits.len().saturating_sub(COMMITS);
    let more = if more == 0 { String::new() } else { format!("… and {more} more") };
    joined([head].into_iter().chain(shown).chain([more]))
}

fn quoted(text: &str) -> String {
    joined(shortened(text.trim(), LONG).lines().map(|line| format!("> {line}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: Value, expected: &str) {
        assert_eq!(text(body.as_object().expect("an object")), expected, "{body}");
    }

    #[track_caller]
    fn check_github(event: &str, body: Value, expected: Option<&str>) {
        assert_eq!(github(event, body.as_object().expect("an object")).as_deref(), expected, "{event} {body}");
    }

    #[test]
    fn unknown_bodies_are_names_and_values() {
        check(json!({ "level": "warn", "message": "Disk is full" }), "Disk is full\nlevel: warn");
        check(json!({ "a": { "b": [1, 2], "c": { "d": true } }, "e": null }), "a.b: 1, 2\na.c.d: true");
        check(json!({ "items": [{ "id": 1 }, { "id": 2 }] }), "items[0].id: 1\nitems[1].id: 2");
        check(json!({ "title": "", "x": "y" }), "x: y");
        check(json!({}), "");
    }

    #[test]
    fn large_bodies_are_shortened() {
        let many: Map<String, Value> =
            (0..100).map(|number| (format!("k{number}"), json!("v".repeat(1_000)))).collect();
        let text = text(&many);
        assert!(text.ends_with("… and 70 more") && text.lines().count() == 31 && text.len() < 12_000, "{text}");
    }

    #[test]
    fn deep_bodies_end() {
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!({ "a": deep });
        }
        let shown = text(deep.as_object().unwrap());
        assert!(shown.starts_with("a.a.a.a.a.a.a: {"), "{shown}");
    }

    #[test]
    fn github_s_events_are_sentences() {
        let repository = json!({ "full_name": "a/b", "html_url": "https://github.com/a/b" });
        let push = json!({
            "ref": "refs/heads/main", "compare": "https://github.com/a/b/compare/1", "repository": repository,
            "pusher": { "name": "ann" }, "commits": [{ "message": "Fix it\n\nlong", "author": { "name": "Ann" } }],
        });
        check_github(
            "push",
            push,
            Some(
                "ann pushed 1 commit (https://github.com/a/b/compare/1) to main of a/b (https://github.com/a/b)\n• Fix it — Ann",
            ),
        );
        let request = json!({
            "action": "closed", "sender": { "login": "bob" }, "repository": repository,
            "pull_request": { "number": 7, "title": "Mend", "merged": true, "html_url": "https://github.com/a/b/pull/7" },
        });
        check_github(
            "pull_request",
            request,
            Some("bob merged pull request #7 Mend (https://github.com/a/b/pull/7) of a/b"),
        );
        check_github("marketplace_purchase", json!({}), None);
    }
}
