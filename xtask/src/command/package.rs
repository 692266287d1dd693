//! `cargo xtask package`: one static executable, and the proof that it needs nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::json;

use super::Command;
use crate::build;
use crate::failure::{Explain, Failure, Result};
use crate::proof::{self, Point};
use crate::selection::Selection;
use crate::workspace::Workspace;

pub(super) const COMMAND: Command = Command {
    name: "package",
    about: "Build one static executable and prove that it runs in an empty root",
    example: "cargo xtask package\ncargo xtask package --profile package-test --plugins echo",
    arguments: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// The profile in Cargo.toml: `dist` ships, `package-test` builds faster
    #[arg(long, default_value = "dist")]
    profile: String,
    /// The target to build for [default: this machine's, with the GNU C library]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Build only
    #[arg(long)]
    no_proof: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

fn run(matches: &ArgMatches) -> Result<()> {
    let arguments = Arguments::from_arg_matches(matches).explain(|| "cannot read the command line".into())?;
    let workspace = Workspace::find()?;
    let target = build::static_target(&workspace, arguments.target.as_deref())?;
    let package = make(&workspace, &arguments.selection, &arguments.profile, &target)?;
    let points = if arguments.no_proof { Vec::new() } else { package.prove(&workspace)? };
    if arguments.json {
        println!(
            "{}",
            json!({
                "executable": package.path,
                "bytes": package.bytes,
                "plugins": package.plugins,
                "profile": arguments.profile,
                "target": target,
                "proof": points,
            })
        );
    } else {
        println!("{}", package.shown(&workspace));
        points.iter().for_each(|point| println!("{}", shown(point)));
    }
    complete(&points)
}

/// A package with its proof, as the suites want it: everything shown as it goes.
pub(crate) fn proven(workspace: &Workspace, profile: &str) -> Result<()> {
    let target = build::static_target(workspace, None)?;
    let package = make(workspace, &Selection::default(), profile, &target)?;
    eprintln!("{}", package.shown(workspace));
    let points = package.prove(workspace)?;
    points.iter().for_each(|point| eprintln!("{}", shown(point)));
    complete(&points)
}

/// A static executable.
#[derive(Debug)]
struct Package {
    path: PathBuf,
    bytes: u64,
    plugins: Vec<String>,
}

fn make(workspace: &Workspace, selection: &Selection, profile: &str, target: &str) -> Result<Package> {
    let built = build::package(workspace, profile, target, selection)?;
    // Only what ships has the plain name, so that a test's package never takes its place.
    let suffix = if profile == "dist" { String::new() } else { format!("-{profile}") };
    let name = format!("{}-{}-{target}{suffix}", workspace.bundle_name(), workspace.bundle_version());
    let path = workspace.target.join("package").join(name).join("plexichat");
    let bytes = install(&built, &path).explain(|| format!("cannot write `{}`", path.display()))?;
    Ok(Package { path, bytes, plugins: selection.names(workspace)? })
}

/// Copies it beside its place and renames it there: an executable that runs cannot be written over.
fn install(built: &Path, path: &Path) -> std::io::Result<u64> {
    let beside = path.with_extension("new");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let bytes = fs::copy(built, &beside)?;
    fs::rename(&beside, path)?;
    Ok(bytes)
}

impl Package {
    fn prove(&self, workspace: &Workspace) -> Result<Vec<Point>> {
        let began = Instant::now();
        let points = proof::prove(&self.path, &self.plugins, &workspace.target)?;
        eprintln!("the proof took {:.1} s", began.elapsed().as_secs_f64());
        Ok(points)
    }

    fn shown(&self, workspace: &Workspace) -> String {
        let mebibytes = self.bytes.saturating_mul(100) / (1024 * 1024);
        format!(
            "{} ({}.{:02} MiB, plugins: {})",
            workspace.shown(&self.path),
            mebibytes / 100,
            mebibytes % 100,
            self.plugins.join(", ")
        )
    }
}

fn shown(point: &Point) -> String {
    match &point.left_out {
        None => format!("proven: {}", point.what),
        Some(reason) => format!("NOT LOOKED AT: {}: {reason}", point.what),
    }
}

/// Under continuous integration, a step left out is a failure.
fn complete(points: &[Point]) -> Result<()> {
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    match points.iter().find(|point| point.left_out.is_some()) {
        Some(point) if strict => {
            Err(Failure::found(format!("under CI=true everything is to be proven, and {}", shown(point))))
        }
        _ => Ok(()),
    }
}
