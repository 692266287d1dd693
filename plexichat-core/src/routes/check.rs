//! Every mistake in the routes of the linked plugins: paths that are none, that are the server's, or that two routes have.
//! Knows no request.

use std::collections::BTreeMap;

use super::{Segment, address, covers, segments};
use crate::descriptor::Descriptor;
use crate::plugin::interface::{PathShape, RESERVED_SEGMENTS, RouteSpec};
use crate::problem::Problem;

/// Every finding in the routes of these plugins.
pub(crate) fn check(plugins: &[&'static Descriptor]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut owners: BTreeMap<String, &Descriptor> = BTreeMap::new();
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
            if let Some(owner) = owners.insert(format!("{} {}", spec.method, shape(&address)), plugin) {
                let (one, other) = (owner.package.name, plugin.package.name);
                let message = match owner.name == plugin.name {
                    true => format!("plugin `{}` has the route `{} {address}` twice", plugin.name, spec.method),
                    false => format!("crates `{one}` and `{other}` both have the route `{} {address}`", spec.method),
                };
                problems.push(Problem::new("", message).hint("give one of them another path"));
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
    use crate::plugin::interface::Auth;

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
        check(&[twice], &["plugin `a` has the route `GET /api/v1/plugins/a/a/{name}` twice"]);
        let one = plugin("a", &["/v1/models"], || vec![spec("GET", "/v1/models"), spec("GET", "/same")]);
        let other = plugin("b", &["/v1/models/extra"], || vec![spec("GET", "/v1/models/extra"), spec("GET", "/same")]);
        check(
            &[one, other],
            &["the absolute path `/v1/models/extra` of crate `plexichat-test` lies below `/v1/models` of crate \
               `plexichat-test`"],
        );
        let same = plugin("b", &["/v1/models"], || vec![spec("GET", "/v1/models")]);
        check(&[one, same], &["crates `plexichat-test` and `plexichat-test` both have the route `GET /v1/models`"]);
        let idle = plugin("a", &["/v1/models"], Vec::new);
        check(&[idle], &["plugin `a` declares the absolute path `/v1/models` and has no route there"]);
    }
}
