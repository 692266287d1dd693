//! What a manifest may not say, each rule as a finding. Knows nothing of other plugins.

use std::collections::BTreeSet;
use std::str::FromStr;

use semver::{Version, VersionReq};

use super::{Manifest, SCHEMA_VERSION, TriggerEntry, ui};
use crate::descriptor::Role;
use crate::event::{CUSTOM_PREFIX, Pattern, catalog};
use crate::id::PluginName;
use crate::permission::Permission;
use crate::plugin::interface::RESERVED_SEGMENTS;
use crate::problem::{Problem, nearest};
use crate::tool;
use crate::trigger::{On, TriggerSpec};

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Who may call a route, beside `scope:` and a token's scope.
const AUTHS: &[&str] = &["public", "user", "moderator", "admin"];

const DESCRIPTION_MAX: usize = 500;
const TAGS_MAX: usize = 20;

/// Everything that is wrong with a manifest.
pub fn check(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_package(manifest, &mut problems);
    check_roles(manifest, &mut problems);
    check_events(manifest, &mut problems);
    check_commands(manifest, &mut problems);
    check_tools(manifest, &mut problems);
    check_triggers(manifest, &mut problems);
    check_requirements(manifest, &mut problems);
    check_routes(manifest, &mut problems);
    ui::check(manifest, &mut problems);
    check_schema(manifest, &mut problems);
    problems
}

fn check_package(manifest: &Manifest, problems: &mut Vec<Problem>) {
    let mut find = |pointer: &str, message: &str, hint: &str| {
        problems.push(Problem::new(pointer, message).hint(hint));
    };
    if manifest.schema_version != SCHEMA_VERSION {
        let hint = format!("this version reads manifests of version {SCHEMA_VERSION}");
        find("/schema_version", "this version of the manifest's shape is unknown", &hint);
    }
    if Version::parse(&manifest.version).is_err() {
        find("/version", "this is no version", "three numbers as SemVer writes them: `1.2.3`");
    }
    for (pointer, text, key) in [
        ("/description", &manifest.description, "description"),
        ("/author", &manifest.author, "authors"),
        ("/license", &manifest.license, "license"),
        ("/rust_version", &manifest.rust_version, "rust-version"),
    ] {
        if text.trim().is_empty() {
            find(pointer, "is empty", &format!("set `{key}` in the plugin's Cargo.toml"));
        }
    }
    if manifest.description.chars().count() > DESCRIPTION_MAX {
        find("/description", "is too long", "one sentence; the rest belongs in README.md");
    }
    if manifest.email.as_ref().is_some_and(|email| !email.contains('@')) {
        find("/email", "this is no address", "Cargo.toml writes authors as `Name <name@example.org>`");
    }
    if !manifest.rust_version.is_empty() && !is_rust_version(&manifest.rust_version) {
        find("/rust_version", "this is no version of Rust", "two or three numbers: `1.95`");
    }
    if VersionReq::parse(&manifest.plexichat_version).is_err() {
        find("/plexichat_version", "this is no range of versions", "as Cargo writes it: `0.1` or `>=0.1, <0.3`");
    }
    let is_path = manifest.entry_point.split("::").count() >= 2
        && manifest.entry_point.split("::").all(|part| {
            !part.is_empty() && part.chars().all(|character| character.is_alphanumeric() || character == '_')
        });
    if !is_path {
        find("/entry_point", "this is no path of a type", "`crate_name::Type`");
    }
    if !is_word(&manifest.category) {
        find("/category", "this is no category", "lower-case words joined by `-`: `category = \"productivity\"`");
    }
    if manifest.tags.len() > TAGS_MAX {
        find("/tags", "there are too many tags", "at most 20");
    }
    for (index, tag) in manifest.tags.iter().enumerate() {
        if !is_word(tag) {
            find(&format!("/tags/{index}"), "this is no tag", "lower-case words joined by `-`");
        }
    }
    distinct("/tags", &manifest.tags, problems);
    let permissions: Vec<&str> = manifest.permissions.iter().map(|permission| permission.as_str()).collect();
    distinct("/permissions", &permissions, problems);
}

fn check_roles(manifest: &Manifest, problems: &mut Vec<Problem>) {
    let kind = manifest.provides.first().copied().unwrap_or(Role::Automation);
    if manifest.kind != kind {
        problems.push(Problem::new("/type", "has to be the first of `provides`, or `automation` where there is none"));
    }
    let roles: Vec<String> = manifest.provides.iter().map(|role| format!("{role:?}")).collect();
    distinct("/provides", &roles, problems);
    let hooks: Vec<&str> = manifest.hooks.iter().map(|entry| entry.hook.as_str()).collect();
    distinct("/hooks", &hooks, problems);
    if !manifest.hooks.is_empty() && !manifest.provides.contains(&Role::Security) {
        problems.push(Problem::new("/hooks", "only a plugin that provides `security` has these hooks"));
    }
    for (index, entry) in manifest.hooks.iter().enumerate() {
        let most = entry.hook.timeout_max().as_millis();
        if entry.timeout_ms == 0 || u128::from(entry.timeout_ms) > most {
            let message = format!("must be more than nothing and at most {most} ms");
            problems.push(Problem::new(format!("/hooks/{index}/timeout_ms"), message));
        }
        let sees_files = entry.hook.default_policy().max_bytes.is_some();
        match entry.max_bytes {
            None if sees_files => {
                problems.push(Problem::new(format!("/hooks/{index}/max_bytes"), "a hook that sees files needs it"));
            }
            Some(_) if !sees_files => {
                let message = format!("`{}` sees no files", entry.hook.as_str());
                problems.push(Problem::new(format!("/hooks/{index}/max_bytes"), message));
            }
            Some(0) => {
                problems.push(Problem::new(format!("/hooks/{index}/max_bytes"), "has to be more than nothing"));
            }
            _ => {}
        }
        for (side, names) in [("before", &entry.before), ("after", &entry.after)] {
            for (place, name) in names.iter().enumerate() {
                check_other(manifest, &format!("/hooks/{index}/{side}/{place}"), name, problems);
            }
        }
    }
}

fn check_events(manifest: &Manifest, problems: &mut Vec<Problem>) {
    let may_read = manifest.permissions.contains(&Permission::UserDataAccess);
    for (index, event) in manifest.events.iter().enumerate() {
        let pointer = format!("/events/{index}");
        if let Err(error) = Pattern::new(event.as_str()) {
            problems.push(Problem::new(&*pointer, error.to_string()));
        }
        if !may_read && (event == "*" || catalog::WITH_CONTENT.contains(&event.as_str())) {
            let message = format!("`{event}` carries what people wrote, and `user_data_access` is not asked for");
            problems.push(Problem::new(pointer, message).hint("add `permissions(UserDataAccess)` to the attribute"));
        }
    }
    distinct("/events", &manifest.events, problems);
    for (index, event) in manifest.emits.iter().enumerate() {
        let name = event.strip_prefix(CUSTOM_PREFIX);
        if !name.is_some_and(|name| name.split('.').all(|part| is_name(part, b'_'))) {
            let problem = Problem::new(format!("/emits/{index}"), "this is no name of a plugin's own event");
            problems.push(problem.hint("`custom.` and lower-case words joined by `_`: `custom.report_ready`"));
        }
    }
    distinct("/emits", &manifest.emits, problems);
}

fn check_commands(manifest: &Manifest, problems: &mut Vec<Problem>) {
    for (index, command) in manifest.commands.iter().enumerate() {
        let call = format!("/{}", command.name);
        if crate::command::split(&call) != Some((command.name.as_str(), "")) {
            let problem = Problem::new(format!("/commands/{index}/name"), "this is no name of a command");
            problems.push(problem.hint("lower-case letters, digits, `-` and `_`, starting with a letter, no slash"));
        }
        if command.help.trim().is_empty() {
            let problem = Problem::new(format!("/commands/{index}/help"), "is empty");
            problems.push(problem.hint("the method's documentation is the help"));
        }
    }
    let names: Vec<&str> = manifest.commands.iter().map(|command| command.name.as_str()).collect();
    distinct("/commands", &names, problems);
}

fn check_tools(manifest: &Manifest, problems: &mut Vec<Problem>) {
    for (index, entry) in manifest.tools.iter().enumerate() {
        if let Some(problem) = tool::name_problem(&entry.name) {
            problems.push(Problem::new(format!("/tools/{index}/name"), "this is no name of a tool").hint(problem));
        }
        if entry.help.trim().is_empty() {
            let problem = Problem::new(format!("/tools/{index}/help"), "is empty");
            problems.push(problem.hint("the method's documentation is what models read"));
        }
        if entry.arguments["type"] != "object" {
            let problem = Problem::new(format!("/tools/{index}/arguments"), "has to describe an object");
            problems.push(problem.hint("a tool's arguments are a `#[plexichat::model]` struct"));
        }
    }
    let names: Vec<&str> = manifest.tools.iter().map(|tool| tool.name.as_str()).collect();
    distinct("/tools", &names, problems);
}

fn check_triggers(manifest: &Manifest, problems: &mut Vec<Problem>) {
    if !manifest.triggers.is_empty() && !manifest.provides.contains(&Role::Automation) {
        problems.push(Problem::new("/triggers", "only a plugin that provides `automation` has triggers"));
    }
    let may_read = manifest.permissions.contains(&Permission::UserDataAccess);
    for (index, entry) in manifest.triggers.iter().enumerate() {
        let pointer = format!("/triggers/{index}");
        let TriggerEntry { id, on, workflow, scope } = entry.clone();
        let spec = TriggerSpec::new(id, on, workflow, scope);
        // The calendar is the host's: a plugin alone is checked without it.
        #[cfg(feature = "host")]
        let checked = crate::automation::check(&spec);
        #[cfg(not(feature = "host"))]
        let checked = spec.check();
        if let Err(error) = checked {
            problems.push(Problem::new(&*pointer, error.message().to_owned()));
        }
        let On::Event { names, .. } = &spec.on else { continue };
        let carries = |name: &&String| *name == "*" || catalog::WITH_CONTENT.contains(&name.as_str());
        if let Some(event) = names.iter().find(carries).filter(|_| !may_read) {
            let message = format!("`{event}` carries what people wrote, and `user_data_access` is not asked for");
            problems.push(Problem::new(pointer, message).hint("add `permissions(UserDataAccess)` to the attribute"));
        }
    }
    let ids: Vec<&str> = manifest.triggers.iter().map(|entry| entry.id.as_str()).collect();
    distinct("/triggers", &ids, problems);
}

fn check_requirements(manifest: &Manifest, problems: &mut Vec<Problem>) {
    for (index, required) in manifest.requires.iter().enumerate() {
        check_other(manifest, &format!("/requires/{index}/name"), &required.name, problems);
        if VersionReq::parse(&required.version).is_err() {
            let problem = Problem::new(format!("/requires/{index}/version"), "this is no range of versions");
            problems.push(problem.hint("as Cargo writes it: `0.1` or `*`"));
        }
    }
    let names: Vec<&str> = manifest.requires.iter().map(|required| required.name.as_str()).collect();
    distinct("/requires", &names, problems);
}

fn check_routes(manifest: &Manifest, problems: &mut Vec<Problem>) {
    for (index, route) in manifest.api_endpoints.iter().enumerate() {
        let place = |field: &str| format!("/api_endpoints/{index}/{field}");
        let is_odd = |segment: &str| segment == "." || segment == "..";
        if !route.path.starts_with('/') || route.path.split('/').any(is_odd) || route.path.contains("//") {
            problems.push(Problem::new(place("path"), "this is no path").hint("it begins with `/`"));
        }
        let first = route.path.split('/').nth(1).unwrap_or_default();
        if !route.absolute && RESERVED_SEGMENTS.contains(&first) {
            problems.push(Problem::new(place("path"), format!("`/{first}` is the server's own")));
        }
        let is_scope = route.auth.strip_prefix("scope:").is_some_and(|scope| !scope.is_empty());
        let is_signature = route.auth.strip_prefix("signature:").is_some_and(|header| !header.is_empty());
        if !is_scope && !is_signature && !AUTHS.contains(&route.auth.as_str()) {
            let problem = Problem::new(place("auth"), "nobody is known by this name");
            problems.push(problem.hint(format!("one of {}, or `scope:` and a scope", AUTHS.join(", "))));
        }
        if !METHODS.contains(&route.method.as_str()) {
            let problem = Problem::new(place("method"), "this is no method");
            let near = nearest(&route.method, METHODS.iter().copied());
            problems.push(problem.hint(
                near.map_or_else(|| format!("one of {}", METHODS.join(", ")), |near| format!("did you mean `{near}`?")),
            ));
        }
    }
    let routes: Vec<String> = manifest
        .api_endpoints
        .iter()
        .map(|route| format!("{} {}{}", route.method, route.path, if route.absolute { " from the root" } else { "" }))
        .collect();
    distinct("/api_endpoints", &routes, problems);
}

fn check_schema(manifest: &Manifest, problems: &mut Vec<Problem>) {
    if manifest.config_schema["type"] != "object" {
        problems.push(Problem::new("/config_schema", "has to describe a table: `\"type\": \"object\"`"));
    }
}

/// A name that has to be another plugin's.
fn check_other(manifest: &Manifest, pointer: &str, name: &str, problems: &mut Vec<Problem>) {
    match PluginName::from_str(name) {
        Ok(other) if other == manifest.name => problems.push(Problem::new(pointer, "this is the plugin itself")),
        Ok(_) => {}
        Err(error) => problems.push(Problem::new(pointer, error.to_string())),
    }
}

pub(super) fn distinct<T: AsRef<str>>(pointer: &str, names: &[T], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        if !seen.insert(name.as_ref()) {
            let message = format!("`{}` stands here twice", name.as_ref());
            problems.push(Problem::new(format!("{pointer}/{index}"), message));
        }
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= 40 && text.split('-').all(|part| is_name(part, b'-'))
}

fn is_name(text: &str, joint: u8) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint)
}

fn is_rust_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    (2..=3).contains(&parts.len()) && parts.iter().all(|part| part.parse::<u16>().is_ok())
}
