//! Holds the house in order: which crate and which file may import which, what every file begins with, what it must not
//! contain, and that the papers name only what exists. Runs nothing of the project.

mod arrows;
mod papers;
mod source;
mod table;

use std::path::{Path, PathBuf};

use source::Source;

/// No file is longer: a second subject gets its own.
const LINES_MAX: usize = 600;

/// Marks of unfinished or switched-off work.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];

/// Tests that need what a machine may not have, or minutes; `cargo xtask test` has suites that ask for them.
const ASKED_FOR: &[&str] = &[
    "tests/api.rs",
    "tests/browser.rs",
    "tests/clamav.rs",
    "tests/clients.rs",
    "tests/gateway.rs",
    "tests/long.rs",
    "tests/upstream.rs",
    "tests/webhook.rs",
];

/// The files of `plexichat-core` that may say `unsafe` in code of their own, and why.
const UNSAFE: &[(&str, &str)] = &[
    ("plexichat-core/src/permission.rs", "declares `unsafe trait Has`, so that no plugin can write it by hand"),
    ("tests/fixtures/bundle/src/power.rs", "is a file system of SQLite's, which is an interface of C"),
    ("plexichat-macros/src", "emits the one implementation of `Has`"),
    ("plexichat-macros/tests", "shows that a hand-written one does not compile"),
    ("xtask/src/command/run.rs", "forks"),
    ("xtask/src/proof/empty_root.rs", "forks into an empty root as somebody without rights"),
];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file of the project, relative to its root.
fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(root(), &mut files);
    assert!(files.len() > 30, "the walk found only {files:?}");
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
}

/// Examples of what an author may get wrong, and templates that are no Rust yet, follow no rules of ours.
fn is_specimen(file: &Path) -> bool {
    let text = file.to_string_lossy();
    ["/tests/ui/", "/tests/expand/", "/templates/"].iter().any(|part| text.contains(part))
}

#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn every_file_says_what_it_owns() {
    let findings = rust_files().into_iter().filter(|file| !is_specimen(file)).filter_map(|file| {
        let text = std::fs::read_to_string(root().join(&file)).unwrap();
        let first = text.lines().next().unwrap_or_default();
        (first.len() < 20 || !first.starts_with("//! "))
            .then(|| format!("{}: begins with `{first}`, not with a `//!` sentence of what it owns", file.display()))
    });
    none(findings.collect());
}

#[test]
fn no_file_has_two_subjects_worth_of_lines() {
    let findings = rust_files().into_iter().filter_map(|file| {
        let lines = std::fs::read_to_string(root().join(&file)).unwrap().lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines, more than {LINES_MAX}", file.display()))
    });
    none(findings.collect());
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    let findings = rust_files().into_iter().filter(|file| !is_specimen(file)).flat_map(|file| {
        let source = Source::read(&root().join(&file));
        let asked_for = ASKED_FOR.iter().any(|name| file == Path::new(name));
        let marks = UNFINISHED.iter().filter(move |mark| source.code().contains(*mark));
        let marks = marks.filter(move |mark| !(asked_for && **mark == "#[ignore"));
        marks.map(move |mark| format!("{}: has `{mark}`", file.display())).collect::<Vec<_>>()
    });
    none(findings.collect());
}

#[test]
fn plugins_forbid_unsafe_code() {
    let plugins = std::fs::read_dir(root().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let findings = plugins.filter_map(|folder| {
        let library = folder.join("src/lib.rs");
        let text = std::fs::read_to_string(&library).unwrap_or_default();
        (!text.contains("#![forbid(unsafe_code)]"))
            .then(|| format!("{}: lacks `#![forbid(unsafe_code)]`", library.display()))
    });
    none(findings.collect());
}

#[test]
fn unsafe_stays_in_the_files_that_say_why() {
    let library = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "src") && !is_specimen(file);
    let findings = rust_files().into_iter().filter(library).filter_map(|file| {
        let allowed = UNSAFE.iter().any(|(path, _)| file.starts_with(path));
        let found = Source::read(&root().join(&file)).words().any(|word| word == "unsafe");
        (found && !allowed).then(|| format!("{}: has `unsafe`; see the list in {}", file.display(), file!()))
    });
    none(findings.collect());
}
