//! The second bundle, that links the hostile plugins of `tests/fixtures`: where its binary is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PACKAGE: &str = "plexichat-fixtures-bundle";

/// The binary, from `PLEXICHAT_FIXTURES_BUNDLE`, else built now. Cargo holds no lock while tests run; where several test
/// processes ask at once, one builds and the others wait for Cargo's lock and find it done.
pub(crate) fn fixtures() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("PLEXICHAT_FIXTURES_BUNDLE").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", PACKAGE]).current_dir(crate::tidy::root());
    // Beside the binary under test: `target/<profile>/plexichat`.
    let folder = Path::new(env!("CARGO_BIN_EXE_plexichat")).parent().unwrap();
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{PACKAGE}: {}", String::from_utf8_lossy(&output.stderr));
    let binary = folder.join(PACKAGE);
    assert!(binary.exists(), "{} was built and is not there", binary.display());
    binary
}
