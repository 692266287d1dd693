//! What a plugin says of itself: `plugin.json` and `config/default.json`, asked of its own compliance test. Writes
//! nothing into the crate.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};
use plexichat::manifest::Manifest;

use crate::failure::{Explain, Failure, Result};
use crate::process;

/// The variable by which the compliance test's `describe` is told where to write; `plexichat::testing` reads it.
const VARIABLE: &str = "PLEXICHAT_DESCRIBE";

/// The crate that every plugin is written against.
const CORE: &str = "plexichat-core";

/// The files, from the crate's folder.
const FILES: &[&str] = &["plugin.json", "config/default.json"];

/// Compiles the plugin's tests in the workspace at `root` and asks them; path and text of each file.
pub(crate) fn ask(root: &Path, target: &Path, package: &str) -> Result<Vec<(&'static str, String)>> {
    let scratch = Scratch(target.join(format!("describe-{}-{package}", std::process::id())));
    fs::create_dir_all(&scratch.0).explain(|| format!("cannot make `{}`", scratch.0.display()))?;
    let mut cargo = process::cargo(root);
    cargo.args(["test", "--quiet", "--package", package, "--lib", "--tests", "compliance::describe"]);
    // Which tests ran is no news here; what the compiler or the test complains of is.
    cargo.env(VARIABLE, &scratch.0).stdout(std::process::Stdio::null());
    process::run(&mut cargo).map_err(|failure| failure.hint(format!("see what is wrong: cargo test -p {package}")))?;
    FILES
        .iter()
        .map(|file| {
            let text = fs::read_to_string(scratch.0.join(file)).map_err(|_| {
                Failure::found(format!("the tests of `{package}` did not write `{file}`"))
                    .hint("add the compliance suite to its tests: plexichat::compliance!(YourPlugin);")
            })?;
            let text = if *file == "plugin.json" { with_dependencies(&text, root, package)? } else { text };
            Ok((*file, text))
        })
        .collect()
}

/// The manifest with what only Cargo knows: the crates that the plugin brings, without the one that every plugin has.
fn with_dependencies(text: &str, root: &Path, package: &str) -> Result<String> {
    let unread = || format!("cannot read what the tests of `{package}` wrote as plugin.json");
    let mut manifest: Manifest = serde_json::from_str(text).explain(unread)?;
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec();
    let metadata = metadata.explain(|| format!("cannot read the workspace at `{}`", root.display()))?;
    let packages = metadata.packages.iter().filter(|found| found.name.as_str() == package);
    let dependencies = packages.flat_map(|found| &found.dependencies);
    let brought = dependencies.filter(|found| found.kind == DependencyKind::Normal && found.name != CORE);
    manifest.dependencies = brought.map(|found| (found.name.clone(), found.req.to_string())).collect();
    Ok(manifest.to_json())
}

/// A folder that goes away.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is below `target/`: what could not be removed is in nobody's way.
        let _ = fs::remove_dir_all(&self.0);
    }
}
