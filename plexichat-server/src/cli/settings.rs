//! Reads the settings as `serve` and `config` do: the bundle's, the operator's file, the environment, the arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use plexichat::catalog::Catalog;
use plexichat::problem::Problem;
use plexichat::settings::{Argument, Settings, Sources};

use crate::Bundle;

/// The operator's file where none is named and this one is there.
const DEFAULT_FILE: &str = "plexichat.toml";

/// What of the settings the command line says.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SettingsArgs {
    /// The settings file. Without it, plexichat.toml in the current directory, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory: the store, the lock, the first administrator's token. [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// The address to listen on; port 0 takes a free one. [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl SettingsArgs {
    /// For a command that takes no address to listen on.
    pub(crate) fn of(config: Option<PathBuf>, data_dir: Option<String>) -> Self {
        Self { config, data_dir, listen: None }
    }
}

/// The linked plugins and the settings.
///
/// # Errors
/// Everything that is wrong with either.
pub(crate) fn load(bundle: &Bundle, arguments: &SettingsArgs) -> Result<(Catalog, Settings), Vec<Problem>> {
    let mut problems = Vec::new();
    let catalog = Catalog::linked(bundle.expected).unwrap_or_else(|found| {
        problems.extend(found);
        Catalog::default()
    });
    let file = read(arguments.config.as_deref()).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    if !problems.is_empty() {
        // What the file says cannot be judged without the file or without the plugins that it names.
        return Err(problems);
    }
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let sources = Sources {
        bundle: bundle.config,
        file: file.as_ref().map(|(path, content)| (path.as_str(), content.as_slice())),
        environment: &environment,
        arguments: &given(arguments),
        linked: catalog.plugins(),
    };
    Settings::load(&sources).map(|settings| (catalog, settings))
}

fn given(arguments: &SettingsArgs) -> Vec<Argument> {
    let argument = |flag, pointer, value: &Option<String>| Some(Argument { flag, pointer, value: value.clone()? });
    let data_dir = argument("--data-dir", "/server/data_dir", &arguments.data_dir);
    let listen = argument("--listen", "/server/listen", &arguments.listen);
    data_dir.into_iter().chain(listen).collect()
}

fn read(named: Option<&Path>) -> Result<Option<(String, Vec<u8>)>, Problem> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read(path) {
        Ok(content) => Ok(Some((path.display().to_string(), content))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => {
            let problem = Problem::new("", format!("the settings file cannot be read: {error}"));
            Err(problem.origin(path.display().to_string()).hint("name another one with `--config`"))
        }
    }
}
