//! `cargo xtask test`: every suite, or one, or one plugin's tests.

use clap::{ArgMatches, Args, FromArgMatches};
use plexichat::problem::nearest;

use super::Command;
use crate::failure::{Explain, Failure, Result};
use crate::suite::{self, SUITES, Session};
use crate::workspace::Workspace;

pub(super) const COMMAND: Command = Command {
    name: "test",
    about: "Run every suite, or the tests of one plugin",
    example: "cargo xtask test --setup\ncargo xtask test echo\ncargo xtask test --suite clippy",
    arguments: Arguments::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
struct Arguments {
    /// Run the tests of this plugin and nothing else
    name: Option<String>,
    /// Run only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    test: Option<String>,
    /// Run only these suites
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', conflicts_with = "name")]
    suite: Vec<String>,
    /// Get what suites lack: Debian packages, Rust components, clients and tools below target/
    #[arg(long)]
    setup: bool,
    /// Run the suites too that take longer than a quarter of an hour
    #[arg(long)]
    long: bool,
    /// List the suites and run none
    #[arg(long)]
    list: bool,
    /// Print the outcome as JSON on standard output, after everything else
    #[arg(long)]
    json: bool,
}

fn run(matches: &ArgMatches) -> Result<()> {
    let arguments = Arguments::from_arg_matches(matches).explain(|| "cannot read the command line".into())?;
    if arguments.list {
        for suite in SUITES {
            println!("{:<15}{}{}", suite.name, suite.about, if suite.is_long() { " (--long)" } else { "" });
        }
        return Ok(());
    }
    // A continuous integration that quietly leaves a suite out shows green for what nobody looked at.
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    execute(&arguments, strict)
}

/// What continuous integration runs.
pub(super) fn as_ci() -> Result<()> {
    execute(&Arguments { setup: true, ..Arguments::default() }, true)
}

fn execute(arguments: &Arguments, strict: bool) -> Result<()> {
    let workspace = Workspace::find()?;
    let session = Session::new(&workspace, arguments.setup, strict, arguments.test.clone());
    let report = if let Some(name) = &arguments.name {
        let plugin = workspace.find_plugin(name)?;
        session.plugin(&plugin.package)
    } else {
        for name in &arguments.suite {
            known(name)?;
        }
        // Only some suites are made of tests that can be chosen by name.
        let chosen = |suite: &suite::Suite| match (&arguments.suite[..], &arguments.test) {
            ([], Some(_)) => suite.name == "tests",
            ([], None) => arguments.long || !suite.is_long(),
            (names, _) => names.iter().any(|name| name == suite.name),
        };
        session.run(SUITES, chosen)
    };
    if arguments.json {
        eprint!("\n{}", report.render(true));
        println!("{}", report.json());
    } else {
        print!("\n{}", report.render(true));
    }
    // The table has said what failed and why, and its counts are to be the last line.
    if report.is_good() { Ok(()) } else { Err(Failure::told()) }
}

fn known(name: &str) -> Result<()> {
    if SUITES.iter().any(|suite| suite.name == name) {
        return Ok(());
    }
    let names = SUITES.iter().map(|suite| suite.name);
    let hint = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::usage(format!("no suite `{}`", name.chars().take(60).collect::<String>())).hint(hint))
}
