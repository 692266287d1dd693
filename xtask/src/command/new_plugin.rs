//! `cargo xtask new-plugin`: a crate that compiles, is tested and answers, in the bundle at once. All of it or nothing.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Args, FromArgMatches};
use plexichat::id::PluginName;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Command;
use crate::failure::{Explain, Failure, Result};
use crate::manifest_edit::{Addition, add_to_configuration, add_to_manifest};
use crate::template::{TEMPLATES, Template, Values};
use crate::transaction::Transaction;
use crate::workspace::Workspace;
use crate::{bundle_file, description, process};

pub(super) const COMMAND: Command = Command {
    name: "new-plugin",
    about: "Write a new plugin that compiles and answers, and add it to the bundle",
    example: "cargo xtask new-plugin hello\ncargo xtask test hello\ncargo xtask run        # then post: /hello Ada",
    arguments: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// The plugin's name: lower-case words joined by `-`, such as word-filter
    name: String,
    /// What to begin with
    #[arg(long, default_value = TEMPLATES[0].name, value_parser = PossibleValuesParser::new(TEMPLATES.iter().map(
        |template| clap::builder::PossibleValue::new(template.name).help(template.about),
    )))]
    template: String,
    /// The folder to put the crate in, inside this workspace
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    out: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

fn run(matches: &ArgMatches) -> Result<()> {
    let arguments = Arguments::from_arg_matches(matches).explain(|| "cannot read the command line".into())?;
    let name: PluginName = arguments
        .name
        .parse()
        .map_err(|invalid| Failure::usage(invalid).hint("for example: cargo xtask new-plugin word-counter"))?;
    let workspace = Workspace::find()?;
    let template = TEMPLATES
        .iter()
        .find(|template| template.name == arguments.template)
        .ok_or_else(|| Failure::usage(format!("no template `{}`", arguments.template)))?;
    let written = whole(&workspace, &name, template, &arguments.out)?;
    if arguments.json {
        println!("{}", json!({ "name": name, "files": written }));
        return Ok(());
    }
    for path in &written {
        println!("wrote {path}");
    }
    let next = template.next.replace("NAME", name.as_str());
    println!("\nnext:\n  cargo xtask test {name}\n  cargo xtask run        # then {next}");
    Ok(())
}

/// The plugin with everything that belongs to it, or nothing; the paths written, from the workspace's root.
fn whole(workspace: &Workspace, name: &PluginName, template: &Template, out: &Path) -> Result<Vec<String>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Compiling takes a while; who stops it is to find everything as it was.
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).explain(|| "cannot listen for signals".into())?;
    }
    let mut transaction = Transaction::default();
    let mut written = create(workspace, name, template, out, &mut transaction)?;
    eprintln!("compiling it, to write its plugin.json");
    let folder = inside(workspace, out)?.join(name.as_str());
    for (file, text) in description::ask(&workspace.root, &workspace.target, &Values::new(name.as_str()).package)? {
        let path = workspace.root.join(&folder).join(file);
        transaction.write(&path, &text)?;
        written.push(workspace.shown(&path).to_string());
    }
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::found("interrupted; everything is as it was"));
    }
    transaction.commit();
    written.sort();
    Ok(written)
}

/// Writes the plugin and links it in; the paths written, from the workspace's root.
fn create(
    workspace: &Workspace,
    name: &PluginName,
    template: &Template,
    out: &Path,
    transaction: &mut Transaction,
) -> Result<Vec<String>> {
    let values = Values::new(name.as_str());
    let path = inside(workspace, out)?.join(name.as_str());
    let folder = workspace.root.join(&path);
    if folder.exists() {
        return Err(Failure::usage(format!("`{}` exists already", path.display())).hint("choose another name"));
    }
    if workspace.has_package(&values.package) {
        return Err(Failure::usage(format!("this workspace has a package `{}` already", values.package)));
    }
    let addition = Addition {
        name: name.as_str(),
        package: &values.package,
        version: "0.1.0",
        path: path.to_str().ok_or_else(|| Failure::usage("the folder's name is no text"))?,
        grant: template.permissions,
    };

    // Whatever can be refused is refused before the first write; what fails afterwards is taken back.
    let manifest = workspace.root.join("Cargo.toml");
    let configuration = workspace.root.join("config/bundle.toml");
    let new_manifest = add_to_manifest(&read(&manifest)?, &addition)?;
    let new_configuration = add_to_configuration(&read_or_empty(&configuration)?, &addition)?;
    let mut written = Vec::new();
    for (file, text) in template.render(&values)? {
        let file = folder.join(file);
        transaction.write(&file, &text)?;
        written.push(workspace.shown(&file).to_string());
    }
    transaction.write(&manifest, &new_manifest)?;
    transaction.write(&configuration, &new_configuration)?;
    let grown = Workspace::at(&workspace.root)?;
    bundle_file::write(&grown, transaction)?;
    lock(workspace, transaction)?;
    written.extend(["Cargo.toml", "config/bundle.toml", "src/bundle.rs", "Cargo.lock"].map(str::to_owned));
    Ok(written)
}

/// Brings the new crate into `Cargo.lock`, which shows at the same time that Cargo can resolve it.
fn lock(workspace: &Workspace, transaction: &mut Transaction) -> Result<()> {
    transaction.remember(&workspace.root.join("Cargo.lock"))?;
    let resolve = |offline: &[&str]| {
        let mut cargo = process::cargo(&workspace.root);
        process::capture(cargo.args(["metadata", "--format-version", "1"]).args(offline))
    };
    // Everything that a new plugin needs is there already; the network is asked only if that is not so.
    resolve(&["--offline"]).or_else(|_| resolve(&[])).map(drop)
}

/// The folder as a path from the workspace's root.
fn inside(workspace: &Workspace, out: &Path) -> Result<PathBuf> {
    let outside = || {
        Failure::usage(format!("`{}` is outside this workspace", out.display()))
            .hint(format!("name a folder below `{}`", workspace.root.display()))
    };
    let path = if out.is_absolute() { out.strip_prefix(&workspace.root).map_err(|_| outside())? } else { out };
    if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    Ok(path.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).explain(|| format!("cannot read `{}`", path.display()))
}

fn read_or_empty(path: &Path) -> Result<String> {
    if path.exists() { read(path) } else { Ok(String::new()) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::workspace::tests::{ROOT, workspace};

    /// A fixture's crate needs what the real workspace has to resolve; its own manifest is enough here.
    const TEMPLATE: Template = Template::fixture(&[
        ("Cargo.toml", "[package]\nname = \"{{ package }}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
        ("src/lib.rs", "//! Answers /{{ name }}.\n"),
    ]);

    /// Each file with its text, sorted.
    fn snapshot(directory: &Path) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        let mut folders = vec![directory.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => files.push((path.clone(), fs::read_to_string(path).unwrap())),
                }
            }
        }
        files.sort();
        files
    }

    #[track_caller]
    fn check(template: &Template, name: &str, out: &str, expected: Expect) {
        let directory = workspace(ROOT, &["echo", "word-filter"]);
        let root = directory.path().canonicalize().unwrap();
        let before = snapshot(&root);
        let mut transaction = Transaction::default();
        let (workspace, plugin) = (Workspace::at(&root).unwrap(), name.parse().unwrap());
        let result = create(&workspace, &plugin, template, Path::new(out), &mut transaction);
        let shown = match &result {
            Ok(written) => written.join("\n"),
            Err(failure) => failure.to_string().replace(&*root.to_string_lossy(), "DIR"),
        };
        expected.assert_eq(&format!("{shown}\n"));
        match result {
            Ok(_) => {
                transaction.commit();
                let grown = Workspace::at(&root).unwrap();
                assert!(grown.find_plugin(name).is_ok());
                bundle_file::check(&grown).unwrap();
            }
            Err(_) => {
                drop(transaction);
                assert_eq!(snapshot(&root), before, "a refusal leaves nothing");
            }
        }
    }

    #[test]
    fn a_plugin_is_written_and_linked() {
        check(
            &TEMPLATE,
            "hello",
            "plugins",
            expect![[r#"
                plugins/hello/Cargo.toml
                plugins/hello/src/lib.rs
                Cargo.toml
                config/bundle.toml
                src/bundle.rs
                Cargo.lock
            "#]],
        );
    }

    #[test]
    fn what_exists_is_refused() {
        check(
            &TEMPLATE,
            "echo",
            "plugins",
            expect![[r#"
                error: `plugins/echo` exists already
                hint: choose another name
            "#]],
        );
        check(
            &TEMPLATE,
            "echo",
            "mine",
            expect![[r#"
                error: this workspace has a package `plexichat-echo` already
            "#]],
        );
        check(
            &TEMPLATE,
            "hello",
            "../elsewhere",
            expect![[r#"
                error: `../elsewhere` is outside this workspace
                hint: name a folder below `DIR`
            "#]],
        );
    }

    #[test]
    fn a_failure_after_the_first_write_takes_everything_back() {
        let needs_what_is_nowhere = Template::fixture(&[
            (
                "Cargo.toml",
                "[package]\nname = \"{{ package }}\"\nversion = \"0.1.0\"\n[dependencies]\nnone = { path = \"nowhere\" }\n",
            ),
            ("src/lib.rs", ""),
        ]);
        check(
            &needs_what_is_nowhere,
            "hello",
            "plugins",
            expect![[r#"
            error: Cargo cannot read this workspace: failed to load manifest for workspace member `DIR/plugins/hello`
            referenced via `plugins/*` by workspace at `DIR/Cargo.toml`

            Caused by:
              failed to load manifest for dependency `none`

            Caused by:
              failed to read `DIR/plugins/hello/nowhere/Cargo.toml`

            Caused by:
              No such file or directory (os error 2)
            hint: run this inside the workspace, and mend what Cargo names
        "#]],
        );
    }
}
