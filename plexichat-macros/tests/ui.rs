//! Every message that a mistake gets, under the token that it is about: one file a mistake, run on the pinned compiler.
//! `TRYBUILD=overwrite cargo test -p plexichat-macros --test ui` writes the messages anew; read the difference.

#[test]
fn ui() {
    let good = trybuild::TestCases::new();
    good.pass("tests/pass/*.rs");
    drop(good);
    // Apart from the good ones: where nothing has to run, all are compiled by one call of Cargo.
    let mistaken = trybuild::TestCases::new();
    mistaken.compile_fail("tests/ui/*/*.rs");
}
