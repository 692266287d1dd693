//! What Cargo knows of the workspace: the bundle at its root, the plugins that it can link. Writes nothing.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use plexichat::id::PluginName;
use plexichat::problem::nearest;

use crate::failure::{Failure, Result};

/// The workspace that the current directory is in.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    bundle: Package,
    packages: Vec<Package>,
}

/// A plugin that the bundle can link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Plugin {
    /// Its name, which is its feature's too.
    pub(crate) name: String,
    /// What Rust calls its crate.
    pub(crate) crate_name: String,
    /// Its package.
    pub(crate) package: String,
    /// Its folder, where it is in this workspace.
    pub(crate) folder: Option<PathBuf>,
}

impl Workspace {
    /// The workspace that the current directory is in.
    pub(crate) fn find() -> Result<Self> {
        Self::at(Path::new("."))
    }

    /// The workspace that `directory` is in.
    pub(crate) fn at(directory: &Path) -> Result<Self> {
        let mut command = MetadataCommand::new();
        command.current_dir(directory).no_deps();
        let metadata = command.exec().map_err(not_readable)?;
        Self::of(metadata)
    }

    fn of(metadata: Metadata) -> Result<Self> {
        let Some(bundle) = metadata.root_package().cloned() else {
            return Err(Failure::found(format!("`{}/Cargo.toml` has no package", metadata.workspace_root)).hint(
                "the root package is the bundle: give it `[package]`, `src/main.rs` and the plugins as features",
            ));
        };
        Ok(Self {
            root: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            packages: metadata.workspace_packages().into_iter().cloned().collect(),
            bundle,
        })
    }

    /// The bundle's name: the root package's.
    pub(crate) fn bundle_name(&self) -> &str {
        &self.bundle.name
    }

    /// The bundle's executable.
    pub(crate) fn binary(&self) -> Result<&str> {
        let is_binary = |target: &&cargo_metadata::Target| target.kind.contains(&TargetKind::Bin);
        self.bundle.targets.iter().find(is_binary).map(|target| target.name.as_str()).ok_or_else(|| {
            Failure::found(format!("the package `{}` has no executable", self.bundle.name))
                .hint("the root package is the bundle and needs `src/main.rs`")
        })
    }

    /// The bundle's version.
    pub(crate) fn bundle_version(&self) -> String {
        self.bundle.version.to_string()
    }

    /// What the feature `default` turns on.
    pub(crate) fn default_features(&self) -> Vec<&str> {
        self.bundle.features.get("default").into_iter().flatten().map(String::as_str).collect()
    }

    /// Whether the workspace has a package of this name.
    pub(crate) fn has_package(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name.as_str() == name)
    }

    /// The plugins that the bundle can link, sorted by name: each optional dependency that a feature of the plugin's
    /// name turns on.
    pub(crate) fn plugins(&self) -> Vec<Plugin> {
        let mut plugins: Vec<Plugin> =
            self.bundle.features.iter().filter_map(|(feature, enables)| self.plugin(feature, enables)).collect();
        plugins.sort();
        plugins
    }

    fn plugin(&self, feature: &str, enables: &[String]) -> Option<Plugin> {
        feature.parse::<PluginName>().ok()?;
        let key = enables.iter().find_map(|enabled| enabled.strip_prefix("dep:"))?;
        let dependency = self.bundle.dependencies.iter().find(|dependency| {
            dependency.optional && dependency.rename.as_deref().unwrap_or(&dependency.name) == key
        })?;
        let package = self.packages.iter().find(|package| package.name.as_str() == dependency.name);
        let library = package.and_then(|package| {
            package.targets.iter().find(|target| target.kind.iter().any(|kind| matches!(kind, TargetKind::Lib)))
        });
        let crate_name = match (&dependency.rename, library) {
            (None, Some(library)) => library.name.clone(),
            _ => key.to_owned(),
        };
        Some(Plugin {
            name: feature.to_owned(),
            crate_name: crate_name.replace('-', "_"),
            package: dependency.name.clone(),
            folder: package
                .and_then(|package| package.manifest_path.parent())
                .map(|folder| folder.to_path_buf().into()),
        })
    }

    /// The plugin of this name.
    pub(crate) fn find_plugin(&self, name: &str) -> Result<Plugin> {
        let plugins = self.plugins();
        if let Some(plugin) = plugins.iter().find(|plugin| plugin.name == name) {
            return Ok(plugin.clone());
        }
        let names: Vec<&str> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        let shown: String = name.chars().take(60).collect();
        Err(Failure::usage(format!("no plugin `{shown}` in this bundle")).hint(
            match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "make one: cargo xtask new-plugin NAME".to_owned(),
                None => format!("there are: {}", names.join(", ")),
            },
        ))
    }

    /// Crates that depend on `plexichat-core` from the folder `plugins` and that no feature of the bundle turns on.
    pub(crate) fn unbundled(&self) -> Vec<&str> {
        let bundled = self.plugins();
        self.packages
            .iter()
            .filter(|package| package.manifest_path.starts_with(self.root.join("plugins").to_string_lossy().as_ref()))
            .map(|package| package.name.as_str())
            .filter(|name| bundled.iter().all(|plugin| plugin.package != *name))
            .collect()
    }

    /// A path as one would type it from the workspace's root.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

fn not_readable(error: cargo_metadata::Error) -> Failure {
    match error {
        cargo_metadata::Error::CargoMetadata { stderr } => {
            let complaint = stderr.trim().trim_start_matches("error: ");
            Failure::found(format!("Cargo cannot read this workspace: {complaint}"))
                .hint("run this inside the workspace, and mend what Cargo names")
        }
        error => Failure::from(anyhow::Error::from(error).context("cannot ask Cargo about this workspace"))
            .hint("is `cargo` on the PATH?"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use expect_test::{Expect, expect};

    use super::*;

    /// A workspace of nothing but manifests, good enough for `cargo metadata --no-deps`.
    pub(crate) fn workspace(root_manifest: &str, plugins: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        write("Cargo.toml", root_manifest);
        write("src/main.rs", "fn main() {}\n");
        for plugin in plugins {
            write(
                &format!("plugins/{plugin}/Cargo.toml"),
                &format!("[package]\nname = \"plexichat-{plugin}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
            );
            write(&format!("plugins/{plugin}/src/lib.rs"), "");
        }
        directory
    }

    pub(crate) const ROOT: &str = r#"[workspace]
members = ["plugins/*"]

[package]
name = "chat"
version = "0.1.0"
edition = "2024"

[features]
# Kept.
default = ["echo"]
full = ["echo", "word-filter"]
cluster = []
echo = ["dep:plexichat-echo"]
word-filter = ["dep:plexichat-word-filter"]

[dependencies]
# Kept too.
plexichat-echo = { path = "plugins/echo", optional = true }
plexichat-word-filter = { path = "plugins/word-filter", optional = true }
"#;

    #[track_caller]
    fn check(root_manifest: &str, expected: Expect) {
        let directory = workspace(root_manifest, &["echo", "word-filter", "stray"]);
        let shown = match Workspace::at(directory.path()) {
            Ok(workspace) => {
                let plugins: Vec<String> = workspace
                    .plugins()
                    .into_iter()
                    .map(|plugin| format!("{} is {} of {}", plugin.name, plugin.crate_name, plugin.package))
                    .collect();
                format!("{}\nunbundled: {}\n", plugins.join("\n"), workspace.unbundled().join(", "))
            }
            Err(failure) => format!("{failure}\n").replace(&*directory.path().to_string_lossy(), "DIR"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn plugins_are_features_with_their_dependency() {
        check(
            ROOT,
            expect![[r#"
                echo is plexichat_echo of plexichat-echo
                word-filter is plexichat_word_filter of plexichat-word-filter
                unbundled: plexichat-stray
            "#]],
        );
    }

    #[test]
    fn a_broken_manifest_is_shown_as_cargo_shows_it() {
        check(
            "[package\n",
            expect![[r#"
                error: Cargo cannot read this workspace: unclosed table, expected `]`
                 --> Cargo.toml:1:9
                  |
                1 | [package
                  |         ^
                hint: run this inside the workspace, and mend what Cargo names
            "#]],
        );
        check(
            "[workspace]\nmembers = [\"plugins/*\"]\nresolver = \"3\"\n",
            expect![[r#"
                error: `DIR/Cargo.toml` has no package
                hint: the root package is the bundle: give it `[package]`, `src/main.rs` and the plugins as features
            "#]],
        );
    }

    #[test]
    fn an_unknown_plugin_is_answered_with_the_nearest() {
        let directory = workspace(ROOT, &["echo", "word-filter"]);
        let workspace = Workspace::at(directory.path()).unwrap();
        let failure = workspace.find_plugin("ecco").unwrap_err().to_string();
        expect![[r#"
            error: no plugin `ecco` in this bundle
            hint: did you mean `echo`?"#]]
        .assert_eq(&failure);
    }
}
