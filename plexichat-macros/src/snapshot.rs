//! Shows what an attribute wrote as a person would have written it, for the tests.

use expect_test::ExpectFile;
use proc_macro2::TokenStream;

/// Compares code with a file. `UPDATE_EXPECT=1 cargo test -p plexichat-macros` writes the file anew.
#[track_caller]
pub(crate) fn check(code: TokenStream, expected: ExpectFile) {
    let file: syn::File = syn::parse2(code).expect("an attribute writes items");
    expected.assert_eq(&prettyplease::unparse(&file));
}
