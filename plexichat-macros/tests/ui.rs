//! Every message that a mistake gets, under the token that it is about: one file a mistake, run on the pinned compiler.
//! `TRYBUILD=overwrite cargo test -p plexichat-macros --test ui` writes the messages anew; read the difference.

#[test]
fn ui() {
    // The crate that the cases are compiled in speaks English, so that `t!` has something to look up.
    let cases = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tests/trybuild/plexichat-macros");
    std::fs::create_dir_all(cases.join("locales")).unwrap();
    std::fs::write(cases.join("locales/en.ftl"), "greeting = Hello, { $name }!\nplain = Nothing to fill in\n").unwrap();
    // No case that compiles is among them (`whole.rs` is one): so all are checked by one call of Cargo.
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
}
