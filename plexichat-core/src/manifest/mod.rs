//! A plugin's manifest (`plugin.json`): everything that can be known of it without running it. Knows no file and no Cargo.

mod check;
mod ui;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::descriptor::{Descriptor, FailMode, Hook, HookSpec, Role};
use crate::id::PluginName;
use crate::permission::Permission;
use crate::plugin::interface::{RouteKind, RouteSpec};
use crate::problem::Problem;
use crate::tool::{Approval, ToolSpec};
use crate::trigger::{On, Scope, TriggerSpec};

pub use check::check;
pub use ui::{UiComponent, UiComponents, UiView};

/// The version of the manifest's own shape.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that can be known of a plugin without running it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "PlexiChat plugin manifest")]
pub struct Manifest {
    /// The version of this shape: 1.
    pub schema_version: u32,
    /// The plugin's name.
    pub name: PluginName,
    /// Its version (SemVer).
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
    /// Who wrote it.
    pub author: String,
    /// How to reach the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Under which terms it may be used (an SPDX expression).
    pub license: String,
    /// What kind of plugin it is: the first of `provides`, or `automation`.
    #[serde(rename = "type")]
    pub kind: Role,
    /// What it is for, such as `productivity`.
    pub category: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The versions of `plexichat-core` that it accepts, as Cargo writes it.
    pub plexichat_version: String,
    /// The oldest Rust that compiles it.
    pub rust_version: String,
    /// The crates it is built on, with the versions it accepts.
    pub dependencies: BTreeMap<String, String>,
    /// What it asks to be allowed.
    pub permissions: Vec<Permission>,
    /// The type that is the plugin: `crate::Type`.
    pub entry_point: String,
    /// The JSON Schema (2020-12) of its configuration.
    pub config_schema: Value,
    /// What it adds to the interface.
    pub ui_components: UiComponents,
    /// The routes it serves.
    pub api_endpoints: Vec<ApiEndpoint>,
    /// The roles it fills.
    pub provides: Vec<Role>,
    /// The points where the host asks it.
    pub hooks: Vec<HookEntry>,
    /// The events it handles; `*` for all.
    pub events: Vec<String>,
    /// The custom events it emits.
    pub emits: Vec<String>,
    /// The commands it answers.
    pub commands: Vec<CommandEntry>,
    /// The tools that it gives models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolEntry>,
    /// The triggers that its code registers; others may be made while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerEntry>,
    /// The plugins it cannot do without.
    pub requires: Vec<RequiredPlugin>,
}

/// A route that a plugin serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiEndpoint {
    /// The path: below the plugin's own, or from the root where it is absolute.
    pub path: String,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The method that answers.
    pub handler: String,
    /// Whether the path begins at the server's root.
    #[serde(default)]
    pub absolute: bool,
    /// Who may call it: `public`, `user`, `moderator`, `admin`, `scope:` and a token's scope, or `signature:` and the header
    /// with the signature.
    pub auth: String,
    /// What is spoken there: nothing for calls and answers, else `websocket` or `events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// How often each caller may call it in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

/// A point where the host asks the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookEntry {
    /// Which.
    pub hook: Hook,
    /// How long a call may take, in milliseconds; for files a second more for each 10 MiB.
    pub timeout_ms: u64,
    /// The largest file that the plugin is asked about, in bytes; only `scan_file` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// What happens when the call fails.
    pub on_error: FailMode,
    /// Whether messages are refused while the plugin is disabled.
    pub required: bool,
    /// Plugins whose same hook runs after this one.
    pub before: Vec<String>,
    /// Plugins whose same hook runs before this one.
    pub after: Vec<String>,
}

/// A command that the plugin answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandEntry {
    /// The name, without the slash.
    pub name: String,
    /// What it does.
    pub help: String,
    /// The JSON Schema of its arguments.
    pub arguments: Value,
}

/// A tool that models may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolEntry {
    /// Its name; models know it as `<plugin>__<name>`.
    pub name: String,
    /// What it does, for models and for whoever allows it.
    pub help: String,
    /// The JSON Schema of its arguments.
    pub arguments: Value,
    /// Whether a person is asked first.
    pub approval: Approval,
}

/// A trigger that the plugin's code registers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerEntry {
    /// Its name.
    pub id: String,
    /// What it waits for.
    pub on: On,
    /// The workflow that it starts.
    pub workflow: String,
    /// Once in the whole cluster, or on every node.
    pub scope: Scope,
}

/// A plugin that another cannot do without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredPlugin {
    /// Its name.
    pub name: String,
    /// The versions that will do, as Cargo writes it.
    pub version: String,
}

impl Manifest {
    /// The manifest of a linked plugin. The crates it depends on are Cargo's to know: whoever writes `plugin.json` adds
    /// [`dependencies`](Self::dependencies).
    pub fn of(plugin: &Descriptor) -> Self {
        let (author, email) = authors(plugin.package.authors);
        let mut events: Vec<String> =
            plugin.events.iter().flat_map(|event| event.patterns).map(|pattern| (*pattern).to_owned()).collect();
        events.sort();
        events.dedup();
        Self {
            schema_version: SCHEMA_VERSION,
            name: plugin.plugin_name(),
            version: plugin.package.version.to_owned(),
            description: plugin.package.description.to_owned(),
            author,
            email,
            license: plugin.package.license.to_owned(),
            kind: plugin.kind(),
            category: plugin.category.to_owned(),
            tags: owned(plugin.tags),
            plexichat_version: plugin.core.to_owned(),
            rust_version: plugin.package.rust_version.to_owned(),
            dependencies: BTreeMap::new(),
            permissions: plugin.permission_set().iter().collect(),
            entry_point: plugin.entry_point.to_owned(),
            config_schema: sorted((plugin.entry.config_schema)()),
            ui_components: UiComponents::of((plugin.entry.gui)()),
            api_endpoints: (plugin.entry.routes)().iter().map(|route| ApiEndpoint::of(plugin, route)).collect(),
            provides: plugin.provides.to_vec(),
            hooks: plugin.hooks.iter().map(HookEntry::of).collect(),
            events,
            emits: owned(plugin.emits),
            commands: plugin
                .commands
                .iter()
                .map(|command| CommandEntry {
                    name: command.name.to_owned(),
                    help: command.help.trim().to_owned(),
                    arguments: sorted((command.arguments)()),
                })
                .collect(),
            tools: plugin.tools.iter().map(ToolEntry::of).collect(),
            triggers: (plugin.entry.triggers)().into_iter().map(TriggerEntry::of).collect(),
            requires: plugin
                .requires
                .iter()
                .map(|required| RequiredPlugin { name: required.name.to_owned(), version: required.version.to_owned() })
                .collect(),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// Everything that is wrong: where it does not fit the shape, that; else what [`check`] finds.
    pub fn parse(value: &Value) -> Result<Self, Vec<Problem>> {
        let problems = crate::schema::findings(&json_schema(), value);
        if !problems.is_empty() {
            return Err(problems);
        }
        let manifest: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            vec![Problem::new(crate::schema::serde_pointer(error.path()), error.inner().to_string())]
        })?;
        let problems = check(&manifest);
        if problems.is_empty() { Ok(manifest) } else { Err(problems) }
    }

    /// The manifest as `plugin.json` holds it.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest has text keys only");
        text.push('\n');
        text
    }
}

impl ApiEndpoint {
    fn of(plugin: &Descriptor, route: &RouteSpec) -> Self {
        Self {
            path: route.path.to_owned(),
            method: route.method.to_owned(),
            handler: route.handler.to_owned(),
            absolute: plugin.has_absolute(route.path),
            auth: route.auth.to_string(),
            kind: (route.kind != RouteKind::Answer).then(|| route.kind.as_str().to_owned()),
            summary: route.summary.map(ToOwned::to_owned),
            rate: route.rate,
        }
    }
}

impl ToolEntry {
    fn of(spec: &ToolSpec) -> Self {
        Self {
            name: spec.name.to_owned(),
            help: spec.help.trim().to_owned(),
            arguments: sorted((spec.arguments)()),
            approval: spec.approval,
        }
    }
}

impl TriggerEntry {
    fn of(spec: TriggerSpec) -> Self {
        let TriggerSpec { id, on, workflow, scope, .. } = spec;
        Self { id, on, workflow, scope }
    }
}

impl HookEntry {
    fn of(spec: &HookSpec) -> Self {
        Self {
            hook: spec.hook,
            timeout_ms: u64::try_from(spec.policy.timeout.as_millis()).unwrap_or(u64::MAX),
            max_bytes: spec.policy.max_bytes,
            on_error: spec.policy.on_error,
            required: spec.policy.required,
            before: owned(spec.policy.before),
            after: owned(spec.policy.after),
        }
    }
}

/// The JSON Schema (2020-12) of manifests; committed as `manifest.schema.json`.
pub fn json_schema() -> Value {
    sorted(schemars::schema_for!(Manifest).to_value())
}

/// The same with its keys in one order, whatever features another crate turns on in `serde_json`.
fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Splits Cargo's `Name <email>:Name <email>` into the names and the first address.
fn authors(authors: &str) -> (String, Option<String>) {
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    let mut email = None;
    for author in authors.split(':').map(str::trim).filter(|author| !author.is_empty()) {
        match author.strip_suffix('>').and_then(|author| author.split_once('<')) {
            Some((name, address)) => {
                email.get_or_insert_with(|| address.trim().to_owned());
                names.push(name.trim().into());
            }
            None => names.push(author.into()),
        }
    }
    names.retain(|name| !name.is_empty());
    (names.join(", "), email)
}

#[cfg(test)]
mod tests;
