//! Every message that a mistake gets, under the token that it is about: one file a mistake, run on the pinned compiler.
//! `TRYBUILD=overwrite cargo test -p plexichat-macros --test ui` writes the messages anew; read the difference.

#[test]
fn ui() {
    // No case that compiles is among them (`whole.rs` is one): so all are checked by one call of Cargo.
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
}
