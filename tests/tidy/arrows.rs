//! Which crate may depend on which, from the `Cargo.toml` files, and within a crate which file may import which, from the
//! table in `ARCHITECTURE.md`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::{ModulePath, Source};
use super::{none, root, rust_files, table};

/// Crates that only the server may know: a listener, a database, a command line, a client.
const SERVER_ONLY: &[&str] =
    &["axum", "clap", "hyper", "hyper-util", "reqwest", "rusqlite", "rustls", "tower", "tower-http"];

/// The packages whose files have a table in `ARCHITECTURE.md`.
const TABLED: &[&str] = &["plexichat-core", "plexichat-server"];

struct Manifest {
    package: String,
    normal: BTreeSet<String>,
    development: BTreeSet<String>,
}

impl Manifest {
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let value: toml::Table = text.parse().unwrap();
        let names = |section: &str| -> BTreeSet<String> {
            let table = value.get(section).and_then(toml::Value::as_table);
            table.into_iter().flatten().map(|(name, entry)| renamed(name, entry)).collect()
        };
        let normal = names("dependencies").union(&names("build-dependencies")).cloned().collect();
        let package = value["package"]["name"].as_str().unwrap().to_owned();
        Self { package, normal, development: names("dev-dependencies") }
    }

    #[track_caller]
    fn names_none_of(&self, forbidden: &[&str], why: &str) {
        let found: Vec<_> = forbidden.iter().filter(|name| self.normal.contains(**name)).collect();
        assert!(found.is_empty(), "{} depends on {found:?}: {why}", self.package);
    }
}

/// The crate that an entry means, where `package = "…"` renames it.
fn renamed(name: &str, entry: &toml::Value) -> String {
    entry.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
}

fn plugins() -> Vec<Manifest> {
    let folders = std::fs::read_dir(root().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let plugins: Vec<_> = folders.filter(|path| path.is_dir()).map(|path| Manifest::read(&path)).collect();
    assert!(!plugins.is_empty());
    plugins
}

#[test]
fn core_knows_no_listener_no_database_and_no_command_line() {
    let core = Manifest::read(Path::new("plexichat-core"));
    core.names_none_of(SERVER_ONLY, "core names ports, plexichat-server owns what is behind them");
    core.names_none_of(&["plexichat-server", "anyhow"], "arrows run one way, libraries have typed errors");
    let own: Vec<_> = core.normal.iter().filter(|name| name.starts_with("plexichat-")).collect();
    assert_eq!(own, ["plexichat-macros"]);
}

#[test]
fn macros_know_only_syntax() {
    let macros = Manifest::read(Path::new("plexichat-macros"));
    let allowed: BTreeSet<String> =
        ["fluent-syntax", "proc-macro2", "quote", "semver", "syn"].map(str::to_owned).into();
    assert_eq!(macros.normal, allowed);
}

#[test]
fn the_server_imports_no_plugin() {
    let server = Manifest::read(Path::new("plexichat-server"));
    for plugin in plugins() {
        let known = server.normal.contains(&plugin.package) || server.development.contains(&plugin.package);
        assert!(!known, "plexichat-server depends on {}: the bundle links plugins", plugin.package);
    }
    server.names_none_of(&["anyhow", "plexichat"], "libraries have typed errors, and the bundle stands above");
}

#[test]
fn a_plugin_imports_core_and_no_other_part_of_the_house() {
    for plugin in plugins() {
        let own: Vec<_> = plugin.normal.iter().filter(|name| name.starts_with("plexichat")).collect();
        assert_eq!(own, ["plexichat-core"], "{}", plugin.package);
        plugin.names_none_of(SERVER_ONLY, "a plugin asks its context");
    }
}

#[test]
fn xtask_imports_core_and_no_server() {
    let xtask = Manifest::read(Path::new("xtask"));
    xtask.names_none_of(
        &["plexichat-server", "plexichat-macros", "axum", "hyper", "reqwest", "rusqlite", "tokio"],
        "the first `cargo xtask run` waits for xtask's own build",
    );
}

#[test]
fn files_import_what_architecture_md_lets_them() {
    none(TABLED.iter().flat_map(|package| check_package(package)).collect());
}

/// The files of a package with their module paths.
fn modules(package: &str) -> Vec<(PathBuf, ModulePath)> {
    let source = Path::new(package).join("src");
    let files = rust_files().into_iter().filter_map(|file| {
        let inside = file.strip_prefix(&source).ok()?.with_extension("");
        let mut module: ModulePath =
            inside.iter().map(|part| part.to_string_lossy().into_owned()).filter(|part| part != "lib").collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        Some((file, module))
    });
    let files: Vec<(PathBuf, ModulePath)> = files.collect();
    // A file of tests beside the code may import what it likes.
    let of_tests: Vec<ModulePath> = files
        .iter()
        .flat_map(|(file, module)| {
            let children = Source::read(&root().join(file)).test_children().to_vec();
            children.into_iter().map(|child| [module.as_slice(), &[child]].concat())
        })
        .collect();
    files.into_iter().filter(|(_, module)| !of_tests.iter().any(|tests| module.starts_with(tests))).collect()
}

fn check_package(package: &str) -> Vec<String> {
    let rows = table::rows(package);
    let modules = modules(package);
    let known: BTreeSet<&ModulePath> = modules.iter().map(|(_, module)| module).collect();
    let mut findings = Vec::new();
    for row in &rows {
        if !modules.iter().any(|(file, _)| row.names(&below_source(file, package))) {
            findings.push(format!("ARCHITECTURE.md, {package}: no file is `{}`", row.files));
        }
    }
    for (file, module) in &modules {
        let inside = below_source(file, package);
        let imported: BTreeSet<ModulePath> =
            Source::read(&root().join(file)).own_paths(module).iter().map(|path| owner(path, &known)).collect();
        let imported: Vec<String> = imported.iter().filter(|target| !target.starts_with(module)).map(name).collect();
        // A file's own row counts before that of its folder.
        let row = rows.iter().filter(|row| row.names(&inside)).min_by_key(|row| row.folder().is_some());
        let Some(row) = row else {
            let imported = if imported.is_empty() { "nothing".to_owned() } else { imported.join(", ") };
            findings.push(format!("ARCHITECTURE.md, {package}: has no row for `{inside}`, which imports: {imported}"));
            continue;
        };
        for target in imported.iter().filter(|target| !row.allows(target)) {
            findings.push(format!("{}: imports `{target}`, which its row does not list", file.display()));
        }
    }
    findings
}

/// A module as the table writes it.
fn name(module: &ModulePath) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

fn below_source(file: &Path, package: &str) -> String {
    file.strip_prefix(Path::new(package).join("src")).unwrap().to_string_lossy().into_owned()
}

/// The module whose file holds what the path names: the longest beginning that is a module.
fn owner(path: &[String], known: &BTreeSet<&ModulePath>) -> ModulePath {
    let lengths = (0..=path.len()).rev();
    lengths.map(|length| path[..length].to_vec()).find(|module| known.contains(module)).unwrap_or_default()
}
