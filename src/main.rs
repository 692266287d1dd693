//! The bundle: links the chosen plugins and calls the server. Decides nothing.

// A plugin that `bundle.rs` does not name would be dropped by the linker without a word.
#![cfg_attr(
    not(test),
    deny(unused_crate_dependencies, reason = "src/bundle.rs does not name this plugin: run `cargo xtask bundle`")
)]

mod bundle;

#[cfg(panic = "abort")]
compile_error!("a bundle needs `panic = \"unwind\"`: a plugin's panic is to end that plugin's call, not the server");

fn main() -> std::process::ExitCode {
    plexichat_server::main(plexichat_server::Bundle {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        expected: bundle::EXPECTED,
        config: include_str!("../config/bundle.toml"),
    })
}
