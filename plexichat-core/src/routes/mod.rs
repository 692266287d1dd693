//! Which linked plugin answers which address: known without an instance, the same from start to end. Whether the plugin runs
//! is asked of the snapshot at each request, so that routes come and go with it. Knows no HTTP.

mod check;
mod signature;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::descriptor::Descriptor;
use crate::plugin::interface::pairs::decoded;
use crate::plugin::interface::{Auth, RouteSpec};
use crate::secret::Secret;

pub(crate) use check::check;
pub use signature::{SignatureError, check_signature};

/// Where relative routes lie, before the plugin's name.
pub const PREFIX: &str = "/api/v1/plugins/";

/// The routes of all linked plugins.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// Addresses without variable parts, and the routes that have them.
    literal: HashMap<Arc<str>, Vec<usize>>,
    /// The routes with variable parts, what is more particular first.
    variable: Vec<usize>,
}

/// A route of a linked plugin.
#[derive(Debug, Clone)]
pub struct Route {
    /// Whose it is.
    pub plugin: &'static Descriptor,
    /// Its index in what [`Entry::routes`](crate::descriptor::Entry::routes) gives.
    pub index: usize,
    /// What the plugin says of it.
    pub spec: RouteSpec,
    /// The whole address, with its variable parts in braces.
    pub address: Arc<str>,
    pattern: Vec<Segment>,
}

/// A part of an address. The order says which of two addresses is the more particular.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    /// `{name}`: one segment.
    One(String),
    /// `{name...}`: all that is left.
    Rest(String),
}

/// What there is at an address.
#[derive(Debug)]
pub enum Lookup<'t> {
    /// A route, and what stands for its variable parts.
    Found(&'t Route, Vec<(String, String)>),
    /// Routes for these other methods.
    OtherMethods(&'static Descriptor, Vec<&'static str>),
    /// Nothing.
    Nothing,
}

impl RouteTable {
    /// The routes of these plugins, which [`Catalog::of`](crate::catalog::Catalog::of) has checked.
    pub fn new(plugins: &[&'static Descriptor]) -> Self {
        let mut table = Self::default();
        for plugin in plugins {
            for (index, spec) in (plugin.entry.routes)().into_iter().enumerate() {
                let address: Arc<str> = address(plugin, spec.path).into();
                let pattern = segments(&address);
                if pattern.iter().all(|segment| matches!(segment, Segment::Literal(_))) {
                    table.literal.entry(address.clone()).or_default().push(table.routes.len());
                } else {
                    table.variable.push(table.routes.len());
                }
                table.routes.push(Route { plugin, index, spec, address, pattern });
            }
        }
        let Self { routes, variable, .. } = &mut table;
        variable.sort_by(|left, right| routes[*left].pattern.cmp(&routes[*right].pattern));
        table
    }

    /// All of them, by plugin.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// What there is at an address, percent-encoded as a request has it. A route for `GET` answers `HEAD` too.
    pub fn find(&self, method: &str, path: &str) -> Lookup<'_> {
        let wanted = if method == "HEAD" { "GET" } else { method };
        let mut others: Option<(&'static Descriptor, Vec<&'static str>)> = None;
        let mut other = |route: &Route| {
            let (_, methods) = others.get_or_insert_with(|| (route.plugin, Vec::new()));
            methods.push(route.spec.method);
        };
        for index in self.literal.get(path).into_iter().flatten() {
            let route = &self.routes[*index];
            match route.spec.method == wanted {
                true => return Lookup::Found(route, Vec::new()),
                false => other(route),
            }
        }
        for index in &self.variable {
            let route = &self.routes[*index];
            let Some(parameters) = matched(&route.pattern, path) else { continue };
            match route.spec.method == wanted {
                true => return Lookup::Found(route, parameters),
                false => other(route),
            }
        }
        others.map_or(Lookup::Nothing, |(plugin, methods)| Lookup::OtherMethods(plugin, methods))
    }

    /// The plugin that has routes at an address, whatever the method.
    pub fn owner(&self, path: &str) -> Option<&'static Descriptor> {
        match self.find("", path) {
            Lookup::Found(route, _) => Some(route.plugin),
            Lookup::OtherMethods(plugin, _) => Some(plugin),
            Lookup::Nothing => None,
        }
    }
}

/// The secrets of a configuration by which calls of a plugin's routes are signed.
pub(crate) fn signing_secrets(plugin: &Descriptor, config: &Value) -> BTreeMap<&'static str, Secret> {
    let specs = (plugin.entry.routes)().into_iter();
    let pointers = specs.filter_map(|spec| match spec.auth {
        Auth::Signature(signature) => Some(signature.secret),
        _ => None,
    });
    let secret =
        |pointer| Some((pointer, Secret::new(config.pointer(pointer)?.as_str().filter(|text| !text.is_empty())?)));
    pointers.filter_map(secret).collect()
}

/// Whether an absolute path of the attribute covers a path: it is the same, or lies below.
fn covers(absolute: &str, path: &str) -> bool {
    path.strip_prefix(absolute).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The whole address of a plugin's route.
fn address(plugin: &Descriptor, path: &str) -> String {
    match plugin.has_absolute(path) {
        true => path.to_owned(),
        false => format!("{PREFIX}{}{path}", plugin.name),
    }
}

fn segments(address: &str) -> Vec<Segment> {
    let segment = |text: &str| {
        let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        match name.map(|name| (name, name.strip_suffix("..."))) {
            None => Segment::Literal(text.to_owned()),
            Some((_, Some(name))) => Segment::Rest(name.to_owned()),
            Some((name, None)) => Segment::One(name.to_owned()),
        }
    };
    address.trim_start_matches('/').split('/').map(segment).collect()
}

/// What stands for the variable parts, where the path fits.
fn matched(pattern: &[Segment], path: &str) -> Option<Vec<(String, String)>> {
    let mut rest = Some(path.strip_prefix('/')?);
    let mut parameters = Vec::new();
    for segment in pattern {
        let left = rest?;
        let (next, after) = match segment {
            Segment::Rest(_) => (left, None),
            _ => left.split_once('/').map_or((left, None), |(next, after)| (next, Some(after))),
        };
        match segment {
            Segment::Literal(literal) if literal == next => {}
            Segment::Literal(_) => return None,
            Segment::One(name) | Segment::Rest(name) => {
                parameters.push((name.clone(), decoded(next).filter(|value| !value.is_empty())?));
            }
        }
        rest = after;
    }
    rest.is_none().then_some(parameters)
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.spec.method, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::check::tests::{plugin, spec};
    use super::*;

    fn table() -> RouteTable {
        RouteTable::new(&[
            plugin("gateway", &["/v1/models", "/v1/chat/completions"], || {
                vec![
                    spec("GET", "/v1/models/{id...}"),
                    spec("GET", "/v1/models"),
                    spec("POST", "/v1/chat/completions"),
                    spec("GET", "/status"),
                ]
            }),
            plugin("notes", &[], || {
                vec![
                    spec("GET", "/notes/{id}"),
                    spec("PUT", "/notes/{id}"),
                    spec("GET", "/notes/new"),
                    spec("GET", "/notes/{id}/{part}"),
                    spec("GET", "/notes/{id}/all"),
                ]
            }),
        ])
    }

    #[track_caller]
    fn check(request: &str, expected: &str) {
        let table = table();
        let (method, path) = request.split_once(' ').unwrap();
        let found = match table.find(method, path) {
            Lookup::Found(route, parameters) => {
                let parameters: Vec<String> =
                    parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                format!("{} {}{}", route.plugin.name, route.index, parameters.concat())
            }
            Lookup::OtherMethods(plugin, methods) => format!("{} has {}", plugin.name, methods.join(", ")),
            Lookup::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn an_address_leads_to_one_route() {
        check("GET /v1/models", "gateway 1");
        check("HEAD /v1/models", "gateway 1");
        check("GET /v1/models/openai/gpt-4o", "gateway 0 id=openai/gpt-4o");
        check("GET /v1/models/openai%2Fgpt-4o", "gateway 0 id=openai/gpt-4o");
        check("GET /v1/models/", "nothing");
        check("GET /v1/models/%FF", "nothing");
        check("GET /v1/models/%4", "nothing");
        check("GET /v1/modelsx", "nothing");
        check("GET /v1", "nothing");
        check("POST /v1/models", "gateway has GET");
        check("GET /v1/chat/completions", "gateway has POST");
        check("GET /status", "nothing");
        check("GET /api/v1/plugins/gateway/status", "gateway 3");
        check("GET /api/v1/plugins/gateway/v1/models", "nothing");
        check("GET /api/v1/plugins/notes/notes/new", "notes 2");
        check("GET /api/v1/plugins/notes/notes/old", "notes 0 id=old");
        check("DELETE /api/v1/plugins/notes/notes/old", "notes has GET, PUT");
        check("GET /api/v1/plugins/notes/notes/7/all", "notes 4 id=7");
        check("GET /api/v1/plugins/notes/notes/7/text", "notes 3 id=7 part=text");
        check("GET /api/v1/plugins/notes/notes/7/text/", "nothing");
        check("GET /api/v1/plugins/notes/notes/", "nothing");
        check("GET /api/v1/plugins/other/status", "nothing");
    }
}
