//! `cargo xtask ci`: what continuous integration runs, no more and no less.

use super::{Command, test};

pub(super) const COMMAND: Command = Command {
    name: "ci",
    about: "Run exactly what continuous integration runs: test --setup, where a suite left out is a failure",
    example: "cargo xtask ci",
    arguments: |command| command,
    run: |_| test::as_ci(),
};
