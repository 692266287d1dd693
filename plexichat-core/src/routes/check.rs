//! Every mistake in the routes of the linked plugins: paths that are none, that are the server's, or that two routes have.
//! Knows no request.

use std::collections::BTreeMap;
use std::fmt;

use super::{Segment, address, covers, segments};
use crate::descriptor::Descriptor;
use crate::plugin::interface::{Auth, PathShape, RESERVED_SEGMENTS, RouteKind, RouteSpec};
use crate::problem::Problem;
use crate::secret;

/// Every finding in the routes of these plugins.
pub(crate) fn check(plugins: &[&'static Descriptor]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut owners: BTreeMap<String, Claim> = BTreeMap::new();
    for plugin in plugins {
        let specs = (plugin.entry.routes)();
        problems.extend(specs.iter().flat_map(|spec| shape_mistakes(plugin, spec)));
        for spec in &specs {
            if let Some(mistake) = mistake(plugin, spec.path) {
                let message =
                    format!("the route `{} {}` of plugin `{}` {mistake}", spec.method, spec.path, plugin.name);
                problems.push(Problem::new("", message));
                continue;
            }
            let address = address(plugin, spec.path);
            let claim = format!("{} {}", spec.method, shape(&address));
            let here = Claim { plugin, spec: spec.clone() };
            if let Some(other) = owners.insert(claim, here.clone()) {
                let message = format!("two routes have `{} {address}`: {other}, and {here}", spec.method);
                problems.push(Problem::new("", message).hint("give one of them another path, or another method"));
            }
        }
        let unused = |absolute: &&&str| !specs.iter().any(|spec| covers(absolute, spec.path));
        for absolute in plugin.absolute_routes.iter().filter(unused) {
            let message =
                format!("plugin `{}` declares the absolute path `{absolute}` and has no route there", plugin.name);
            problems.push(Problem::new("", message).hint("name the route in `register_routes`, or take the path away"));
        }
    }
    problems.extend(within_anothers(plugins));
    problems
}

/// A route that has an address.
#[derive(Clone)]
struct Claim {
    plugin: &'static Descriptor,
    spec: RouteSpec,
}

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, spec } = self;
        let (method, path, handler) = (spec.method, spec.path, spec.handler);
        write!(
            formatter,
            "`{method} {path}` of plugin `{}` (crate `{}`, handler `{handler}`)",
            plugin.name, plugin.package.name
        )
    }
}

/// What does not go together of a route's auth, path and handler.
fn shape_mistakes(plugin: &Descriptor, spec: &RouteSpec) -> Vec<Problem> {
    let shape = (spec.shape)();
    let mut problems = Vec::new();
    let route =
        format!("the route `{} {}` of plugin `{}` (handler `{}`)", spec.method, spec.path, plugin.name, spec.handler);
    if shape.asks_user && !spec.auth.knows_caller() {
        let message = format!("{route} asks for a `User`, and its auth lets in whoever is not known");
        problems.push(Problem::new("", message).hint("take `Caller`, or let nobody in without `Auth::User`"));
    }
    if let Auth::Signature(signature) = &spec.auth {
        let schema = (plugin.entry.config_schema)();
        if !secret::may_be_at(&schema, signature.secret) {
            let message = format!(
                "{route} is signed with the secret at `{}`, and the configuration has none there",
                signature.secret
            );
            let hint = "name a field of the configuration as a JSON pointer, such as `/secret`, whose type is `Secret`";
            problems.push(Problem::new("", message).hint(hint));
        }
        if signature.timestamp.is_some()
            && !(signature.text.contains("{timestamp}") && signature.text.contains("{body}"))
        {
            let message = format!("{route} signs `{}`, which lacks the time or the body", signature.text);
            problems.push(Problem::new("", message).hint("write `{timestamp}` and `{body}` where they stand"));
        }
    }
    if spec.kind == RouteKind::WebSocket && matches!(spec.auth, Auth::Signature(_)) {
        let message = format!("{route} is a WebSocket, which has no body to sign");
        let hint = "let in whoever is known, such as by `Auth::User`, or have the first message prove who speaks";
        problems.push(Problem::new("", message).hint(hint));
    }
    if spec.kind == RouteKind::WebSocket && shape.body.is_some() {
        let message = format!("{route} is a WebSocket and takes a body, which it never has");
        problems.push(Problem::new("", message).hint("read messages from the socket"));
    }
    let names: Vec<String> = segments(spec.path)
        .into_iter()
        .filter_map(|segment| match segment {
            Segment::One(name) | Segment::Rest(name) => Some(name),
            Segment::Literal(_) => None,
        })
        .collect();
    match &shape.path {
        Some(PathShape::First(_)) if names.len() != 1 => {
            let message = format!("{route} takes one part of its path, which has {} that vary", names.len());
            problems.push(Problem::new("", message).hint("take `Path` of a type with `#[plexichat::model]`"));
        }
        Some(PathShape::Named(schema)) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
            for name in required.filter(|name| !names.iter().any(|known| known == name)) {
                let message = format!("{route} takes `{name}` of its path, which has no `{{{name}}}`");
                problems.push(Problem::new("", message).hint("name the field as the path does"));
            }
            let known = |name: &String| schema["properties"].get(name.as_str()).is_some();
            for name in names.iter().filter(|name| !known(name)) {
                let message = format!("{route} has `{{{name}}}` in its path, which its handler's type has not");
                problems.push(Problem::new("", message).hint("name the field as the path does"));
            }
        }
        _ => {}
    }
    problems
}

/// Absolute paths that lie below another plugin's.
fn within_anothers(plugins: &[&'static Descriptor]) -> Vec<Problem> {
    let claims = || plugins.iter().flat_map(|plugin| plugin.absolute_routes.iter().map(move |path| (*plugin, *path)));
    let mut problems = Vec::new();
    for (plugin, path) in claims() {
        // The same path twice is told by the catalogue, and by the compiler before.
        let within =
            |(other, above): &(&Descriptor, &str)| other.name != plugin.name && *above != path && covers(above, path);
        if let Some((other, above)) = claims().find(|(other, above)| within(&(*other, *above))) {
            let (one, other) = (plugin.package.name, other.package.name);
            let message =
                format!("the absolute path `{path}` of crate `{one}` lies below `{above}` of crate `{other}`");
            problems.push(Problem::new("", message).hint("give one of them another path"));
        }
    }
    problems
}

/// The address with the names of its variable parts left out: two that differ in these alone are the same.
fn shape(address: &str) -> String {
    let segment = |segment: Segment| match segment {
        Segment::Literal(literal) => format!("/{literal}"),
        Segment::One(_) => "/{}".to_owned(),
        Segment::Rest(_) => "/{...}".to_owned(),
    };
    segments(address).into_iter().map(segment).collect()
}

fn mistake(plugin: &Descriptor, path: &str) -> Option<&'static str> {
    let name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let literal = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !text.is_empty() && text != "." && text != ".." && text.bytes().all(allowed)
    };
    let Some(rest) = path.strip_prefix('/') else { return Some("does not begin with `/`") };
    let found = segments(rest);
    for (index, segment) in found.iter().enumerate() {
        let good = match segment {
            Segment::Literal(text) => literal(text),
            Segment::One(text) => name(text),
            Segment::Rest(text) if index + 1 < found.len() => {
                return Some(if name(text) { "has something behind `{name...}`" } else { "has a part without a name" });
            }
            Segment::Rest(text) => name(text),
        };
        if !good {
            return Some("is no path of letters, digits, `-._~` and `{name}`");
        }
    }
    let is_absolute = plugin.has_absolute(path);
    match found.first() {
        Some(Segment::Literal(first)) if !is_absolute && RESERVED_SEGMENTS.contains(&first.as_str()) => {
            Some("is the server's own; `schema config install uninstall enable disable release -` are")
        }
        // `{name}` there would hide those of the server.
        Some(Segment::One(_) | Segment::Rest(_)) if !is_absolute => Some("must begin with a word, not with `{name}`"),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::descriptor::{Entry, sample};
    use crate::plugin::interface::{FromCall, Path, RouteShape, Signature, User};

    /// A route of a test.
    pub(in super::super) fn spec(method: &'static str, path: &'static str) -> RouteSpec {
        RouteSpec::new(method, path, Auth::User, "handler")
    }

    /// A plugin with these routes.
    pub(in super::super) fn plugin(
        name: &'static str,
        absolute_routes: &'static [&'static str],
        routes: fn() -> Vec<RouteSpec>,
    ) -> &'static Descriptor {
        let plugin = sample::plugin(name);
        Box::leak(Box::new(Descriptor { absolute_routes, entry: Entry { routes, ..plugin.entry }, ..plugin }))
    }

    #[track_caller]
    fn check(plugins: &[&'static Descriptor], expected: &[&str]) {
        let found: Vec<String> = super::check(plugins).into_iter().map(|problem| problem.message).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_are_plain() {
        let good = plugin("a", &["/v1"], || {
            vec![spec("GET", "/v1/{id...}"), spec("GET", "/v1"), spec("GET", "/a/{id}/b"), spec("POST", "/a/{name}/b")]
        });
        check(&[good], &[]);
        let bad = plugin("a", &[], || {
            vec![
                spec("GET", "a"),
                spec("GET", "/"),
                spec("GET", "/a//b"),
                spec("GET", "/a/../b"),
                spec("GET", "/a b"),
                spec("GET", "/a/{Id}"),
                spec("GET", "/a/{rest...}/b"),
                spec("PUT", "/config"),
                spec("GET", "/{id}"),
            ]
        });
        check(
            &[bad],
            &[
                "the route `GET a` of plugin `a` does not begin with `/`",
                "the route `GET /` of plugin `a` is no path of letters, digits, `-._~` and `{name}`",
                "the route `GET /a//b` of plugin `a` is no path of letters, digits, `-._~` and `{name}`",
                "the route `GET /a/../b` of plugin `a` is no path of letters, digits, `-._~` and `{name}`",
                "the route `GET /a b` of plugin `a` is no path of letters, digits, `-._~` and `{name}`",
                "the route `GET /a/{Id}` of plugin `a` is no path of letters, digits, `-._~` and `{name}`",
                "the route `GET /a/{rest...}/b` of plugin `a` has something behind `{name...}`",
                "the route `PUT /config` of plugin `a` is the server's own; `schema config install uninstall enable \
                 disable release -` are",
                "the route `GET /{id}` of plugin `a` must begin with a word, not with `{name}`",
            ],
        );
    }

    #[test]
    fn one_address_has_one_route() {
        let twice = plugin("a", &[], || vec![spec("GET", "/a/{id}"), spec("GET", "/a/{name}"), spec("PUT", "/a/{id}")]);
        check(
            &[twice],
            &[
                "two routes have `GET /api/v1/plugins/a/a/{name}`: `GET /a/{id}` of plugin `a` (crate `plexichat-test`, handler \
               `handler`), and `GET /a/{name}` of plugin `a` (crate `plexichat-test`, handler `handler`)",
            ],
        );
        let one = plugin("a", &["/v1/models"], || vec![spec("GET", "/v1/models"), spec("GET", "/same")]);
        let other = plugin("b", &["/v1/models/extra"], || vec![spec("GET", "/v1/models/extra"), spec("GET", "/same")]);
        check(
            &[one, other],
            &["the absolute path `/v1/models/extra` of crate `plexichat-test` lies below `/v1/models` of crate \
               `plexichat-test`"],
        );
        let same = plugin("b", &["/v1/models"], || vec![spec("GET", "/v1/models")]);
        check(
            &[one, same],
            &[
                "two routes have `GET /v1/models`: `GET /v1/models` of plugin `a` (crate `plexichat-test`, handler `handler`), and \
               `GET /v1/models` of plugin `b` (crate `plexichat-test`, handler `handler`)",
            ],
        );
        let idle = plugin("a", &["/v1/models"], Vec::new);
        check(&[idle], &["plugin `a` declares the absolute path `/v1/models` and has no route there"]);
    }

    /// A plugin with a secret in its configuration and one route.
    fn with_route(routes: fn() -> Vec<RouteSpec>) -> &'static Descriptor {
        let plugin = plugin("a", &[], routes);
        let config_schema = || {
            serde_json::json!({ "type": "object", "properties": {
                "secret": { "anyOf": [{ "type": "string", "x-plexichat-secret": true }, { "type": "null" }] },
                "url": { "type": "string" },
            } })
        };
        Box::leak(Box::new(Descriptor { entry: Entry { config_schema, ..plugin.entry }, ..*plugin }))
    }

    #[test]
    fn types_auth_and_path_go_together() {
        fn of<A: FromCall>() -> RouteShape {
            let mut shape = RouteShape::default();
            A::describe(&mut shape);
            shape
        }
        check(
            &[with_route(|| vec![RouteSpec { shape: of::<User>, auth: Auth::Public, ..spec("GET", "/a") }])],
            &[
                "the route `GET /a` of plugin `a` (handler `handler`) asks for a `User`, and its auth lets in whoever is not \
               known",
            ],
        );
        check(&[with_route(|| vec![RouteSpec { shape: of::<User>, ..spec("GET", "/a") }])], &[]);
        check(
            &[with_route(|| vec![RouteSpec { shape: of::<Path<u64>>, ..spec("GET", "/a/{id}/{part}") }])],
            &[
                "the route `GET /a/{id}/{part}` of plugin `a` (handler `handler`) takes one part of its path, which has 2 that \
               vary",
            ],
        );
        check(
            &[with_route(|| {
                vec![RouteSpec { auth: Auth::Signature(Signature::hmac_sha256("x", "/url")), ..spec("POST", "/a") }]
            })],
            &["the route `POST /a` of plugin `a` (handler `handler`) is signed with the secret at `/url`, and the \
               configuration has none there"],
        );
        check(
            &[with_route(|| {
                vec![RouteSpec { auth: Auth::Signature(Signature::hmac_sha256("x", "/secret")), ..spec("POST", "/a") }]
            })],
            &[],
        );
        check(
            &[with_route(|| {
                let auth = Auth::Signature(Signature::hmac_sha256("x", "/secret"));
                vec![RouteSpec { auth, kind: RouteKind::WebSocket, ..spec("GET", "/a") }]
            })],
            &["the route `GET /a` of plugin `a` (handler `handler`) is a WebSocket, which has no body to sign"],
        );
    }
}
