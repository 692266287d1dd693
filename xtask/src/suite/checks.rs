//! The suites that are one verdict and not a number of tests.

use std::process::Command;

use super::{Session, need};
use crate::command::package;
use crate::failure::Result;
use crate::{bundle_file, process};

pub(super) fn format(session: &Session<'_>) -> Result<()> {
    let mut cargo = process::cargo(&session.workspace.root);
    process::run(cargo.args(["fmt", "--all", "--check"])).map_err(|failure| failure.hint("mend it: cargo fmt --all"))
}

pub(super) fn generated(session: &Session<'_>) -> Result<()> {
    bundle_file::check(session.workspace)
}

pub(super) fn clippy(session: &Session<'_>) -> Result<()> {
    let mut cargo = process::cargo(&session.workspace.root);
    cargo.args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"]);
    process::run(&mut cargo)
}

pub(super) fn package(session: &Session<'_>) -> Result<()> {
    package::proven(session.workspace, "package-test")
}

pub(super) fn dist(session: &Session<'_>) -> Result<()> {
    package::proven(session.workspace, "dist")
}

pub(super) fn deny(session: &Session<'_>) -> Result<()> {
    let ours = need::deny(session.workspace);
    let mut command = if ours.is_file() { Command::new(ours) } else { process::cargo(&session.workspace.root) };
    if command.get_program().to_string_lossy().ends_with("cargo") {
        command.arg("deny");
    }
    process::run(command.current_dir(&session.workspace.root).args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))
}
