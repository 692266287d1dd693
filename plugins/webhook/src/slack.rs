//! Slack's payloads as text: `text`, `attachments` and `blocks`. Knows no room and no hook.

use serde_json::{Map, Value};

use crate::mrkdwn::{link, readable};
use crate::text::{joined, separated};

/// So many attachments, blocks, fields and elements are shown each.
const MOST: usize = 100;

/// How deep lists and quotes are looked into.
const DEPTH: usize = 8;

/// Whether a JSON body is meant as Slack's: it has what says something there.
pub(crate) fn is_slack(body: &Map<String, Value>) -> bool {
    let list = |key: &str| body.get(key).is_some_and(Value::is_array);
    body.get("text").is_some_and(Value::is_string) || list("attachments") || list("blocks")
}

/// Whether nothing stands there but what decorates a message of Slack's: the text was forgotten.
pub(crate) fn is_bare(body: &Map<String, Value>) -> bool {
    const DECORATION: &[&str] = &[
        "as_user",
        "attachments",
        "blocks",
        "channel",
        "icon_emoji",
        "icon_url",
        "link_names",
        "metadata",
        "mrkdwn",
        "parse",
        "response_type",
        "text",
        "thread_ts",
        "unfurl_links",
        "unfurl_media",
        "username",
    ];
    body.keys().all(|key| DECORATION.contains(&key.as_str()))
}

/// The message that a payload makes; empty where it says nothing.
pub(crate) fn text(body: &Map<String, Value>) -> String {
    let body = Value::Object(body.clone());
    let blocks = blocks(&body["blocks"]);
    // Where there are blocks, the text stands in for them on small screens.
    let said = if blocks.is_empty() { readable(string(&body["text"])) } else { blocks };
    let attachments = list(&body["attachments"]).map(attachment);
    separated(std::iter::once(said).chain(attachments), "\n\n")
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default().trim()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten().take(MOST)
}

/// What a value says, whatever it is.
fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => readable(text.trim()),
        other => other.to_string(),
    }
}

fn attachment(attachment: &Value) -> String {
    let field = |key: &str| string(&attachment[key]);
    let (title, url) = (readable(field("title")), field("title_link"));
    let title = if url.is_empty() { title } else { link(url, &title) };
    let author = match field("author_link") {
        "" => readable(field("author_name")),
        url => link(url, &readable(field("author_name"))),
    };
    let fields = list(&attachment["fields"]).map(|field| {
        let (title, value) = (readable(string(&field["title"])), said(&field["value"]));
        separated([title, value], ": ")
    });
    let image = match (field("image_url"), field("thumb_url")) {
        ("", url) | (url, _) => url.to_owned(),
    };
    let buttons = list(&attachment["actions"]).map(button);
    let body = [joined(fields), blocks(&attachment["blocks"]), image, separated(buttons, " · ")];
    let said = joined([author, title, readable(field("text"))].into_iter().chain(body));
    if said.is_empty() {
        return joined([readable(field("pretext")), readable(field("fallback"))]);
    }
    let footer = separated([readable(field("footer")), time(&attachment["ts"])], " · ");
    let colour = colour(field("color"));
    joined([readable(field("pretext")), format!("{colour}{said}"), footer])
}

/// Slack's three named colours, as a sign.
fn colour(name: &str) -> &'static str {
    match name {
        "good" => "🟢 ",
        "warning" => "🟡 ",
        "danger" => "🔴 ",
        _ => "",
    }
}

/// A number of seconds since 1970, or such a number as text, as a time.
fn time(value: &Value) -> String {
    let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds as i64).ok());
    time.map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn blocks(blocks: &Value) -> String {
    joined(list(blocks).map(block))
}

fn block(block: &Value) -> String {
    match string(&block["type"]) {
        "header" => format!("*{}*", object(&block["text"])).replace("**", ""),
        "section" => {
            let fields = list(&block["fields"]).map(object);
            joined([object(&block["text"])].into_iter().chain(fields).chain([element(&block["accessory"])]))
        }
        "divider" => "———".to_owned(),
        "context" => separated(list(&block["elements"]).map(element), " · "),
        "actions" => separated(list(&block["elements"]).map(element), " · "),
        "image" => separated([object(&block["title"]), image(block)], "\n"),
        "video" => link(string(&block["title_url"]), &object(&block["title"])),
        "markdown" => string(&block["text"]).to_owned(),
        "rich_text" => joined(list(&block["elements"]).map(|element| rich(element, 0))),
        _ => String::new(),
    }
}

/// A text object: `mrkdwn` is made readable, `plain_text` is as it is.
fn object(object: &Value) -> String {
    match object {
        Value::String(text) => readable(text.trim()),
        _ if object["type"] == "plain_text" => string(&object["text"]).to_owned(),
        _ => readable(string(&object["text"])),
    }
}

fn element(element: &Value) -> String {
    match string(&element["type"]) {
        "image" => image(element),
        "button" => button(element),
        "mrkdwn" | "plain_text" => object(element),
        _ => String::new(),
    }
}

/// A button does nothing here unless it opens a page.
fn button(button: &Value) -> String {
    match string(&button["url"]) {
        "" => String::new(),
        url => link(url, &object(&button["text"])),
    }
}

fn image(image: &Value) -> String {
    let url = match string(&image["image_url"]) {
        "" => string(&image["slack_file"]["url"]),
        url => url,
    };
    match string(&image["alt_text"]) {
        alt if url.is_empty() => alt.to_owned(),
        alt => link(url, alt),
    }
}

/// What Slack's own editor makes.
fn rich(element: &Value, depth: usize) -> String {
    if depth > DEPTH {
        return String::new();
    }
    let inside = || list(&element["elements"]).map(|inner| rich(inner, depth + 1));
    match string(&element["type"]) {
        "rich_text_section" => inside().collect(),
        "rich_text_preformatted" => format!("```\n{}\n```", inside().collect::<String>()),
        "rich_text_quote" => inside().collect::<String>().lines().map(|line| format!("> {line}\n")).collect(),
        "rich_text_list" => joined(inside().map(|item| format!("• {item}"))),
        "text" => element["text"].as_str().unwrap_or_default().to_owned(),
        "link" => link(string(&element["url"]), string(&element["text"])),
        "user" => format!("@{}", string(&element["user_id"])),
        "channel" => format!("#{}", string(&element["channel_id"])),
        "usergroup" => format!("@{}", string(&element["usergroup_id"])),
        "broadcast" => format!("@{}", string(&element["range"])),
        "emoji" => format!(":{}:", string(&element["name"])),
        "date" => string(&element["fallback"]).to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: Value, expected: &str) {
        assert_eq!(text(body.as_object().expect("an object")), expected, "{body}");
    }

    #[test]
    fn text_alone() {
        check(
            json!({ "text": " Deployed <https://ci.example.org/7|build 7> &amp; tested " }),
            "Deployed build 7 (https://ci.example.org/7) & tested",
        );
        check(json!({ "text": "" }), "");
        check(json!({ "username": "ci" }), "");
    }

    #[test]
    fn attachments() {
        let attachment = json!({
            "fallback": "Disk is full",
            "color": "danger",
            "pretext": "Look at this:",
            "author_name": "monitor",
            "title": "Disk full",
            "title_link": "https://m.example.org/disk",
            "text": "`/var` has 0 bytes",
            "fields": [{ "title": "Host", "value": "db1", "short": true }, { "title": "Free", "value": 0 }],
            "footer": "monitor 2.1",
            "ts": 1_700_000_000,
        });
        let said = "Look at this:\n🔴 monitor\nDisk full (https://m.example.org/disk)\n`/var` has 0 bytes\nHost: db1\nFree: 0\n\
                    monitor 2.1 · 2023-11-14 22:13 UTC";
        check(json!({ "attachments": [attachment] }), said);
        check(json!({ "text": "Hello", "attachments": [{ "text": "a" }, { "fallback": "b" }] }), "Hello\n\na\n\nb");
        check(json!({ "attachments": [{ "color": "#36a64f", "text": "a", "ts": "odd" }] }), "a");
        check(
            json!({ "attachments": [{ "image_url": "https://e.org/a.png", "fallback": "not shown" }] }),
            "https://e.org/a.png",
        );
        check(
            json!({ "attachments": [{ "actions": [{ "type": "button", "text": "Open", "url": "https://e.org" }] }] }),
            "Open (https://e.org)",
        );
        check(json!({ "attachments": [{}, 7, "x"] }), "");
    }

    #[test]
    fn blocks_stand_in_place_of_the_text() {
        let blocks = json!([
            { "type": "header", "text": { "type": "plain_text", "text": "Release 1 < 2" } },
            { "type": "section", "text": { "type": "mrkdwn", "text": "by <@U1|ann>" },
              "fields": [{ "type": "mrkdwn", "text": "*Env*\nprod" }, { "type": "plain_text", "text": "a & b" }],
              "accessory": { "type": "button", "text": { "type": "plain_text", "text": "Log" }, "url": "https://e.org/l" } },
            { "type": "divider" },
            { "type": "context", "elements": [
                { "type": "image", "image_url": "https://e.org/i.png", "alt_text": "logo" },
                { "type": "mrkdwn", "text": "at <!date^1^{date}|noon>" } ] },
            { "type": "image", "image_url": "https://e.org/g.png", "alt_text": "a graph", "title": { "type": "plain_text", "text": "Load" } },
            { "type": "actions", "elements": [{ "type": "button", "text": { "type": "plain_text", "text": "Approve" }, "value": "1" }] },
            { "type": "of_the_future" },
        ]);
        let said = "*Release 1 < 2*\nby @ann\n*Env*\nprod\na & b\nLog (https://e.org/l)\n———\nlogo (https://e.org/i.png) · at noon\n\
                    Load\na graph (https://e.org/g.png)";
        check(json!({ "text": "fallback", "blocks": blocks }), said);
        check(json!({ "text": "fallback", "blocks": [] }), "fallback");
        check(json!({ "text": "fallback", "blocks": [{ "type": "of_the_future" }] }), "fallback");
    }

    #[test]
    fn rich_text() {
        let elements = json!([
            { "type": "rich_text_section", "elements": [
                { "type": "text", "text": "Hi " }, { "type": "user", "user_id": "U1" }, { "type": "text", "text": ", see " },
                { "type": "link", "url": "https://e.org", "text": "this" }, { "type": "emoji", "name": "tada" } ] },
            { "type": "rich_text_list", "style": "bullet", "elements": [
                { "type": "rich_text_section", "elements": [{ "type": "text", "text": "one" }] },
                { "type": "rich_text_section", "elements": [{ "type": "text", "text": "two" }] } ] },
            { "type": "rich_text_preformatted", "elements": [{ "type": "text", "text": "let a = 1;" }] },
        ]);
        let said = "Hi @U1, see this (https://e.org):tada:\n• one\n• two\n```\nlet a = 1;\n```";
        check(json!({ "blocks": [{ "type": "rich_text", "elements": elements }] }), said);
    }
}
