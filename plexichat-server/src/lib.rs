//! The PlexiChat host: store, HTTP and WebSocket, operator's commands. A bundle calls [`main`] with what it links.

use std::process::ExitCode;

use plexichat::Descriptor;

pub mod auth;
mod backup;
mod cli;
pub mod data_dir;
mod directories;
mod egress;
mod error;
mod files;
mod http;
mod indexer;
mod ledger;
pub mod live;
pub mod outbox;
mod overview;
mod ports;
mod retention;
mod scheduler;
mod shown;
mod stop;
pub mod store;
mod telemetry;

/// What a bundle is made of: its own name, the plugins that it means to link, and the settings that it brings along.
#[derive(Debug, Clone, Copy)]
pub struct Bundle {
    /// The program's name.
    pub name: &'static str,
    /// The bundle's version.
    pub version: &'static str,
    /// The plugins that must be in the binary: a linked crate that nothing names is dropped without a word.
    pub expected: &'static [Descriptor],
    /// The bundle's own settings, as TOML, below everything that the operator sets.
    pub config: &'static str,
}

/// Reads the command line and does what it says. The whole program.
pub fn main(bundle: Bundle) -> ExitCode {
    cli::run(&bundle, std::env::args_os())
}
