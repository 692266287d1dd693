//! `cargo xtask describe`: writes what plugins say of themselves, or says that it is stale.

use std::fs;

use clap::{ArgMatches, Args, FromArgMatches};

use super::Command;
use crate::description;
use crate::failure::{Explain, Failure, Result};
use crate::transaction::Transaction;
use crate::workspace::{Plugin, Workspace};

pub(super) const COMMAND: Command = Command {
    name: "describe",
    about: "Write plugin.json and config/default.json of a plugin, or of all, from their code",
    example: "cargo xtask describe echo\ncargo xtask describe --check",
    arguments: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// The plugin; all of this workspace where it is left out
    name: Option<String>,
    /// Write nothing; end with 1 if a file is not what it should be
    #[arg(long)]
    check: bool,
}

fn run(matches: &ArgMatches) -> Result<()> {
    let arguments = Arguments::from_arg_matches(matches).explain(|| "cannot read the command line".into())?;
    let workspace = Workspace::find()?;
    let plugins = match &arguments.name {
        Some(name) => vec![workspace.find_plugin(name)?],
        None => workspace.plugins().into_iter().filter(|plugin| plugin.folder.is_some()).collect(),
    };
    let mut transaction = Transaction::default();
    let mut stale = Vec::new();
    for plugin in &plugins {
        stale.extend(describe(&workspace, plugin, &mut transaction, arguments.check)?);
    }
    if arguments.check && !stale.is_empty() {
        return Err(Failure::found(format!("not what the code says: {}", stale.join(", ")))
            .hint("write them: cargo xtask describe"));
    }
    transaction.commit();
    match &stale[..] {
        [] => println!("everything is as the code says"),
        stale => stale.iter().for_each(|path| println!("wrote {path}")),
    }
    Ok(())
}

/// Writes the files that are not what the code says, unless it is only to look; their paths.
fn describe(workspace: &Workspace, plugin: &Plugin, transaction: &mut Transaction, check: bool) -> Result<Vec<String>> {
    let folder = plugin.folder.as_ref().ok_or_else(|| {
        Failure::usage(format!("the plugin `{}` is not in this workspace, so it is not ours to describe", plugin.name))
    })?;
    eprintln!("asking {}", plugin.name);
    let mut stale = Vec::new();
    for (file, text) in description::ask(&workspace.root, &workspace.target, &plugin.package)? {
        let path = folder.join(file);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if !check {
            transaction.write(&path, &text)?;
        }
        stale.push(workspace.shown(&path).to_string());
    }
    Ok(stale)
}
