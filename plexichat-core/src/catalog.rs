//! The plugins of this binary: what the linker gathered, compared with what the bundle named, sorted and checked. Starts
//! none of them.

use std::collections::BTreeMap;

use crate::assistant::command::NAME as RESERVED_COMMAND;
use crate::descriptor::{Descriptor, Hook};
use crate::order::{hook_order, start_order};
use crate::plugin::gui::component;
use crate::problem::Problem;
use crate::{registry, routes};

/// The version of this crate, which plugins state a range for.
pub const CORE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The plugins of this binary, checked.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Each behind those it requires.
    plugins: Vec<&'static Descriptor>,
    hooks: BTreeMap<Hook, Vec<&'static str>>,
}

impl Catalog {
    /// What the linker gathered, compared with what the bundle names.
    ///
    /// # Errors
    /// Every plugin that the linker dropped, that nobody named, or that stands there twice; every clash, requirement and
    /// version that does not fit.
    pub fn linked(expected: &[Descriptor]) -> Result<Self, Vec<Problem>> {
        let linked: Vec<&'static Descriptor> = registry::linked().collect();
        let mut problems = compare(&linked, expected);
        match Self::of(&linked) {
            Ok(catalog) if problems.is_empty() => Ok(catalog),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    /// These plugins and no others: for tests.
    ///
    /// # Errors
    /// As [`linked`](Self::linked), without the comparison.
    pub fn of(plugins: &[&'static Descriptor]) -> Result<Self, Vec<Problem>> {
        let mut problems = clashes(plugins);
        problems.extend(plugins.iter().filter_map(|plugin| check_core(plugin)));
        problems.extend(routes::check(plugins));
        problems.extend(plugins.iter().flat_map(|plugin| check_gui(plugin)));
        let sorted = start_order(plugins).unwrap_or_else(|more| {
            problems.extend(more);
            Vec::new()
        });
        let mut hooks = BTreeMap::new();
        for hook in Hook::ALL {
            match hook_order(plugins, *hook) {
                Ok(order) => drop(hooks.insert(*hook, order)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self { plugins: sorted, hooks }) } else { Err(problems) }
    }

    /// The plugins, each behind those it requires.
    pub fn plugins(&self) -> &[&'static Descriptor] {
        &self.plugins
    }

    /// A plugin by name.
    pub fn get(&self, name: &str) -> Option<&'static Descriptor> {
        self.plugins.iter().find(|plugin| plugin.name == name).copied()
    }

    /// The plugins that implement a hook, in the bundle's fixed order.
    pub fn hook_order(&self, hook: Hook) -> &[&'static str] {
        self.hooks.get(&hook).map_or(&[], Vec::as_slice)
    }
}

fn compare(linked: &[&'static Descriptor], expected: &[Descriptor]) -> Vec<Problem> {
    let has = |name| linked.iter().any(|plugin| plugin.name == name);
    let named = |name| expected.iter().any(|plugin| plugin.name == name);
    let dropped = expected.iter().filter(|plugin| !has(plugin.name)).map(|plugin| {
        Problem::new("", format!("plugin `{}` is in the bundle and the linker dropped it", plugin.name))
            .hint("build it again with `cargo xtask run`; if that does not help, report the linker and its flags")
    });
    let unnamed = linked.iter().filter(|plugin| !named(plugin.name)).map(|plugin| {
        Problem::new(
            "",
            format!("plugin `{}` (crate `{}`) is linked and not in the bundle", plugin.name, plugin.package.name),
        )
        .hint("run `cargo xtask bundle`, which writes `src/bundle.rs`")
    });
    dropped.chain(unnamed).collect()
}

/// What two plugins claim both.
fn clashes(plugins: &[&'static Descriptor]) -> Vec<Problem> {
    let mut owners: BTreeMap<(&str, &str), &Descriptor> = BTreeMap::new();
    let mut problems = Vec::new();
    for plugin in plugins {
        if plugin.commands.iter().any(|command| command.name == RESERVED_COMMAND) {
            let message = format!(
                "crate `{}` and the server itself both have the command `{RESERVED_COMMAND}`",
                plugin.package.name
            );
            problems.push(Problem::new("", message).hint("rename the plugin's command"));
        }
        let claims = std::iter::once(("name", plugin.name))
            .chain(plugin.commands.iter().map(|command| ("command", command.name)))
            .chain(plugin.emits.iter().map(|event| ("event", *event)))
            .chain(plugin.absolute_routes.iter().map(|path| ("route", *path)));
        for claim in claims {
            if let Some(owner) = owners.insert(claim, plugin) {
                let (kind, what) = claim;
                let (one, other) = (owner.package.name, plugin.package.name);
                problems.push(
                    Problem::new("", format!("crates `{one}` and `{other}` both have the {kind} `{what}`"))
                        .hint("rename one of them, or leave one of the plugins out of the bundle"),
                );
            }
        }
    }
    problems
}

/// What is wrong with what a plugin adds to the pages.
fn check_gui(plugin: &Descriptor) -> Vec<Problem> {
    let components = (plugin.entry.gui)();
    if components.is_empty() {
        return Vec::new();
    }
    let has_settings =
        (plugin.entry.config_schema)()["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    let is_embedded = |path: &str| plugin.assets.iter().any(|asset| asset.path == path);
    component::check(plugin.name, &components, is_embedded, has_settings)
}

fn check_core(plugin: &Descriptor) -> Option<Problem> {
    let version = semver::Version::parse(CORE_VERSION).ok()?;
    let Ok(accepted) = semver::VersionReq::parse(plugin.core) else {
        let message =
            format!("plugin `{}` accepts core `{}`, which is no version requirement", plugin.name, plugin.core);
        return Some(Problem::new("", message));
    };
    (!accepted.matches(&version)).then(|| {
        let (name, accepted) = (plugin.name, plugin.core);
        Problem::new("", format!("plugin `{name}` accepts plexichat-core {accepted}, linked is {version}"))
            .hint("upgrade the plugin, or leave it out of the bundle")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CommandSpec;
    use crate::descriptor::sample::plugin;

    fn leak(descriptor: Descriptor) -> &'static Descriptor {
        Box::leak(Box::new(descriptor))
    }

    #[track_caller]
    fn check(found: Vec<Problem>, expected: &[&str]) {
        assert_eq!(found.iter().map(|problem| &*problem.message).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_the_linker_dropped_is_named() {
        check(compare(&[leak(plugin("a"))], &[plugin("a")]), &[]);
        check(compare(&[], &[plugin("a")]), &["plugin `a` is in the bundle and the linker dropped it"]);
        check(
            compare(&[leak(plugin("a"))], &[]),
            &["plugin `a` (crate `plexichat-test`) is linked and not in the bundle"],
        );
    }

    mod registered {
        use crate::descriptor::{Descriptor, sample::plugin};

        pub(super) const PLUGIN: Descriptor = plugin("in-the-catalog");
        crate::__register!(&PLUGIN);
    }

    #[test]
    fn what_is_registered_is_compared_with_the_bundle() {
        let problems = Catalog::linked(&[registered::PLUGIN, plugin("never-registered")]).unwrap_err();
        let about = |name: &str| problems.iter().filter(|problem| problem.message.contains(name)).count();
        assert_eq!((about("`in-the-catalog`"), about("`never-registered`")), (0, 1), "{problems:?}");
    }

    #[test]
    fn clashes_name_both_crates() {
        let (one, other) = (leak(plugin("a")), leak(plugin("a")));
        check(clashes(&[one, other]), &["crates `plexichat-test` and `plexichat-test` both have the name `a`"]);
        let command =
            CommandSpec { name: "ai", help: "", method: "ai", arguments: || serde_json::json!({}), fields: &[] };
        let commands: &'static [CommandSpec] = Box::leak(Box::new([command]));
        let one = leak(Descriptor { commands, ..plugin("a") });
        check(clashes(&[one]), &["crate `plexichat-test` and the server itself both have the command `ai`"]);
        let emits: &[&str] = &["custom.done"];
        let (one, other) = (leak(Descriptor { emits, ..plugin("a") }), leak(Descriptor { emits, ..plugin("b") }));
        check(
            clashes(&[one, other]),
            &["crates `plexichat-test` and `plexichat-test` both have the event `custom.done`"],
        );
    }

    #[test]
    fn the_core_must_be_in_the_range() {
        assert_eq!(check_core(&Descriptor { core: "*", ..plugin("a") }), None);
        let problem = check_core(&Descriptor { core: "^99", ..plugin("a") }).unwrap();
        assert_eq!(problem.message, format!("plugin `a` accepts plexichat-core ^99, linked is {CORE_VERSION}"));
    }

    #[test]
    fn no_plugin_is_a_catalog_too() {
        assert!(Catalog::of(&[]).unwrap().plugins().is_empty());
    }
}
