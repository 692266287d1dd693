//! The routes of plugins in `/openapi.json`, with what each takes and answers. Knows no request.

use std::collections::BTreeMap;

use plexichat::plugin::interface::{AnswerShape, Auth, PathShape, RouteKind};
use plexichat::routes::{PREFIX, Route, RouteTable};
use serde_json::{Map, Value, json};

use super::auth::Needs;
use super::openapi::{SECURITY_SCHEME, SESSION_SCHEME};
use super::{describe, plugin_routes};

/// Adds the routes of all linked plugins to a document.
pub(super) fn add(document: &mut Value, plugins: &RouteTable) {
    let mut components = Components::default();
    let mut operations: Vec<(String, String, Value)> = Vec::new();
    for route in plugins.routes() {
        let path = route.address.replace("...}", "}");
        let operation = operation(route, &mut components);
        operations.push((path, route.spec.method.to_lowercase(), operation));
    }
    for (name, schema) in components.schemas {
        document["components"]["schemas"][name] = schema;
    }
    for (_, _, operation) in &mut operations {
        describe::give_examples(document, operation);
    }
    for (path, method, operation) in operations {
        document["paths"][path][method] = operation;
    }
}

/// The types of plugins by the names that they have in the document: one plugin's never meet another's.
#[derive(Default)]
struct Components {
    schemas: BTreeMap<String, Value>,
}

impl Components {
    /// Takes a schema with its definitions in; the schema as it stands in an operation.
    fn take(&mut self, plugin: &str, mut schema: Value) -> Value {
        let definitions = schema.as_object_mut().and_then(|schema| schema.remove("$defs"));
        let Some(Value::Object(definitions)) = definitions else { return self.named(plugin, schema) };
        // Where another type of the plugin has the name, a number tells them apart; what refers to it is written anew.
        let mut names: BTreeMap<String, String> =
            definitions.keys().map(|name| (name.clone(), prefixed(plugin, name))).collect();
        let mut number = 1;
        while definitions.iter().any(|(name, schema)| !self.is_free(&names[name], &renamed(schema.clone(), &names))) {
            number += 1;
            names.iter_mut().for_each(|(name, to)| *to = format!("{}{number}", prefixed(plugin, name)));
        }
        for (name, schema) in &definitions {
            self.schemas.insert(names[name].clone(), renamed(schema.clone(), &names));
        }
        self.named(plugin, renamed(schema, &names))
    }

    /// A reference to a schema that has a title of its own, the schema itself where it has none.
    fn named(&mut self, plugin: &str, mut schema: Value) -> Value {
        let Some(members) = schema.as_object_mut() else { return schema };
        members.remove("$schema");
        let Some(title) = members.get("title").and_then(Value::as_str).filter(|title| is_name(title)) else {
            return schema;
        };
        let title = prefixed(plugin, title);
        members.remove("title");
        let names = std::iter::once(title.clone()).chain((2..).map(|number| format!("{title}{number}")));
        let mut free = names.filter(|name| self.is_free(name, &schema));
        let name = free.next().unwrap_or(title);
        self.schemas.insert(name.clone(), schema);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn is_free(&self, name: &str, schema: &Value) -> bool {
        self.schemas.get(name).is_none_or(|known| known == schema)
    }
}

fn is_name(title: &str) -> bool {
    !title.is_empty() && title.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `status-page` and `Report` become `StatusPage_Report`: whatever makes clients from the document takes such a name.
fn prefixed(plugin: &str, name: &str) -> String {
    let words = plugin.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    format!("{}_{name}", words.collect::<String>())
}

/// The schema with its references to definitions of its own led to where these are in the document.
fn renamed(mut schema: Value, names: &BTreeMap<String, String>) -> Value {
    fn walk(value: &mut Value, names: &BTreeMap<String, String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get_mut("$ref")
                    && let Some(name) = reference.strip_prefix("#/$defs/").and_then(|name| names.get(name))
                {
                    *reference = format!("#/components/schemas/{name}");
                }
                members.values_mut().for_each(|member| walk(member, names));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, names)),
            _ => {}
        }
    }
    walk(&mut schema, names);
    schema
}

fn operation(route: &Route, components: &mut Components) -> Value {
    let (plugin, spec) = (route.plugin.name, &route.spec);
    let words = route.address.trim_start_matches(PREFIX).split(['/', '-', '.']);
    let words: Vec<&str> =
        words.map(|word| word.trim_matches(['{', '}', '.'])).filter(|word| !word.is_empty()).collect();
    let method = spec.method.to_lowercase();
    // What has no end is told by its name: whatever tries every operation leaves it out.
    let does = match spec.kind {
        RouteKind::WebSocket => "open",
        RouteKind::Events => "follow",
        _ => &method,
    };
    let summary =
        spec.summary.map_or_else(|| format!("`{}` of the plugin `{plugin}`", spec.handler), ToOwned::to_owned);
    let mut operation = json!({
        "operationId": format!("{does}_plugin_{}", words.join("_").to_lowercase()),
        "summary": summary,
        "tags": ["plugins"],
        "x-plexichat-plugin": plugin,
    });
    let shape = (spec.shape)();
    let mut parameters = path_parameters(route, shape.path.as_ref(), components);
    parameters.extend(shape.query.map(|query| query_parameters(plugin, query, components)).unwrap_or_default());
    if let Auth::Signature(signature) = &spec.auth {
        let header = |name: &str, description: &str, example: String| {
            json!({ "name": name, "in": "header", "required": true, "description": description,
                "schema": { "type": "string" }, "example": example })
        };
        let description = "HMAC-SHA256 in hexadecimal digits, with the secret of the plugin's configuration";
        parameters.push(header(signature.header, description, format!("{}{}", signature.prefix, "0".repeat(64))));
        if let Some(timestamp) = signature.timestamp {
            let description = format!("Seconds since 1970. Signed is `{}`", signature.text);
            parameters.push(header(timestamp, &description, "1767225600".to_owned()));
        }
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    let has_body = !["GET", "HEAD", "DELETE"].contains(&spec.method);
    if let Some(schema) = shape.body {
        let media = json!({ "schema": components.take(plugin, schema) });
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": media } });
    } else if shape.takes_anything && has_body {
        let media = json!({ "schema": {}, "example": {} });
        operation["requestBody"] = json!({ "content": { "application/json": media } });
    }
    let needs = plugin_routes::needs(spec.auth);
    if let Some(scope) = needs.scope() {
        operation["security"] = json!([{ SECURITY_SCHEME: [scope.as_str()] }, { SESSION_SCHEME: [] }]);
    }
    let mut responses = Map::new();
    for answer in shape.answers {
        responses.insert(answer.status.to_string(), response(plugin, answer, components));
    }
    if shape.answers_anything {
        responses.insert("default".to_owned(), json!({ "description": "What the plugin answers" }));
    }
    if spec.kind == RouteKind::WebSocket {
        responses
            .insert("101".to_owned(), json!({ "description": "WebSocket is spoken: its messages are the plugin's" }));
    }
    let own_shape = has_own_errors(route);
    for (status, description) in refusals(route, needs) {
        let entry = responses.entry(status.to_string());
        entry.or_insert_with(|| match own_shape {
            true => json!({ "description": description, "content": { "application/json": { "schema": {} } } }),
            false => {
                let schema = json!({ "$ref": "#/components/schemas/ErrorBody" });
                json!({ "description": description, "content": { "application/json": { "schema": schema } } })
            }
        });
    }
    if shape.answers_anything {
        // The plugin's own answer may have the status of one of the host's.
        for response in responses.values_mut() {
            response["content"]["*/*"] = json!({ "schema": {} });
        }
    }
    operation["responses"] = Value::Object(responses);
    operation
}

fn path_parameters(route: &Route, shape: Option<&PathShape>, components: &mut Components) -> Vec<Value> {
    let names = route.address.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let plugin = route.plugin.name;
    let mut named = match shape {
        Some(PathShape::Named(schema)) => properties(plugin, schema.clone(), components),
        _ => Map::new(),
    };
    let parameter = |name: &str| {
        let name = name.trim_end_matches("...");
        let schema = match shape {
            Some(PathShape::First(schema)) => {
                let mut schema = schema.clone();
                schema.as_object_mut().map(|schema| (schema.remove("$schema"), schema.remove("title")));
                schema
            }
            _ => named.remove(name).unwrap_or_else(|| json!({ "type": "string" })),
        };
        let mut parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
        // An example of a text is its name: what it stands for is known to the plugin alone.
        if parameter["schema"] == json!({ "type": "string" }) {
            parameter["example"] = json!(name);
        }
        about(&mut parameter);
        parameter
    };
    names.map(parameter).collect()
}

fn query_parameters(plugin: &str, schema: Value, components: &mut Components) -> Vec<Value> {
    let required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
    let parameter = |(name, schema): (String, Value)| {
        let is_required = required.iter().any(|required| required == name.as_str());
        let mut parameter = json!({ "name": name, "in": "query", "required": is_required, "schema": schema });
        about(&mut parameter);
        parameter
    };
    properties(plugin, schema, components).into_iter().map(parameter).collect()
}

/// What is said of a parameter stands beside its schema.
fn about(parameter: &mut Value) {
    let said = parameter["schema"].as_object_mut().and_then(|schema| schema.remove("description"));
    if let Some(said) = said {
        parameter["description"] = said;
    }
}

/// The properties of an object's schema, which refer to the document.
fn properties(plugin: &str, mut schema: Value, components: &mut Components) -> Map<String, Value> {
    // Without a title the object itself becomes no component.
    schema.as_object_mut().map(|schema| schema.remove("title"));
    match components.take(plugin, schema)["properties"].take() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

fn response(plugin: &str, answer: AnswerShape, components: &mut Components) -> Value {
    let mut response = json!({ "description": "What the plugin answers" });
    if let Some(content_type) = answer.content_type {
        let schema = match answer.schema {
            Some(schema) => components.take(plugin, schema),
            None => json!({ "type": "string" }),
        };
        response["content"][content_type]["schema"] = schema;
    }
    response
}

/// Whether the plugin gives errors of the host another shape.
fn has_own_errors(route: &Route) -> bool {
    let refusal = plexichat::plugin::interface::RouteRefusal::new(404, "not_found", "there is nothing at this address");
    (route.plugin.entry.route_error)(&refusal).is_some()
}

/// What the host answers itself, and what it makes of the plugin's errors.
fn refusals(route: &Route, needs: Needs) -> Vec<(u16, &'static str)> {
    let spec = &route.spec;
    let mut refusals = vec![
        (400, "The request cannot be read"),
        (404, "There is nothing here, or the plugin does not run"),
        (408, "The body took too long"),
        (413, "The body is too large"),
        (415, "The body is encoded"),
        (422, "The request does not fit"),
        (429, "The caller calls too often"),
        (500, "The plugin failed"),
        (502, "What the plugin depends on failed"),
        (503, "The plugin cannot answer now"),
    ];
    if spec.kind == RouteKind::WebSocket {
        refusals.push((426, "No WebSocket is asked for"));
    }
    if matches!(spec.auth, Auth::Signature(_)) {
        refusals.push((401, "The request is not signed, or not with the plugin's secret"));
    }
    if needs != Needs::Nothing {
        refusals.push((401, "It is not known who calls"));
    }
    // A plugin may refuse on its own, too.
    refusals.push((403, "The caller may not do this"));
    if spec.method == "GET" {
        // A GET without a body says nothing of it that could be wrong.
        refusals.retain(|(status, _)| ![408, 413].contains(status));
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_two_plugins_never_meet_and_two_of_one_are_told_apart() {
        let mut components = Components::default();
        let mut take = |plugin: &str, schema: Value| components.take(plugin, schema)["$ref"].take();
        let report = |kind: &str| json!({ "$schema": "x", "title": "Report", "type": kind });
        assert_eq!(take("status-page", report("object")), "#/components/schemas/StatusPage_Report");
        assert_eq!(take("status-page", report("object")), "#/components/schemas/StatusPage_Report");
        assert_eq!(take("status-page", report("string")), "#/components/schemas/StatusPage_Report2");
        assert_eq!(take("other", report("string")), "#/components/schemas/Other_Report");
        let whole = |kind: &str| {
            json!({ "title": "Whole", "properties": { "part": { "$ref": "#/$defs/Part" } },
                "$defs": { "Part": { "type": kind } } })
        };
        assert_eq!(take("a", whole("string")), "#/components/schemas/A_Whole");
        assert_eq!(take("a", whole("number")), "#/components/schemas/A_Whole2");
        let part = |name: &str| components.schemas[name]["properties"]["part"]["$ref"].clone();
        assert_eq!(part("A_Whole"), "#/components/schemas/A_Part");
        assert_eq!(part("A_Whole2"), "#/components/schemas/A_Part2");
        assert_eq!(components.schemas["A_Part2"], json!({ "type": "number" }));
    }
}
