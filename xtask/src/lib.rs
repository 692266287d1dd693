//! The author's and integrator's tool, `cargo xtask`. Drives Cargo; knows no HTTP server and no database.
//!
//! A team's own workspace can use it as it is: a package `xtask` whose `main` calls [`main`](fn@main).

mod build;
mod bundle_file;
mod command;
mod description;
mod embedded;
mod failure;
mod manifest_edit;
mod process;
mod proof;
mod selection;
mod suite;
mod template;
mod transaction;
mod workspace;

pub use command::main;
