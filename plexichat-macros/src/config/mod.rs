//! `#[plexichat::config]`: makes a struct a plugin's settings, whose fields are the manual.

mod check;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::data::{derives, validate};
use crate::errors::Errors;
use crate::{item, options};

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    options::none(attribute, "`#[plexichat::config]`", &errors);
    let Ok(mut item) = syn::parse2::<DeriveInput>(tokens.clone()) else {
        errors.under(item::first(&tokens), check::PLACE);
        return item::with_errors(tokens, errors);
    };
    if !check::check(&item, &errors) {
        return item::with_errors(tokens, errors);
    }
    let validate = (!derives::has(&item.attrs, "Validate")).then(|| validate::implementation(&item, &errors));
    if !errors.is_empty() {
        validate::strip(&mut item);
    }
    derives::add(&mut item, derives::Unknown::Refused);
    let ident = &item.ident;
    let errors = errors.into_tokens();
    quote! {
        #item
        #validate
        const _: () = {
            impl ::plexichat::plugin::Config for #ident {}
        };
        #errors
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
            /// Settings.
            #[derive(Debug, PartialEq)]
            #[serde(rename_all = "kebab-case")]
            pub struct Config {
                /// How long it waits.
                #[garde(range(min = 1, max = 600))]
                #[serde(default = "ten")]
                pub wait_secs: u64,
                /// What it says.
                #[garde(inner(length(chars, max = 80), custom(polite)))]
                pub words: Vec<String>,
                /// Whom it asks.
                pub key: Secret,
            }
        };
        snapshot::check(expand(quote!(), item), expect_file!["../../tests/expand/config.rs"]);
    }
}
