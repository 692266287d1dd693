//! Renders each template in a copy of this workspace, and compiles and tests what comes out, through the real command.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The templates, by the name that the command line knows.
const TEMPLATES: &[&str] = &["minimal", "ai-provider", "security", "interface", "automation"];

#[test]
fn every_template_compiles_passes_its_tests_and_is_linked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // At one place, with files touched only where they changed, so that Cargo compiles little the next time.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("template-workspace");
    for template in TEMPLATES {
        synchronize(root, &copy);
        let name = format!("{template}-made");
        xtask(&copy, &["new-plugin", &name, "--template", template]);
        let folder = copy.join("plugins").join(&name);
        for file in ["Cargo.toml", "README.md", "plugin.json", "config/default.json", "src/lib.rs"] {
            assert!(folder.join(file).is_file(), "{template}: {file} is missing");
        }
        let manifest = fs::read_to_string(folder.join("plugin.json")).unwrap();
        assert!(manifest.contains(&format!("\"{name}\"")), "{manifest}");
        xtask(&copy, &["bundle", "--check"]);
        xtask(&copy, &["test", &name]);
        let package = format!("plexichat-{name}");
        let formatted =
            Command::new("cargo").args(["fmt", "--check", "--package", &package]).current_dir(&copy).status();
        assert!(formatted.unwrap().success(), "{template} is not formatted");
    }
}

#[track_caller]
fn xtask(directory: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .current_dir(directory)
        // A folder of its own: Cargo names what it compiles by paths from the workspace's root, so the copy's crates
        // would take the place of the original's.
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo xtask {}: {}\n{}\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes `to` hold the files of `from` and no others.
fn synchronize(from: &Path, to: &Path) {
    let (wanted, there) = (files(from), if to.exists() { files(to) } else { BTreeSet::new() });
    for stale in there.difference(&wanted) {
        fs::remove_file(to.join(stale)).unwrap();
    }
    for file in &wanted {
        let (source, copy) = (from.join(file), to.join(file));
        let content = fs::read(source).unwrap();
        if fs::read(&copy).is_ok_and(|old| old == content) {
            continue;
        }
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, content).unwrap();
    }
    // A folder of a plugin that is gone would be a member without a manifest.
    let plugins: Vec<PathBuf> = fs::read_dir(to.join("plugins")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for plugin in plugins.iter().filter(|plugin| !plugin.join("Cargo.toml").is_file()) {
        fs::remove_dir_all(plugin).unwrap();
    }
}

/// The workspace's own files, relative to it.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let ours = !["target", ".git", "data"].iter().any(|other| path == root.join(other));
                if ours {
                    folders.push(path);
                }
            } else if path != root.join(".git") {
                found.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}
