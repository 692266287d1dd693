//! `cargo xtask bundle`: writes `src/bundle.rs`, or says that it is stale.

use clap::{ArgMatches, Args, FromArgMatches};

use super::Command;
use crate::bundle_file;
use crate::failure::{Explain, Result};
use crate::transaction::Transaction;
use crate::workspace::Workspace;

pub(super) const COMMAND: Command = Command {
    name: "bundle",
    about: "Write src/bundle.rs, which links the plugins, from the features in Cargo.toml",
    example: "cargo xtask bundle --check",
    arguments: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Write nothing; end with 1 if the file is not what it should be
    #[arg(long)]
    check: bool,
}

fn run(matches: &ArgMatches) -> Result<()> {
    let arguments = Arguments::from_arg_matches(matches).explain(|| "cannot read the command line".into())?;
    let workspace = Workspace::find()?;
    for package in workspace.unbundled() {
        eprintln!("note: `{package}` is in plugins/ and no feature of the bundle turns it on");
    }
    if arguments.check {
        bundle_file::check(&workspace)?;
        println!("src/bundle.rs is as it should be");
        return Ok(());
    }
    let mut transaction = Transaction::default();
    let written = bundle_file::write(&workspace, &mut transaction)?;
    transaction.commit();
    println!("src/bundle.rs {}", if written { "written" } else { "is as it should be" });
    Ok(())
}
