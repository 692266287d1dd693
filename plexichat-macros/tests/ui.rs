//! Every message that a mistake gets, under the token that it is about: one file a mistake, run on the pinned compiler.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
}
