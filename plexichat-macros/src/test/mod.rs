//! `#[plexichat::test]`: an asynchronous test on the test kit's runtime.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

use crate::errors::Errors;
use crate::{item, options};

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    options::none(attribute, "`#[plexichat::test]`", &errors);
    let Ok(function) = syn::parse2::<ItemFn>(tokens.clone()) else {
        errors.under(item::first(&tokens), "`#[plexichat::test]` stands on an `async fn`");
        return item::with_errors(tokens, errors);
    };
    check(&function, &errors);
    if !errors.is_empty() {
        return item::with_errors(tokens, errors);
    }
    run(function)
}

fn check(function: &ItemFn, errors: &Errors) {
    if function.sig.asyncness.is_none() {
        errors.under(function.sig.fn_token, "this test waits for nothing: write `async fn`, or use `#[test]`");
    }
    if !function.sig.inputs.is_empty() {
        errors.under(&function.sig.inputs, "a test takes no arguments: nobody would give it any");
    }
    if !function.sig.generics.params.is_empty() {
        errors.under(&function.sig.generics, "a test has no generic parameters: nobody would choose them");
    }
    if let Some(twice) = function.attrs.iter().find(|attribute| attribute.path().is_ident("test")) {
        errors.under(twice, "`#[plexichat::test]` already makes this a test; take `#[test]` away");
    }
}

fn run(mut function: ItemFn) -> TokenStream {
    function.sig.asyncness = None;
    let ItemFn { attrs, vis, sig, block, .. } = function;
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis #sig {
            ::plexichat::testing::run(async move #block)
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands() {
        let item = quote! {
            /// It answers.
            #[ignore = "slow"]
            async fn answers() -> TestResult {
                Ok(())
            }
        };
        snapshot::check(expand(quote!(), item), expect_file!["../../tests/expand/test.rs"]);
    }
}
