//! `#[plexichat::event("name")]`: makes a struct or enum the data of a plugin's own event.

mod check;
mod expand;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::errors::Errors;
use crate::item;

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let Ok(mut item) = syn::parse2::<DeriveInput>(tokens.clone()) else {
        errors.under(item::first(&tokens), check::PLACE);
        return item::with_errors(tokens, errors);
    };
    let Some(spec) = check::check(attribute, &item, &errors) else {
        return item::with_errors(tokens, errors);
    };
    let payload = expand::payload(&mut item, &spec);
    let errors = errors.into_tokens();
    quote!(#item #payload #errors)
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
            /// A report can be read.
            pub struct ReportReady {
                pub rows: u64,
            }
        };
        let code = expand(quote!("report_ready", schema_version = 2), item);
        snapshot::check(code, expect_file!["../../tests/expand/event.rs"]);
    }
}
