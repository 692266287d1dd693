//! `/openapi.json`: the table of routes as an OpenAPI 3.1 document.

use std::sync::Arc;

use aide::openapi::{
    ApiKeyLocation, Components, Info, MediaType, OpenApi, Operation, ReferenceOr, Response as Documented, SchemaObject,
    SecurityScheme, StatusCode as DocumentedStatus,
};
use aide::{OperationOutput, generate};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plexichat::routes::RouteTable;
use serde_json::{Value, json};

use super::app::App;
use super::bundle::BundleInfo;
use super::routes::{self, Route};
use super::{describe, output, plugin_document};
use crate::error::{ApiError, ErrorBody};

/// The name of programs' way to say who one is.
pub(crate) const SECURITY_SCHEME: &str = "token";

/// The name of browsers' way.
pub(crate) const SESSION_SCHEME: &str = "session";

/// A document that is JSON already.
pub(crate) struct Document(Bytes);

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

impl OperationOutput for Document {
    type Inner = serde_json::Value;

    fn inferred_responses(
        context: &mut generate::GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let response = output::documented::<serde_json::Value>(context, "An OpenAPI 3.1 document");
        vec![(Some(DocumentedStatus::Code(200)), response)]
    }
}

pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Document, ApiError> {
    Ok(Document(app.document.clone()))
}

/// Documents that an operation may answer with this status, in the error shape.
pub(crate) fn refusal(operation: &mut Operation, status: u16) {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused");
    let response = generate::in_context(|context| output::documented::<ErrorBody>(context, reason));
    let responses = &mut operation.responses.get_or_insert_default().responses;
    responses.insert(DocumentedStatus::Code(status), ReferenceOr::Item(response));
}

/// Writes the document of the table and of the plugins' routes.
///
/// # Errors
/// What went wrong while it was put together.
pub(crate) fn write(bundle: &BundleInfo, plugins: &RouteTable) -> Result<Bytes, serde_json::Error> {
    let mut document = serde_json::to_value(document(bundle, routes::table))?;
    // What takes all that is left of an address is a parameter like others here.
    if let Some(paths) = document["paths"].as_object_mut() {
        let open: Vec<String> = paths.keys().filter(|path| path.contains("{*")).cloned().collect();
        for path in open {
            if let Some(operations) = paths.remove(&path) {
                paths.insert(path.replace("{*", "{"), operations);
            }
        }
    }
    describe::complete(&mut document);
    plugin_document::add(&mut document, plugins);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.values_mut().for_each(simplify);
    }
    output::line(&document).map(Bytes::from)
}

/// Says a schema in words that generators of clients know: `{}` for whatever there may be, and a list of one kind for a list whose
/// places have a kind each.
fn simplify(schema: &mut Value) {
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
    let Some(keywords) = schema.as_object_mut() else { return };
    if let Some(places) = keywords.remove("prefixItems") {
        keywords.insert("items".to_owned(), places);
    }
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("properties" | "$defs" | "patternProperties", Value::Object(named)) => {
                named.values_mut().for_each(simplify)
            }
            ("oneOf" | "anyOf" | "allOf", Value::Array(kinds)) => kinds.iter_mut().for_each(simplify),
            ("items", items @ Value::Array(_)) => {
                let mut kinds = items.as_array().cloned().unwrap_or_default();
                kinds.dedup();
                *items = match kinds.as_slice() {
                    [kind] => kind.clone(),
                    kinds => json!({ "anyOf": kinds }),
                };
                simplify(items);
            }
            ("items" | "not", value) => simplify(value),
            ("additionalProperties", value @ Value::Object(_)) => simplify(value),
            _ => {}
        }
    }
}

fn document(bundle: &BundleInfo, table: fn() -> Vec<Route>) -> OpenApi {
    generate::reset_context();
    generate::extract_schemas(true);
    generate::infer_responses(true);
    let mut api = OpenApi {
        info: Info {
            title: bundle.name.clone(),
            version: bundle.version.clone(),
            description: Some("A chat server made of plugins. Every error has the shape of `ErrorBody`.".to_owned()),
            ..Info::default()
        },
        ..OpenApi::default()
    };
    let scheme = SecurityScheme::Http {
        scheme: "bearer".to_owned(),
        bearer_format: Some("plx_…".to_owned()),
        description: Some("A token from `plexichat token create`, in the `Authorization` header only".to_owned()),
        extensions: Default::default(),
    };
    let components = api.components.get_or_insert_with(Components::default);
    components.security_schemes.insert(SECURITY_SCHEME.to_owned(), ReferenceOr::Item(scheme));
    let session = SecurityScheme::ApiKey {
        location: ApiKeyLocation::Cookie,
        name: "plexichat".to_owned(),
        description: Some(
            "What signing in sets, for browsers; called `__Host-plexichat` where the server is reached over https"
                .to_owned(),
        ),
        extensions: Default::default(),
    };
    components.security_schemes.insert(SESSION_SCHEME.to_owned(), ReferenceOr::Item(session));
    let _: axum::Router<Arc<App>> = routes::documented(table()).finish_api(&mut api);
    generate::reset_context();
    api
}

/// A response with text, as the document tells it.
pub(crate) fn text(description: &str) -> Documented {
    let json_schema = schemars::json_schema!({ "type": "string" });
    let schema = SchemaObject { json_schema, example: None, external_docs: None };
    let mut response = Documented { description: description.to_owned(), ..Documented::default() };
    response.content.insert("text/plain".to_owned(), MediaType { schema: Some(schema), ..MediaType::default() });
    response
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn written() -> Value {
        let bundle = BundleInfo {
            name: "plexichat".to_owned(),
            version: "1.0.0".to_owned(),
            core: "0.1.0".to_owned(),
            plugins: Vec::new(),
        };
        serde_json::from_slice(&write(&bundle, &RouteTable::default()).unwrap()).unwrap()
    }

    #[test]
    fn every_route_of_the_table_is_in_the_document() {
        let document = written();
        assert_eq!(document["openapi"].as_str().map(|version| version.starts_with("3.1")), Some(true));
        for route in routes::table() {
            let method = format!("{:?}", route.method).to_lowercase();
            let operation = &document["paths"][route.path.replace("{*", "{")][&method];
            assert!(operation["summary"].is_string(), "{method} {}", route.path);
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with(['1', '2'])), "{method} {}", route.path);
            assert!(responses.contains_key("400"), "{method} {}", route.path);
            let guarded = route.needs != super::super::auth::Needs::Nothing;
            assert_eq!(operation["security"].is_array(), guarded, "{method} {}", route.path);
            // Whoever signs in may have the wrong password, whoever calls a webhook the wrong secret.
            let asks = guarded || route.path == "/api/v1/auth/login" || route.path.contains("/-/hooks/");
            assert_eq!(responses.contains_key("401"), asks, "{method} {}", route.path);
        }
    }

    #[test]
    fn schemas_are_said_in_words_that_generators_know() {
        let check = |mut schema: Value, simple: Value| {
            simplify(&mut schema);
            assert_eq!(schema, simple);
        };
        check(json!(true), json!({}));
        let text = json!({ "type": "string" });
        let pair = json!({ "type": "array", "prefixItems": [text, text], "minItems": 2 });
        let list = json!({ "type": "array", "items": text, "minItems": 2 });
        check(pair.clone(), list.clone());
        check(
            json!({ "properties": { "pairs": { "items": pair } } }),
            json!({ "properties": { "pairs": { "items": list } } }),
        );
        check(
            json!({ "oneOf": [{ "prefixItems": [text, true] }] }),
            json!({ "oneOf": [{ "items": { "anyOf": [text, {}] } }] }),
        );
        check(json!({ "additionalProperties": false }), json!({ "additionalProperties": false }));
    }

    #[test]
    fn nothing_is_null_that_has_a_meaning() {
        fn walk(value: &Value, place: &str) {
            match value {
                Value::Null => panic!("{place} is null"),
                // Examples, defaults and constants may be.
                Value::Object(members) => members
                    .iter()
                    .filter(|(key, _)| !["example", "examples", "default", "const", "enum"].contains(&key.as_str()))
                    .for_each(|(key, member)| walk(member, &format!("{place}/{key}"))),
                Value::Array(items) => items.iter().for_each(|item| walk(item, place)),
                _ => {}
            }
        }
        walk(&written(), "");
    }

    /// What a program reads of a body or a parameter: where it stands, its schema and its example.
    fn documented_values(document: &Value) -> Vec<(String, Value, Value)> {
        let mut found = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let place = format!("{method} {path}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    if parameter["required"] == true {
                        let place = format!("{place}: {}", parameter["name"]);
                        found.push((place, parameter["schema"].clone(), parameter["example"].clone()));
                    }
                }
                let bodies = operation["responses"].as_object().unwrap().iter();
                for (what, body) in
                    bodies.map(|(status, body)| (status.as_str(), body)).chain([("body", &operation["requestBody"])])
                {
                    for (kind, media) in body["content"].as_object().into_iter().flatten() {
                        if kind.contains("json") {
                            found.push((format!("{place}: {what}"), media["schema"].clone(), media["example"].clone()));
                        }
                    }
                }
            }
        }
        found
    }

    #[test]
    fn every_operation_has_a_tag_and_examples_that_its_schemas_allow() {
        let document = written();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let tags = operation["tags"].as_array().map_or(0, Vec::len);
                assert_eq!(tags, 1, "{method} {path} has no tag: add its address to `TAGS`");
            }
        }
        let values = documented_values(&document);
        assert!(values.len() > 100, "{}", values.len());
        for (place, mut schema, example) in values {
            assert!(!example.is_null(), "{place} has no example");
            // The references' own place.
            schema["components"] = document["components"].clone();
            let findings = plexichat::schema::findings(&schema, &example);
            assert!(findings.is_empty(), "{place}: {example}: {findings:?}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    references.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|member| walk(member, references));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, references)),
                _ => {}
            }
        }
        let document = written();
        let mut references = Vec::new();
        walk(&document, &mut references);
        assert!(references.contains(&"#/components/schemas/ErrorBody"));
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn a_message_is_described_with_its_key_and_both_outcomes() {
        let document = written();
        let operation = &document["paths"]["/api/v1/rooms/{id}/messages"]["post"];
        let parameters = operation["parameters"].as_array().unwrap();
        let names: Vec<&str> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        assert!(names.contains(&"id") && names.contains(&"Idempotency-Key"), "{names:?}");
        let responses = operation["responses"].as_object().unwrap();
        for status in ["200", "201", "401", "403", "404", "413", "415", "422", "429", "503", "507"] {
            assert!(responses.contains_key(status), "{status}");
        }
    }
}
