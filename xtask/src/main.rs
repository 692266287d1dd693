//! The binary behind `cargo xtask`; everything is in the library.
fn main() -> std::process::ExitCode {
    xtask::main()
}
