//! The plugins of this binary: what the linker gathered, compared with what the bundle named, sorted and checked. Starts
//! none of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::assistant::command::NAME as RESERVED_COMMAND;
use crate::descriptor::{Descriptor, Hook};
use crate::order::{hook_order, start_order};
use crate::plugin::gui::component;
use crate::problem::Problem;
use crate::trigger::{On, TriggerSpec};
use crate::{automation, registry, routes};

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
        let mut problems = mistakes(plugins);
        problems.extend(plugins.iter().filter_map(|plugin| check_core(plugin)));
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

/// What is wrong with what these plugins add, each by itself and one beside the other; what they require is not asked.
pub(crate) fn mistakes(plugins: &[&'static Descriptor]) -> Vec<Problem> {
    let mut problems = clashes(plugins);
    problems.extend(routes::check(plugins));
    problems.extend(automation::check_linked(plugins));
    problems.extend(plugins.iter().flat_map(|plugin| check_gui(plugin)));
    problems
}

/// What two plugins claim both.
fn clashes(plugins: &[&'static Descriptor]) -> Vec<Problem> {
    let mut owners: BTreeMap<(&str, String), Owner<'_>> = BTreeMap::new();
    let mut problems = Vec::new();
    for plugin in plugins {
        let triggers = (plugin.entry.triggers)();
        let own = |what: &'static str, name: &str| ((what, name.to_owned()), Owner { plugin, trigger: None });
        let claims = std::iter::once(own("name", plugin.name))
            .chain(plugin.commands.iter().map(|command| own("command", command.name)))
            .chain(plugin.emits.iter().map(|event| own("event", event)))
            .chain(plugin.absolute_routes.iter().map(|path| own("route", path)))
            .chain(triggers.iter().filter_map(|trigger| match &trigger.on {
                On::Command { name, .. } => {
                    Some((("command", name.clone()), Owner { plugin, trigger: Some(trigger.id.clone()) }))
                }
                _ => None,
            }));
        for (claim, owner) in claims {
            if claim == ("command", RESERVED_COMMAND.to_owned()) {
                let message = format!("{owner} and the server itself both have the command `{RESERVED_COMMAND}`");
                problems.push(Problem::new("", message).hint("rename the plugin's command"));
                continue;
            }
            let (kind, what) = (claim.0, claim.1.clone());
            let message = owners.get(&claim).map(|other| match (&other.trigger, &owner.trigger) {
                (None, None) => {
                    let (one, other) = (other.plugin.package.name, plugin.package.name);
                    format!("crates `{one}` and `{other}` both have the {kind} `{what}`")
                }
                _ => format!("{other} and {owner} both have the {kind} `{what}`"),
            });
            match message {
                Some(message) => problems.push(
                    Problem::new("", message).hint("rename one of them, or leave one of the plugins out of the bundle"),
                ),
                None => drop(owners.insert(claim, owner)),
            }
        }
        problems.extend(triggers_twice(plugin, &triggers));
    }
    problems
}

/// Who claims something.
struct Owner<'a> {
    plugin: &'a Descriptor,
    /// The trigger whose it is, where it is one's.
    trigger: Option<String>,
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Descriptor { name, package, .. } = self.plugin;
        match &self.trigger {
            Some(trigger) => write!(formatter, "the trigger `{trigger}` of plugin `{name}`"),
            None => write!(formatter, "crate `{}`", package.name),
        }
    }
}

/// The triggers of a plugin's code that have the same identifier.
fn triggers_twice(plugin: &Descriptor, triggers: &[TriggerSpec]) -> Vec<Problem> {
    let twice = triggers.iter().enumerate().filter_map(|(index, trigger)| {
        let other = triggers[..index].iter().find(|other| other.id == trigger.id)?;
        let message = format!(
            "plugin `{}` has two triggers with the identifier `{}`: one starts the workflow `{}`, one `{}`",
            plugin.name, trigger.id, other.workflow, trigger.workflow
        );
        Some(Problem::new("", message).hint("give one of them another identifier in `register_triggers`"))
    });
    twice.collect()
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
    use serde_json::Value;

    use crate::command::CommandSpec;
    use crate::descriptor::Entry;
    use crate::descriptor::sample::plugin;
    use crate::trigger::Scope;

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
    fn triggers_have_identifiers_and_commands_of_their_own() {
        fn trigger(id: &str, command: &str) -> TriggerSpec {
            let on = On::Command { name: command.to_owned(), help: String::new() };
            let (workflow, policy) = (format!("work-{id}"), Default::default());
            TriggerSpec { id: id.to_owned(), on, workflow, scope: Scope::Cluster, input: Value::Null, policy }
        }
        let with = |name, triggers: fn() -> Vec<TriggerSpec>| {
            let plugin = plugin(name);
            leak(Descriptor { entry: Entry { triggers, ..plugin.entry }, ..plugin })
        };
        let one = with("a", || vec![trigger("x", "run"), trigger("y", "walk")]);
        check(clashes(&[one]), &[]);
        let twice = with("a", || vec![trigger("x", "run"), trigger("x", "walk")]);
        check(
            clashes(&[twice]),
            &["plugin `a` has two triggers with the identifier `x`: one starts the workflow `work-x`, one `work-x`"],
        );
        let other = with("b", || vec![trigger("z", "run")]);
        check(
            clashes(&[one, other]),
            &["the trigger `x` of plugin `a` and the trigger `z` of plugin `b` both have the command `run`"],
        );
        let command = CommandSpec { name: "run", help: "", method: "run", arguments: || Value::Null, fields: &[] };
        let commands: &'static [CommandSpec] = Box::leak(Box::new([command]));
        let commanding = leak(Descriptor { commands, ..plugin("c") });
        check(
            clashes(&[one, commanding]),
            &["the trigger `x` of plugin `a` and crate `plexichat-test` both have the command `run`"],
        );
        let reserved = with("d", || vec![trigger("w", "ai")]);
        check(
            clashes(&[reserved]),
            &["the trigger `w` of plugin `d` and the server itself both have the command `ai`"],
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
