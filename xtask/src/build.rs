//! Builds the bundle with Cargo, whose own progress is shown. Knows no server and no proof.

use std::path::PathBuf;

use crate::failure::{Failure, Result};
use crate::selection::Selection;
use crate::workspace::Workspace;
use crate::{bundle_file, process};

/// Builds the bundle as `cargo build` would; the executable's path.
pub(crate) fn development(workspace: &Workspace, profile: &str, selection: &Selection) -> Result<PathBuf> {
    bundle_file::check(workspace)?;
    let binary = workspace.binary()?;
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["build", "--bin", binary, "--profile", profile]).args(selection.cargo_arguments(workspace)?);
    process::run(&mut cargo).map_err(|failure| failure.hint("mend what the compiler names, above"))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let path = workspace.target.join(folder).join(binary);
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::found(format!("Cargo built the bundle, and `{}` is not there", path.display()))
        .hint("does a `.cargo/config.toml` or CARGO_BUILD_TARGET set another target?"))
}
