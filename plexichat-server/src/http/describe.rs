//! Completes the OpenAPI document: to each operation its tag, its examples and both ways to say who one is. Works on the
//! document as JSON. Knows no handler.

use serde_json::{Map, Value, json};

use super::example;

/// The parts of the API: a tag, the addresses that it has, and what it is about. The first that fits counts.
const TAGS: &[(&str, &[&str], &str)] = &[
    ("health", &["/healthz", "/readyz", "/metrics"], "Whether the server is well"),
    ("description", &["/openapi.json", "/docs", "/"], "What there is, for people and programs"),
    ("accounts", &["/api/v1/auth", "/api/v1/users", "/api/v1/invitations"], "People: who one is, signing in and out"),
    ("tokens", &["/api/v1/tokens"], "How programs say who they are"),
    ("live", &["/api/v1/ws", "/api/v1/rooms/{id}/stream", "/api/v1/presence"], "What happens, as it happens"),
    ("files", &["/api/v1/rooms/{id}/files", "/api/v1/files"], "What hangs on messages"),
    (
        "messages",
        &["/api/v1/rooms/{id}/messages", "/api/v1/messages", "/api/v1/scheduled", "/api/v1/search"],
        "What is said",
    ),
    ("moderation", &["/api/v1/quarantine"], "What scanners hold back"),
    ("rooms", &["/api/v1/rooms"], "Where it is said, and who may read it"),
    ("ai", &["/api/v1/ai"], "Models, what they were asked and what it cost, and tool calls that wait for leave"),
    (
        "workflows",
        &["/api/v1/workflows", "/api/v1/plugins/{name}/-/hooks"],
        "What happens by itself: what starts it, and what it did",
    ),
    ("plugins", &["/api/v1/plugins", "/api/v1/bundle"], "What is linked, and which of it runs"),
    ("gui", &["/api/v1/gui", "/ui"], "What plugins add to pages, and the pages themselves"),
    ("operating", &["/api/v1/audit", "/api/v1/system", "/api/v1/events"], "Looking after the server"),
];

/// The tag of an address. Every address of the table has one.
pub(crate) fn tag(path: &str) -> Option<&'static str> {
    let below = |place: &str| {
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && place != "/"))
    };
    TAGS.iter().find(|(_, places, _)| places.iter().any(|place| below(place))).map(|(tag, ..)| *tag)
}

/// The words that an error with this status has in examples: as the code has them.
fn error_words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("bad_query", "the query string: invalid digit found in string"),
        401 => ("unauthorized", "the request has no token"),
        403 => ("forbidden", "this needs the role `admin`"),
        404 => ("not_found", "there is nothing at this address"),
        408 => ("body_timeout", "the body paused for more than 10 s"),
        409 => ("name_taken", "this name is taken"),
        412 => ("precondition_failed", "it was changed meanwhile"),
        413 => ("too_large", "the body is larger than 1048576 bytes"),
        415 => ("unsupported_media_type", "a JSON body is expected, and the request has no content type"),
        422 => ("invalid_input", "the body does not have the shape that is expected here"),
        426 => ("upgrade_required", "this address speaks WebSocket only"),
        429 => ("too_many_requests", "this address asks too much at once"),
        503 => ("storage_unavailable", "the store is stopping or too busy; nothing was stored"),
        507 => ("storage_full", "the server's disk is full; nothing was stored"),
        _ => ("internal_error", "the server made a mistake"),
    }
}

/// Completes a document.
pub(crate) fn complete(document: &mut Value) {
    let tags: Vec<Value> = TAGS.iter().map(|(name, _, about)| json!({ "name": name, "description": about })).collect();
    document["tags"] = json!(tags);
    if let Some(schemas) = document.pointer_mut("/components/schemas") {
        list_choices(schemas);
    }
    let before = document.clone();
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for operation in operations.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if operation.get("responses").is_none() {
                continue;
            }
            operation["tags"] = json!(tag(path).into_iter().collect::<Vec<_>>());
            give_examples(&before, operation);
        }
    }
}

/// Writes a choice of texts as a list of texts. What each means goes into the description: generators of clients make one
/// type of a list, and many of a choice.
fn list_choices(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(list_choices);
            let Some(choices) = members.get("oneOf").and_then(Value::as_array) else { return };
            let mut words = Vec::new();
            let mut about = members.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
            for choice in choices {
                let told = choice["const"].as_str().map(|word| vec![word.to_owned()]);
                let listed = choice["enum"].as_array();
                let listed = listed.map(|words| words.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                let Some(found) = told.or(listed).filter(|_| choice["type"] == "string") else { return };
                if let (Some(meaning), [word]) = (choice["description"].as_str(), found.as_slice()) {
                    about.push_str(&format!("\n- `{word}`: {meaning}"));
                }
                words.extend(found);
            }
            members.remove("oneOf");
            members.insert("type".to_owned(), json!("string"));
            members.insert("enum".to_owned(), json!(words));
            members.insert("description".to_owned(), json!(about.trim_start()));
        }
        Value::Array(items) => items.iter_mut().for_each(list_choices),
        _ => {}
    }
}

pub(super) fn give_examples(document: &Value, operation: &mut Value) {
    // Not by index: that would write what is missing.
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or("").to_owned();
        let required = parameter["required"] == true;
        let given = parameter.get("example").is_some() || parameter.get("examples").is_some();
        // An example of what may be missing would be taken for what belongs there.
        if required && !given {
            parameter["example"] = example::of(document, &parameter["schema"], &name);
        }
    }
    let body = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
    for media in body.into_iter().flat_map(Map::values_mut) {
        fill(document, media, None);
    }
    for (status, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        let status = status.parse().ok().filter(|status| *status >= 400);
        for (kind, media) in response.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten() {
            if kind.contains("json") {
                fill(document, media, status);
            }
        }
    }
}

fn fill(document: &Value, media: &mut Value, error: Option<u16>) {
    // Generators of clients know a schema that says nothing, and not the other way to write it.
    if !media["schema"].is_object() {
        media["schema"] = json!({});
    }
    if media.get("example").is_some() || media.get("examples").is_some() {
        return;
    }
    media["example"] = match error {
        Some(status) => {
            let (code, message) = error_words(status);
            let request_id = "01a2b3c4-0000-7000-8000-000000000001";
            json!({ "error": { "code": code, "message": message, "request_id": request_id } })
        }
        None => example::of(document, &media["schema"], ""),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(tag(path), expected, "{path}");
    }

    #[test]
    fn a_choice_of_texts_is_a_list() {
        let mut schema = json!({ "description": "What.", "oneOf": [
            { "type": "string", "const": "a", "description": "One." }, { "type": "string", "enum": ["b", "c"] },
        ] });
        list_choices(&mut schema);
        let expected = json!({ "type": "string", "enum": ["a", "b", "c"], "description": "What.\n- `a`: One." });
        assert_eq!(schema, expected);
        let mut other = json!({ "oneOf": [{ "type": "string", "const": "a" }, { "type": "object" }] });
        list_choices(&mut other);
        assert!(other["oneOf"].is_array(), "{other}");
    }

    #[test]
    fn an_address_belongs_to_one_part() {
        check("/", Some("description"));
        check("/api/v1/rooms", Some("rooms"));
        check("/api/v1/rooms/{id}/messages", Some("messages"));
        check("/api/v1/rooms/{id}/members/{user_id}", Some("rooms"));
        check("/api/v1/roomsx", None);
        check("/elsewhere", None);
    }
}
