//! Builds the bundle with Cargo, whose own progress is shown. Knows no server and no proof.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use toml_edit::DocumentMut;

use crate::failure::{Explain, Failure, Result};
use crate::selection::Selection;
use crate::workspace::Workspace;
use crate::{bundle_file, embedded, process};

/// What makes an executable static, and lets it have random numbers where there is no `/dev`.
const STATIC_FLAGS: &[&str] = &["-Ctarget-feature=+crt-static", "--cfg", "getrandom_backend=\"linux_getrandom\""];

/// Builds the bundle as `cargo build` would; the executable's path.
pub(crate) fn development(workspace: &Workspace, profile: &str, selection: &Selection) -> Result<PathBuf> {
    bundle_file::check(workspace)?;
    build(workspace, profile, selection, None)
}

/// Builds the bundle as one static executable; its path. The flags are this build's alone, so that what a developer
/// built stays fresh.
pub(crate) fn package(workspace: &Workspace, profile: &str, target: &str, selection: &Selection) -> Result<PathBuf> {
    bundle_file::check(workspace)?;
    unwinds(workspace, profile)?;
    build(workspace, profile, selection, Some(target))
}

fn build(workspace: &Workspace, profile: &str, selection: &Selection, target: Option<&str>) -> Result<PathBuf> {
    let binary = workspace.binary()?;
    embedded::notice_added(workspace)?;
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["build", "--bin", binary, "--profile", profile]).args(selection.cargo_arguments(workspace)?);
    if let Some(target) = target {
        // With a target of their own, procedural macros and build scripts are built without these flags.
        cargo.args(["--target", target]);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", static_flags(&user_flags())?.join("\u{1f}")).env_remove("RUSTFLAGS");
    }
    process::run(&mut cargo).map_err(|failure| failure.hint("mend what Cargo names, above"))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let path = workspace.target.join(target.unwrap_or_default()).join(folder).join(binary);
    if path.is_file() {
        goes_together(&path)?;
        return Ok(path);
    }
    Err(Failure::found(format!("Cargo built the bundle, and `{}` is not there", path.display()))
        .hint("does a `.cargo/config.toml` or CARGO_BUILD_TARGET set another target?"))
}

/// Has the bundle look at its own plugins: two routes at one address, or two triggers of one name, are known only by running
/// code, and are a build's failure all the same. Listing the events starts nothing and reads no settings.
fn goes_together(binary: &Path) -> Result<()> {
    let output = match Command::new(binary).arg("events").stdin(Stdio::null()).output() {
        Ok(output) => output,
        // Built for another machine: it says so at its start there.
        Err(_) => return Ok(()),
    };
    if output.status.success() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&output.stderr);
    Err(Failure::found(format!("the plugins of the bundle do not go together:\n{}", found.trim_end()))
        .hint("mend the plugins that are named, or leave one out: `--plugins`"))
}

/// The target of a package: the one asked for, where it is installed, else this machine's with the GNU C library. What
/// happens to be installed beside it does not change what is built.
pub(crate) fn static_target(workspace: &Workspace, asked: Option<&str>) -> Result<String> {
    let rustc = |arguments: &[&str]| {
        process::capture(
            Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
                .args(arguments)
                .current_dir(&workspace.root),
        )
    };
    let Some(asked) = asked else {
        let version = rustc(&["--version", "--verbose"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        return host.map(str::to_owned).ok_or_else(|| Failure::found("`rustc` does not say what machine this is"));
    };
    let sysroot = rustc(&["--print", "sysroot"])?;
    let libraries = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(asked).join("lib");
    // A name with separators would look elsewhere.
    if asked.contains(['/', '\\']) || !libraries.is_dir() {
        return Err(Failure::usage(format!("the target `{asked}` is not installed"))
            .hint(format!("bring it with: rustup target add {asked}")));
    }
    Ok(asked.to_owned())
}

/// The flags that the user's environment asks for.
fn user_flags() -> Vec<String> {
    if let Ok(flags) = std::env::var("CARGO_ENCODED_RUSTFLAGS") {
        return flags.split('\u{1f}').filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
    }
    std::env::var("RUSTFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn static_flags(user: &[String]) -> Result<Vec<String>> {
    if user.join(" ").contains("panic=abort") {
        return Err(aborts("RUSTFLAGS"));
    }
    Ok(user.iter().cloned().chain(STATIC_FLAGS.iter().map(|flag| (*flag).to_owned())).collect())
}

/// Refuses a profile under which a plugin's panic would end the server.
fn unwinds(workspace: &Workspace, profile: &str) -> Result<()> {
    let variable = format!("CARGO_PROFILE_{}_PANIC", profile.to_uppercase().replace('-', "_"));
    if std::env::var_os(&variable).is_some_and(|value| value == "abort") {
        return Err(aborts(&variable));
    }
    let manifest =
        fs::read_to_string(workspace.root.join("Cargo.toml")).explain(|| "cannot read `Cargo.toml`".into())?;
    let manifest: DocumentMut = manifest.parse().explain(|| "`Cargo.toml` is no valid TOML".into())?;
    match aborting_profile(&manifest, profile) {
        Some(found) => Err(aborts(&format!("`[profile.{found}]` in `Cargo.toml`"))),
        None => Ok(()),
    }
}

/// The profile that says `panic = "abort"`: this one, or the one it inherits that from.
fn aborting_profile(manifest: &DocumentMut, profile: &str) -> Option<String> {
    let mut name = profile.to_owned();
    // As many steps as there could be profiles; a circle is Cargo's to report.
    for _ in 0..20 {
        let table = manifest.get("profile").and_then(|profiles| profiles.get(&name));
        match table.and_then(|table| table.get("panic")).and_then(|panic| panic.as_str()) {
            Some("abort") => return Some(name),
            Some(_) => return None,
            None => {}
        }
        name = table.and_then(|table| table.get("inherits")).and_then(|parent| parent.as_str())?.to_owned();
    }
    None
}

fn aborts(place: &str) -> Failure {
    Failure::found(format!("{place} sets `panic = \"abort\"`, and a plugin's panic would end the whole server"))
        .hint("take it away, or set `panic = \"unwind\"`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(manifest: &str, profile: &str, aborts: Option<&str>) {
        let manifest = manifest.parse().unwrap();
        assert_eq!(aborting_profile(&manifest, profile).as_deref(), aborts, "{profile}");
    }

    #[test]
    fn a_profile_that_aborts_is_found_through_what_it_inherits() {
        let manifest = "[profile.release]\npanic = \"abort\"\n[profile.dist]\ninherits = \"release\"\n\
                        [profile.fine]\ninherits = \"release\"\npanic = \"unwind\"\n[profile.a]\ninherits = \"b\"\n[profile.b]\ninherits = \"a\"\n";
        check(manifest, "dist", Some("release"));
        check(manifest, "release", Some("release"));
        check(manifest, "fine", None);
        check(manifest, "dev", None);
        check(manifest, "a", None);
        check("profile = 3\n", "dist", None);
    }

    #[test]
    fn flags_that_abort_are_refused_and_others_kept() {
        let flags = static_flags(&["-Cdebuginfo=1".to_owned()]).unwrap();
        assert_eq!(flags[..2], ["-Cdebuginfo=1", "-Ctarget-feature=+crt-static"]);
        let failure = static_flags(&["-C".to_owned(), "panic=abort".to_owned()]).unwrap_err().to_string();
        assert!(failure.starts_with("error: RUSTFLAGS sets `panic = \"abort\"`"), "{failure}");
    }

    #[test]
    fn a_bundle_whose_plugins_do_not_go_together_is_no_build() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("plexichat");
        // Renamed into its place: what is being written cannot be started.
        let says = |script: &str| {
            let beside = folder.path().join("new");
            fs::write(&beside, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(&beside, &binary).unwrap();
        };
        says("exit 0");
        goes_together(&binary).unwrap();
        says("echo 'error: two routes have `GET /a`' >&2; exit 1");
        let failure = goes_together(&binary).unwrap_err().to_string();
        assert!(failure.contains("two routes have `GET /a`"), "{failure}");
    }
}
