//! What a plugin says of itself: `plugin.json` and `config/default.json`, asked of its own compliance test. Writes
//! nothing into the crate.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Explain, Failure, Result};
use crate::process;

/// The variable by which the compliance test's `describe` is told where to write; `plexichat::testing` reads it.
const VARIABLE: &str = "PLEXICHAT_DESCRIBE";

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
            Ok((*file, text))
        })
        .collect()
}

/// A folder that goes away.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is below `target/`: what could not be removed is in nobody's way.
        let _ = fs::remove_dir_all(&self.0);
    }
}
