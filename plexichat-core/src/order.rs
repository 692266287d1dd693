//! In which order plugins start, and in which order their hooks are asked. Pure: the same plugins give the same order on
//! every machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::descriptor::{Descriptor, Hook};
use crate::problem::{Problem, nearest};

/// The plugins so that each stands behind those it requires; among equals, by name.
///
/// # Errors
/// Every requirement that is not linked or has another version, and every cycle with its path.
pub fn start_order(plugins: &[&'static Descriptor]) -> Result<Vec<&'static Descriptor>, Vec<Problem>> {
    let names: BTreeMap<&str, &'static Descriptor> = plugins.iter().map(|plugin| (plugin.name, *plugin)).collect();
    let mut problems = Vec::new();
    let mut edges = Edges::default();
    for plugin in names.values() {
        edges.add_node(plugin.name);
        for (index, requirement) in plugin.requires.iter().enumerate() {
            let pointer = format!("/{}/requires/{index}", plugin.name);
            match names.get(requirement.name) {
                Some(found) => {
                    problems.extend(check_version(plugin, found, requirement.version, &pointer));
                    edges.add(requirement.name, plugin.name);
                }
                None => problems.push(missing(plugin, requirement.name, &pointer, names.keys().copied())),
            }
        }
    }
    let sorted = edges.sort().map_err(|path| {
        let chain = path.join(" → ");
        Problem::new("", format!("plugins require each other in a circle: {chain}"))
            .hint("remove one `requires(..)` of the circle")
    });
    match sorted {
        Ok(sorted) if problems.is_empty() => Ok(sorted.into_iter().map(|name| names[name]).collect()),
        Ok(_) => Err(problems),
        Err(cycle) => {
            problems.push(cycle);
            Err(problems)
        }
    }
}

/// The names of the plugins that implement a hook, in the order in which they are asked: by the policies' `before` and
/// `after`, among equals by name. An edge to a plugin that is not linked has no effect.
///
/// # Errors
/// The cycle with its path.
pub fn hook_order(plugins: &[&'static Descriptor], hook: Hook) -> Result<Vec<&'static str>, Problem> {
    let mut edges = Edges::default();
    let having: Vec<_> = plugins.iter().filter_map(|plugin| Some((plugin.name, plugin.hook(hook)?))).collect();
    let linked: BTreeSet<&str> = having.iter().map(|(name, _)| *name).collect();
    for (name, policy) in &having {
        edges.add_node(name);
        for later in policy.before.iter().filter(|other| linked.contains(*other)) {
            edges.add(name, later);
        }
        for earlier in policy.after.iter().filter(|other| linked.contains(*other)) {
            edges.add(earlier, name);
        }
    }
    edges.sort().map_err(|mut path| {
        path.reverse();
        let chain = path.join(" → ");
        Problem::new("", format!("the `{}` hooks are ordered in a circle: {chain}", hook.as_str()))
            .hint("remove one `before(..)` or `after(..)` of the circle")
    })
}

fn check_version(plugin: &Descriptor, found: &Descriptor, wanted: &str, pointer: &str) -> Option<Problem> {
    let hint = format!("change `requires({} = \"..\")` of `{}`, or upgrade one of the two", found.name, plugin.name);
    let Ok(requirement) = semver::VersionReq::parse(wanted) else {
        return Some(Problem::new(pointer, format!("`{wanted}` is no version requirement")).hint(hint));
    };
    let version = semver::Version::parse(found.package.version).ok()?;
    (!requirement.matches(&version)).then(|| {
        let (plugin, found) = (plugin.name, found.name);
        Problem::new(pointer, format!("plugin `{plugin}` requires `{found}` {wanted}, linked is {version}")).hint(hint)
    })
}

fn missing<'a>(plugin: &Descriptor, name: &str, pointer: &str, linked: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new(pointer, format!("plugin `{}` requires `{name}`, which is not linked", plugin.name));
    match nearest(name, linked) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!(
            "link it into the bundle: add `{name}` to the root `Cargo.toml` as an optional dependency with a feature, and run \
             `cargo xtask bundle`"
        )),
    }
}

/// Who comes before whom.
#[derive(Default)]
struct Edges {
    /// For each, those that come before it.
    before: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl Edges {
    fn add_node(&mut self, name: &'static str) {
        self.before.entry(name).or_default();
    }

    fn add(&mut self, earlier: &'static str, later: &'static str) {
        self.add_node(earlier);
        self.before.entry(later).or_default().insert(earlier);
    }

    /// Everyone behind those that come before, among equals by name; or a cycle as its path, each before the one that it
    /// stands behind, the first name again at the end.
    fn sort(mut self) -> Result<Vec<&'static str>, Vec<&'static str>> {
        let mut sorted = Vec::with_capacity(self.before.len());
        while let Some(next) = self.before.iter().find(|(_, before)| before.is_empty()).map(|(name, _)| *name) {
            self.before.remove(next);
            for before in self.before.values_mut() {
                before.remove(next);
            }
            sorted.push(next);
        }
        match self.before.keys().next() {
            None => Ok(sorted),
            Some(first) => Err(self.cycle(first)),
        }
    }

    /// Everyone left has somebody before it, so that walking back must meet a name again.
    fn cycle(&self, first: &'static str) -> Vec<&'static str> {
        let mut path = vec![first];
        loop {
            let Some(before) = self.before[path[path.len() - 1]].first() else { return path };
            if let Some(start) = path.iter().position(|name| name == before) {
                let mut cycle = path.split_off(start);
                cycle.push(before);
                return cycle;
            }
            path.push(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{HookSpec, Requirement, sample::plugin};

    fn requiring(name: &'static str, requires: &'static [Requirement]) -> &'static Descriptor {
        Box::leak(Box::new(Descriptor { requires, ..plugin(name) }))
    }

    const fn any(name: &'static str) -> Requirement {
        Requirement { name, version: "*" }
    }

    #[track_caller]
    fn check(plugins: &[&'static Descriptor], expected: Result<&[&str], &[&str]>) {
        match (start_order(plugins), expected) {
            (Ok(order), Ok(expected)) => {
                assert_eq!(order.iter().map(|plugin| plugin.name).collect::<Vec<_>>(), expected);
            }
            (Err(problems), Err(expected)) => {
                assert_eq!(problems.iter().map(|problem| &*problem.message).collect::<Vec<_>>(), expected);
            }
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn each_stands_behind_what_it_requires() {
        check(&[], Ok(&[]));
        check(&[requiring("b", &[]), requiring("a", &[])], Ok(&["a", "b"]));
        check(&[requiring("a", const { &[any("c")] }), requiring("b", &[]), requiring("c", &[])], Ok(&["b", "c", "a"]));
    }

    #[test]
    fn what_cannot_be_ordered_is_named() {
        check(&[requiring("a", const { &[any("a")] })], Err(&["plugins require each other in a circle: a → a"]));
        check(
            &[
                requiring("a", const { &[any("b")] }),
                requiring("b", const { &[any("c")] }),
                requiring("c", const { &[any("a")] }),
                requiring("d", const { &[any("a")] }),
            ],
            Err(&["plugins require each other in a circle: a → b → c → a"]),
        );
        check(&[requiring("a", const { &[any("b")] })], Err(&["plugin `a` requires `b`, which is not linked"]));
        check(
            &[requiring("a", const { &[Requirement { name: "b", version: "^9" }] }), requiring("b", &[])],
            Err(&["plugin `a` requires `b` ^9, linked is 0.1.0"]),
        );
    }

    #[test]
    fn hooks_follow_their_edges_then_their_names() {
        let hooked = |name, before: &'static [&'static str], after: &'static [&'static str]| -> &'static Descriptor {
            let mut policy = Hook::ScanMessage.default_policy();
            (policy.before, policy.after) = (before, after);
            let hooks = Box::leak(Box::new([HookSpec { hook: Hook::ScanMessage, policy }]));
            Box::leak(Box::new(Descriptor { hooks, ..plugin(name) }))
        };
        let order = |plugins: &[&'static Descriptor]| hook_order(plugins, Hook::ScanMessage);
        assert_eq!(order(&[hooked("b", &[], &[]), hooked("a", &[], &[])]), Ok(vec!["a", "b"]));
        assert_eq!(order(&[hooked("b", &["a"], &[]), hooked("a", &[], &[])]), Ok(vec!["b", "a"]));
        assert_eq!(order(&[hooked("b", &[], &[]), hooked("a", &[], &["b", "gone"])]), Ok(vec!["b", "a"]));
        let circle = order(&[hooked("a", &["b"], &[]), hooked("b", &["a"], &[])]).unwrap_err();
        assert_eq!(circle.message, "the `scan_message` hooks are ordered in a circle: a → b → a");
    }
}
