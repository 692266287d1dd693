//! Every message that a mistake gets, under the token that it is about: one file a mistake, run on the pinned compiler.
//! `TRYBUILD=overwrite cargo test -p plexichat-macros --test ui` writes the messages anew; read the difference.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/pass/*.rs");
    cases.compile_fail("tests/ui/*/*.rs");
}
