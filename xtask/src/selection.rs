//! Which plugins go into a binary: the options that `run` and `package` share. Builds nothing.

use clap::Args;

use crate::failure::Result;
use crate::workspace::Workspace;

/// Which plugins to link; the bundle's default ones where nothing is said.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Selection {
    /// Link these plugins and no others
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    plugins: Vec<String>,
    /// Link no plugin that --plugins does not name
    #[arg(long)]
    no_default_plugins: bool,
}

impl Selection {
    /// The names of the plugins, sorted.
    pub(crate) fn names(&self, workspace: &Workspace) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for name in &self.plugins {
            names.push(workspace.find_plugin(name.trim())?.name);
        }
        if self.plugins.is_empty() && !self.no_default_plugins {
            let plugins = workspace.plugins();
            let default = workspace.default_features();
            names.extend(plugins.into_iter().map(|plugin| plugin.name).filter(|name| default.contains(&name.as_str())));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What Cargo is told, so that the binary has these plugins; features that are no plugins stay as they are.
    pub(crate) fn cargo_arguments(&self, workspace: &Workspace) -> Result<Vec<String>> {
        if self.plugins.is_empty() && !self.no_default_plugins {
            return Ok(Vec::new());
        }
        let plugins = workspace.plugins();
        let is_plugin = |feature: &str| plugins.iter().any(|plugin| plugin.name == feature);
        let mut features = self.names(workspace)?;
        features
            .extend(workspace.default_features().into_iter().filter(|feature| !is_plugin(feature)).map(str::to_owned));
        let mut arguments = vec!["--no-default-features".to_owned()];
        if !features.is_empty() {
            arguments.extend(["--features".to_owned(), features.join(",")]);
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::workspace::tests::{ROOT, workspace};

    #[track_caller]
    fn check(plugins: &[&str], no_default_plugins: bool, expected: Expect) {
        let root = ROOT.replace("default = [\"echo\"]", "default = [\"echo\", \"cluster\"]");
        let directory = workspace(&root, &["echo", "word-filter"]);
        let workspace = Workspace::at(directory.path()).unwrap();
        let selection =
            Selection { plugins: plugins.iter().map(|name| (*name).to_owned()).collect(), no_default_plugins };
        let shown = match selection.cargo_arguments(&workspace) {
            Ok(arguments) => format!("{:?}\n{}", selection.names(&workspace).unwrap(), arguments.join(" ")),
            Err(failure) => failure.to_string(),
        };
        expected.assert_eq(&format!("{}\n", shown.trim_end()));
    }

    #[test]
    fn features_that_are_no_plugins_stay() {
        check(
            &[],
            false,
            expect![[r#"
            ["echo"]
        "#]],
        );
        check(
            &[],
            true,
            expect![[r#"
            []
            --no-default-features --features cluster
        "#]],
        );
        check(
            &["word-filter"],
            false,
            expect![[r#"
            ["word-filter"]
            --no-default-features --features word-filter,cluster
        "#]],
        );
        check(
            &["word-filter", "ecco"],
            false,
            expect![[r#"
            error: no plugin `ecco` in this bundle
            hint: did you mean `echo`?
        "#]],
        );
    }
}
