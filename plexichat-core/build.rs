//! Empty: `links` in Cargo.toml asks for a build script to exist.

fn main() {}
